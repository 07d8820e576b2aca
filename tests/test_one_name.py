"""One import name: no module of ours loads under two, however it is started, and nobody's `trainer.py` hides one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Run in every Python that finds it on its path: says at the end which files were loaded, and under which names.
LOADED = """
import atexit, json, os, sys

def say():
    files = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file:
            files.setdefault(os.path.realpath(file), []).append(name)
    with open(os.environ["LOADED"], "w") as out:
        json.dump(files, out)

atexit.register(say)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "analysis", "ask"],
        ["-m", "trainer", "--help"],
        ["-m", "secondguess", "ask"],
        ["-c", "import secondguess as sg; sg.connect; sg.Recorder; sg.SecondguessError"],
    ],
)
def test_no_module_loads_under_two_names(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "sitecustomize.py").write_text(LOADED)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "LOADED": str(tmp_path / "loaded.json")}
    subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, check=True)
    files = {Path(file): names for file, names in json.loads((tmp_path / "loaded.json").read_text()).items()}
    folders = [ROOT / name for name in ("analysis", "trainer", "secondguess")]
    ours = {file: names for file, names in files.items() if any(map(file.is_relative_to, folders))}
    assert len(ours) > 5
    assert {file: names for file, names in ours.items() if len(names) > 1} == {}
    names = {name for names in ours.values() for name in names}
    assert {name for name in names if name.split(".")[0] not in {"secondguess", "__main__"}} == set()


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; import secondguess, secondguess.analysis, secondguess.trainer\n"
    code += "print(*sorted(name for name in sys.modules if name.startswith('secondguess')))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["secondguess", "secondguess.analysis", "secondguess.trainer"]


def test_a_folder_with_modules_of_these_names_is_in_nobodys_way(tmp_path: Path) -> None:
    for name in ("trainer", "analysis"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    code = """
import secondguess as sg
with sg.Recorder("predictions", run="mine") as recorder, recorder.table("test_predictions", epoch=1) as table:
    table.add(ids=["a", "b"], truth=[0, 1], guess=[0, 0])
print(sg.connect("predictions").ask("errors", "mine@1").fetchall()[0][2])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "b\n"), done.stderr


def test_a_name_that_the_package_lacks_is_said_with_those_it_has() -> None:
    import secondguess as sg

    with pytest.raises(
        AttributeError, match=r"no attribute 'conect'; it has Connection, Recorder, SecondguessError, c"
    ):
        _ = sg.conect  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import secondguess as sg; sg.connect('.')", "ImportError: secondguess runs on Linux and macOS"),
        ("from secondguess.__main__ import main; main()", "secondguess: secondguess runs on Linux and macOS"),
    ],
)
def test_without_locks_of_files_it_says_where_it_runs(code: str, said: str) -> None:
    """Python has no fcntl on Windows."""
    missing = f"import sys; sys.modules['fcntl'] = None; {code}"
    ran = subprocess.run([sys.executable, "-c", missing], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr.splitlines()[-1].startswith(said)) == (1, True), ran.stderr
