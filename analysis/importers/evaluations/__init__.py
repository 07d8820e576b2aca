"""Logs of evaluations: lm-evaluation-harness samples and Inspect logs, as text tables with a verdict."""
