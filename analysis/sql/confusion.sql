-- How often each truth was guessed as what
-- epochs: last
-- tables: 1..n
-- verdicts: refused
-- drawn: matrix truth guess rows
SELECT run, epoch, truth, guess, count(*) AS rows
FROM predictions
WHERE truth IS NOT NULL
GROUP BY run, epoch, truth, guess
ORDER BY run, epoch, truth, guess NULLS LAST
