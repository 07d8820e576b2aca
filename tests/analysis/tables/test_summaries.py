"""What a group shows of the columns it is not grouped by: histograms, the most frequent values, the first ids."""

import csv
import datetime
import io
import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from recording import record

import secondguess as sg
from secondguess.analysis.answers.answer import cell
from secondguess.analysis.cli import main
from secondguess.analysis.tables.summaries import BINS, summary
from secondguess.trainer.recorder import Recorder

NAN, INF = math.nan, math.inf
DAY = datetime.date(2026, 2, 1)


def bins(**counts):
    """Ten counts, those of the bins that are named: bins(b0=2, b9=1)."""
    return [counts.get(f"b{place}", 0) for place in range(BINS)]


def values(*pairs, distinct=None):
    """The values with how often, and how many there are."""
    found = [{"value": value, "rows": rows} for value, rows in pairs]
    return {"values": found, "distinct": len(found) if distinct is None else distinct}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One table, grouped by guess: rows a, b, c of guess 0 and d, e, f of guess 1, with a column of every kind."""
    path = tmp_path_factory.mktemp("store")
    columns = {
        "whole": [1, 2, 3, 4, 5, None],
        "real": [0.5, -1.5, 2.0, NAN, INF, 3.25],
        "same": [7, 7, 7, 7, 7, 7],
        "never": [NAN, NAN, INF, -INF, NAN, None],
        "word": ["u", "v", "u", "w", None, "u"],
        "day": [DAY + datetime.timedelta(days=place) for place in range(6)],
        "moment": [datetime.datetime(2026, 2, 1, hour) for hour in range(6)],
        "yes": [True, False, True, True, None, True],
        "some": [[1], [2, 3], None, [], [1], [2]],
        "money": [Decimal(place) + Decimal("1.50") for place in range(6)],
        "parts": [{"a": place} for place in range(6)],
        "huge": [2**60 + place for place in range(6)],
        "wide": [-1.7e308, 0.0, 1.6e308, -8e307, 1e307, 1.7e308],
    }
    with Recorder(path, run="kinds", wandb="off") as recorder, recorder.table("test_predictions", epoch=1) as rows:
        rows.add(ids=list("abcdef"), guess=[0, 0, 0, 1, 1, 1], truth=[1, 0, 1, 1, 1, 0], **columns)
    scores = [("a", 0, [0.0, 1.0]), ("b", 0, [0.0625, 0.9375]), ("c", 0, [0.4375, 0.5625]), ("d", 1, [1.0, 0.0])]
    record(path, "scores", {1: scores})
    return sg.connect(path)


def shown(store, column, table="kinds", **how):
    """The column's summaries by guess."""
    return [row[0] for row in store.table(table, group="guess", columns=[column], **how).fetchall()]


@pytest.mark.parametrize(
    ("column", "low", "high", "first", "second"),
    [
        # By hand: a bin of `whole` is 0.4 wide, one of `real` 0.475; what lies on the upper edge is in the last bin.
        ("whole", 1, 5, bins(b0=1, b2=1, b5=1), bins(b7=1, b9=1)),
        ("real", -1.5, 3.25, bins(b0=1, b4=1, b7=1), bins(b9=1)),
        ("same", 7, 7, bins(b0=3), bins(b0=3)),
        ("never", None, None, bins(), bins()),
        # Further apart than the largest number; a bin is 3.4e307 wide.
        ("wide", -1.7e308, 1.7e308, bins(b0=1, b5=1, b9=1), bins(b2=1, b5=1, b9=1)),
        ("money", 1.5, 6.5, bins(b0=1, b2=1, b4=1), bins(b6=1, b8=1, b9=1)),
    ],
)
def test_numbers_are_counted_in_ten_bins_between_the_least_and_the_greatest_of_all_groups(
    store, column, low, high, first, second
):
    expected = [{"low": low, "high": high, "counts": counts} for counts in (first, second)]
    assert shown(store, column) == expected


def test_the_bins_are_those_of_the_rows_that_the_filter_leaves(store):
    assert shown(store, "whole", where="whole <= 2") == [{"low": 1, "high": 2, "counts": bins(b0=1, b9=1)}]


def test_the_bins_are_the_same_on_every_page(store):
    (found,) = shown(store, "whole", limit=1, offset=1)
    assert (found["low"], found["high"], found["counts"]) == (1, 5, bins(b7=1, b9=1))


