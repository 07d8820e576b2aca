"""Hugging Face's own `datasets`, in a process of its own, without a network and with a cache that goes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_LOADED = """
import json, sys
from datasets import DatasetDict, load_dataset

def plain(value):
    return [value.mode, *value.size] if hasattr(value, "mode") else value

def told(rows):
    return {
        "features": {name: [type(kind).__name__, getattr(kind, "names", None)] for name, kind in rows.features.items()},
        "rows": [{name: plain(value) for name, value in row.items()} for row in rows],
    }

answers = []
for how in json.loads(sys.argv[1]):
    loaded = load_dataset(*how["args"], **how["named"])
    answers.append({split: told(rows) for split, rows in loaded.items()})
print(json.dumps(answers, default=str))
"""


def run(code: str, cache: Path, *arguments: str) -> str:
    """What a process with `datasets` prints."""
    apart = {"HF_HOME": str(cache), "HF_DATASETS_CACHE": str(cache / "datasets"), "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **apart, "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def loaded(cache: Path, *asked: Any) -> list[dict[str, Any]]:
    """What `load_dataset` makes of folders, or of (arguments, named arguments): each split's features and rows."""
    every = [
        {"args": [str(one)], "named": {}} if isinstance(one, Path) else {"args": one[0], "named": one[1]}
        for one in asked
    ]
    answers: list[dict[str, Any]] = json.loads(run(_LOADED, cache, json.dumps(every)).splitlines()[-1])
    return answers
