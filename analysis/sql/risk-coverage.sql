-- How many errors are left where only the surest guesses are taken
-- epochs: last
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- steps: told
-- drawn: curve coverage risk
-- $points int = 100  how many, evenly spaced
-- risk is the share of errors among the surest guesses, coverage their share of the labelled rows that have a confidence
-- (Geifman and El-Yaniv 2017); least_confidence is that of the last of them.
WITH cases AS (
  SELECT run, epoch, moment, id, CAST(confidence AS DOUBLE) AS p, CASE WHEN wrong THEN 1.0 ELSE 0.0 END AS miss
  FROM (SELECT *, coalesce(at_step, -1) AS moment FROM predictions)
  WHERE wrong IS NOT NULL AND confidence IS NOT NULL AND NOT isnan(confidence)
),
placed AS (
  SELECT
    run,
    epoch,
    moment,
    p,
    row_number() OVER by_p AS place,
    rank() OVER by_p AS first_place,
    sum(miss) OVER (
      PARTITION BY run, epoch, moment ORDER BY p DESC RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS errors_upto,
    sum(miss) OVER (PARTITION BY run, epoch, moment, p) AS peers_errors,
    count(*) OVER (PARTITION BY run, epoch, moment, p) AS peers,
    count(*) OVER (PARTITION BY run, epoch, moment) AS n
  FROM cases
  WINDOW by_p AS (PARTITION BY run, epoch, moment ORDER BY p DESC)
)
SELECT
  run,
  epoch,
  nullif(moment, -1) AS step,
  place / n AS coverage,
  -- The errors of the rows of one confidence come evenly, one share at each of their places.
  (errors_upto - peers_errors * (1 - (place - first_place + 1) / peers)) / place AS risk,
  p AS least_confidence,
  place AS rows
FROM placed
WHERE floor(place * $points / n) > floor((place - 1) * $points / n)
ORDER BY run, epoch, step NULLS LAST, rows
