"""Several ranks record one epoch: whole, once and as one rank would, or not at all and with the rank named."""

import json
import logging
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import duckdb
import numpy as np
import pytest
import waiting
from many_ranks import (
    CLASSES,
    EXAMPLES,
    TABLE,
    add,
    batch_of,
    opened,
    rank_process,
    read,
    said_of_ranks,
    share,
    together,
)
from recording_process import processes
from recording_process import run as started
from s3_server import bucket_url, s3_process, s3_server
from waiting import HANG_S

from secondguess.analysis.errors import AlreadyThere, BadInput, SecondguessError
from secondguess.analysis.objects.path import place
from secondguess.analysis.store.rows import read_epoch
from secondguess.analysis.store.runs import find_run
from secondguess.analysis.store.workplace import remains
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.recording import merging

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def alone(store: Path, record: Any, **how: Any) -> None:
    """The same by one process, as the run `one`."""
    with Recorder(store, run="one", rank=0, world_size=1, **how) as recorder:
        record(recorder, list(range(EXAMPLES)))


def whole(raised: dict[int, BaseException | None]) -> None:
    assert raised == dict.fromkeys(raised)


def left(store: Path) -> list[str]:
    """What lies in the store besides runs and examples."""
    return [path.name for path in store.iterdir() if path.name not in {"cnn", "one", "examples", ".incoming"}]


# As one rank


