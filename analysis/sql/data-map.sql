-- How many examples are easy, hard or ambiguous: the data map, mean score of the truth against its variability, in cells
-- epochs: all
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- ids: unique
-- drawn: cells variability mean_truth_score n
-- $bins int = 20  cells from 0 to 1 of the mean score, and from 0 to 0.5 of the variability
-- As `dynamics` over all epochs of all runs (Swayamdipta et al. 2020, Dataset cartography): a cell has the examples from
-- its variability and mean_truth_score on, up to the next cell's, and the mean of their correctness.
WITH passes AS (
  SELECT id, truth, guess, CASE WHEN NOT isnan(truth_score) THEN CAST(truth_score AS DOUBLE) END AS p
  FROM predictions
  WHERE truth IS NOT NULL
),
by_example AS (
  SELECT
    avg(p) AS mean,
    stddev_pop(p) AS spread,
    avg(CASE WHEN guess = truth THEN 1.0 ELSE 0.0 END) AS correctness
  FROM passes
  GROUP BY id, truth
  HAVING count(p) > 0
)
SELECT
  column_ / (2 * greatest($bins, 1)) AS variability,
  (column_ + 1) / (2 * greatest($bins, 1)) AS to_variability,
  row_ / greatest($bins, 1) AS mean_truth_score,
  (row_ + 1) / greatest($bins, 1) AS to_mean_truth_score,
  count(*) AS n,
  avg(correctness) AS correctness
FROM (
  SELECT
    correctness,
    least(floor(spread * 2 * greatest($bins, 1)), greatest($bins, 1) - 1) AS column_,
    least(floor(mean * greatest($bins, 1)), greatest($bins, 1) - 1) AS row_
  FROM by_example
)
GROUP BY column_, row_
ORDER BY variability, mean_truth_score
