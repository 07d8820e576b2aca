-- Errors, accuracy and rows of each epoch
-- epochs: all
-- tables: 1..n
SELECT
  run,
  epoch,
  count(*) FILTER (WHERE wrong) AS errors,
  avg(CASE WHEN wrong THEN 0.0 WHEN NOT wrong THEN 1.0 END) AS accuracy,
  count(*) AS rows,
  count(*) - count(wrong) AS unlabelled
FROM predictions
GROUP BY run, epoch
ORDER BY run, epoch
