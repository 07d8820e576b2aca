"""What Hugging Face's `datasets` writes into a Parquet file's metadata about its columns."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from secondguess.analysis.importers.source import TableRows


def class_labels(versions: Sequence[TableRows]) -> dict[str, list[str]]:
    """The names of the classes of each column that is a ClassLabel, or lists of them, in the order of their numbers."""
    return {
        column: about["names"]
        for column, about in ((column, _inner(about)) for column, about in _features(versions).items())
        if about.get("_type") == "ClassLabel"
        and isinstance(about.get("names"), list)
        and all(isinstance(name, str) for name in about["names"])
        and len(set(about["names"])) == len(about["names"]) > 0
    }


def image_columns(versions: Sequence[TableRows]) -> list[str]:
    """The columns that are images."""
    return [column for column, about in _features(versions).items() if about.get("_type") == "Image"]


def with_features(rows: TableRows, features: Mapping[str, Any]) -> TableRows:
    """The rows with what a file beside them says of their columns."""
    said = json.dumps({"info": {"features": dict(features)}}).encode()
    return replace(rows, schema=rows.schema.with_metadata({**(rows.schema.metadata or {}), b"huggingface": said}))


def exported(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """What a file that `secondguess export` wrote says of the table: run, table, epoch; nothing of any other."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        return dict(json.loads((metadata or {})[b"secondguess"])["export"])
    return {}


def _inner(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is within a list, else the feature itself."""
    inner = about.get("feature")
    return inner if isinstance(inner, Mapping) else about


def _features(versions: Sequence[TableRows]) -> dict[str, Mapping[str, Any]]:
    features: dict[str, Mapping[str, Any]] = {}
    for rows in versions:
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            told = json.loads((rows.schema.metadata or {})[b"huggingface"])["info"]["features"]
            for name, about in dict(told).items():
                feature = {"feature": about[0]} if isinstance(about, list) and len(about) == 1 else about
                if isinstance(feature, Mapping):
                    features[str(name)] = feature
    return features
