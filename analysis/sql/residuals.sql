-- Histogram of the errors of regression tables, guess minus truth, in bins of one width
-- epochs: last
-- tables: 1..n
-- tasks: regression
-- steps: told
-- drawn: histogram low high rows
-- $bins int = 20  how many bins from the least to the largest error
-- The bins are those of all tables together; one without an error in it is left out, and so are errors that are infinite.
WITH errors AS (
  SELECT run, epoch, at_step AS step, guess - truth AS error FROM predictions WHERE isfinite(guess - truth)
),
spread AS (
  SELECT min(error) AS least, (max(error) - min(error)) / greatest($bins, 1) AS width FROM errors
),
placed AS (
  SELECT
    run,
    epoch,
    step,
    least,
    width,
    CASE WHEN width > 0 THEN least(CAST(floor((error - least) / width) AS BIGINT), greatest($bins, 1) - 1) ELSE 0 END AS place
  FROM errors, spread
)
SELECT run, epoch, step, least + place * width AS low, least + (place + 1) * width AS high, count(*) AS rows
FROM placed
GROUP BY run, epoch, step, place, least, width
ORDER BY run, epoch, step NULLS LAST, low
