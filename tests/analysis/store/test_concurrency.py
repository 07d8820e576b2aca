"""Two writers of one epoch, and readers beside a writer."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from recording_process import ROWS, commit_slowly, guess_of, processes, race_to_begin, race_to_commit, run
from stores import epoch, plain, read_record, writer
from waiting import HANG_S

import secondguess as sg
from secondguess.analysis.ask import statements
from secondguess.analysis.engine import duck
from secondguess.analysis.errors import Damaged
from secondguess.analysis.store.runs import Run, find_run, list_runs

TABLE = "test_predictions"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def raced(target: Any, store: Path, rounds: int) -> list[tuple[str, str]]:
    """What two processes that start each round together say of it."""
    barrier = processes.Barrier(2)
    (left, one), (right, other) = (run(target, store, rounds, rows, barrier) for rows in ("left", "right"))
    with one, other:
        said = [(one.recv(), other.recv()) for _ in range(rounds)]
    left.join(HANG_S)
    right.join(HANG_S)
    return said


def test_of_two_writers_of_an_epoch_one_wins_and_one_is_told_in_200_races(store: Path) -> None:
    """With the lock out of the way, and in every other round with the same rows, which make the same file."""
    writer(store).close()
    said = raced(race_to_commit, store, 200)
    assert [sorted(round) for round in said] == [["lost", "won"]] * 200
    found = find_run(store, "cnn").tables[TABLE]
    assert list(found) == list(range(1, 201))
    for number, (left, _) in enumerate(said, start=1):
        winner = "same" if number % 2 == 0 else "left" if left == "won" else "right"
        file = read_record(store / "cnn" / "commits" / TABLE / f"{number:05d}.json")["file"]
        data = (store / "cnn" / file["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
        assert duckdb.sql(f"SELECT epoch, id FROM read_parquet('{found[number].file}')").fetchall() == [
            (number, winner)
        ]
    assert plain(store / "cnn" / TABLE / "*.parquet", "count(*)") == [(200,)]  # the losers' files are gone


def begun_together(store: Path, rounds: int) -> None:
    said = raced(race_to_begin, store, rounds)
    assert [sorted(round) for round in said] == [["lost", "won"]] * rounds
    assert [held.state for held in list_runs(store).values()] == ["finished"] * rounds
    for number, (left, _) in enumerate(said, start=1):
        expected = [(1, "left" if left == "won" else "right")]
        assert plain(store / f"run-{number}" / TABLE / "*.parquet") == expected


def test_of_two_recorders_of_a_run_one_wins_and_one_is_told(store: Path) -> None:
    begun_together(store, 15)


@pytest.mark.slow
def test_of_two_recorders_of_a_run_one_wins_and_one_is_told_in_200_races(store: Path) -> None:
    begun_together(store, 200)


# Readers beside a writer

EPOCHS = 30
ERRORS = {number: sum(guess_of(number, row) != row % 10 for row in range(ROWS)) for number in range(1, EPOCHS + 1)}


def prefix(epochs: int) -> list[tuple[int, int, int]]:
    """epoch, rows and errors of the first epochs, counted by hand."""
    return [(number, ROWS, ERRORS[number]) for number in range(1, epochs + 1)]


SQL = f"""
SELECT epoch, count(*), count(*) FILTER (guess <> truth) FROM {TABLE} GROUP BY epoch ORDER BY epoch
"""


def by_relation(store: Path) -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(SQL).fetchall()


def by_question(store: Path) -> list[tuple[Any, ...]]:
    return sg.connect(store).ask("errors-over-time", "cnn").project("epoch, rows, errors").order("epoch").fetchall()


def by_command(store: Path) -> list[tuple[Any, ...]]:
    with duck.answered(lambda con: statements.sql(con, store, SQL), duck.rows) as (_, found):
        return list(found.rows)


def by_reference(store: Path) -> list[tuple[Any, ...]]:
    sql = SQL.replace(TABLE, '"cnn@all"')
    with duck.answered(lambda con: statements.sql(con, store, sql), duck.rows) as (_, found):
        return list(found.rows)


@pytest.mark.parametrize("answer", [by_relation, by_question, by_command, by_reference])
def test_every_answer_beside_a_writer_is_what_was_committed_up_to_an_epoch(store: Path, answer: Any) -> None:
    go_on = processes.Event()
    child = processes.Process(target=commit_slowly, args=(store, EPOCHS, go_on))
    child.start()
    while not (store / "cnn" / "commits" / TABLE / "00001.json").exists():
        child.join(0.01)
        assert child.exitcode in {None, 0}
    answers, asked_again, finished = [], 0, False
    while not finished:
        finished = child.exitcode is not None
        try:
            answers.append(answer(store))
            go_on.set()
        except Damaged as error:
            # A Python relation is read after its files were listed: the answer may be to ask again, never a wrong one.
            assert answer in {by_relation, by_question} and "ask again" in str(error)
            asked_again += 1
        except duckdb.IOException:
            assert answer in {by_relation, by_question}
            asked_again += 1
    assert child.exitcode == 0
    counts = [len(found) for found in answers]
    assert answers == [prefix(count) for count in counts]
    assert counts == sorted(counts)
    assert counts[0] <= 3
    assert counts[-1] == EPOCHS
    assert asked_again <= 3
    assert len(list((store / "cnn" / TABLE).iterdir())) == 1


def test_a_relation_kept_over_the_end_of_a_run_says_to_ask_again(store: Path) -> None:
    run = writer(store)
    for number in (1, 2):
        run.commit(epoch(number, ["a"]))
    kept = sg.connect(store).sql(f"SELECT count(*) FROM {TABLE}")
    run.end()
    run.close()
    with pytest.raises(duckdb.IOException, match="ask again"):
        kept.fetchall()


def test_a_relation_made_while_files_go_is_made_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compaction between listing the records and opening the files: the records are listed once more."""
    run = writer(store)
    for number in (1, 2):
        run.commit(epoch(number, ["a"]))
    listed, again = statements.list_runs, []

    def list_then_compact(path: Path) -> dict[str, Run]:
        runs = listed(path)
        for held in runs.values():
            assert held.tables
        if not again:
            again.append(True)
            run.end()
        return runs

    monkeypatch.setattr(statements, "list_runs", list_then_compact)
    with duck.answered(lambda con: statements.sql(con, store, f"SELECT count(*) FROM {TABLE}"), duck.rows) as (
        _,
        found,
    ):
        assert list(found.rows) == [(2,)]
    run.close()


def test_looking_at_a_running_run_does_not_disturb_its_writer(store: Path) -> None:
    for _ in range(20):
        writer_ = writer(store, "x")
        assert [held.state for held in list_runs(store).values()] == ["running"]
        writer_.end()
        writer_.close()
        shutil.rmtree(store / "x")