@pytest.mark.parametrize("classes", [None, CLASSES])
@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_what_many_ranks_record_is_what_one_does(
    store: Path, count: int, classes: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images, unlabelled rows, a column of one's own, metrics, steps, a second table: the same rows in one order."""
    monkeypatch.setattr(merging, "_AT_ONCE", 4)

    def record(recorder: Recorder, numbers: list[int]) -> None:
        for epoch in (1, 2, 3):
            recorder.log(loss=1 / epoch)
            order = numbers if epoch < 3 else numbers[::-1]  # as a sampler that shuffles gives another order each time
            add(recorder, epoch, order, step=10)
            add(recorder, epoch, order)
            with recorder.table("train_predictions", epoch=epoch, dataset="train") as table:
                ids, texts = [str(n) for n in order], [f"text {n // 2}" for n in order]
                table.add(ids=ids, content=texts, guess=[n % 2 for n in order])

    def one_of(rank: int) -> None:
        with opened(store, rank, count, classes=classes, config={"lr": 0.1}) as recorder:
            assert (recorder.rank, recorder.world_size, recorder.last_epoch) == (rank, count, 0)
            assert recorder.classes == classes and recorder.config == {"lr": 0.1}
            record(recorder, share(rank, count))

    whole(together(count, one_of))
    alone(store, record, classes=classes, config={"lr": 0.1})
    assert len(read(store)) == 6 * EXAMPLES
    assert read(store)[0][:6] == (1, 10, "test-0", *(("odd", "even") if classes else (1, 0)), 0.75)
    many, one = find_run(store, "cnn"), find_run(store, "one")
    for table in (TABLE, "train_predictions"):
        assert read(store, "cnn", table) == read(store, "one", table)
        for mine, other in zip(many.tables[table].values(), one.tables[table].values(), strict=True):
            assert mine.columns == other.columns
            assert (mine.ids, mine.id_truth_set, mine.unique) == (other.ids, other.id_truth_set, other.unique)
            assert mine.examples == other.examples  # the same content: one file for both
    metrics = [
        duckdb.sql(f"SELECT * EXCLUDE (run) FROM '{run.folder}/metrics/*.parquet' ORDER BY ALL") for run in (many, one)
    ]
    assert metrics[0].fetchall() == metrics[1].fetchall() != []
    assert many.state == "finished" and left(store) == [] and remains(store) == []
    padded = -EXAMPLES % count
    expected = {"world_size": count, "rows": [len(share(0, count))] * count, "repeated": padded}
    assert said_of_ranks(store) == dict.fromkeys((1, 2, 3), expected)


def test_images_numbers_and_pictures_that_cannot_be_decoded_come_from_any_rank(store: Path) -> None:
    def record(recorder: Recorder, numbers: list[int]) -> None:
        with recorder.table("pictures", epoch=1) as table:
            pictures = [batch_of(1, [n])["images"][0] if n != 3 else b"no image" for n in numbers]
            table.add(ids=numbers, images=pictures, guess=numbers)
        with recorder.table("numbers", epoch=1) as table:
            table.add(ids=numbers, content=[[n, 0.5] for n in numbers], guess=numbers)
        with recorder.table("bare", epoch=1) as table:
            table.add(ids=numbers, guess=[str(n) for n in numbers], truth=[None if n % 3 else "1" for n in numbers])

    def one_of(rank: int) -> None:
        with opened(store, rank, 3) as recorder:
            record(recorder, share(rank, 3, 9))

    whole(together(3, one_of))
    with Recorder(store, run="one", rank=0, world_size=1) as recorder:
        record(recorder, list(range(9)))
    for table in ("pictures", "numbers", "bare"):
        assert read(store, "cnn", table) == read(store, "one", table)
        mine, other = (find_run(store, run).tables[table][1] for run in ("cnn", "one"))  # type: ignore[index]
        assert mine.examples == other.examples
        assert (mine.examples is None) == (table == "bare")


def test_rows_without_any_label_on_one_rank_get_the_type_of_the_others(store: Path) -> None:
    def one_of(rank: int) -> None:
        with opened(store, rank, 2) as recorder, recorder.table(TABLE, epoch=1) as table:
            table.add(ids=[rank, rank + 2], guess=["a", "b"], truth=[None, None] if rank else ["a", "a"], n=[rank, 0.5])

    whole(together(2, one_of))
    assert read(store) == [
        (1, "0", "a", "a", 0.0),
        (1, "1", "a", None, 1.0),
        (1, "2", "b", "a", 0.5),
        (1, "3", "b", None, 0.5),
    ]


def test_the_metrics_and_the_mirror_are_those_of_rank_0(store: Path) -> None:
    def one_of(rank: int) -> None:
        with opened(store, rank, 2, config={"rank": rank}) as recorder:
            recorder.log(loss=rank)
            add(recorder, 1, share(rank, 2))
            assert recorder.report is None
            with pytest.raises(BadInput, match="metric 'loss' is 'low'"):
                recorder.log(loss="low")

    whole(together(2, one_of))
    run = find_run(store, "cnn")
    assert duckdb.sql(f"SELECT name, value FROM '{run.folder}/metrics/*.parquet' ORDER BY ALL").fetchall() == [
        ("acc", 1.0),
        ("loss", 0.0),
    ]
    assert run.about["config"] == {"rank": 0}


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_ranks_of_a_training_meet_in_a_bucket(store: Path, bucket_url: str, overwrite: bool) -> None:
    """The same rows as in a folder, and nothing left besides them."""
    there = place(f"{bucket_url}/team/predictions")

    def record(recorder: Recorder, numbers: list[int]) -> None:
        for epoch in (1, 2):
            add(recorder, epoch, numbers)

    if overwrite:
        with Recorder(there, run="cnn", rank=0, world_size=1) as recorder, recorder.table("old", epoch=1) as table:
            table.add(ids=["a"], guess=[0])

    def one_of(rank: int) -> None:
        with opened(there, rank, 3, classes=CLASSES, overwrite=overwrite) as recorder:
            record(recorder, share(rank, 3))

    whole(together(3, one_of))
    alone(store, record, classes=CLASSES)
    rows = [read_epoch(there, "cnn", TABLE, epoch, None).predictions.to_pylist() for epoch in (1, 2)]
    one = [read_epoch(store, "one", TABLE, epoch, None).predictions.to_pylist() for epoch in (1, 2)]
    assert [{**row, "run": "one"} for rows_of in rows for row in rows_of] == [row for rows_of in one for row in rows_of]
    mine, other = (find_run(where, run).tables[TABLE][1] for where, run in ((there, "cnn"), (store, "one")))  # type: ignore[index]
    assert mine.examples is not None and other.examples is not None and mine.examples.name == other.examples.name
    assert sorted(path.name for path in there.iterdir()) == ["cnn", "examples"]


def test_only_rank_0_feeds_wandb(store: Path) -> None:
    pytest.importorskip("wandb")
    reports: dict[int, Any] = {}

    def one_of(rank: int) -> None:
        with opened(store, rank, 2, wandb="offline") as recorder:
            add(recorder, 1, share(rank, 2))
        reports[rank] = recorder.report

    whole(together(2, one_of))
    assert reports[1] is None and reports[0].rows[TABLE].committed == EXAMPLES
    assert len(list((store / "wandb").glob("offline-run-*"))) == 1


# Repeated examples


def two_ranks(store: Path, shares: list[dict[str, Any]], **how: Any) -> dict[int, BaseException | None]:
    all_there = Barrier(len(shares))

    def one_of(rank: int) -> None:
        with opened(store, rank, len(shares)) as recorder:
            all_there.wait(HANG_S)
            with recorder.table(TABLE, epoch=1, **how) as table:
                table.add(**shares[rank])

    return together(len(shares), one_of)


def test_what_a_padded_sampler_repeats_is_left_out_counted_and_said_once(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def one_of(rank: int) -> None:
        with opened(store, rank, 4) as recorder:
            for epoch in (1, 2, 3):
                add(recorder, epoch, share(rank, 4))

    whole(together(4, one_of))
    assert [row[1] for row in read(store)][:EXAMPLES] == [f"test-{n}" for n in range(EXAMPLES)]
    assert [record.message for record in caplog.records] == [
        f"cnn/{TABLE}@1: 1 rows of ids that were there already are left out"
    ]
    assert {about["repeated"] for about in said_of_ranks(store).values()} == {1}


def test_the_row_that_fills_a_rank_may_say_another_thing(store: Path) -> None:
    """In another batch a network rounds otherwise, so that of two classes alike the other one may be ahead."""
    whole(two_ranks(store, [{"ids": ["a", "b"], "guess": [0, 1]}, {"ids": ["c", "a"], "guess": [1, 1]}]))
    assert read(store) == [(1, "a", 0), (1, "c", 1), (1, "b", 1)]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"ids": ["a", "d"], "guess": [1, 1]}, "id 'a' is on rank 0 and on rank 1, for the same example, of which"),
        (
            {"ids": ["c", "a"], "guess": [1, 0], "truth": [1, 1]},
            "id 'a' is on rank 0 and on rank 1, for other examples",
        ),
        ({"ids": ["c", "a"], "guess": [1, 0], "content": ["c", "b"]}, "an id names one example of the whole data set"),
    ],
)
def test_rows_of_one_id_that_are_no_repetition_commit_nothing(store: Path, second: dict[str, Any], said: str) -> None:
    first: dict[str, Any] = {"ids": ["a", "b"], "guess": [0, 1]}
    first |= {"truth": [0, 1]} if "truth" in second else {}
    first |= {"content": ["a", "b"]} if "content" in second else {}
    raised = two_ranks(store, [first, second])
    assert said in str(raised[0]) and f"cnn/{TABLE}@1 is not committed" in str(raised[0])
    assert said in str(raised[1])
    assert find_run(store, "cnn").tables == {}


