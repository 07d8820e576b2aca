-- Guesses of regression tables, the farthest from the truth first
-- epochs: last
-- tables: 1..n
-- tasks: regression
-- $limit int = null  at most so many rows
-- error is guess minus truth: above 0 where the guess is too high. A guess that is no number is none.
SELECT * EXCLUDE (at_step), guess - truth AS error
FROM predictions
WHERE NOT isnan(guess - truth)
ORDER BY abs(guess - truth) DESC, run, epoch, at_step NULLS LAST, id
LIMIT $limit
