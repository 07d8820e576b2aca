"""What changed between two tables: literal rows by hand, and what hypothesis makes by brute force."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording import record
from scipy import stats
from stores import told

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.evidence import ledger, paired
from secondguess.trainer.recorder import Recorder

# id, truth, guess. By hand, from first to second: p right twice, q fixed, r broken, s wrong as the same, t as another;
# u is unlabelled, v has no guess in either, w another truth, x and y stand in one table only.
FIRST = [("p", 0, 0), ("q", 1, 0), ("r", 2, 2), ("s", 1, 2), ("t", 0, 1), ("u", None, 1), ("w", 1, 1), ("x", 0, 0)]
SECOND = [("p", 0, 0), ("q", 1, 1), ("r", 2, 1), ("s", 1, 2), ("t", 0, 2), ("u", None, 1), ("w", 2, 2), ("y", 0, 0)]
NAN = float("nan")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    record(path, "first", {1: FIRST})
    record(path, "second", {1: SECOND})
    ids = [f"{number:04d}" for number in range(1000)]
    size = {"size": ["small" if number % 2 else "large" for number in range(1000)]}
    record(path, "even", {1: [(name, 1, 1) for name in ids], 2: [(name, 1, 1) for name in ids]}, columns=size)
    record(path, "worse", {1: [(name, 1, 0 if number < 40 else 1) for number, name in enumerate(ids)]}, columns=size)
    record(path, "bad", {1: [(name, 1, 0 if 20 <= number < 65 else 1) for number, name in enumerate(ids)]})
    record(path, "nan", {1: [("p", 0, [NAN, NAN]), ("q", 1, [NAN, 1])]})
    record(path, "nan again", {1: [("p", 0, [NAN, NAN]), ("q", 1, [0, 1])]})
    for run in ("drawn", "drawn again"):
        with Recorder(path, run=run, wandb="off") as recorder, recorder.table("test_predictions", epoch=1) as rows:
            rows.add(ids=["p"], truth=[0], guess=[0], images=[np.zeros((2, 2), np.uint8)])
    record(path, "a[1]-x", {1: [("p", 0, 0)]})
    record(path, "a[1]-y", {1: [("p", 0, 1)]})
    many = [f"class {number:02d}" for number in range(30)]
    record(path, "right", {1: [(name, name, name) for name in many]})
    record(path, "shifted", {1: [(name, name, many[number - 1]) for number, name in enumerate(many)]})
    record(path, "unsure", {1: [("p", 0, [1, 0]), ("q", 1, [NAN, NAN])]})
    record(path, "sure", {1: [("p", 0, [1, 0]), ("q", 1, [0, 1])]})
    record(path, "elsewhere", {1: [("far", 0, 0)]})
    content = {"p": "one", "q": "two"}
    record(path, "seen", {1: [("p", 0, 0), ("q", 1, 1)]}, content=content)
    record(path, "seen again", {1: [("p", 0, 0), ("q", 1, 0)]}, content=content)
    record(path, "no truth", {1: [("p", None, 0)]}, labelled=False)
    return sg.connect(path)


def test_every_example_is_counted_once_by_what_became_of_it(store):
    comparison = store.compare("first", "second")
    assert comparison.counts.as_dict() == {
        "n": 5,
        "both_right": 1,
        "fixed": 1,
        "broken": 1,
        "both_wrong_same": 1,
        "both_wrong_other": 1,
        "accuracy_a": 0.4,
        "accuracy_b": 0.4,
        "difference": 0.0,
        "negative_flip_rate": 0.2,
        "churn": 0.6,
    }
    assert comparison.excluded == {
        "only_a": 1,
        "only_b": 1,
        "without_id_a": 0,
        "without_id_b": 0,
        "truths_differ": 1,
        "unlabelled": 1,
    }
    assert comparison.verdict == "cannot_tell"
    assert comparison.in_words == (
        "these 5 examples cannot tell first@1 and second@1 apart; "
        "with 2 that only one of them has right no test could tell"
    )


def test_the_ledger_has_a_row_for_each_example_that_changed(store):
    rows = store.compare("first", "second").ledger.project("id, outcome, truth_a, guess_a, guess_b").fetchall()
    assert rows == [("q", "fixed", 1, 0, 1), ("r", "broken", 2, 2, 1), ("t", "both_wrong_other", 0, 1, 2)]
    broken = store.ask("ledger", "first", "second", only="broken").project("id").fetchall()
    assert broken == [("r",)]


def test_classes_and_pairs_say_where(store):
    comparison = store.compare("first", "second")
    classes = {group.value: (group.counts.n, group.counts.fixed, group.counts.broken) for group in comparison.classes}
    assert classes == {0: (2, 0, 0), 1: (2, 1, 0), 2: (1, 0, 1)}
    pairs = {
        (pair.truth, pair.guess): (pair.errors_a, pair.errors_b, pair.fixed, pair.broken) for pair in comparison.pairs
    }
    assert pairs == {
        (1, 0): (1, 0, 1, 0),
        (2, 1): (0, 1, 0, 1),
        (1, 2): (1, 1, 0, 0),
        (0, 1): (1, 0, 0, 0),
        (0, 2): (0, 1, 0, 0),
    }


def test_a_difference_that_is_there_is_told(store):
    comparison = store.compare("worse", "even@1")
    assert (comparison.counts.fixed, comparison.counts.broken, comparison.verdict) == (40, 0, "b_better")
    assert comparison.in_words == "even@1 errs less"
    assert store.compare("even@1", "worse").verdict == "a_better"


def test_a_column_splits_the_examples(store):
    """By hand: of the first forty, twenty are odd."""
    groups = store.compare("worse", "even@1", by="size").by
    assert [(group.value, group.counts.n, group.counts.fixed, group.verdict) for group in groups] == [
        ("large", 500, 20, "b_better"),
        ("small", 500, 20, "b_better"),
    ]
    with pytest.raises(BadInput, match="neither table has a column 'colour'; there are: run, epoch, id"):
        store.compare("worse", "even@1", by="colour")
    with pytest.raises(BadInput, match=r"neither table has a column 'a\" b'; .*, nor have their examples one"):
        store.compare("seen", "seen again", by='a" b')
    groups = store.compare("seen", "seen again", by="content").by
    assert [(group.value, group.counts.n, group.counts.broken) for group in groups] == [("one", 1, 0), ("two", 1, 1)]


def test_a_verdict_that_was_given_is_what_is_compared(tmp_path, capsys):
    """The response of a generating model is a text of its own, and no truth: the verdict alone says what is wrong."""
    for run, rows in {"a": "1,foo,1\n2,bar,0\n3,baz,1\n", "b": "1,foo,0\n2,bar,1\n3,other,1\n"}.items():
        (tmp_path / f"{run}.csv").write_text("id,response,exact_match\n" + rows)
        told = ("import", str(tmp_path / f"{run}.csv"), "--run", run, "--right", "exact_match")
        sg_main(*told, "--store", str(tmp_path / "store"))
    said = capsys.readouterr()
    assert "taken for the truth" not in said.out + said.err
    counts = sg.connect(tmp_path / "store").compare("a", "b").counts
    assert counts == ledger.Counts(both_right=1, fixed=1, broken=1)


def test_several_tables_are_compared_in_pairs_and_corrected(store):
    found = store.compare("even@1", "worse", "bad")
    exact = [stats.binomtest(0, 40).pvalue, stats.binomtest(0, 45).pvalue, stats.binomtest(20, 45).pvalue]
    assert [comparison.p_exact for comparison in found] == pytest.approx(exact)
    by_p = sorted(comparison.p_mid for comparison in found)
    assert sorted(comparison.p_holm for comparison in found) == pytest.approx([3 * by_p[0], 2 * by_p[1], by_p[2]])
    assert [comparison.verdict for comparison in found] == ["a_better", "a_better", "cannot_tell"]
    assert ledger.alike(found) == [["even@1"], ["worse@1", "bad@1"]]


def test_a_missing_guess_is_wrong_and_two_are_one(store):
    comparison = store.compare("nan", "nan again")
    assert (comparison.counts.both_wrong_same, comparison.counts.fixed) == (1, 1)
    assert "nan@1: 2 labelled rows without a guess count as wrong" in comparison.notes


def test_what_cannot_be_compared_says_why(store):
    with pytest.raises(BadInput, match=r"no labelled example in common .*1 only_b.*nothing to compare"):
        store.compare("first", "elsewhere")
    with pytest.raises(BadInput, match="no truth"):
        store.compare("first", "no truth")
    with pytest.raises(BadInput, match="two tables or more"):
        store.compare("first")
    with pytest.raises(BadInput, match="even@2 and even are one table"):
        store.compare("even@2", "even")
    with pytest.raises(BadInput, match="image has lists or pictures"):
        store.compare("drawn", "drawn again", by="image")
    with pytest.raises(BadInput, match="level is 95"):
        store.compare("first", "second", level=95)
    with pytest.raises(NotFound, match=r"no run fits 'cnn-\*'"):
        store.compare("cnn-*@1", "second")


def test_the_best_epoch_is_said_to_be_chosen_on_these_examples(store):
    notes = store.compare("even@best", "worse").notes
    assert "even@1 is the best epoch by these very examples, so its accuracy is optimistic" in notes


def test_the_floor_is_what_lies_between_seeds(store):
    """By hand: even and worse differ in 40 of 1,000, even and bad in 45, worse and bad in 20 + 25."""
    floor = store.compare("even@1", "worse", floor=["even@1", "worse", "bad"]).floor
    assert floor.churn == pytest.approx((0.04 + 0.045 + 0.045) / 3)
    assert floor.negative_flip_rate == pytest.approx((0.04 + 0.045 + 0.045) / 6)
    with pytest.raises(BadInput, match="name more"):
        store.compare("even@1", "worse", floor="worse@1")


tables = st.lists(st.tuples(*[st.sampled_from([None, 0, 1, 2])] * 3), min_size=1, max_size=30)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables)
def test_the_counts_are_those_of_brute_force(rows, tmp_path_factory):
    """truth, guess in a, guess in b, NaN where there is none."""
    path = tmp_path_factory.mktemp("store")
    scores = {None: [NAN] * 3, 0: [1, 0, 0], 1: [0, 1, 0], 2: [0, 0, 1]}
    record(path, "a", {1: [(str(number), row[0], scores[row[1]]) for number, row in enumerate(rows)]})
    record(path, "b", {1: [(str(number), row[0], scores[row[2]]) for number, row in enumerate(rows)]})
    labelled = [row for row in rows if row[0] is not None]
    if not labelled:
        with pytest.raises(BadInput):
            sg.connect(path).compare("a", "b")
        return
    comparison = sg.connect(path).compare("a", "b")
    counts = comparison.counts
    assert counts.n == len(labelled)
    assert counts.errors_a == sum(truth != a for truth, a, _ in labelled)
    assert counts.errors_b == sum(truth != b for truth, _, b in labelled)
    assert counts.broken == sum(truth == a and truth != b for truth, a, b in labelled)
    assert counts.churn == pytest.approx(sum(a != b for _, a, b in labelled) / len(labelled))
    assert sum((group.counts for group in comparison.classes), ledger.Counts()) == counts
    assert sum(pair.errors_a for pair in comparison.pairs) == counts.errors_a
    assert sum(pair.errors_b for pair in comparison.pairs) == counts.errors_b
    assert sum(pair.broken for pair in comparison.pairs) == counts.broken


def test_the_command_answers_for_programs_and_for_people(store, capsys, tmp_path):
    answer, err, code = told(capsys, "compare", "first", "second", "--store", str(store.store))
    assert code == 0
    names = (
        "a b n both_right fixed broken both_wrong_same both_wrong_other accuracy_a accuracy_b difference interval level"
    )
    names += " p_exact p_mid negative_flip_rate churn detectable verdict classes pairs by excluded floor"
    assert set(names.split()) <= answer.keys()
    assert (answer["verdict"], answer["detectable"], answer["excluded"]["truths_differ"]) == ("cannot_tell", None, 1)
    assert "joined first@1 with second@1" in err
    several, _, _ = told(capsys, "compare", "even@1", "worse", "bad", "--store", str(store.store))
    assert several["tables"] == ["even@1", "worse@1", "bad@1"]
    assert [len(several["comparisons"]), several["groups"]] == [3, [["even@1"], ["worse@1", "bad@1"]]]
    out = tmp_path / "answer.json"
    sg_main("compare", "first", "second", "--store", str(store.store), "-o", str(out))
    assert json.loads(out.read_text()) == answer
    capsys.readouterr()
    sg_main("compare", "worse", "even@1", "--store", str(store.store))
    said = capsys.readouterr().out
    assert said.startswith("even@1 errs less\n")
    assert "+4.0 points (95 %: +2.9 to +5.4)" in said
    sg_main("compare", "worse", "even@1", "--by", "size", "--format", "markdown", "--store", str(store.store))
    assert "| small |" in capsys.readouterr().out


def test_nothing_is_cut_in_silence(store, capsys):
    """Thirty classes of which twelve are drawn; the groups of each pair of several tables; columns too wide."""
    sg_main("compare", "right", "shifted", "--store", str(store.store))
    assert capsys.readouterr().out.count("18 more; --format json has all") == 2
    sg_main("compare", "right", "shifted", "--format", "markdown", "--store", str(store.store))
    assert capsys.readouterr().out.count("18 more; --format json has all") == 2
    assert store.compare("right", "shifted")._repr_html_().count("18 more; --format json has all") == 2
    several = ("compare", "even@1", "worse", "bad", "--store", str(store.store))
    sg_main(*several, "--by", "truth")
    said = capsys.readouterr().out
    assert said.startswith("even@1 errs less than worse@1\neven@1 errs less than bad@1\n")
    assert all(f"{pair}\n" in said for pair in ("even@1 → worse@1", "even@1 → bad@1", "worse@1 → bad@1"))


def test_json_is_strict_and_csv_is_ours(store, capsys):
    told_, _, _ = told(capsys, "compare", "unsure", "sure", "--by", "confidence", "--store", str(store.store))
    assert [group["value"] for group in told_["by"]] == [1.0, None]
    sg_main("compare", "unsure", "sure", "--format", "csv", "--store", str(store.store))
    head, row = capsys.readouterr().out.splitlines()
    assert dict(zip(head.split(","), row.split(","), strict=True))["fixed"] == "1"


def test_a_pattern_takes_a_bracket_as_it_stands(store):
    assert store.compare("a[1]-*@1").counts.broken == 1


def test_the_help_states_the_tests_worst_rate(capsys):
    sg_main("compare", "--help")
    said = " ".join(capsys.readouterr().out.split())
    assert f"of {paired.WORST_MID_AT} discordant examples in {paired.WORST_MID:.1f}" in said


def sg_main(*command: str) -> None:
    from secondguess.analysis.cli import main

    main(command)


def test_markdown_has_at_most_ten_examples_and_says_where_the_others_are(store, capsys):
    main(["compare", "worse", "bad", "--format", "markdown", "--store", str(store.store)])
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("| 0")]
    # Without scores no mistake is surer than another: by id. The first 20 are fixed, 40 to 64 broken.
    assert rows[:5] == [f"| 00{number} | broken | 1 | 0 |" for number in range(40, 45)]
    assert rows[5:] == [f"| 000{number} | fixed | 0 | 1 |" for number in range(5)]
    assert lines[-1] == "35 more; `secondguess ask ledger` has all"
