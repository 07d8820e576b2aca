-- Errors per guess: how many, what was true instead, and the most confident examples
-- epochs: last
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- drawn: beside guess
-- steps: told
-- $ids int = 5  example ids per guess
SELECT
  run,
  epoch,
  at_step AS step,
  guess,
  count(*) AS errors,
  histogram(truth) AS truths,
  list(id ORDER BY confidence DESC NULLS LAST, id)[:$ids] AS ids
FROM predictions
WHERE wrong
GROUP BY run, epoch, at_step, guess
ORDER BY run, epoch, at_step NULLS LAST, guess NULLS LAST
