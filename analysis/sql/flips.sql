-- What became of the examples from one table to the other, by truth and both guesses
-- epochs: last
-- tables: 2
-- verdicts: refused
SELECT outcome, truth_a AS truth, guess_a, guess_b, count(*) AS examples
FROM joined
GROUP BY outcome, truth_a, guess_a, guess_b
ORDER BY outcome NULLS LAST, truth NULLS LAST, guess_a NULLS LAST, guess_b NULLS LAST
