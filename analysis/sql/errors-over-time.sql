-- Errors, accuracy and rows of each epoch, or of each validation within one
-- epochs: all
-- tables: 1..n
-- steps: told
SELECT
  run,
  epoch,
  at_step AS step,
  count(*) FILTER (WHERE wrong) AS errors,
  avg(CASE WHEN wrong THEN 0.0 WHEN NOT wrong THEN 1.0 END) AS accuracy,
  count(*) AS rows,
  count(*) - count(wrong) AS unlabelled
FROM predictions
GROUP BY run, epoch, at_step
ORDER BY run, epoch, at_step NULLS LAST