def test_the_first_of_repeated_rows_is_kept_on_demand(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    shares = [{"ids": ["a", "b", "a"], "guess": [0, 1, 0]}, {"ids": ["a", "d", "b"], "guess": [1, 1, 1]}]
    whole(two_ranks(store, shares, duplicates="first"))
    assert read(store) == [(1, "a", 0), (1, "b", 1), (1, "d", 1)]
    assert "3 rows of ids that were there already are left out, 1 of them with another guess" in caplog.text


def test_ranks_that_all_see_everything_record_it_once(store: Path) -> None:
    shares = [batch_of(1, range(5)), batch_of(1, range(5))]
    whole(two_ranks(store, shares))
    assert [row[1] for row in read(store)] == [f"test-{n}" for n in range(5)]
    assert said_of_ranks(store)[1]["repeated"] == 5


def test_without_ids_equal_images_could_not_be_told_apart(store: Path) -> None:
    raised = two_ranks(store, [{"images": np.zeros((2, 4, 4), np.uint8), "guess": [0, 1]}] * 2)
    assert all("no ids, where several ranks record" in str(error) for error in raised.values())


# Ranks that saw another number


def test_a_rank_with_fewer_examples_is_named_and_nothing_is_committed(store: Path) -> None:
    raised = two_ranks(store, [batch_of(1, range(4)), batch_of(1, [4, 5]), batch_of(1, range(6, 10))])
    said = "is not committed: the ranks saw other numbers of examples: rank 1 handed in 2 rows, the others 4;"
    assert [f"cnn/{TABLE}@1 {said}" in str(error) for error in raised.values()] == [True] * 3
    assert find_run(store, "cnn").tables == {}


def test_uneven_shares_are_taken_where_they_are_meant_even_none(store: Path) -> None:
    def one_of(rank: int) -> None:
        with opened(store, rank, 3) as recorder, recorder.table(TABLE, epoch=1, uneven=True) as table:
            if rank:
                table.add(**batch_of(1, range(5) if rank == 1 else [5]))

    whole(together(3, one_of))
    assert [row[1] for row in read(store)] == [f"test-{n}" for n in (0, 5, 1, 2, 3, 4)]
    assert said_of_ranks(store)[1] == {"world_size": 3, "rows": [0, 5, 1], "repeated": 0}


def test_a_rank_that_ends_after_fewer_epochs_is_named(store: Path) -> None:
    def one_of(rank: int) -> None:
        with opened(store, rank, 3) as recorder:
            for epoch in range(1, 3 if rank == 1 else 4):
                add(recorder, epoch, share(rank, 3))

    raised = together(3, one_of)
    said = f"cnn/{TABLE}@3 is not committed: rank 1 has ended its training without it; give all ranks the same number"
    assert str(raised[0]).startswith(said)
    assert raised[1] is None
    assert said in str(raised[2])
    assert [*find_run(store, "cnn").tables[TABLE]] == [1, 2]
    assert find_run(store, "cnn").state == "interrupted"


def test_a_rank_with_more_epochs_than_rank_0_is_told(store: Path) -> None:
    def one_of(rank: int) -> None:
        with opened(store, rank, 2) as recorder:
            for epoch in range(1, 2 + rank):
                add(recorder, epoch, share(rank, 2))

    raised = together(2, one_of)
    assert raised[0] is None
    assert isinstance(raised[1], SecondguessError)
    assert "rank 1" in str(raised[1]) and "has ended (as it should)" in str(raised[1])
    assert [*find_run(store, "cnn").tables[TABLE]] == [1]


def test_ranks_that_know_of_other_numbers_of_ranks_say_so(store: Path) -> None:
    def one_of(rank: int) -> None:
        with opened(store, rank, 2 + rank) as recorder:
            add(recorder, 1, share(rank, 2))

    said = "rank 1 was told of 3 ranks, rank 0 of 2; give all the same world_size"
    raised = together(2, one_of)
    assert isinstance(raised[1], BadInput) and str(raised[1]) == said
    assert said in str(raised[0])


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"note": ["x", "y"]}, "rank 1 has the columns ['id', 'guess', 'note'], rank 0 ['id', 'guess']"),
        ({"guess": ["a", "b"]}, "a column has other types on other ranks"),
        ({"content": ["x", "y"]}, "rank 1 has content of kind text, rank 0 of None"),
    ],
)
def test_shares_that_do_not_go_together_name_the_rank(store: Path, second: dict[str, Any], said: str) -> None:
    raised = two_ranks(store, [{"ids": ["a", "b"], "guess": [0, 1]}, {"ids": ["c", "d"], "guess": [0, 1], **second}])
    assert said in str(raised[0]) and said in str(raised[1])
    assert find_run(store, "cnn").tables == {}


