-- How far scores can be believed: calibration error, Brier score, log loss, risk against coverage, with intervals
-- epochs: last
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- steps: told
-- $level level = 0.95  how sure the intervals are
-- $bins int = 15  bins of the calibration errors
-- $by (class) = null  class: of each class that is guessed, too
-- Over labelled rows that have a confidence, which n counts; of a class, those with that guess (top-label calibration,
-- Gupta and Ramdas 2022).
-- ece_width, ece_mass: the mean of |accuracy - confidence| over bins of equal width (Guo et al. 2017) or of as many rows,
-- those of one confidence together. Chance alone makes them larger than 0, the more the fewer rows a bin has, so they have
-- no interval. ece_debiased is the root of squared_error, the mean of (accuracy - confidence)^2 over the bins of equal
-- mass, less what chance adds to it (Kumar et al. 2019, Verified uncertainty calibration), which may be below 0.
-- brier is the mean of the sum over classes of (score - truth)^2, 0 to 2. brier_confidence is that of the confidence
-- against whether the guess is right, and is reliability - resolution + uncertainty + within_bins (Murphy 1973; Stephenson
-- et al. 2008), over the bins of equal mass. log_loss is in nats, of scores of at least 2^-149; zero_scores counts truths
-- whose score is less. aurc is the area under risk (the share of errors among the most confident rows) against coverage
-- (their share of all; Geifman and El-Yaniv 2017), rows of one confidence in a random order.
WITH cases AS (
  SELECT
    run,
    epoch,
    moment,
    guess,
    CAST(confidence AS DOUBLE) AS p,
    CASE WHEN wrong THEN 0.0 ELSE 1.0 END AS hit,
    CASE WHEN NOT isnan(brier_score) THEN brier_score END AS brier,
    CASE
      WHEN truth_score < pow(2, -149) THEN -ln(pow(2, -149))
      WHEN NOT isnan(truth_score) THEN -ln(CAST(truth_score AS DOUBLE))
    END AS loss,
    CASE WHEN truth_score < pow(2, -149) THEN 1 ELSE 0 END AS zero
  FROM (SELECT *, coalesce(at_step, -1) AS moment FROM predictions)
  WHERE wrong IS NOT NULL AND confidence IS NOT NULL AND NOT isnan(confidence)
),
grouped AS (
  SELECT *, NULL AS class FROM cases
  UNION ALL
  SELECT *, guess FROM cases WHERE $by = 'class'
),
placed AS (
  SELECT
    *,
    greatest(ceil(p * $bins) - 1, 0) AS width_bin,
    CASE
      WHEN count(*) OVER of_all = 1 THEN 0
      ELSE greatest(ceil((rank() OVER by_p - 1) * $bins / (count(*) OVER of_all - 1)) - 1, 0)
    END AS mass_bin,
    row_number() OVER surest AS place,
    rank() OVER surest AS first_place,
    sum(1 - hit) OVER surer AS errors_upto,
    sum(1 - hit) OVER alike AS peers_errors,
    count(*) OVER alike AS peers
  FROM grouped
  WINDOW
    of_all AS (PARTITION BY run, epoch, moment, class),
    by_p AS (PARTITION BY run, epoch, moment, class ORDER BY p),
    surest AS (PARTITION BY run, epoch, moment, class ORDER BY p DESC),
    surer AS (PARTITION BY run, epoch, moment, class ORDER BY p DESC RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
    alike AS (PARTITION BY run, epoch, moment, class, p)
),
width_bins AS (
  SELECT run, epoch, moment, class, abs(sum(hit - p)) AS gap, count(*) AS rows
  FROM placed
  GROUP BY run, epoch, moment, class, width_bin
),
by_width AS (
  SELECT run, epoch, moment, class, sum(gap) / sum(rows) AS ece_width FROM width_bins GROUP BY run, epoch, moment, class
),
mass_bins AS (
  SELECT
    run,
    epoch,
    moment,
    class,
    mass_bin,
    CAST(count(*) AS DOUBLE) AS rows,
    avg(hit - p) AS gap,
    coalesce(var_samp(hit - p) / count(*), 0) AS noise,
    avg(hit) AS accuracy,
    avg(p) AS confidence
  FROM placed
  GROUP BY run, epoch, moment, class, mass_bin
),
by_mass AS (
  SELECT
    run,
    epoch,
    moment,
    class,
    sum(rows * abs(gap)) / sum(rows) AS ece_mass,
    sum(rows * (gap * gap - noise)) / sum(rows) AS squared_error,
    sum(rows * rows * 2 * noise * noise) / pow(sum(rows), 2) AS variance_of_noise,
    sum(rows * gap * gap) / sum(rows) AS reliability,
    sum(rows * accuracy * accuracy) / sum(rows) - pow(sum(rows * accuracy) / sum(rows), 2) AS resolution,
    sum(rows * accuracy) / sum(rows) * (1 - sum(rows * accuracy) / sum(rows)) AS uncertainty
  FROM mass_bins
  GROUP BY run, epoch, moment, class
),
moments AS (
  SELECT
    l.run,
    l.epoch,
    l.moment,
    l.class,
    CAST(count(*) AS DOUBLE) AS n,
    avg(brier) AS brier,
    stddev_samp(brier) / sqrt(count(brier)) AS brier_error,
    avg(pow(hit - l.p, 2)) AS brier_confidence,
    stddev_samp(pow(hit - l.p, 2)) / sqrt(count(*)) AS brier_confidence_error,
    avg(loss) AS log_loss,
    stddev_samp(loss) / sqrt(count(loss)) AS log_loss_error,
    CAST(sum(zero) AS DOUBLE) AS zero_scores,
    -- The errors of the rows of one confidence come evenly, one share at each of their places.
    avg((errors_upto - peers_errors * (1 - (place - first_place + 1) / peers)) / place) AS aurc,
    sqrt(var_samp(gap * (2 * (hit - l.p) - gap)) / count(*) + any_value(variance_of_noise)) AS squared_error_error
  FROM placed l
  JOIN mass_bins b ON b.run = l.run AND b.epoch = l.epoch AND b.moment = l.moment AND b.class IS NOT DISTINCT FROM l.class AND b.mass_bin = l.mass_bin
  JOIN by_mass m ON m.run = l.run AND m.epoch = l.epoch AND m.moment = l.moment AND m.class IS NOT DISTINCT FROM l.class
  GROUP BY l.run, l.epoch, l.moment, l.class
),
whole AS (
  SELECT
    m.run,
    m.epoch,
    m.moment,
    m.class,
    m.n,
    w.ece_width,
    b.ece_mass,
    b.squared_error,
    m.squared_error_error,
    m.brier,
    m.brier_error,
    m.brier_confidence,
    m.brier_confidence_error,
    b.reliability,
    b.resolution,
    b.uncertainty,
    m.brier_confidence - b.reliability + b.resolution - b.uncertainty AS within_bins,
    m.log_loss,
    m.log_loss_error,
    CASE WHEN m.log_loss IS NOT NULL THEN m.zero_scores END AS zero_scores,
    m.aurc
  FROM moments m
  JOIN by_width w ON w.run = m.run AND w.epoch = m.epoch AND w.moment = m.moment AND w.class IS NOT DISTINCT FROM m.class
  JOIN by_mass b ON b.run = m.run AND b.epoch = m.epoch AND b.moment = m.moment AND b.class IS NOT DISTINCT FROM m.class
),
measured AS (
  SELECT
    run,
    epoch,
    moment,
    class,
    measure,
    value,
    CASE measure
      WHEN 'squared_error' THEN squared_error_error
      WHEN 'brier' THEN brier_error
      WHEN 'brier_confidence' THEN brier_confidence_error
      WHEN 'log_loss' THEN log_loss_error
    END AS error,
    n
  FROM whole UNPIVOT (
    value FOR measure IN (
      ece_width, ece_mass, squared_error, brier, brier_confidence, reliability, resolution, uncertainty, within_bins,
      log_loss, zero_scores, aurc
    )
  )
),
bounded AS (
  SELECT
    *,
    CASE WHEN measure = 'squared_error' THEN value - $level * error ELSE greatest(value - $level * error, 0) END AS low,
    value + $level * error AS high
  FROM measured
)
SELECT run, epoch, nullif(moment, -1) AS step, class, measure, value, CASE WHEN error IS NOT NULL THEN low END AS low, high, CAST(n AS BIGINT) AS n
FROM (
  SELECT * FROM bounded
  UNION ALL
  SELECT run, epoch, moment, class, 'ece_debiased', sqrt(greatest(value, 0)), error, n, sqrt(greatest(low, 0)), sqrt(greatest(high, 0))
  FROM bounded
  WHERE measure = 'squared_error'
)
ORDER BY run, epoch, step NULLS LAST, class NULLS FIRST, measure
