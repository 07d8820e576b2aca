"""Logs of evaluations by the real packages: `python tests/support/evaluation_logs.py [harness|inspect]` makes fixtures.

Each version is installed in an environment of its own, in a folder that tracebacks in the logs name, so a neutral one;
torch comes from the environment that runs this. What only describes the machine is taken out of the results.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
LOGS = HERE.parent / "analysis" / "importers" / "evaluations" / "logs"
ENVIRONMENTS = Path(tempfile.gettempdir()) / "evaluation-logs"
HARNESS = {
    "0.4.3": ["lm_eval==0.4.3"],
    "0.4.9.1": ["lm_eval==0.4.9.1", "transformers<5", "datasets<4.5"],
    "0.4.13": ["lm_eval==0.4.13"],
}
INSPECT = {version: [f"inspect_ai=={version}"] for version in ("0.3.45", "0.3.120", "0.3.285")}
MODELS = ("meta-llama/Llama-3", "other/model-7B")
TASKS = "sums,colours,facts"
_MACHINE = ("pretty_env_info", "git_hash", "upper_git_hash")
_CHUNKED = """\
import sys
from inspect_ai.log._recorders.chunked import convert_eval_logs_to_chunked
convert_eval_logs_to_chunked(sys.argv[1], sys.argv[2])
"""


def environment(folder: Path, requirements: Sequence[str], besides: bool = False) -> Path:
    """An environment with these packages, and where so asked what the one has that runs this; returns its Python."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    (found,) = folder.glob("lib/python*/site-packages")
    if besides:
        (found / "besides.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("site-packages")))
    subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True, stdout=subprocess.DEVNULL)
    return python


def _offline(folder: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INSPECT_", "HF_"))}
    return kept | {
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HOME": str(folder),
    }


def harness_logs(python: Path, folder: Path, model: str, tasks: str = TASKS) -> Path:
    """What lm_eval writes for the tasks of `harness_run.py`: a folder named after the model, with samples and results.

    Raises CalledProcessError, with what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = [python, HERE / "harness_run.py", model, tasks, "out"]
    _run(words, folder)
    return folder / "out" / model.replace("/", "__")


def inspect_log(python: Path, folder: Path, task: str, model: str, format: str) -> Path:
    """The log that Inspect writes for a task of `inspect_run.py`; the process of `cut` dies, as it is to."""
    folder.mkdir(parents=True, exist_ok=True)
    script = shutil.copy(HERE / "inspect_run.py", folder)  # tracebacks in logs name it
    _run([python, script, task, model, format, "logs"], folder, expected=9 if task == "cut" else 0)
    return max((folder / "logs").glob(f"*_{task}_*.{format}"))


def chunked(python: Path, log: Path, folder: Path) -> Path:
    """The log with each of its samples in pieces, as Inspect converts it."""
    _run([python, "-c", _CHUNKED, log, folder], log.parent)
    return folder / log.name


def _run(words: Sequence[object], folder: Path, expected: int = 0) -> None:
    done = subprocess.run(
        list(map(str, words)), cwd=folder, env=_offline(folder), capture_output=True, text=True, check=False
    )
    if done.returncode != expected:
        raise RuntimeError(f"{words} ended with {done.returncode}:\n{done.stderr[-2000:]}\n{done.stdout[-1000:]}")


def _without_machine(results: Path) -> None:
    told = json.loads(results.read_text())
    kept = {key: value for key, value in told.items() if key not in _MACHINE}
    results.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def harness_fixtures() -> None:
    """Samples and results of two models by each version of lm_eval."""
    for version, requirements in HARNESS.items():
        python = environment(ENVIRONMENTS / f"lm-eval-{version}", requirements, besides=True)
        place = LOGS / f"lm-eval-{version}"
        shutil.rmtree(place, ignore_errors=True)
        for model in MODELS:
            written = harness_logs(python, ENVIRONMENTS / "work" / version, model)
            shutil.copytree(written, place / written.name)
            for results in (place / written.name).glob("results_*.json"):
                _without_machine(results)


def inspect_fixtures() -> None:
    """Logs by each version of Inspect; of the last one in pieces, too."""
    for version, requirements in INSPECT.items():
        python = environment(ENVIRONMENTS / f"inspect-{version}", requirements)
        place = LOGS / f"inspect-{version}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for task in ("capitals", "sums", "broken", "cut"):
            shutil.copy(inspect_log(python, ENVIRONMENTS / "work" / version, task, "model", "eval"), place)
        shutil.copy(inspect_log(python, ENVIRONMENTS / "work" / version, "sums", "other", "json"), place)
    (whole,) = place.glob("*_capitals_*.eval")
    (place / "chunked").mkdir()
    chunked(python, whole, place / "chunked")


if __name__ == "__main__":
    shutil.rmtree(ENVIRONMENTS, ignore_errors=True)
    for wanted in sys.argv[1:] or ["harness", "inspect"]:
        {"harness": harness_fixtures, "inspect": inspect_fixtures}[wanted]()
