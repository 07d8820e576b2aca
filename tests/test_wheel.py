"""The built wheel, installed alone, records, asks and shows, whatever else is called `trainer` or `analysis`."""

import http.cookiejar
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

import pytest
from recording import record

ROOT = Path(__file__).parents[1]
RECORDS_AND_ASKS = """
import secondguess as sg
with sg.Recorder("predictions", run="mine") as recorder, recorder.table("test_predictions", epoch=1) as table:
    table.add(ids=["a", "b"], truth=[0, 1], scores=[[0.9, 0.1], [0.8, 0.2]])
print(sg.connect("predictions").ask("errors", "mine@1").fetchall()[0][2])
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from an sdist of what is committed."""
    place = tmp_path_factory.mktemp("built")
    run("git", "clone", "--quiet", ROOT, place / "clone", cwd=place)
    run(sys.executable, "-m", "build", "--outdir", place / "dist", place / "clone", cwd=place)
    assert len(list((place / "dist").glob("*.tar.gz"))) == 1
    (wheel,) = (place / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def bin_(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs of an environment lie into which the wheel was installed, and nothing of the tests."""
    place = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "venv", place / "venv", cwd=place)
    run(place / "venv/bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=place)
    return place / "venv" / "bin"


def test_the_wheel_alone_answers_a_question(bin_: Path, tmp_path: Path) -> None:
    absent = ("torch", "wandb", "pandas", "trainer", "analysis")
    run(bin_ / "python", "-c", f"import importlib.util as i; assert not any(map(i.find_spec, {absent}))", cwd=tmp_path)
    record(tmp_path / "predictions", "cnn", {1: [("a", 0, 0), ("b", 1, 0)], 2: [("a", 0, 0), ("b", 1, 1)]})
    answered = run(bin_ / "secondguess", "ask", "errors-over-time", "cnn", "--format", "csv", cwd=tmp_path)
    assert answered.stdout.splitlines() == [
        "run,epoch,errors,accuracy,rows,unlabelled",
        "cnn,1,1,0.5,2,0",
        "cnn,2,0,1.0,2,0",
    ]
    assert run(bin_ / "secondguess", "skill", cwd=tmp_path).stdout.startswith("---\nname: secondguess\n")
    missing = subprocess.run([str(bin_ / "secondguess"), "train"], cwd=tmp_path, capture_output=True, text=True)
    assert missing.returncode == 1
    assert missing.stderr.splitlines() == [
        "secondguess: torch is not installed; install it with: pip install 'secondguess[train]', "
        "or in a checkout: pip install -e '.[train]'"
    ]


def test_a_folder_with_a_trainer_and_an_analysis_of_ones_own_records_and_asks(bin_: Path, tmp_path: Path) -> None:
    for name in ("trainer", "analysis"):
        (tmp_path / f"{name}.py").write_text("OWN = True")
    code = f"import analysis, trainer\n{RECORDS_AND_ASKS}\nassert analysis.OWN and trainer.OWN"
    assert run(bin_ / "python", "-c", code, cwd=tmp_path).stdout == "b\n"


def test_the_published_package_called_trainer_comes_and_goes_beside_it(bin_: Path, tmp_path: Path) -> None:
    run(bin_ / "python", "-m", "pip", "install", "--quiet", "--no-deps", "trainer", cwd=tmp_path)
    theirs = run(bin_ / "python", "-m", "pip", "show", "--files", "trainer", cwd=tmp_path).stdout
    assert "trainer/__init__.py" in theirs
    assert "secondguess" not in theirs
    assert run(bin_ / "python", "-c", RECORDS_AND_ASKS, cwd=tmp_path).stdout == "b\n"
    run(bin_ / "python", "-m", "pip", "uninstall", "--quiet", "--yes", "trainer", cwd=tmp_path)
    asks = ["ask", "errors", "mine@1", "--format", "csv"]
    assert "mine,1,b,0,1" in run(bin_ / "secondguess", *asks, cwd=tmp_path).stdout


def shown(command: list[str | Path], folder: Path) -> str:
    """What the page of runs says that a command serves, which ends with Ctrl-C."""
    words = [*map(str, command), "demo", "--no-browser"]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    ) as process:
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if address := re.search(r"http://\S+", line):
                    break
            else:
                raise AssertionError("".join(said))
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
            browser.open(address.group()).close()  # which lets this browser in
            with browser.open(urljoin(address.group(), "/runs")) as answer:
                page = str(answer.read().decode())
        finally:
            os.killpg(process.pid, signal.SIGINT)
        assert process.wait() == 130
    return page


def test_the_demo_shows_its_page_without_a_clone_torch_or_pandas(bin_: Path, tmp_path: Path) -> None:
    page = shown([bin_ / "secondguess"], tmp_path)
    assert "5.12" in page, page  # cnn has 46 of 899 wrong after its last epoch
    chart = ["ask", "errors-over-time", "cnn", "double", "--chart", "c.svg", "--store", "secondguess-demo"]
    run(bin_ / "secondguess", *chart, cwd=tmp_path)
    assert "<svg" in (tmp_path / "c.svg").read_text()
    compared = run(bin_ / "secondguess", "compare", "cnn@1", "cnn@5", "--store", "secondguess-demo", cwd=tmp_path)
    assert "cnn@5 errs less" in compared.stdout


def test_uv_runs_the_demo_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    uv = [sys.executable, "-m", "uv", "tool", "run", "--python", sys.executable, "--from", wheel]
    assert "5.12" in shown([*uv, "secondguess"], tmp_path)