def test_other_classes_on_another_rank_are_refused(store: Path) -> None:
    def one_of(rank: int) -> None:
        classes = ["a", "b"] if rank else ["a"]
        with opened(store, rank, 2, classes=classes) as recorder, recorder.table(TABLE, epoch=1) as table:
            table.add(ids=[0], guess=["a"])

    raised = together(2, one_of)
    said = "run 'cnn' was recorded with the classes ['a'], not ['a', 'b']"
    assert isinstance(raised[1], BadInput) and str(raised[1]) == said
    assert str(raised[0]) == f"cnn/{TABLE}@1 is not committed: rank 1 cannot take part: {said}"


# Ranks that come late, die, or go on


def all_started(
    store: Path, count: int, plans: dict[int, dict[str, Any]], epochs: int = 3, **how: Any
) -> dict[int, Any]:
    """The ranks as processes; gives (process, pipe, event it waits for) of each."""
    ranks = {}
    for rank in range(count):
        event = processes.Event()
        plan = {"epochs": epochs, "how": {"classes": CLASSES, **how}, **plans.get(rank, {})}
        ranks[rank] = (*started(rank_process, store, rank, count, plan, event), event)
    return ranks


def ended(rank: Any) -> list[Any]:
    """All that a rank sent until it ended."""
    process, pipe, _ = rank
    said = []
    try:
        while pipe.poll(HANG_S):
            said.append(pipe.recv())
    except EOFError:
        pass
    process.join(HANG_S)
    return said


