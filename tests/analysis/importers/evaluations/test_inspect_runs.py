"""Inspect's logs, written by three versions in both formats, whose results Inspect has summed up itself."""

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from evaluation_logs import LOGS, chunked, environment, inspect_log

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.importers.evaluations.inspect_log import is_log
from secondguess.analysis.importers.evaluations.inspect_samples import number_of
from secondguess.analysis.store.runs import list_runs

VERSIONS = ["0.3.45", "0.3.120", "0.3.285"]


def brought(store: Path, *words: object) -> None:
    main(["import", *map(str, words), "--store", str(store)])


def refused(store: Path, capsys, *words: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["import", *map(str, words), "--store", str(store)])
    assert stop.value.code == 1
    return str(capsys.readouterr().err).splitlines()[-1]


def rows(store: Path, sql: str) -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(sql).fetchall()


def log(version: str, task: str, form: str = "eval") -> Path:
    (path,) = (LOGS / f"inspect-{version}").glob(f"*_{task}_*.{form}")
    return path


def sample(id_: object, value: Any, **more: Any) -> dict[str, Any]:
    """One sample as the JSON format has it."""
    message = {"role": "assistant", "content": f"say {id_}"}
    output = {"model": "m", "choices": [{"message": message, "stop_reason": "stop"}]}
    scores = {} if value is None else {"judge": {"value": value, "answer": f"a{id_}", "explanation": "since"}}
    return {"id": id_, "epoch": 1, "input": "q", "target": "t", "output": output, "scores": scores} | more


def written(path: Path, samples: list[Mapping[str, Any]], **more: Any) -> Path:
    """A log in the JSON format."""
    head = {"run_id": "r", "task": "quiz", "model": "org/model", "dataset": {"samples": len(samples)}, "config": {}}
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"version": 2, "status": "success", "eval": head, "results": {}} | more | {"samples": samples}
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def test_logs_are_known_by_their_beginning(tmp_path: Path) -> None:
    assert is_log(log("0.3.45", "sums", "json")) and is_log(log("0.3.45", "sums"))
    (tmp_path / "p.json").write_text('{"version": 2, "status": "done", "rows": [{"id": "a", "pred": 1}]}')
    assert not is_log(tmp_path / "p.json")


@pytest.mark.parametrize("version", VERSIONS)
def test_choices_asked_twice_are_told_apart_by_their_epoch_and_judged_by_the_target(
    tmp_path: Path, version: str
) -> None:
    """The mock model says A, C, A, C and then A, B, A, C, of which Inspect finds 3 right."""
    brought(tmp_path, log(version, "capitals"))
    (run,) = list_runs(tmp_path).values()
    assert (run.name, list(run.tables)) == ("mockllm-model", ["capitals"])
    assert rows(
        tmp_path, 'SELECT id, input, target, response, guess, truth, verdict, choice FROM "mockllm-model" ORDER BY id'
    ) == [
        ("007|1", "Which are in Africa or Europe?", "A, B", "ANSWER: C", "C", "A, B", False, "I"),
        ("007|2", "Which are in Africa or Europe?", "A, B", "ANSWER: C", "C", "A, B", False, "I"),
        ("q0|1", "Which one is number 0?", "A", "ANSWER: A", "A", "A", True, "C"),
        ("q0|2", "Which one is number 0?", "A", "ANSWER: A", "A", "A", True, "C"),
        ("q1|1", "Which one is number 1?", "B", "ANSWER: C", "C", "B", False, "I"),
        ("q1|2", "Which one is number 1?", "B", "ANSWER: B", "B", "B", True, "C"),
        ("q2|1", "Which one is number 2?", "C", "ANSWER: A", "A", "C", False, "I"),
        ("q2|2", "Which one is number 2?", "C", "ANSWER: A", "A", "C", False, "I"),
    ]
    config = run.about["config"]
    assert (config["model"], config["task"], config["metric"]) == ("mockllm/model", "capitals", "choice")
    assert config["results"]["capitals"]["choice,accuracy"] == 3 / 8
    (epoch,) = run.tables["capitals"].values()
    assert (epoch.rows, epoch.errors, epoch.right) == (8, 5, None)
    main(["ask", "confusion", run.name, "--store", str(tmp_path)])