def test_scores_are_counted_between_0_and_1_whatever_there_is(store):
    expected = [{"low": 0, "high": 1, "counts": bins(b9=1)}, {"low": 0, "high": 1, "counts": bins(b0=2, b4=1)}]
    assert shown(store, "score_0", "scores") == expected
    expected = [{"low": 0, "high": 1, "counts": bins(b9=1)}, {"low": 0, "high": 1, "counts": bins(b5=1, b9=2)}]
    assert shown(store, "confidence", "scores") == expected
    expected = [{"low": 0, "high": 1, "counts": bins(b0=1)}, {"low": 0, "high": 1, "counts": bins(b0=2, b4=1)}]
    assert shown(store, "truth_score", "scores") == expected


def test_scores_of_a_join_are_counted_between_0_and_1_on_each_side(store):
    found = store.table("scores", "scores", join="inner", group="guess_a", columns="score_0_a, score_1_b").fetchall()
    assert [(row[0]["high"], row[1]["counts"]) for row in found] == [(1, bins(b0=1)), (1, bins(b5=1, b9=2))]


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("truth", values((1, 2), (0, 1)), values((1, 2), (0, 1))),
        ("run", values(("kinds", 3)), values(("kinds", 3))),
        ("epoch", values((1, 3)), values((1, 3))),
        ("guess", None, None),
    ],
)
def test_labels_are_counted_the_most_frequent_first(store, column, first, second):
    expected = [0, 1] if first is None else [first, second]
    assert shown(store, column) == expected


def test_of_equally_frequent_labels_the_smallest_come_first_and_ten_are_named(tmp_path):
    rows = [(f"{place:02}", place % 12, 0) for place in range(24)]
    rows += [("x", 11, 0), ("y", None, 0)]
    record(tmp_path, "u", {1: rows})
    (found,) = shown(sg.connect(tmp_path), "truth", "u")
    assert found == values((11, 3), *((label, 2) for label in range(9)), distinct=13)


def test_texts_and_booleans_are_counted_as_labels_are(store):
    assert shown(store, "word", where="word IS NOT NULL") == [values(("u", 2), ("v", 1)), values(("u", 1), ("w", 1))]
    assert shown(store, "yes", where="yes IS NOT NULL") == [values((True, 2), (False, 1)), values((True, 2))]


def test_rows_without_a_value_are_counted_too(store):
    assert shown(store, "word")[1] == values((None, 1), ("u", 1), ("w", 1))
    assert shown(store, "yes")[1] == values((True, 2), (None, 1))


def test_ids_are_the_first_five_in_order(tmp_path):
    record(tmp_path, "u", {1: [(name, 0, 0) for name in "gfedcba"]})
    assert shown(sg.connect(tmp_path), "id", "u") == [["a", "b", "c", "d", "e"]]


def test_dates_show_the_first_and_the_last(store):
    assert shown(store, "day") == [
        {"first": DAY, "last": DAY + datetime.timedelta(days=2)},
        {"first": DAY + datetime.timedelta(days=3), "last": DAY + datetime.timedelta(days=5)},
    ]
    assert shown(store, "moment")[1]["last"] == datetime.datetime(2026, 2, 1, 5)


def test_lists_and_what_has_parts_are_counted(store):
    assert shown(store, "some") == [2, 3]
    assert shown(store, "parts") == [3, 3]


def test_whole_numbers_beyond_what_a_double_tells_apart_are_one_bin(store):
    assert [found["counts"] for found in shown(store, "huge")] == [bins(b0=3), bins(b0=3)]


def test_computed_columns_are_summarised_by_what_they_hold(store):
    how = {"add": {"twice": "whole * 2", "loud": "upper(word)", "right": "guess = truth"}}
    assert shown(store, "twice", **how)[0] == {"low": 2, "high": 10, "counts": bins(b0=1, b2=1, b5=1)}
    assert shown(store, "loud", **how)[0] == values(("U", 2), ("V", 1))
    assert shown(store, "right", **how)[0] == values((False, 2), (True, 1))


def test_a_computed_number_is_drawn_where_it_lies_whatever_it_is_called(store):
    (found, _) = shown(store, "score_7", add="score_7 = whole")
    assert (found["low"], found["high"]) == (1, 5)


def test_all_rows_are_one_group_where_only_aggregates_are_asked(store):
    (found,) = store.table("kinds", aggregate="k = count(*)", columns="n, k, whole, id").fetchall()
    counts = bins(b0=1, b2=1, b5=1, b7=1, b9=1)
    assert found == (6, 6, {"low": 1, "high": 5, "counts": counts}, ["a", "b", "c", "d", "e"])


