"""Several processes train one network, as torchrun starts them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from needs_torch import torch
from waiting import HANG_S, until

from secondguess.analysis.errors import BadInput
from secondguess.analysis.store.runs import find_run
from secondguess.analysis.store.workplace import remains
from secondguess.trainer.reference.datasets import load
from secondguess.trainer.reference.group import Group, group
from secondguess.trainer.reference.settings import Settings
from secondguess.trainer.reference.training import Training

ROOT = Path(__file__).parents[3]
SMALL = ("--l1-size", "4", "--l2-size", "8", "--lr", "0.01", "--wandb", "off", "--epochs", "3")


def torchrun(count: int, *words: str, **options: str) -> subprocess.Popen[str]:
    """torchrun with so many processes, on a free port of loopback."""
    how = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", *how, *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit code and what it said."""
    try:
        out, err = process.communicate(timeout=HANG_S)
        return process.returncode, out, err
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def rows(store: Path, run: str, columns: str = "id, truth, guess") -> list[tuple[object, ...]]:
    return duckdb.sql(f"SELECT {columns} FROM read_parquet('{store}/{run}/test_predictions/*.parquet')").fetchall()


def test_one_process_is_a_group() -> None:
    with group("cpu") as alone:
        assert (alone.rank, alone.count, alone.is_first, alone.device.type) == (0, 1, True, "cpu")
        assert alone.sum(torch.ones(2)).tolist() == [1, 1]


def test_a_launcher_that_names_no_meeting_place_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match="start it with torchrun"), group("cpu"):
        pass


def test_batches_that_cannot_be_shared_out_are_refused() -> None:
    train_set, _ = load("digits", "")
    with pytest.raises(BadInput, match="batch_size is 32, of 3 processes together; name a multiple of 3"):
        Training(Settings(), train_set, 10, Group(rank=1, count=3))


def test_shares_are_the_whole_in_turn() -> None:
    _, test_set = load("digits", "")
    shares = [test_set.share(rank, 4) for rank in range(4)]
    assert [len(share.ids) for share in shares] == [225, 225, 225, 224]
    assert [share.ids[0] for share in shares] == list(test_set.ids[:4])
    assert sorted(name for share in shares for name in share.ids) == list(test_set.ids)
    assert torch.equal(shares[3].images[1], test_set.images[7]) and shares[3].labels[1] == test_set.labels[7]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_a_padded_loop_under_torchrun_records_each_example_once_in_order(tmp_path: Path, count: int) -> None:
    """102 examples in batches of 4, a loader's worker beside each rank: two are repeated by four ranks, none by two."""
    loop = str(ROOT / "tests/support/ddp_loop.py")
    code, _, err = ended(torchrun(count, "--", loop, str(tmp_path), "102", "2"))
    assert code == 0, err
    expected = [(epoch, str(n), n % 10, (n + (n % (3 + epoch) == 0)) % 10) for epoch in (1, 2) for n in range(102)]
    assert rows(tmp_path, "loop", "epoch, id, truth, guess") == expected
    repeated = -102 % count
    assert err.count("rows of ids that were there already are left out") == (1 if repeated else 0)
    live = find_run(tmp_path, "loop").commits["test_predictions"]
    said = [entry["ranks"] for _, record in live for entry in record["epochs"]]
    assert said == [{"world_size": count, "rows": [-(-102 // count)] * count, "repeated": repeated}] * 2
    assert find_run(tmp_path, "loop").state == "finished" and remains(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_the_trainer_under_torchrun_errs_as_one_process_does_and_speaks_once(tmp_path: Path, count: int) -> None:
    words = ("-m", "--", "secondguess.trainer", "--store", str(tmp_path), "--train-table")
    code, out, err = ended(torchrun(count, *words, "--run", "ddp", "--wandb", "off", "--epochs", "4"))
    assert code == 0 and out == "", err
    said = re.findall(r"^epoch (\d) of 4: loss [\d.]+, (\d+) of 899 wrong", err, re.MULTILINE)
    assert [number for number, _ in said] == ["1", "2", "3", "4"]
    assert err.count("recorded as ddp in") == 1
    run = find_run(tmp_path, "ddp")
    assert [epoch.errors for epoch in run.tables["test_predictions"].values()] == [int(wrong) for _, wrong in said]
    assert int(said[-1][1]) < 70  # one process leaves 35 to 60 wrong, guessing 809
    _, test_set = load("digits", "")
    ids = [name for (name,) in rows(tmp_path, "ddp", "id")]
    assert ids == list(test_set.ids) * 4
    assert {epoch.rows for epoch in run.tables["train_predictions"].values()} == {898}
    assert run.about["config"]["world_size"] == count
    metrics = f"{run.folder}/metrics/*.parquet"
    losses = duckdb.sql(f"SELECT step FROM '{metrics}' WHERE name = 'loss' ORDER BY step").fetchall()
    assert [step for (step,) in losses] == list(range(1, 4 * 29 + 1))


@pytest.mark.slow
def test_a_rank_that_is_killed_is_started_again_with_the_others_and_all_go_on(tmp_path: Path) -> None:
    """torchrun starts all ranks again, which resume after the last epoch; the guesses are those of an unbroken run."""
    words = ("-m", "--", "secondguess.trainer", "--store", str(tmp_path), "--resume", *SMALL[:-1], "6")
    process = torchrun(2, *words, "--run", "cut", max_restarts="1")
    try:
        until(lambda: len(list(tmp_path.glob("cut/commits/test_predictions/*.json"))) > 1)
        (killed,) = [pid for pid in children_of(process.pid) if b"RANK=1" in environment_of(pid).split(b"\0")]
        os.kill(killed, signal.SIGKILL)
    finally:
        code, _, err = ended(process)
    assert code == 0, err
    assert "they are trained again, and not recorded again" in err
    code, _, err = ended(torchrun(2, *words, "--run", "whole"))
    assert code == 0, err
    assert rows(tmp_path, "cut") == rows(tmp_path, "whole") and len(rows(tmp_path, "cut")) == 6 * 899
    assert find_run(tmp_path, "cut").state == "finished" and remains(tmp_path) == []


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()
