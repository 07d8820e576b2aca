"""MLflow's own client, and the quiet in which it is used.

Weighed against its REST interface, which a database or a folder of MLflow's has not.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from secondguess.analysis.errors import MissingExtra

_QUIET = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
_QUIET |= {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
# How often a server that does not answer is asked, unless told: MLflow's own 7 take minutes, in silence.
_TRIES = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}

# What a run of MLflow's has that is one of ours, published: a tag, a list of its tables, in it what has another name
# there, and metrics that follow from what it has besides.
RUN_TAG, LISTED, RENAMED, OWN_METRICS = "secondguess.run", "secondguess.json", "renamed", "secondguess/"


def client(what: str) -> tuple[Any, Any]:
    """MLflow's client, and what it raises; raises MissingExtra, saying what needs it."""
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise MissingExtra(f"MLflow's client, which {what} needs,", "mlflow") from None
    return MlflowClient, MlflowException


def of_databases() -> tuple[type[Exception], ...]:
    """What the client lets through of those that it reads databases with; nothing where they are not installed."""
    with suppress(ImportError):
        from alembic.util import CommandError
        from sqlalchemy.exc import SQLAlchemyError

        return CommandError, SQLAlchemyError
    return ()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow from telling its makers, from saying what concerns whoever writes to its store, and from waiting."""
    told = {name: os.environ.get(name, times) for name, times in _TRIES.items()} | _QUIET
    before = {name: os.environ.get(name) for name in told}
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    os.environ.update(told)
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