@pytest.mark.parametrize("version", VERSIONS)
def test_texts_are_judged_by_the_first_scorer_and_another_may_be_named(tmp_path: Path, version: str, capsys) -> None:
    brought(tmp_path, log(version, "sums"))
    (run,) = list_runs(tmp_path).values()
    (epoch,) = run.tables["sums"].values()
    found = run.about["config"]["results"]["sums"]
    assert (epoch.right, 1 - epoch.errors / epoch.rows) == ("verdict", found["match,accuracy"])
    assert rows(tmp_path, f'SELECT avg(closeness) FROM "{run.name}"') == [(found["closeness,accuracy"],)]
    with pytest.raises(SystemExit):
        main(["ask", "confusion", run.name, "--store", str(tmp_path)])
    assert "the column 'verdict' says which rows" in capsys.readouterr().err


@pytest.mark.parametrize("version", VERSIONS)
def test_both_formats_compare_by_sample(tmp_path: Path, version: str, capsys) -> None:
    brought(tmp_path, log(version, "sums"), log(version, "sums", "json"))
    capsys.readouterr()
    main(["compare", "mockllm-model", "mockllm-other", "--store", str(tmp_path), "--format", "json"])
    heard = capsys.readouterr()
    told = json.loads(heard.out)
    assert told["n"] == 4 and "4 matched, 0 only in mockllm-model/sums@1" in heard.err
    found = [run.about["config"]["results"]["sums"]["match,accuracy"] for run in list_runs(tmp_path).values()]
    assert [told["accuracy_a"], told["accuracy_b"]] == found


@pytest.mark.parametrize("version", VERSIONS)
def test_samples_with_an_error_or_at_a_limit_are_said(tmp_path: Path, version: str, capsys) -> None:
    brought(tmp_path, log(version, "broken"))
    heard = capsys.readouterr().out
    assert "1 of 3 samples ended with an error" in heard and "1 of 3 samples have no score" in heard
    # 0.3.45 wrote the limit into no sample.
    assert ("1 of 3 samples ended at a limit" in heard) == (version != "0.3.45")
    assert rows(tmp_path, 'SELECT id, input, response, error, wrong FROM "mockllm-model" ORDER BY id') == [
        ("bad", "1 + 1 = ?", None, "RuntimeError('the sandbox é was gone')", None),
        ("good", "0 + 1 = ?", "1", None, False),
        ("long", "system: Be brief.\n\nuser: 2 + 1 = ?\n\nuser: Go!", None, None, True),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_log_that_was_cut_off_comes_in_with_what_is_there(tmp_path: Path, version: str, capsys) -> None:
    brought(tmp_path, log(version, "cut"))
    assert "the log has no end: its run is still going or was cut off; it has 2 of 3 samples" in capsys.readouterr().out
    assert rows(tmp_path, 'SELECT id, guess FROM "mockllm-model" ORDER BY id') == [("one", "1"), ("two", "2")]
    main(["runs", "--store", str(tmp_path)])
    assert "interrupted" in capsys.readouterr().out


def test_samples_in_pieces_are_read_as_whole_ones(tmp_path: Path) -> None:
    (pieces,) = (LOGS / "inspect-0.3.285" / "chunked").glob("*.eval")
    brought(tmp_path, log("0.3.285", "capitals"), "--run", "whole")
    brought(tmp_path, pieces, "--run", "pieces")
    columns = "id, input, target, response, guess, truth, verdict, explanation"
    whole = rows(tmp_path, f"SELECT {columns} FROM whole ORDER BY id")
    assert len(whole) == 8
    assert rows(tmp_path, f"SELECT {columns} FROM pieces ORDER BY id") == whole


@pytest.mark.parametrize("version", VERSIONS)
def test_a_folder_of_logs_is_a_run_for_each_model_with_a_table_for_each_task(tmp_path: Path, version: str) -> None:
    shutil.copytree(LOGS / f"inspect-{version}", tmp_path / "logs", ignore=shutil.ignore_patterns("chunked"))
    (tmp_path / "logs" / "notes.csv").write_text("a,b\n1,2\n")
    brought(tmp_path / "s", tmp_path / "logs")
    runs = list_runs(tmp_path / "s")
    assert {name: sorted(run.tables) for name, run in runs.items()} == {
        "mockllm-model": ["broken", "capitals", "cut", "sums"],
        "mockllm-other": ["sums"],
    }
    brought(tmp_path / "t", tmp_path / "logs" / "*.eval")
    assert list(list_runs(tmp_path / "t")) == ["mockllm-model"]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *[("C", 1), ("P", 0.5), ("I", 0), ("N", 0), ("yes", 1), ("True", 1), ("no", 0), ("FALSE", 0)],
        *[(True, 1), (False, 0), (1, 1), (0.25, 0.25), ("0.5", 0.5), ("good", None), (None, None), ("c", None)],
    ],
)
def test_values_count_as_inspect_counts_them(value: Any, number: float | None) -> None:
    """`value_to_float` of inspect_ai, which says 0 with a warning where ours has no number."""
    assert number_of(value) == number


