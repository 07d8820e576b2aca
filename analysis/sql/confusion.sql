-- How often each truth was guessed as what
-- epochs: last
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- drawn: matrix truth guess rows
-- steps: told
SELECT run, epoch, at_step AS step, truth, guess, count(*) AS rows
FROM predictions
WHERE truth IS NOT NULL
GROUP BY run, epoch, at_step, truth, guess
ORDER BY run, epoch, at_step NULLS LAST, truth, guess NULLS LAST
