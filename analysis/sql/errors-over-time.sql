-- Errors, accuracy and rows of each epoch
-- epochs: all
-- tables: 1..n
SELECT
  run,
  epoch,
  count(*) FILTER (WHERE truth IS NOT NULL AND guess IS DISTINCT FROM truth) AS errors,
  avg(CASE WHEN truth IS NOT NULL THEN CASE WHEN guess = truth THEN 1.0 ELSE 0.0 END END) AS accuracy,
  count(*) AS rows,
  count(*) - count(truth) AS unlabelled
FROM predictions
GROUP BY run, epoch
ORDER BY run, epoch