def test_what_is_partly_right_is_not_right_and_that_is_said(tmp_path: Path, capsys) -> None:
    samples = [sample(1, "C"), sample(2, "P"), sample(3, "I"), sample(4, float("nan")), sample(5, None)]
    brought(tmp_path / "s", written(tmp_path / "a.json", samples), "--run", "r")
    heard = capsys.readouterr().out
    assert "1 of 5 samples have a score between 0 and 1 (P is a half), which is not right" in heard
    assert "2 of 5 samples have no score" in heard
    assert rows(tmp_path / "s", "SELECT id, guess, explanation, wrong FROM r ORDER BY id") == [
        ("1", "a1", "since", False),
        *(("2", "a2", "since", True), ("3", "a3", "since", True), ("4", "a4", "since", None), ("5", None, None, None)),
    ]


def test_scores_of_several_values_are_columns_and_marks_from_1_to_10_no_verdict(tmp_path: Path, capsys) -> None:
    samples = [sample(n, {"mark": 5 + n, "fluent": True}) for n in (1, 2)]
    brought(tmp_path / "s", written(tmp_path / "a.json", samples), "--run", "r")
    assert rows(tmp_path / "s", "SELECT judge_mark, judge_fluent, wrong FROM r ORDER BY id") == [
        (6, True, False),
        (7, True, False),
    ]
    marks = [sample(n, 5 + n) for n in (1, 2)]
    brought(tmp_path / "s", written(tmp_path / "b.json", marks), "--run", "marks")
    assert "no scorer's values are all from 0 to 1 (judge), so no sample is right or wrong" in capsys.readouterr().out
    assert rows(tmp_path / "s", "SELECT judge, wrong FROM marks ORDER BY id") == [(6, None), (7, None)]


def test_what_json_lacks_is_text_in_the_run_s_config(tmp_path: Path) -> None:
    """NaN is what a metric is that divides by nothing."""
    head = {"run_id": "r", "task": "\ud800", "model": "m\ud800", "model_args": {"\ud800": [float("inf"), "\ud800"]}}
    results = {"scores": [{"name": "s", "metrics": {"accuracy": {"value": float("nan")}}}]}
    brought(tmp_path / "s", written(tmp_path / "a.json", [sample(1, "C")], eval=head, results=results))
    (run,) = list_runs(tmp_path / "s").values()
    assert (run.name, list(run.tables)) == ("m\ufffd", ["\ufffd"])
    assert run.about["config"] == {
        **{"model": "m\ufffd", "task": "\ufffd", "metric": "judge", "run_id": "r"},
        "model_args": {"\ufffd": ["Infinity", "\ufffd"]},
        "results": {"\ufffd": {"s,accuracy": "NaN"}},
    }


