"""The metrics of runs in so many points as a chart has room for, whatever the number of values."""

from collections.abc import Sequence

from secondguess.analysis.engine.sqltext import literal

_POINTS = 300  # of a run's metric
_MARKS = 3_000  # of a chart
_LEAST = 40  # points: fewer say nothing of a curve
_MOST_ROWS = 200_000

_BINNED = """WITH named AS (
  SELECT run, name, coalesce(step, epoch, 0) AS step, epoch, value FROM metrics WHERE run IN ({runs})
), axes AS (
  SELECT name, count(*) = count(DISTINCT (run, epoch)) AND count(*) = count(epoch) AS by_epoch FROM named GROUP BY name
), placed AS (
  SELECT run, named.name, by_epoch, CASE WHEN by_epoch THEN epoch ELSE step END AS x, value
  FROM named JOIN axes USING (name)
), ends AS (
  SELECT run, name, min(x) AS first, max(x) AS last, count(DISTINCT x) AS many FROM placed GROUP BY run, name
)
SELECT
  run,
  name,
  any_value(CASE WHEN by_epoch THEN 'epoch' ELSE 'step' END) AS axis,
  min(x) AS x,
  avg(value) FILTER (WHERE isfinite(value)) AS value,
  min(value) FILTER (WHERE isfinite(value)) AS least,
  max(value) FILTER (WHERE isfinite(value)) AS most,
  count(*) AS n,
  count(*) FILTER (WHERE NOT isfinite(value)) AS odd
FROM placed JOIN ends USING (run, name)
GROUP BY run, name, CASE WHEN many <= {points} THEN x ELSE (x - first) * {points} // (last - first + 1) END
ORDER BY name, run, x"""


def binned(runs: Sequence[str]) -> tuple[str, int]:
    """The SQL for the runs' metrics, at most some 300 points a run and metric, and how many rows it may take.

    A point stands for the values from its x to the next one's: their mean, the least and the most, how many they are,
    and how many of them are not finite. x is the epoch where each run has one value an epoch, else the step.
    """
    points = max(_LEAST, min(_POINTS, _MARKS // max(1, len(runs))))
    return _BINNED.format(runs=", ".join(map(literal, runs)), points=points), _MOST_ROWS