def until(rank: Any, what: Any) -> None:
    """Wait until a rank said this."""
    while True:
        assert rank[1].poll(HANG_S)
        if (said := rank[1].recv()) == what:
            return
        assert said[0] in {"last", "waits", "handed in"}, said


def test_a_late_rank_is_waited_for(store: Path) -> None:
    ranks = all_started(store, 3, {2: {"late": 2}})
    until(ranks[2], ("waits", 2))
    until(ranks[1], ("handed in", 2))
    waiting.until(lambda: find_run(store, "cnn").tables)
    assert [*find_run(store, "cnn").tables[TABLE]] == [1]
    ranks[2][2].set()
    assert [ended(rank)[-1] for rank in ranks.values()] == [("done", None)] * 3
    assert [*find_run(store, "cnn").tables[TABLE]] == [1, 2, 3]


def test_a_rank_that_is_too_late_is_named_and_told(store: Path) -> None:
    ranks = all_started(store, 3, {2: {"late": 2}}, patience_s=1)
    until(ranks[2], ("waits", 2))
    said = ended(ranks[0])[-1]
    assert said[0] == "SecondguessError"
    assert f"cnn/{TABLE}@2 is not committed: after 1 s rank 2 is late (process {ranks[2][0].pid} on " in said[1]
    ranks[2][2].set()
    late = ended(ranks[2])[-1]
    assert late[0] == "SecondguessError" and "rank 0 of run 'cnn' has ended (SecondguessError: cnn" in late[1]
    assert ended(ranks[1])[-1][0] == "SecondguessError"
    run = find_run(store, "cnn")
    assert [*run.tables[TABLE]] == [1] and run.state == "interrupted"


@pytest.mark.parametrize("when", ["before", "during", "after"])
@pytest.mark.parametrize("rank", [0, 2])
def test_a_rank_that_is_killed_leaves_no_half_epoch_and_all_go_on_together(store: Path, rank: int, when: str) -> None:
    ranks = all_started(store, 3, {rank: {"die": (when, 2)}}, patience_s=2)
    said = {number: ended(each) for number, each in ranks.items()}
    assert said[rank][-1][0] in {"last", "handed in"}  # killed without a word
    run = find_run(store, "cnn")
    committed = [*run.tables[TABLE]]
    assert committed == ([1, 2] if when == "after" else [1])
    assert len(read(store)) == EXAMPLES * len(committed)
    assert run.state == "interrupted"
    if rank:
        assert f"cnn/{TABLE}@{len(committed) + 1} is not committed: after 2 s rank 2 died" in said[0][-1][1]
    else:
        assert "rank 0 of run 'cnn' died" in said[1][-1][1] or "rank 0 died, and has not" in said[1][-1][1]
    again = all_started(store, 3, {}, resume=True, session="second")
    assert [ended(each) for each in again.values()] == [
        [("last", len(committed)), *(("handed in", epoch) for epoch in range(len(committed) + 1, 4)), ("done", None)]
    ] * 3
    alone(store, lambda one, numbers: [add(one, epoch, numbers) for epoch in (1, 2, 3)], classes=CLASSES)
    assert read(store) == read(store, "one")
    assert left(store) == [] and remains(store) == []


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_one_rank_that_is_started_again_goes_on_beside_the_others(store: Path, when: str) -> None:
    ranks = all_started(store, 3, {2: {"die": (when, 2)}})
    said = ended(ranks[2])
    assert ("handed in", 1) in said
    if when == "after":  # else its share of epoch 2 may be committed while it comes back, or not
        until(ranks[0], ("handed in", 2))
    ((kind, why),) = ended((*started(rank_process, store, 2, 3, {"epochs": 3, "how": {}}, None), None))
    assert kind == "AlreadyThere" and "start it again with resume=True" in why
    again = (*started(rank_process, store, 2, 3, {"epochs": 3, "how": {"resume": True}}, None), None)
    assert ended(again)[-1] == ("done", None)
    assert [ended(ranks[rank])[-1] for rank in (0, 1)] == [("done", None)] * 2
    alone(store, lambda one, numbers: [add(one, epoch, numbers) for epoch in (1, 2, 3)], classes=CLASSES)
    assert read(store) == read(store, "one")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_at_any_call_to_the_disk_leaves_whole_epochs(store: Path, rank: int) -> None:
    """Two epochs of two ranks; after each kill all start again, and end with what one rank records."""
    alone(store, lambda one, numbers: [add(one, epoch, numbers) for epoch in (1, 2)], classes=CLASSES)
    counted = all_started(store, 2, {at: {"call": 0} for at in (0, 1)}, epochs=2, run="first")
    (_, calls) = [ended(each)[-1] for each in counted.values()][rank]
    assert calls > 20
    for call in range(1 + rank, calls + 1, 6):
        run = f"cut-{call}"
        cut = all_started(store, 2, {rank: {"call": call}}, epochs=2, run=run, patience_s=1)
        for each in cut.values():
            ended(each)
        if (store / run / "run.json").exists():
            whole_epochs = find_run(store, run).tables.get(TABLE, {})
            assert read(store, run) == read(store, "one")[: EXAMPLES * len(whole_epochs)]
        again = all_started(store, 2, {}, epochs=2, run=run, resume=True, session="second")
        ends = [ended(each)[-1] for each in again.values()]
        assert ends == [("done", None)] * 2 or all("has finished" in str(said) for _, said in ends), (call, ends)
        assert read(store, run) == read(store, "one")
    assert remains(store) == []


