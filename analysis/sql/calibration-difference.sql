-- How much better the scores of the second table can be believed than those of the first, with intervals
-- epochs: last
-- tables: 2
-- tasks: classification
-- verdicts: refused
-- $level level = 0.95  how sure the intervals are
-- $bins int = 15  bins of the calibration error
-- Over the examples that both tables have, labelled alike and with scores; difference is value_b - value_a, of measures of
-- which less is better, and its interval is a paired one. squared_error is the debiased squared calibration error, as in
-- `calibration`: the difference of its roots has no interval near 0.
WITH pairs AS (
  SELECT
    id,
    CAST(confidence_a AS DOUBLE) AS p_a,
    CAST(confidence_b AS DOUBLE) AS p_b,
    CASE WHEN wrong_a THEN 0.0 ELSE 1.0 END AS hit_a,
    CASE WHEN wrong_b THEN 0.0 ELSE 1.0 END AS hit_b,
    brier_score_a AS brier_a,
    brier_score_b AS brier_b,
    CASE WHEN truth_score_a < pow(2, -149) THEN -ln(pow(2, -149)) ELSE -ln(CAST(truth_score_a AS DOUBLE)) END AS loss_a,
    CASE WHEN truth_score_b < pow(2, -149) THEN -ln(pow(2, -149)) ELSE -ln(CAST(truth_score_b AS DOUBLE)) END AS loss_b
  FROM joined
  WHERE wrong_a IS NOT NULL
    AND wrong_b IS NOT NULL
    AND truth_a = truth_b
    AND NOT isnan(confidence_a)
    AND NOT isnan(confidence_b)
),
placed AS (
  SELECT
    *,
    greatest(ceil((rank() OVER (ORDER BY p_a) - 1) * $bins / greatest(count(*) OVER () - 1, 1)) - 1, 0) AS bin_a,
    greatest(ceil((rank() OVER (ORDER BY p_b) - 1) * $bins / greatest(count(*) OVER () - 1, 1)) - 1, 0) AS bin_b
  FROM pairs
),
binned AS (
  SELECT
    *,
    avg(hit_a - p_a) OVER in_a AS gap_a,
    avg(hit_b - p_b) OVER in_b AS gap_b,
    coalesce(var_samp(hit_a - p_a) OVER in_a / count(*) OVER in_a, 0) AS noise_a,
    coalesce(var_samp(hit_b - p_b) OVER in_b / count(*) OVER in_b, 0) AS noise_b,
    count(*) OVER in_a AS rows_a,
    count(*) OVER in_b AS rows_b
  FROM placed
  WINDOW in_a AS (PARTITION BY bin_a), in_b AS (PARTITION BY bin_b)
),
-- Each row with what it adds to a measure of either table, and to the difference; the second order of the squared error.
parts AS (
  SELECT 'brier' AS measure, brier_a AS a, brier_b AS b, brier_b - brier_a AS change, 0 AS noise FROM binned
  UNION ALL
  SELECT 'brier_confidence', pow(hit_a - p_a, 2), pow(hit_b - p_b, 2), pow(hit_b - p_b, 2) - pow(hit_a - p_a, 2), 0
  FROM binned
  UNION ALL
  SELECT 'log_loss', loss_a, loss_b, loss_b - loss_a, 0 FROM binned
  UNION ALL
  SELECT
    'squared_error',
    gap_a * gap_a - noise_a,
    gap_b * gap_b - noise_b,
    gap_b * (2 * (hit_b - p_b) - gap_b) - gap_a * (2 * (hit_a - p_a) - gap_a),
    2 * (rows_a * noise_a * noise_a + rows_b * noise_b * noise_b)
  FROM binned
),
measures AS (
  SELECT
    measure,
    avg(a) AS value_a,
    avg(b) AS value_b,
    avg(b) - avg(a) AS difference,
    sqrt(var_samp(change) / count(*) + avg(noise) / count(*)) AS error,
    count(*) AS n
  FROM parts
  WHERE change IS NOT NULL
  GROUP BY measure
)
SELECT
  measure,
  value_a,
  value_b,
  difference,
  difference - $level * error AS low,
  difference + $level * error AS high,
  n
FROM measures
ORDER BY measure
