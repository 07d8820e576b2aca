-- Regression tables: mean absolute and squared error, bias, median and largest error, and R squared
-- epochs: all
-- tables: 1..n
-- tasks: regression
-- steps: told
-- Of the rows whose guess and truth have a difference; others with a truth are counted as without_guess. bias is the
-- mean of guess minus truth. r2 is 1 minus the squared errors' sum by that of the truths around their mean, as
-- scikit-learn's r2_score; NULL where all truths are one number.
WITH errors AS (
  SELECT
    run,
    epoch,
    at_step AS step,
    truth,
    CASE WHEN NOT isnan(guess - truth) THEN guess - truth END AS error
  FROM predictions
)
SELECT
  run,
  epoch,
  step,
  avg(abs(error)) AS mean_absolute_error,
  sqrt(avg(error * error)) AS root_mean_squared_error,
  avg(error) AS bias,
  median(abs(error)) AS median_absolute_error,
  max(abs(error)) AS max_error,
  1 - sum(error * error) / nullif(var_pop(truth) FILTER (WHERE error IS NOT NULL) * count(error), 0) AS r2,
  count(error) AS rows,
  count(*) - count(truth) AS unlabelled,
  count(truth) - count(error) AS without_guess
FROM errors
GROUP BY run, epoch, step
ORDER BY run, epoch, step NULLS LAST