def test_a_rank_joins_this_start_and_no_former_one(store: Path) -> None:
    """Rank 1 comes first: what a killed rank 0 left is not its session."""
    dead = all_started(store, 2, {0: {"die": ("before", 1)}, 1: {"die": ("before", 1)}})
    for rank in dead.values():
        ended(rank)
    assert any(path.name.startswith(".ranks-") for path in store.iterdir())
    early = (*started(rank_process, store, 1, 2, {"epochs": 1, "how": {"resume": True}}, None), None)
    assert not early[1].poll(0.5)
    first = (*started(rank_process, store, 0, 2, {"epochs": 1, "how": {"resume": True}}, None), None)
    assert ended(early)[-1] == ended(first)[-1] == ("done", None)
    assert len(read(store)) == EXAMPLES and left(store) == []


def test_a_rank_whose_first_one_never_comes_says_what_to_do(store: Path) -> None:
    with pytest.raises(SecondguessError, match=r"rank 1 waited 0.2 s for rank 0 to begin run 'cnn' in .*same store"):
        opened(store, 1, 2, patience_s=0.2)


def test_rank_0_that_records_alone_is_told_how(
    store: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon, and when it gives up."""
    monkeypatch.setattr("secondguess.analysis.store.session._QUIET_S", 0.05)
    said = r"rank 1 has not come; .*Recorder\(…, rank=0, world_size=1\)"
    with pytest.raises(SecondguessError, match=said), opened(store, 0, 2, patience_s=0.2) as recorder:
        add(recorder, 1, [0, 1])
    assert f"cnn/{TABLE}@1 waits for rank 1; where rank 0 alone records, say Recorder(…, rank=0, world_s" in caplog.text
    assert find_run(store, "cnn").tables == {}


def test_a_rank_is_one_process(store: Path) -> None:
    ready = Event()

    def one_of(rank: int) -> None:
        if rank == 2:
            assert ready.wait(HANG_S)
            try:
                opened(store, 1, 2, resume=True)
            finally:
                ready.clear()
        with opened(store, rank, 2) as recorder:
            if rank == 1:
                ready.set()
                while ready.is_set():
                    pass
            add(recorder, 1, share(rank, 2))

    raised = together(3, one_of)
    assert (raised[0], raised[1]) == (None, None)
    assert isinstance(raised[2], AlreadyThere) and "rank 1 of this training is there already" in str(raised[2])


def test_a_rank_without_an_error_of_its_own_hears_what_another_one_met(store: Path) -> None:
    there = Event()

    def one_of(rank: int) -> None:
        with opened(store, rank, 2) as recorder, recorder.table(TABLE, epoch=1) as table:
            if not rank:
                assert there.wait(HANG_S)
                raise RuntimeError("out of luck")
            there.set()
            table.add(ids=[0], guess=[0])

    raised = together(2, one_of)
    assert isinstance(raised[0], RuntimeError)
    assert isinstance(raised[1], SecondguessError) and "rank 0: RuntimeError: out of luck" in str(raised[1])


def test_an_overwritten_run_stays_until_all_ranks_have_an_epoch(store: Path) -> None:
    alone(store, lambda recorder, numbers: add(recorder, 1, numbers), classes=CLASSES)
    before = read(store, "one")

    def one_of(rank: int) -> None:
        with opened(store, rank, 2, run="one", overwrite=True) as recorder:
            assert recorder.last_epoch == 0
            assert read(store, "one") == before
            with recorder.table(TABLE, epoch=1) as table:
                table.add(ids=[rank], guess=[rank])

    whole(together(2, one_of))
    assert read(store, "one") == [(1, "0", 0), (1, "1", 1)]
    assert left(store) == []


def test_an_epoch_is_recorded_once_on_every_rank(store: Path) -> None:
    def one_of(rank: int) -> None:
        with opened(store, rank, 2) as recorder:
            add(recorder, 1, share(rank, 2))
            with pytest.raises(AlreadyThere, match=f"cnn/{TABLE}@1 is already committed"):
                add(recorder, 1, share(rank, 2))
            with pytest.raises(BadInput, match="no step of it can follow"):
                add(recorder, 1, share(rank, 2), step=5)

    whole(together(2, one_of))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_forked_worker_commits_nothing(store: Path, rank: int) -> None:
    """What a data loader's worker would do with its copy of the recorder."""
    ranks = all_started(store, 2, {rank: {"fork": True}}, epochs=1)
    assert ended(ranks[rank]) == [
        ("last", 0),
        ("forked", "SecondguessError: run 'cnn' was opened by another process; only that one writes to it"),
        ("handed in", 1),
        ("done", None),
    ]
    assert ended(ranks[1 - rank])[-1] == ("done", None)
    assert len(read(store)) == EXAMPLES and find_run(store, "cnn").state == "finished"


def test_ranks_with_nothing_left_to_record_end_well(store: Path) -> None:
    """The run was interrupted after its last epoch: rank 0 ends it when the other has come, however late."""
    ended_up = Event()

    def one_of(rank: int) -> None:
        if rank:
            ended_up.wait(0.3)
        with opened(store, rank, 2, resume=True) as recorder:
            assert recorder.last_epoch == 0
        ended_up.set()

    whole(together(2, one_of))
    assert find_run(store, "cnn").state == "finished"


def test_the_note_of_a_session_says_what_it_committed(store: Path) -> None:
    def one_of(rank: int) -> None:
        with opened(store, rank, 2) as recorder:
            add(recorder, 1, share(rank, 2))

    whole(together(2, one_of))
    (note,) = (find_run(store, "cnn").folder / "commits").glob("ranks-*.json")
    said = json.loads(note.read_text())
    assert (said["session"], said["world_size"], said["tables"]) == ("first", 2, {TABLE: [1]})


def test_waiting_long_is_said(store: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secondguess.analysis.store.session._QUIET_S", 0.05)
    caplog.set_level(logging.WARNING)
    with pytest.raises(SecondguessError, match="rank 1 waited"):
        opened(store, 1, 2, patience_s=0.3)
    assert [record.message for record in caplog.records] == [f"rank 1 waits for rank 0 to begin run 'cnn' in {store}"]


def test_labels_in_lists_and_numbers_come_from_any_rank(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The second rank's last row fills its share up: it repeats the first example, and is left out."""
    truth, guess = [["a"], ["a", "b"], [], None, ["b"]], [["a"], ["b"], [], ["a"], ["b"]]

    def record(rank: int) -> None:
        numbers = share(rank, 2, 5)
        with opened(store, rank, 2) as recorder:
            with recorder.table("labels", epoch=1, task="multi-label") as table:
                table.add(ids=numbers, truth=[truth[n] for n in numbers], guess=[guess[n] for n in numbers])
            with recorder.table("numbers", epoch=1, task="regression") as table:
                table.add(ids=numbers, truth=[n / 2 for n in numbers], guess=numbers)

    whole(together(2, record))
    assert read(store, table="labels", columns="id, guess, truth") == [(str(n), guess[n], truth[n]) for n in range(5)]
    assert read(store, table="numbers", columns="id, guess, truth") == [(str(n), float(n), n / 2) for n in range(5)]
    assert "cnn/labels@1: 1 rows of ids that were there already are left out" in caplog.messages
