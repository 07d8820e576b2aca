-- By what temperature the scores should be softened, and what that gains on the other half of the rows
-- epochs: last
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- steps: told
-- spark: no, it is a recursion that aggregates, of which Spark has none
-- The temperature divides the logs of the scores, which are the logits but for a constant, and is that of the least log
-- loss on the fitted half, from 1/64 to 64 (Guo et al. 2017, On calibration of modern neural networks): above 1 the model
-- was too sure, below 1 not sure enough. The losses are those of the other half, before and after, in nats. An example's
-- half follows from the digest of its id, so it is the same in every table. Scores count as at least 2^-149.
WITH RECURSIVE logits AS (
  SELECT
    run,
    epoch,
    moment,
    sha256(id) < '8' AS fitted,
    ln(greatest(CAST(truth_score AS DOUBLE), pow(2, -149))) - ln(list_max(scores)) AS truth_logit,
    list_transform(scores, lambda s: ln(greatest(CAST(s AS DOUBLE), pow(2, -149))) - ln(list_max(scores))) AS z
  FROM (SELECT *, coalesce(at_step, -1) AS moment FROM predictions)
  WHERE truth IS NOT NULL AND truth_score IS NOT NULL AND NOT isnan(truth_score)
),
newton AS (
  SELECT run, epoch, moment, 0 AS round, CAST(1 AS DOUBLE) AS beta FROM logits WHERE fitted GROUP BY run, epoch, moment
  UNION ALL
  SELECT
    run,
    epoch,
    moment,
    round + 1,
    least(greatest(beta - avg(mean - truth_logit) / nullif(avg(square - mean * mean), 0), beta / 4, 1.0 / 64), 4 * beta, 64)
  FROM (
    SELECT
      run,
      epoch,
      moment,
      round,
      beta,
      truth_logit,
      list_dot_product(weights, z) / list_sum(weights) AS mean,
      list_dot_product(weights, list_transform(z, lambda one: one * one)) / list_sum(weights) AS square
    FROM (
      SELECT l.*, n.round, n.beta, list_transform(l.z, lambda one: exp(n.beta * one)) AS weights
      FROM newton n
      JOIN logits l ON l.run = n.run AND l.epoch = n.epoch AND l.moment = n.moment AND l.fitted
      WHERE n.round < 15
    )
  )
  GROUP BY run, epoch, moment, round, beta
)
SELECT
  l.run,
  l.epoch,
  nullif(l.moment, -1) AS step,
  1 / any_value(n.beta) AS temperature,
  avg(ln(list_sum(list_transform(z, lambda one: exp(one)))) - truth_logit) FILTER (WHERE NOT fitted) AS log_loss_before,
  avg(ln(list_sum(list_transform(z, lambda one: exp(n.beta * one)))) - n.beta * truth_logit) FILTER (WHERE NOT fitted)
    AS log_loss_after,
  count(*) FILTER (WHERE fitted) AS rows_fitted,
  count(*) FILTER (WHERE NOT fitted) AS rows_reported
FROM logits l
JOIN newton n ON n.run = l.run AND n.epoch = l.epoch AND n.moment = l.moment AND n.round = 15
GROUP BY l.run, l.epoch, l.moment
ORDER BY l.run, l.epoch, step NULLS LAST
