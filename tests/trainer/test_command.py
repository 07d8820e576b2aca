"""`secondguess train` turns options into settings and says on stderr what becomes of them."""

import json
import subprocess
import sys

import duckdb
import pytest
from click.testing import CliRunner
from tensors import NEEDS_TORCH

from secondguess.analysis.errors import MissingExtra
from secondguess.trainer.command import train as train_command
from secondguess.trainer.reference.settings import Settings


def test_the_command_says_each_epoch_on_stderr_and_nothing_on_stdout(tmp_path):
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    options = "--epochs 2 --l1-size 4 --l2-size 8 --lr 0.01 --wandb off --wandb-rows all --run cli"
    result = CliRunner().invoke(train_command, options.split(), env={"SECONDGUESS_STORE": str(tmp_path)})
    assert (result.exit_code, result.stdout) == (0, "")
    files = str(tmp_path / "cli" / "test_predictions" / "*.parquet")
    count = "SELECT count(*) FROM read_parquet(?) WHERE guess <> truth GROUP BY epoch ORDER BY epoch"
    wrong = [errors for (errors,) in duckdb.execute(count, [files]).fetchall()]
    lines = result.stderr.splitlines()
    assert lines[0].startswith("epoch 1 of 2: loss ")
    assert lines[0].endswith(f", {wrong[0]} of 899 wrong ({100 - 100 * wrong[0] / 899:.2f} %)")
    assert lines[1].endswith(f", {wrong[1]} of 899 wrong ({100 - 100 * wrong[1] / 899:.2f} %)")
    assert lines[2:] == [f"recorded as cli in {tmp_path}"]
    assert json.loads((tmp_path / "cli" / "run.json").read_text())["config"]["img_count"] == 899


def test_the_commands_defaults_are_the_settings_defaults(monkeypatch):
    monkeypatch.delenv("SECONDGUESS_STORE", raising=False)
    with train_command.make_context("train", []) as context:
        assert Settings(**{**context.params, "store": str(context.params["store"])}) == Settings()


@pytest.mark.parametrize("options", ["--wandb-rows some", "--dataset cifar", "--wandb on", "--epochs two"])
def test_options_that_are_no_options_are_usage_errors(options):
    assert CliRunner().invoke(train_command, options.split()).exit_code == 2


def test_a_missing_torch_is_named_with_its_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "secondguess.trainer.reference.train", raising=False)
    monkeypatch.delattr("secondguess.trainer.reference.train", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(train_command, [])
    assert isinstance(result.exception, MissingExtra)
    assert str(result.exception) == (
        "torch is not installed; install it with: pip install 'secondguess[train]', "
        "or in a checkout: pip install -e '.[train]'"
    )


def test_help_and_wrong_settings_do_not_wait_for_torch():
    code = "import sys, secondguess.trainer.command; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_python_m_trainer_is_the_same_command(tmp_path):
    ask = [sys.executable, "-m", "trainer"]
    for help in ("--help", "-h"):
        shown = subprocess.run([*ask, help], capture_output=True, text=True)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "--train-table" in shown.stdout
    refused = subprocess.run([*ask, "--epochs", "0", "--store", str(tmp_path)], capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "secondguess: epochs is 0; it must be at least 1\n"
