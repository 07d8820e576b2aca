-- How often guesses of a confidence are right: the bins of a reliability diagram
-- epochs: last
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- steps: told
-- drawn: curve confidence accuracy
-- $level level = 0.95  how sure the intervals are
-- $bins int = 15  how many
-- $binning (width|mass) = 'width'  width: of equal width; mass: of as many rows, those of one confidence together
-- $by (class) = null  class: of each class that is guessed, too
-- accuracy is the share of the bin's n rows that are right, with Wilson's interval; confidence their mean confidence.
WITH cases AS (
  SELECT run, epoch, moment, guess, CAST(confidence AS DOUBLE) AS p, CASE WHEN wrong THEN 0.0 ELSE 1.0 END AS hit
  FROM (SELECT *, coalesce(at_step, -1) AS moment FROM predictions)
  WHERE wrong IS NOT NULL AND confidence IS NOT NULL AND NOT isnan(confidence)
),
grouped AS (
  SELECT *, NULL AS class FROM cases
  UNION ALL
  SELECT *, guess FROM cases WHERE $by = 'class'
),
placed AS (
  SELECT
    *,
    CASE
      WHEN $binning <> 'mass' THEN greatest(ceil(p * $bins), 1)
      WHEN count(*) OVER of_all = 1 THEN 1
      ELSE greatest(ceil((rank() OVER by_p - 1) * $bins / (count(*) OVER of_all - 1)), 1)
    END AS bin
  FROM grouped
  WINDOW
    of_all AS (PARTITION BY run, epoch, moment, class),
    by_p AS (PARTITION BY run, epoch, moment, class ORDER BY p)
),
bins AS (
  SELECT
    run,
    epoch,
    moment,
    class,
    CAST(bin AS INTEGER) AS bin,
    min(p) AS least_confidence,
    max(p) AS most_confidence,
    avg(p) AS confidence,
    avg(hit) AS accuracy,
    count(*) AS n
  FROM placed
  GROUP BY run, epoch, moment, class, bin
)
SELECT
  run,
  epoch,
  nullif(moment, -1) AS step,
  class,
  bin,
  CASE WHEN $binning <> 'mass' THEN (bin - 1) / greatest($bins, 1) ELSE least_confidence END AS from_confidence,
  CASE WHEN $binning <> 'mass' THEN bin / greatest($bins, 1) ELSE most_confidence END AS to_confidence,
  confidence,
  accuracy,
  greatest(
    (accuracy * n + $level * $level / 2 - $level * sqrt(accuracy * (1 - accuracy) * n + $level * $level / 4))
      / (n + $level * $level),
    0
  ) AS low,
  least(
    (accuracy * n + $level * $level / 2 + $level * sqrt(accuracy * (1 - accuracy) * n + $level * $level / 4))
      / (n + $level * $level),
    1
  ) AS high,
  n
FROM bins
ORDER BY run, epoch, step NULLS LAST, class NULLS FIRST, bin
