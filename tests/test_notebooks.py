"""The notebooks run from top to bottom on a store like the demo's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def kinds(cells: list[dict[str, Any]]) -> list[str]:
    """What a notebook's cells show, in order."""
    return [kind for cell in cells for output in cell.get("outputs", ()) for kind in output.get("data", {})]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def test_the_notebook_runs_and_shows_pictures(demo_store: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(demo_store, tmp_path / "predictions")
    work = shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    command = [sys.executable, "-m", "jupyter", "execute", "--inplace", name]
    ran = subprocess.run(command, cwd=work, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    cells = json.loads((work / name).read_text())["cells"]
    shown = kinds(cells)
    assert sum(kind in {"image/png", "image/svg+xml"} for kind in shown) >= 2
    assert shown.count("text/html") >= 4
    as_kept = json.loads((NOTEBOOKS / name).read_text())["cells"]
    assert kinds(as_kept) == shown, "the notebook is kept with what it shows"
    assert "\\x89PNG" not in json.dumps([cell["outputs"] for cell in cells if "outputs" in cell])