def test_a_model_with_samples_that_failed_compares_with_one_that_has_none(tmp_path: Path, capsys) -> None:
    """The choices of the one are judged against the target, those of the other by what the scorer said."""
    for model, said in (("a", ["A", "B", "C", "A"]), ("b", ["A", "A", "B", None])):
        samples = [
            sample(n, None if answer is None else "CI"[answer != right], choices=["x", "y", "z"], target=right)
            for n, (answer, right) in enumerate(zip(said, "ABBA", strict=True))
        ]
        for one, answer in zip(samples, said, strict=True):
            if answer is not None:
                one["scores"]["judge"]["answer"] = answer
        head = {"run_id": "r", "task": "quiz", "model": model, "dataset": {"samples": 4}}
        brought(tmp_path / "s", written(tmp_path / f"{model}.json", samples, eval=head))
    runs = list_runs(tmp_path / "s")
    assert [runs[name].tables["quiz"][1].right for name in "ab"] == [None, "verdict"]
    assert rows(tmp_path / "s", "SELECT id, wrong FROM b ORDER BY id") == [
        *(("0", False), ("1", True), ("2", False), ("3", None)),
    ]
    capsys.readouterr()
    main(["compare", "a", "b", "--store", str(tmp_path / "s"), "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["n"], told["fixed"], told["broken"]) == (3, 1, 1)


def test_a_run_that_failed_or_was_cancelled_says_so(tmp_path: Path, capsys) -> None:
    head = {"run_id": "r", "task": "quiz", "model": "m", "dataset": {"samples": 3}, "config": {"epochs": 2}}
    path = written(
        tmp_path / "a.json", [sample(1, "C")], status="error", eval=head, error={"message": "no key\nat all"}
    )
    brought(tmp_path / "s", path)
    assert "the run ended as 'error': no key; the log has 1 of 6 samples" in capsys.readouterr().out
    brought(tmp_path / "s", written(tmp_path / "b.json", [sample(1, "C")], status="cancelled"))
    assert "the run ended as 'cancelled'; the log has 1 of 1 samples" in capsys.readouterr().out


def test_a_log_without_samples_is_refused_and_left_out_beside_others(tmp_path: Path, capsys) -> None:
    empty = written(tmp_path / "empty.json", [], status="error")
    said = f"{empty} has no samples, so there is nothing to import"
    assert refused(tmp_path / "s", capsys, empty) == f"secondguess: {said}"
    brought(tmp_path / "s", empty, written(tmp_path / "whole.json", [sample(1, "C")]))
    assert f"left out: {said}" in capsys.readouterr().err
    assert list(list_runs(tmp_path / "s")) == ["org-model"]


def test_a_sample_that_is_too_long_for_json_is_refused_with_what_to_do(tmp_path: Path, capsys) -> None:
    path = written(tmp_path / "a b.json", [sample(1, "C", store={"text": "x" * (17 << 20)})])
    said = refused(tmp_path / "s", capsys, path)
    assert "is longer than 16,777,216 characters" in said
    assert f"as .eval it may be longer: inspect log convert '{path}' --to eval --output-dir ." in said


def test_a_broken_log_is_refused_by_name(tmp_path: Path, capsys) -> None:
    half = tmp_path / "half.eval"
    half.write_bytes(log("0.3.285", "sums").read_bytes()[:3000])
    assert f"{half} cannot be read: " in refused(tmp_path / "s", capsys, half)
    text = log("0.3.120", "sums", "json").read_text()
    (tmp_path / "half.json").write_text(text[: len(text) // 2])
    assert "half.json cannot be read at sample" in refused(tmp_path / "s", capsys, tmp_path / "half.json")
    with zipfile.ZipFile(tmp_path / "other.eval", "w") as other:
        other.writestr("a", "b")
    assert "is no log of Inspect's: it has neither header.json nor" in refused(
        tmp_path / "s", capsys, tmp_path / "other.eval"
    )
    assert not (tmp_path / "s").exists() or list_runs(tmp_path / "s") == {}


def test_texts_that_lie_beside_the_sample_are_put_in(tmp_path: Path) -> None:
    talk = [
        {"role": "user", "content": [{"type": "text", "text": "attachment://abc"}, {"type": "image", "image": "x"}]}
    ]
    one = sample(1, "C", input=talk, attachments={"abc": "a long question"})
    brought(tmp_path / "s", written(tmp_path / "a.json", [one]), "--run", "r")
    assert rows(tmp_path / "s", "SELECT input, response FROM r") == [("a long question\n[image]", "say 1")]


@pytest.mark.parametrize(
    "change",
    [
        lambda one: {},
        lambda one: {"id": 1},
        lambda one: one | {"id": None, "epoch": "x"},
        lambda one: one | {"input": None, "target": None, "output": None, "scores": None},
        lambda one: one | {"input": 5, "target": [1, "a"], "output": [], "scores": []},
        lambda one: one | {"output": {"choices": [{}], "completion": "x"}},
        lambda one: one | {"scores": {"judge": "C"}},
        lambda one: one | {"scores": {"judge": {"value": [1, 2]}}},
        lambda one: one | {"scores": {"input": {"value": "C", "answer": {"a": 1}}}},
        lambda one: one | {"scores": None, "score": {"value": "C"}},
        lambda one: one | {"error": "text", "limit": 5, "metadata": {"\ud800": float("inf")}},
        lambda one: one | {"choices": ["a", 5], "target": "A"},
        lambda one: one | {"attachments": [1], "input": "attachment://nothing"},
        lambda one: 7,
    ],
    ids=range(14),
)
def test_odd_samples_come_in_or_are_refused_in_a_line(tmp_path: Path, capsys, change: Callable[[Any], Any]) -> None:
    path = written(tmp_path / "a.json", [change(sample(1, "C")), sample(2, "I")])
    try:
        brought(tmp_path / "s", path, "--run", "r")
    except SystemExit:
        assert len(capsys.readouterr().err.splitlines()) < 8
    else:
        assert rows(tmp_path / "s", "SELECT count(*) FROM r WHERE id = '2'") == [(1,)]


@pytest.mark.parametrize(
    "eval_", [None, [], {"run_id": 1}, {"run_id": 1, "model": 5, "task": [], "dataset": 3, "config": {"epochs": "x"}}]
)
def test_an_odd_head_is_no_fault_of_the_samples(tmp_path: Path, eval_: Any) -> None:
    path = written(tmp_path / "a.json", [sample(2, "I")], eval=eval_, results=[], error=4, run_id="x")
    path.write_text(path.read_text().replace('"eval": null', '"eval": {"run_id": "x"}'))
    brought(tmp_path / "s", path, "--run", "r")
    assert rows(tmp_path / "s", "SELECT id, wrong FROM r") == [("2", True)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_the_newest_inspect_writes_is_read(tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", ["inspect_ai"])
    for form in ("eval", "json"):
        for task, count in (("capitals", 8), ("sums", 4), ("broken", 3), ("cut", 2)):
            path = inspect_log(python, tmp_path / "work", task, "model", form)
            if (task, form) == ("cut", "json"):
                continue  # what of it is on disk by then differs
            brought(tmp_path / "s", path, "--run", f"{task}-{form}")
            (epoch,) = list_runs(tmp_path / "s")[f"{task}-{form}"].tables[task].values()
            assert epoch.rows == count
            figures = list_runs(tmp_path / "s")[f"{task}-{form}"].about["config"].get("results", {}).get(task, {})
            if task in {"capitals", "sums"}:
                scorer = "choice" if task == "capitals" else "match"
                assert 1 - epoch.errors / epoch.rows == figures[f"{scorer},accuracy"]
    (tmp_path / "pieces").mkdir()
    whole = inspect_log(python, tmp_path / "again", "capitals", "model", "eval")
    brought(tmp_path / "s", chunked(python, whole, tmp_path / "pieces"), "--run", "pieces")
    assert rows(tmp_path / "s", "SELECT count(*) FROM pieces WHERE response LIKE 'ANSWER: _'") == [(8,)]
