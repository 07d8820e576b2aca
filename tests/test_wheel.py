"""The built wheel, installed alone, answers a question: the SQL files are inside, and nothing of training is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_alone_answers_a_question(demo_store: Path, tmp_path: Path) -> None:
    _run("git", "clone", "--quiet", ROOT, tmp_path / "clone", cwd=tmp_path)
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, tmp_path / "clone", cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    _run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    _run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    _run(
        python,
        "-c",
        "import importlib.util as i; assert not i.find_spec('torch') and not i.find_spec('wandb')",
        cwd=tmp_path,
    )
    command = [tmp_path / "venv" / "bin" / "secondguess", "ask", "errors-over-time", "cnn", "--format", "csv"]
    answered = _run(*command, "--store", demo_store, cwd=tmp_path)
    assert answered.stdout.splitlines()[0] == "run,epoch,errors,accuracy,rows,unlabelled"
    assert len(answered.stdout.splitlines()) == 1 + 5
    missing = subprocess.run(
        [str(tmp_path / "venv/bin/secondguess"), "train"], cwd=tmp_path, capture_output=True, text=True
    )
    assert missing.returncode == 1
    assert missing.stderr.splitlines() == [
        "secondguess: torch is not installed; install it with: pip install 'secondguess[train]'"
    ]
