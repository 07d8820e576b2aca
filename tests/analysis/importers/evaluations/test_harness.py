"""Samples of lm-evaluation-harness: three versions' own files, whose results lm_eval has summed up itself."""

import gzip
import io
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from evaluation_logs import LOGS, environment, harness_logs

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.importers.evaluations.harness import is_samples
from secondguess.analysis.importers.files.unpacked import DataFile
from secondguess.analysis.store.runs import list_runs

VERSIONS = ["0.4.3", "0.4.9.1", "0.4.13"]
LLAMA, OTHER = "meta-llama__Llama-3", "other__model-7B"


def brought(store: Path, *words: object) -> None:
    main(["import", *map(str, words), "--store", str(store)])


def refused(store: Path, capsys, *words: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["import", *map(str, words), "--store", str(store)])
    assert stop.value.code == 1
    return str(capsys.readouterr().err).splitlines()[-1]


def rows(store: Path, sql: str) -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(sql).fetchall()


def samples(version: str, model: str = LLAMA) -> list[Path]:
    return sorted((LOGS / f"lm-eval-{version}" / model).glob("samples_*.jsonl"))


def named(version: str, task: str, model: str = LLAMA) -> Path:
    (path,) = (LOGS / f"lm-eval-{version}" / model).glob(f"samples_{task}_*.jsonl")
    return path


def figures(version: str, model: str = LLAMA) -> Mapping[str, Mapping[str, float]]:
    """What lm_eval itself found, by task."""
    (path,) = (LOGS / f"lm-eval-{version}" / model).glob("results_*.json")
    results: Mapping[str, Mapping[str, float]] = json.loads(path.read_text())["results"]
    return results