def test_guesses_that_are_real_numbers_are_counted_in_bins(tmp_path):
    record(tmp_path, "price", {1: [(f"{place:02}", place / 2, place / 4) for place in range(21)]})
    (found,) = sg.connect(tmp_path).table("price", aggregate="k = 1", columns="guess").fetchall()[0]
    assert found == {"low": 0, "high": 5, "counts": [2] * 9 + [3]}


# As text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"low": 1.0, "high": 5.0, "counts": [1, 0, 1, 0, 0, 1, 0, 0, 0, 8]}, "▂▁▂▁▁▂▁▁▁█ 1 to 5"),
        ({"low": None, "high": None, "counts": bins()}, "no numbers"),
        ({"low": 0.0, "high": 1.0, "counts": bins()}, "no numbers"),
        ({"low": 1.25e7, "high": 1.5e-9, "counts": bins(b0=1)}, "█▁▁▁▁▁▁▁▁▁ 1.25e+07 to 1.5e-09"),
        (values(("cat", 1_234), ("dog", 5)), "cat: 1,234, dog: 5"),
        (values(("cat", 2), distinct=1_001), "cat: 2 and 1,000 more"),
        (values((None, 3)), "none: 3"),
        (values(), ""),
        ({"values": None, "distinct": None}, ""),
        (["a", "b"], "a, b"),
        ({"first": DAY, "last": DAY}, "first: 2026-02-01, last: 2026-02-01"),
    ],
)
def test_a_summary_is_one_line_of_text(value, text):
    assert cell(value) == text


def test_summaries_are_drawn_in_the_terminal_and_written_whole_as_csv(store, capsys):
    how = ["table", "kinds", "--group", "guess", "--columns", "guess, n, whole, truth, id", "--store", str(store.store)]
    main(how)
    first = capsys.readouterr().out.splitlines()[2]
    assert " ".join(first.split()) == "0 3 █▁█▁▁█▁▁▁▁ 1 to 5 1: 2, 0: 1 a, b, c"
    main([*how, "--format", "csv"])
    (row, _) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["guess"], row["n"]) == ("0", "3")
    assert json.loads(row["whole"]) == {"low": 1, "high": 5, "counts": bins(b0=1, b2=1, b5=1)}
    assert json.loads(row["truth"]) == values((1, 2), (0, 1))
    assert json.loads(row["id"]) == ["a", "b", "c"]


def test_the_line_above_a_grouped_table_names_the_run_and_the_epoch(store, capsys):
    main(["table", "kinds", "--group", "guess", "--store", str(store.store)])
    assert capsys.readouterr().out.splitlines()[0] == "run kinds · epoch 1"


def test_a_summary_names_its_column_quoted():
    for kind in ("number", "text", "boolean", "date", "list", "media", "other"):
        found = summary('a"b', 'a"b', kind)
        assert '"a""b"' in found.gathered


def test_a_group_of_several_stacked_tables_shows_a_summary_of_each(tmp_path):
    """In W&B, too, the histograms of concatenated tables tell the runs apart."""
    record(tmp_path, "one", {1: [("a", 0, [0.99, 0.01]), ("b", 0, [0.95, 0.05])]})
    record(tmp_path, "two", {1: [("a", 0, [0.75, 0.25])], 2: [("a", 1, [0.55, 0.45])]})
    two = sg.connect(tmp_path)
    grouped = two.table("one", "two@1", "two@2", group="guess")
    shown_parts = dict(zip(grouped.columns, grouped.limit(1).fetchall()[0], strict=True))
    assert [part["counts"] for part in shown_parts["confidence"]] == [bins(b9=2), bins(b7=1), bins(b5=1)]
    assert shown_parts["truth"] == [values((0, 2)), values((0, 1)), values((1, 1))]
    whole = two.table("one", "two@1", group=["guess", "run", "epoch"], columns=["run", "confidence"]).fetchall()
    assert [(run, part["counts"]) for run, part in whole] == [("one", bins(b9=2)), ("two", bins(b7=1))]


def test_groups_of_a_thousand_classes_leave_their_scores_out_and_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scores = np.full((2, 1_000), 0.001)
    with Recorder(tmp_path, run="wide") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["a", "b"], truth=[0, 1], scores=scores)
    store = sg.connect(tmp_path)
    groups = store.table("wide@1", group="guess")
    assert groups.columns == ["guess", "n", "run", "epoch", "id", "truth", "confidence", "truth_score"]
    assert "left out the summaries of 1,000 columns of scores; name those to see with --columns" in caplog.messages
    assert store.table("wide@1", group="guess", columns="guess,score_7").columns == ["guess", "score_7"]
