"""A store of many runs: copies of the runs of another, each with a name, a config and a time of its own.

`python tests/support/many_runs.py STORE FOLDER 500` makes one by hand. Files are hard links: only records are written.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from secondguess.analysis.schema import encoded
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.seal import SEAL, sealed


def many_runs(store: Path, folder: Path, count: int) -> Path:
    """Write so many runs into a new store in the folder; the runs of the other are copied in turn."""
    made = folder / "predictions"
    made.mkdir(parents=True)
    shutil.copytree(store / "examples", made / "examples", copy_function=os.link)
    runs = list(list_runs(store).values())
    for number in range(count):
        run = runs[number % len(runs)]
        name = f"{number:04}-{run.name}"
        target = made / encoded(name)
        shutil.copytree(run.folder, target, copy_function=os.link, ignore=shutil.ignore_patterns(".lock", "run.json"))
        about = {key: value for key, value in run.about.items() if key != SEAL}
        config = {**about["config"], "lr": 10 ** -(1 + number % 40 / 10), "seed": number, "warmup": number % 7}
        about |= {"config": config, "created": f"2026-11-{1 + number % 28:02}T{number % 24:02}:00:00+00:00"}
        (target / "run.json").write_text(json.dumps(sealed(about), ensure_ascii=False))
    return made


if __name__ == "__main__":
    print(many_runs(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