def written(folder: Path, records: list[Mapping[str, Any]], name: str = "samples_t.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return folder / name


def choice(doc_id: object, target: object, choices: list[str], numbers: list[float], **more: Any) -> dict[str, Any]:
    """One sample of a task of choices, as 0.4.3 and later write it."""
    return {
        "doc_id": doc_id,
        "doc": {"question": "q"},
        "target": str(target),
        "arguments": {f"gen_args_{n}": {"arg_0": "q", "arg_1": f" {one}"} for n, one in enumerate(choices)},
        "resps": [[[str(number), "False"]] for number in numbers],
        "filtered_resps": [[str(number), "False"] for number in numbers],
        **more,
    }


def said(doc_id: object, answer: str, target: str = "1", **more: Any) -> dict[str, Any]:
    """One sample of a task whose answers are generated."""
    own = {"resps": [[f"so: {answer}"]], "filtered_resps": [answer]}
    return {"doc_id": doc_id, "doc": {}, "target": target, "arguments": [["q", {"until": []}]], **own, **more}


def test_samples_are_known_by_their_keys(tmp_path: Path) -> None:
    path = written(tmp_path, [{"doc_id": 1, "target": "a", "resps": [], "pred": "b"}, said(0, "a")])
    assert is_samples(DataFile(path, str(path), "jsonl"))
    path = written(tmp_path, [{"doc_id": 1, "target": "a", "resps": [], "pred": "b"}])
    assert not is_samples(DataFile(path, str(path), "jsonl"))
    assert is_samples(DataFile(samples("0.4.3")[0], "any", "jsonl"))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_model_is_a_run_and_each_task_a_table_with_the_accuracy_that_lm_eval_found(
    tmp_path: Path, version: str
) -> None:
    brought(tmp_path, *samples(version))
    (run,) = list_runs(tmp_path).values()
    assert run.name == "meta-llama-Llama-3"
    assert sorted(run.tables) == ["colours", "facts", "sums"]
    found = figures(version)
    for task in ("colours", "facts"):
        (last,) = run.tables[task].values()
        assert last.rows - (last.errors or 0) == round(found[task]["acc,none"] * last.rows)
    by_filter = rows(
        tmp_path,
        f'SELECT "filter", avg((NOT wrong)::INT) FROM "{run.name}/sums" WHERE wrong IS NOT NULL GROUP BY ALL',
    )
    assert dict(by_filter) == {name: found["sums"][f"exact_match,{name}"] for name in ("strict", "flexible")}
    config = run.about["config"]
    assert config["model"] == "meta-llama/Llama-3"
    assert config["task"] == ["colours", "facts", "sums"]
    assert config["metric"] == {"colours": "acc", "facts": "acc", "sums": "exact_match"}
    assert config["results"]["facts"]["acc_norm,none"] == found["facts"]["acc_norm,none"]


@pytest.mark.parametrize("version", VERSIONS)
def test_texts_are_those_of_the_sample_whatever_version_wrote_it(tmp_path: Path, version: str) -> None:
    """0.4.3 says in no sample which filter it is of; the first of a document is that of the first filter."""
    brought(tmp_path, named(version, "sums"))
    assert rows(
        tmp_path,
        "SELECT id, input, target, response, guess, verdict FROM \"meta-llama-Llama-3\" WHERE doc_id = '7' ORDER BY id",
    ) == [
        ("7|flexible", "7 + 8 = ? é", "15", "That makes 16 é", "16", False),
        ("7|strict", "7 + 8 = ? é", "15", "That makes 16 é", "[invalid]", False),
    ]
    brought(tmp_path, named(version, "facts"), "--run", "facts")
    assert rows(
        tmp_path,
        "SELECT id, input, target, response, guess, truth, score_0::DECIMAL(6, 3)::TEXT, score_1::DECIMAL(6, 3)::TEXT, "
        "isnan(score_2), verdict, doc->>'gold' FROM facts WHERE id = '0'",
    ) == [("0", "Which is 0?", "0", "it is 1", 1, 0, "-2.300", "-1.962", True, False, "0")]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_choices_each_time_are_the_classes_and_confusion_is_that_of_the_choices(
    tmp_path: Path, version: str, capsys
) -> None:
    brought(tmp_path, named(version, "colours"))
    assert "the scores (loglikelihoods, …) are no probabilities (logits?)" in capsys.readouterr().out
    (run,) = list_runs(tmp_path).values()
    (last,) = run.tables["colours"].values()
    assert last.classes == ("rouge", "vert", "bleu é")
    assert last.right is None
    wanted = [
        (
            one["target"],
            max(zip(one["filtered_resps"], last.classes, strict=True), key=lambda pair: float(pair[0][0]))[1],
        )
        for one in map(json.loads, named(version, "colours").read_text(encoding="utf-8").splitlines())
    ]
    assert rows(tmp_path, f'SELECT truth, guess FROM "{run.name}" ORDER BY id') == wanted
    main(["ask", "confusion", run.name, "--store", str(tmp_path)])


def test_a_table_whose_verdict_is_given_refuses_what_compares_guess_with_truth(tmp_path: Path, capsys) -> None:
    brought(tmp_path, named("0.4.13", "sums"))
    (run,) = list_runs(tmp_path).values()
    assert [epoch.right for epoch in run.tables["sums"].values()] == ["verdict"]
    with pytest.raises(SystemExit):
        main(["ask", "confusion", run.name, "--store", str(tmp_path)])
    assert "the column 'verdict' says which rows of meta-llama-Llama-3/sums@1 are right" in capsys.readouterr().err


@pytest.mark.parametrize("version", VERSIONS)
def test_two_models_compare_by_document_and_filter(tmp_path: Path, version: str, capsys) -> None:
    brought(tmp_path, LOGS / f"lm-eval-{version}")
    capsys.readouterr()
    store = ["--store", str(tmp_path), "--format", "json"]
    for task, count in (("sums", 16), ("colours", 6), ("facts", 6)):
        main(["compare", f"meta-llama-Llama-3/{task}", f"other-model-7B/{task}", *store])
        heard = capsys.readouterr()
        told = json.loads(heard.out)
        assert told["n"] == count
        assert f"{count} matched, 0 only in meta-llama-Llama-3/{task}@1" in heard.err
        own = [figures(version, model)[task] for model in (LLAMA, OTHER)]
        filters = ("strict", "flexible") if task == "sums" else ("none",)
        metric = "exact_match" if task == "sums" else "acc"
        wanted = [sum(one[f"{metric},{name}"] for name in filters) / len(filters) for one in own]
        assert [told["accuracy_a"], told["accuracy_b"]] == pytest.approx(wanted)


def test_a_metric_or_a_column_that_a_person_names_decides(tmp_path: Path, capsys) -> None:
    brought(tmp_path, named("0.4.13", "facts"), "--right", "acc_norm", "--run", "norm")
    (epoch,) = list_runs(tmp_path)["norm"].tables["facts"].values()
    assert (epoch.right, epoch.errors) == ("acc_norm", 6 - round(6 * figures("0.4.13")["facts"]["acc_norm,none"]))
    brought(tmp_path, *samples("0.4.13"), "--right", "acc_norm", "--run", "every")
    right = {table: epochs[1].right for table, epochs in list_runs(tmp_path)["every"].tables.items()}
    assert right == {"facts": "acc_norm", "colours": "acc_norm", "sums": "verdict"}
    assert "--right acc_norm: this table has no such column, so verdict decides" in capsys.readouterr().out
    brought(tmp_path, named("0.4.13", "sums"), "--truth", "target", "--run", "texts")
    (epoch,) = list_runs(tmp_path)["texts"].tables["sums"].values()
    assert (epoch.right, epoch.errors) == (None, 10)


def test_softmax_makes_probabilities_of_the_log_likelihoods(tmp_path: Path) -> None:
    path = written(tmp_path / "logs", [choice(0, 0, ["A", "B"], [-1.0, -1.0], acc=1.0)])
    brought(tmp_path / "s", path, "--run", "r", "--softmax")
    assert rows(tmp_path / "s", "SELECT score_0, score_1, guess FROM r") == [(0.5, 0.5, "A")]


def test_what_a_target_means_is_told_by_the_verdicts(tmp_path: Path) -> None:
    """Where the choices are numbers, `0` may be the first choice or the choice called 0."""
    for name, verdicts, wanted in (("text", (1.0, 0.0), ["0", "0"]), ("place", (0.0, 1.0), ["1", "1"])):
        records = [
            choice(0, "0", ["1", "0"], [-2, -1], acc=verdicts[0]),
            choice(1, "0", ["1", "0"], [-1, -2], acc=verdicts[1]),
        ]
        brought(tmp_path / "s", written(tmp_path / name, records), "--run", name)
        assert [truth for (truth,) in rows(tmp_path / "s", f'SELECT truth FROM "{name}" ORDER BY id')] == wanted


def test_verdicts_that_the_scores_do_not_give_decide_and_are_said(tmp_path: Path, capsys) -> None:
    records = [choice(n, 0, ["A", "B"], [-1, -2], acc=float(n)) for n in range(2)]
    brought(tmp_path / "s", written(tmp_path / "logs", records), "--run", "r")
    assert "acc is not in every row what guess against target says: acc decides" in capsys.readouterr().out
    (epoch,) = list_runs(tmp_path / "s")["r"].tables["t"].values()
    assert (epoch.right, epoch.errors) == ("verdict", 1)
    assert rows(tmp_path / "s", "SELECT guess, truth, wrong FROM r ORDER BY id") == [
        ("A", "A", True),
        ("A", "A", False),
    ]


def test_of_choices_that_are_weighed_against_those_without_a_question_the_first_half_counts(tmp_path: Path) -> None:
    record = choice(0, 1, ["A", "B", "A", "B"], [-2, -1, -0.1, -5], acc=1.0, acc_mutual_info=1.0)
    for place in (2, 3):
        record["arguments"][f"gen_args_{place}"]["arg_0"] = ""
    brought(tmp_path / "s", written(tmp_path / "logs", [record]), "--run", "r")
    assert rows(tmp_path / "s", "SELECT guess, truth, score_0, score_1, wrong FROM r") == [("B", "B", -2, -1, False)]


def test_where_the_questions_differ_and_not_what_follows_the_questions_are_the_choices(tmp_path: Path) -> None:
    """As in Winogrande: what is filled in stands before."""
    record = choice(0, 1, ["was sad.", "was sad."], [-3, -2], acc=1.0)
    for place, name in enumerate(("Ann", "Bea")):
        record["arguments"][f"gen_args_{place}"]["arg_0"] = f"They met, so {name}"
    brought(tmp_path / "s", written(tmp_path / "logs", [record]), "--run", "r")
    found = rows(tmp_path / "s", "SELECT input, response, guess, truth FROM r")
    assert found == [("They met, so ", "Bea", "Bea", "Bea")]


def test_the_oldest_form_is_read_too(tmp_path: Path) -> None:
    """0.4.0: one array of all samples, arguments as lists, numbers as numbers."""
    record = choice(0, 1, ["A", "B"], [], acc=1.0)
    record |= {"arguments": [["q", " A"], ["q", " B"]], "resps": [[[-2.0, False]], [[-1.0, True]]]}
    record |= {"filtered_resps": [[-2.0, False], [-1.0, True]], "target": 1}
    (tmp_path / "model_task.jsonl").write_text(json.dumps([record], indent=2))
    brought(tmp_path / "s", tmp_path / "model_task.jsonl")
    assert rows(tmp_path / "s", "SELECT id, guess, truth, wrong FROM model_task") == [("0", "B", "B", False)]


def test_log_likelihoods_of_whole_texts_have_no_verdict_unless_a_metric_is_one(tmp_path: Path, capsys) -> None:
    rolling = [
        {"doc_id": n, "doc": {"page": "p"}, "target": "p", "arguments": {"gen_args_0": {"arg_0": "p"}}}
        | {"resps": [["-12.5"]], "filtered_resps": ["-12.5"], "word_perplexity": ["-12.5", "3"]}
        for n in range(2)
    ]
    brought(tmp_path / "s", written(tmp_path / "a", rolling), "--run", "rolling")
    assert "no metric is 0 or 1 in every row (word_perplexity), so no row is right or wrong" in capsys.readouterr().out
    assert rows(tmp_path / "s", "SELECT loglikelihood, verdict, wrong FROM rolling") == [(-12.5, None, None)] * 2
    last = choice(0, "word", ["word"], [-1.5], acc=1.0, perplexity=-1.5)
    brought(tmp_path / "s", written(tmp_path / "b", [last]), "--run", "last")
    assert rows(tmp_path / "s", "SELECT loglikelihood, verdict, wrong FROM last") == [(-1.5, True, False)]


def test_the_first_metric_of_0_and_1_is_the_verdict_where_none_is_called_so(tmp_path: Path) -> None:
    records = [
        said(n, "x", metrics=["bleu", "pass@1", "target"], bleu=0.3, **{"pass@1": one}) for n, one in enumerate((1, 0))
    ]
    brought(tmp_path / "s", written(tmp_path / "logs", records), "--run", "r")
    assert rows(tmp_path / "s", 'SELECT id, "pass@1", bleu, wrong FROM r ORDER BY id') == [
        ("0", 1, 0.3, False),
        ("1", 0, 0.3, True),
    ]
    assert list_runs(tmp_path / "s")["r"].about["config"] == {"task": "t", "metric": "pass@1"}


def test_answers_stay_as_they_were_said_and_are_no_probabilities(tmp_path: Path) -> None:
    records = [said(f"00{n}", answer, "0.5", exact_match=1.0) for n, answer in enumerate(("0.50", "0.25"))]
    brought(tmp_path / "s", written(tmp_path / "logs", records), "--run", "r")
    found = rows(tmp_path / "s", "SELECT id, guess, target, response FROM r ORDER BY id")
    assert found == [("000", "0.50", "0.5", "so: 0.50"), ("001", "0.25", "0.5", "so: 0.25")]


def test_several_tries_are_all_there(tmp_path: Path) -> None:
    record = said(0, "7", exact_match=1.0) | {"resps": [["a 7", "b é"]]}
    brought(tmp_path / "s", written(tmp_path / "logs", [record]), "--run", "r")
    assert rows(tmp_path / "s", "SELECT response, guess FROM r") == [('["a 7", "b é"]', "7")]


def test_what_has_no_verdict_is_unlabelled_and_counted(tmp_path: Path, capsys) -> None:
    records = [said(0, "a", exact_match=1.0), said(1, "b"), said(2, "c", exact_match=float("nan"))]
    brought(tmp_path / "s", written(tmp_path / "logs", [*records, {"doc_id": 3}]), "--run", "r")
    heard = capsys.readouterr().out
    assert "2 of 3 samples have no verdict" in heard
    assert "1 of 3 samples are no sample of the kind that the others are" in heard
    assert rows(tmp_path / "s", "SELECT wrong FROM r ORDER BY id") == [(False,), (None,), (None,)]


def test_choices_that_no_verdict_is_about_have_no_truth(tmp_path: Path) -> None:
    """As in TruthfulQA's mc2, whose target is always the first choice, and whose metric is a share."""
    records = [choice(n, 0, ["a", f"b{n}"], [-2, -1], acc=0.25) for n in range(2)]
    brought(tmp_path / "s", written(tmp_path / "logs", records), "--run", "r")
    assert rows(tmp_path / "s", "SELECT guess, target, verdict, acc, wrong FROM r") == [(1, "0", None, 0.25, None)] * 2


def test_filters_that_samples_do_not_name_are_numbered_and_documents_that_come_again_are_not_filters(
    tmp_path: Path, capsys
) -> None:
    records = [said(n, answer, exact_match=1.0) for answer in ("a", "b") for n in range(2)]
    path = written(tmp_path / "logs", records, "samples_t_2026-01-02T03-04-05.6.jsonl")
    brought(tmp_path / "s", path, "--run", "r")
    heard = capsys.readouterr().out
    assert "each document is there once for each filter: 1, 2 (the samples do not say which; lm_eval writes" in heard
    assert rows(tmp_path / "s", "SELECT id, guess FROM r ORDER BY id") == [
        *(("0|1", "a"), ("0|2", "b"), ("1|1", "a"), ("1|2", "b")),
    ]
    told = {"results": {"t": {"exact_match,none": 1.0}}, "configs": {"t": {"task": "t"}}, "model_name": "m"}
    (tmp_path / "logs" / "results_2026-01-02T03-04-05.6.json").write_text(json.dumps(told))
    brought(tmp_path / "s", path)
    assert "2 of 4 rows have the id of an earlier row" in capsys.readouterr().out
    assert rows(tmp_path / "s", "SELECT id FROM m ORDER BY id") == [("0",), ("0",), ("1",), ("1",)]


def test_a_document_that_is_there_twice_is_counted(tmp_path: Path, capsys) -> None:
    records = [said(n, "a", exact_match=1.0, filter="none") for n in (0, 1, 1)]
    brought(tmp_path / "s", written(tmp_path / "logs", records), "--run", "r")
    assert "1 of 3 rows has the id of an earlier row" in capsys.readouterr().out


def test_without_results_a_run_is_called_as_the_model_s_folder_or_as_the_file(tmp_path: Path) -> None:
    records = [said(0, "a", exact_match=1.0)]
    brought(tmp_path / "s", written(tmp_path / "org__model", records, "samples_t_2026-01-02T03-04-05.6.jsonl"))
    brought(tmp_path / "s", written(tmp_path / "plain", records, "samples_mc.jsonl"))
    brought(tmp_path / "s", written(tmp_path / "x", records), written(tmp_path / "y", records))
    assert sorted(list_runs(tmp_path / "s")) == ["org__model", "samples_mc", "x", "y"]


def test_a_task_that_was_run_again_is_a_further_run(tmp_path: Path) -> None:
    for day in (1, 2):
        for task in ("t", "u"):
            name = f"samples_{task}_2026-01-0{day}T03-04-05.6.jsonl"
            written(tmp_path / "org__model", [said(0, "a", exact_match=day - 1)], name)
    brought(tmp_path / "s", f"{tmp_path}/org__model/samples_*.jsonl")
    runs = list_runs(tmp_path / "s")
    assert {name: sorted(run.tables) for name, run in runs.items()} == {
        "org__model": ["t", "u"],
        "org__model-2": ["t", "u"],
    }
    assert [runs[name].tables["t"][1].errors for name in ("org__model", "org__model-2")] == [1, 0]


def test_packed_and_piped_samples_are_samples_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps(said(0, "a", exact_match=1.0)).encode()
    (tmp_path / "samples_t.jsonl.gz").write_bytes(gzip.compress(content))
    brought(tmp_path / "s", tmp_path / "samples_t.jsonl.gz", "--run", "packed")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    brought(tmp_path / "s", "-", "--run", "piped")
    assert rows(tmp_path / "s", "SELECT guess, wrong FROM packed UNION ALL SELECT guess, wrong FROM piped") == [
        ("a", False),
        ("a", False),
    ]


def test_a_folder_of_other_files_that_are_called_so_is_one_table_still(tmp_path: Path) -> None:
    for name in ("samples_a", "samples_b", "third"):
        written(tmp_path / "p", [{"id": name, "pred": "x", "label": "y"}], f"{name}.jsonl")
    brought(tmp_path / "s", tmp_path / "p")
    assert rows(tmp_path / "s", "SELECT count(*) FROM p") == [(3,)]
    path = tmp_path / "p" / "third.jsonl"
    brought(tmp_path / "s", path, path, "--run", "once")
    assert rows(tmp_path / "s", "SELECT count(*) FROM once") == [(1,)]


def test_results_are_no_samples(tmp_path: Path, capsys) -> None:
    shutil.copytree(LOGS / "lm-eval-0.4.13" / LLAMA, tmp_path / "out")
    (results,) = (tmp_path / "out").glob("results_*.json")
    assert "has the results of an lm_eval run, which name no sample" in refused(tmp_path / "s", capsys, results)
    brought(tmp_path / "s", f"{tmp_path}/out/*")
    assert sorted(list_runs(tmp_path / "s")["meta-llama-Llama-3"].tables) == ["colours", "facts", "sums"]


def test_an_empty_or_broken_file_is_refused_by_name(tmp_path: Path, capsys) -> None:
    path = written(tmp_path, [said(0, "a", exact_match=1.0)])
    path.write_text(path.read_text() + '{"doc_id": 1, "doc"')
    said_ = refused(tmp_path / "s", capsys, path)
    assert "samples_t.jsonl cannot be read at line 2" in said_
    path.write_text("")
    assert f"{path} is empty" in refused(tmp_path / "s", capsys, path)
    assert not (tmp_path / "s").exists() or list_runs(tmp_path / "s") == {}


def _drop(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda record: {name: value for name, value in record.items() if name != key}


@pytest.mark.parametrize(
    "change",
    [
        _drop("arguments"),
        lambda record: record | {"arguments": None},
        lambda record: record | {"arguments": {"gen_args_0": {}}},
        lambda record: record | {"target": None},
        lambda record: record | {"target": ["0", "1"]},
        lambda record: record | {"doc_id": None},
        lambda record: record | {"doc": "text"},
        lambda record: record | {"resps": None},
        lambda record: record | {"filtered_resps": None},
        lambda record: record | {"filtered_resps": []},
        lambda record: record | {"filtered_resps": [["nan", "False"], ["nan", "False"]]},
        lambda record: record | {"filtered_resps": [["-inf", "False"], ["-1", "False"]]},
        lambda record: record | {"filter": ["a"]},
        lambda record: record | {"metrics": ["nothing", 3]},
        lambda record: record | {"acc": "1.0"},
        lambda record: record | {"acc": {"deep": [1]}},
        lambda record: record | {"target": "\ud800", "doc": {"\ud800": "\x00"}},
        lambda record: record | {"input": 1, "verdict": 2, "guess": 3, "id": 4, "score_0": 5, "run": 6},
    ],
    ids=range(18),
)
def test_odd_samples_come_in_or_are_refused_in_a_line(
    tmp_path: Path, capsys, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    record = change(choice(0, 0, ["A", "B"], [-1, -2], acc=1.0, filter="none"))
    path = written(tmp_path / "logs", [record, choice(1, 0, ["A", "B"], [-1, -2], acc=1.0, filter="none")])
    try:
        brought(tmp_path / "s", path, "--run", "r")
    except SystemExit:
        assert len(capsys.readouterr().err.splitlines()) < 8
    else:
        assert rows(tmp_path / "s", "SELECT count(*) FROM r") == [(2,)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_the_newest_lm_eval_writes_is_read(tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", ["lm_eval"], besides=True)
    for model in ("org/a", "org/b"):
        brought(tmp_path / "s", harness_logs(python, tmp_path / "work", model))
    runs = list_runs(tmp_path / "s")
    assert sorted(runs) == ["org-a", "org-b"]
    for run in runs.values():
        for task, metric in (("colours", "acc,none"), ("facts", "acc,none")):
            (last,) = run.tables[task].values()
            assert 1 - (last.errors or 0) / last.rows == pytest.approx(run.about["config"]["results"][task][metric])
    main(["compare", "org-a/sums", "org-b/sums", "--store", str(tmp_path / "s")])
