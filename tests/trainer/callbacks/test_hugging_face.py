"""Evaluations of transformers' Trainer become tables; its compute_metrics sees what it saw without us."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from many_ranks import read
from needs_torch import torch
from readme import block

import secondguess as sg
from secondguess.analysis.store.runs import find_run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of the library about itself

VAL = "val_predictions"
LOOP = Path(__file__).parents[2] / "support/transformers_loop.py"
NAMES = ["neg", "pos"]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The library, which reaches for no network and no home folder."""
    pytest.importorskip("transformers", reason="needs transformers and accelerate: pip install transformers[torch]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        import transformers_loop

        yield transformers_loop


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)


def callback(store: Path, **how: Any) -> Any:
    return sg.callbacks.HuggingFacePredictions(store, run="bert", **how)


def moments(store: Path, table: str = VAL) -> list[str]:
    return [str(moment) for moment in find_run(store, "bert").tables.get(table, {})]


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.name == "secondguess"]


def texts_of(loop: Any, data: Any) -> list[str]:
    return [" ".join(loop.WORDS[token] for token in tokens) for tokens in data.tokens.tolist()]


def contents(store: Path) -> dict[str, str]:
    files = [str(path) for path in (store / "examples").glob("*.parquet")]
    return dict(duckdb.sql(f"SELECT id, content FROM read_parquet({files}) ORDER BY id").fetchall())


@pytest.mark.parametrize("metrics", [True, False])
def test_each_evaluation_is_recorded_whole_and_the_training_is_the_same(
    loop: Any, tmp_path: Path, metrics: bool
) -> None:
    """Where there is no compute_metrics, the Trainer itself gathers no predictions."""
    import transformers

    saw: list[list[Any]] = []

    def compute(said: Any) -> dict[str, float]:
        saw.append([said.predictions.copy(), said.label_ids.copy()])
        return loop.accuracy(said)  # type: ignore[no-any-return]

    how = {"compute_metrics": compute} if metrics else {}
    recorder = callback(tmp_path)
    assert isinstance(recorder, transformers.TrainerCallback)
    trainer = loop.trainer_of(tmp_path / "root", loop.model_of(), recorder, **how)
    trainer.train()
    data = loop.Texts()
    expected = [(epoch, str(n), NAMES[data.truth[n]]) for epoch in (1, 2) for n in range(loop.EXAMPLES)]
    assert read(tmp_path, "bert", VAL, "epoch, id, truth") == expected
    with torch.no_grad():
        scores = torch.softmax(trainer.model.eval()(input_ids=data.tokens).logits, 1)
    rows = torch.tensor(read(tmp_path, "bert", VAL, "score_0, score_1"))
    assert torch.allclose(rows[loop.EXAMPLES :], scores, atol=1e-6)
    run = find_run(tmp_path, "bert")
    assert run.state == "finished" and run.about["classes"] == NAMES
    recorded = duckdb.sql(f"SELECT DISTINCT name FROM '{run.folder}/metrics/*.parquet'").fetchall()
    assert {"eval_loss", *(["eval_acc"] if metrics else [])} <= {name for (name,) in recorded}
    theirs, saw = saw, []
    plain = loop.trainer_of(tmp_path / "root", loop.model_of(), **how)
    plain.train()
    assert all(torch.equal(*pair) for pair in zip(plain.model.parameters(), trainer.model.parameters(), strict=True))
    assert all(
        np.array_equal(*pair) for one, other in zip(theirs, saw, strict=True) for pair in zip(one, other, strict=True)
    )


def test_the_readmes_line(loop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    monkeypatch.chdir(tmp_path)
    args = loop.trainer_of(tmp_path / "root", loop.model_of()).args
    names = {"sg": sg, "Trainer": transformers.Trainer, "model": loop.model_of(), "args": args}
    exec(
        block("HuggingFacePredictions"),
        names | (found := {"train_set": loop.Texts(16), "eval_set": loop.Texts()}),
        found,
    )
    found["trainer"].train()
    assert moments(tmp_path / "predictions") == ["1", "2"]


def test_evaluations_within_an_epoch_before_and_after_a_training(
    loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    how = {"eval_strategy": "steps", "eval_steps": 2}
    trainer = loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path), arguments=how)
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()
    trainer.predict(loop.Texts(5))
    trainer.evaluate(loop.Texts(7), metric_key_prefix="other")
    assert moments(tmp_path) == ["1:0", "1:2", "1", "2:6", "2"]
    assert read(tmp_path, "bert", "test_predictions", "epoch, id") == [(2, str(n)) for n in range(5)]
    assert len(read(tmp_path, "bert", "other_predictions")) == 7
    places, again = warned(caplog)
    assert "ids are places" in places and places.endswith("drops a column of ids, which data= and ids= name")
    assert "bert/val_predictions@2 is recorded already" in again
    assert find_run(tmp_path, "bert").state == "finished"


@pytest.mark.parametrize("how", ["resume", "overwrite"])
def test_a_training_after_one_that_broke_off_in_the_same_process(loop: Any, tmp_path: Path, how: str) -> None:
    """As in a notebook, where the first Trainer is still there."""
    import transformers

    class Breaks(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 6:
                raise ZeroDivisionError

    first = loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path / "store"), Breaks())
    with pytest.raises(ZeroDivisionError):
        first.train()
    recorder, same = callback(tmp_path / "store", **{how: True}), callback(tmp_path / "store", resume=True)
    loop.trainer_of(tmp_path / "root", loop.model_of(), recorder, same).train()
    assert moments(tmp_path / "store") == ["1", "2"] and find_run(tmp_path / "store", "bert").state == "finished"


def test_after_a_training_its_best_weights_are_those_of_their_epoch(loop: Any, tmp_path: Path) -> None:
    scores = iter([0.5, 0.9, 0.1, 0.9, 0.9])
    how = {
        "num_train_epochs": 3,
        "save_strategy": "epoch",
        "load_best_model_at_end": True,
        "metric_for_best_model": "acc",
    }
    trainer = loop.trainer_of(
        tmp_path / "root",
        loop.model_of(),
        callback(tmp_path / "store"),
        arguments=how,
        compute_metrics=lambda said: {"acc": next(scores)},
    )
    trainer.train()
    trainer.evaluate()
    trainer.predict(loop.Texts(5))
    assert moments(tmp_path / "store") == ["1", "2", "3"]
    assert moments(tmp_path / "store", "test_predictions") == ["2"]


def test_several_data_sets_are_several_tables(loop: Any, tmp_path: Path) -> None:
    sets = {"a": loop.Texts(), "b": loop.Texts(5)}
    loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path), eval_dataset=sets).train()
    tables = find_run(tmp_path, "bert").tables
    assert {name: [epoch.rows for epoch in epochs.values()] for name, epochs in tables.items()} == {
        "val_predictions_a": [11, 11],
        "val_predictions_b": [5, 5],
    }


def columns_of(loop: Any) -> Any:
    """The same texts as a datasets.Dataset, with columns that the model does not take."""
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    data = loop.Texts()
    columns = {
        "input_ids": data.tokens.tolist(),
        "label": data.truth.tolist(),
        "sentence": texts_of(loop, data),
        "idx": [f"s{n}" for n in range(loop.EXAMPLES)],
    }
    features = datasets.Dataset.from_dict(columns).features.copy()
    features["label"] = datasets.ClassLabel(names=["no", "yes"])
    return datasets.Dataset.from_dict(columns, features=features)


def test_ids_texts_and_class_names_of_a_data_set(loop: Any, tmp_path: Path) -> None:
    data = columns_of(loop)
    recorder = callback(tmp_path, data=data, ids="idx", content="sentence")
    model = loop.model_of(id2label={0: "LABEL_0", 1: "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1})
    loop.trainer_of(tmp_path / "root", model, recorder, train_dataset=data, eval_dataset=data).train()
    rows = read(tmp_path, "bert", VAL, "id, truth")
    assert rows == [(f"s{n}", ["no", "yes"][data[n]["label"]]) for n in range(11)] * 2
    assert contents(tmp_path) == dict(zip(data["idx"], data["sentence"], strict=True))


def test_data_by_name_for_an_evaluation_and_a_prediction(
    loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As load_dataset gives them."""
    data = columns_of(loop)
    test = data.select([3, 1])
    recorder = callback(tmp_path, data={"train": data, "validation": data, "test": test}, ids="idx", content="sentence")
    trainer = loop.trainer_of(tmp_path / "root", loop.model_of(), recorder, train_dataset=data, eval_dataset=data)
    trainer.evaluate()
    trainer.predict(test)
    assert [name for (name,) in read(tmp_path, "bert", VAL, "id")] == data["idx"]
    assert read(tmp_path, "bert", "test_predictions", "id") == [("s3",), ("s1",)]
    trainer.evaluate({"other": test})
    assert "data has no data set 'other'; it has train, validation, test" in warned(caplog)[0]


def test_the_names_of_the_data_sets_label_need_no_word(loop: Any, tmp_path: Path) -> None:
    data = columns_of(loop)
    model = loop.model_of(id2label={0: "LABEL_0", 1: "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1})
    loop.trainer_of(tmp_path / "root", model, callback(tmp_path), train_dataset=data, eval_dataset=data).train()
    assert find_run(tmp_path, "bert").about["classes"] == ["no", "yes"]


def test_texts_are_decoded_if_asked(loop: Any, tmp_path: Path) -> None:
    how = {"processing_class": loop.tokenizer()}
    loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path, decode=True), **how).train()
    expected = texts_of(loop, loop.Texts())
    assert contents(tmp_path) == {str(n): text for n, text in enumerate(expected)}


def items(loop: Any) -> dict[str, Any]:
    """Data sets whose labels stand in their items alone."""
    return {"train_dataset": loop.Texts(16), "eval_dataset": loop.Texts()}


class Own(torch.nn.Module):  # type: ignore[misc]
    """A model of one's own, whose labels are called otherwise, and which gives a tuple."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = torch.nn.Embedding(9, 2)

    def forward(self, input_ids: Any, targets: Any = None) -> Any:
        logits = self.words(input_ids).mean(1)
        return logits if targets is None else (torch.nn.functional.cross_entropy(logits, targets), logits, input_ids)


def test_a_model_of_ones_own_with_labels_of_another_name(
    loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Targets(loop.Texts):  # type: ignore[misc, name-defined]
        def __getitem__(self, place: int) -> Any:
            return {"input_ids": self.tokens[place], "targets": int(self.truth[place])}

    sets = {"train_dataset": Targets(16), "eval_dataset": Targets()}
    how = {"arguments": {"label_names": ["targets"]}, **sets}
    trainer = loop.trainer_of(tmp_path / "root", Own(), callback(tmp_path / "a"), **how)
    trainer.train()
    with torch.no_grad():
        scores = torch.softmax(trainer.model.eval()(loop.Texts().tokens), 1)
    rows = read(tmp_path / "a", "bert", VAL, "truth, score_0, score_1")[11:]
    assert [truth for truth, *_ in rows] == loop.Texts().truth.tolist()
    assert torch.allclose(torch.tensor([row[1:] for row in rows]), scores, atol=1e-6)
    assert not [text for text in warned(caplog) if "without truth" in text]


def test_an_evaluation_without_labels_says_so(loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Unlabelled(loop.Texts):  # type: ignore[misc, name-defined]
        def __getitem__(self, place: int) -> Any:
            return {"input_ids": self.tokens[place]}

    trainer = loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path))
    trainer.predict(Unlabelled(5))
    assert not [text for text in warned(caplog) if "without truth" in text]
    trainer.evaluate(Unlabelled(5))
    assert [text for text in warned(caplog) if text.startswith("bert/val_predictions is recorded without truth: the")]


def test_a_metric_of_ones_own_that_is_a_runtime_names_no_table(loop: Any, tmp_path: Path) -> None:
    trainer = loop.trainer_of(
        tmp_path / "root", loop.model_of(), callback(tmp_path), compute_metrics=lambda said: {"model_runtime": 1.0}
    )
    trainer.evaluate()
    assert moments(tmp_path) == ["1:0"]


def test_one_callback_of_two_trainers_sees_both_models(loop: Any, tmp_path: Path) -> None:
    recorder = callback(tmp_path)
    first = loop.trainer_of(tmp_path / "root", loop.model_of(), recorder)
    second = loop.trainer_of(tmp_path / "root", loop.model_of(), recorder)
    first.evaluate(metric_key_prefix="first")
    second.evaluate(metric_key_prefix="second")
    assert len(read(tmp_path, "bert", "first_predictions")) == len(read(tmp_path, "bert", "second_predictions")) == 11


def test_an_evaluation_after_one_that_broke_off_in_the_same_loader(loop: Any, tmp_path: Path) -> None:
    """A loader that is kept is the same in both."""
    said = iter([ZeroDivisionError, None])

    def compute(_: Any) -> dict[str, float]:
        if (error := next(said)) is not None:
            raise error
        return {"acc": 1.0}

    how = {"dataloader_num_workers": 1, "dataloader_persistent_workers": True}
    trainer = loop.trainer_of(
        tmp_path / "root", loop.model_of(), callback(tmp_path), arguments=how, compute_metrics=compute
    )
    with pytest.raises(ZeroDivisionError):
        trainer.evaluate()
    trainer.evaluate()
    assert read(tmp_path, "bert", VAL, "id, truth") == [
        (str(n), NAMES[label]) for n, label in enumerate(loop.Texts().truth)
    ]


def test_labels_that_the_model_is_not_given_are_those_of_the_data_set(loop: Any, tmp_path: Path) -> None:
    """The Trainer's label smoothing takes them away from the model's arguments; -100 is no label."""
    data = columns_of(loop)
    how = {"arguments": {"label_smoothing_factor": 0.1}, "train_dataset": data, "eval_dataset": data}
    loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path), **how).train()
    assert read(tmp_path, "bert", VAL, "truth")[:11] == [(NAMES[row["label"]],) for row in data]
    trainer = loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path / "c"), **{**how, **items(loop)})
    trainer.train()
    assert read(tmp_path / "c", "bert", VAL, "truth")[:11] == [(NAMES[label],) for label in loop.Texts().truth]
    unlabelled = loop.Texts()
    unlabelled.truth[4:] = -100
    trainer = loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path / "b"), eval_dataset=unlabelled)
    trainer.evaluate()
    truths = [truth for (truth,) in read(tmp_path / "b", "bert", VAL, "truth")]
    assert truths == [NAMES[number] for number in unlabelled.truth[:4]] + [None] * 7


@pytest.mark.parametrize(
    ("kind", "config", "why"),
    [
        ("BertForTokenClassification", {}, "shape (3, 4, 2): a class for each token"),
        ("BertForMaskedLM", {}, "shape (3, 4, 9): a class for each token"),
        ("BertForQuestionAnswering", {}, "the model gives no logits (it gives loss, start_logits, end_logits)"),
        ("BertForSequenceClassification", {"problem_type": "regression"}, "the model says several numbers"),
    ],
    ids=["tokens", "words", "spans", "numbers"],
)
def test_other_tasks_are_refused_in_words_and_training_goes_on(
    loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, config: Any, why: str
) -> None:
    class Task(loop.Texts):  # type: ignore[misc, name-defined]
        def __getitem__(self, place: int) -> Any:
            tokens, truth = self.tokens[place], int(self.truth[place])
            if kind == "BertForQuestionAnswering":
                return {"input_ids": tokens, "start_positions": truth, "end_positions": truth}
            if kind == "BertForSequenceClassification":
                labels = torch.tensor([float(truth)] * len(model.config.id2label))
                return {"input_ids": tokens, "labels": labels}
            return {"input_ids": tokens, "labels": tokens % 2}

    model = loop.model_of(kind, **config)
    sets = {"train_dataset": Task(16), "eval_dataset": Task()}
    trainer = loop.trainer_of(tmp_path / "root", model, callback(tmp_path), **sets)
    trainer.train()
    assert trainer.state.epoch == 2 and moments(tmp_path) == []
    first, last = warned(caplog)
    assert first.startswith("bert/val_predictions@1 is not recorded, and training goes on: ") and why in first
    assert (
        last.startswith("run bert: not recorded: bert/val_predictions@1, bert/val_predictions@2; of ") and why in last
    )


def test_several_labels_are_lists(loop: Any, tmp_path: Path) -> None:
    class Tagged(loop.Texts):  # type: ignore[misc, name-defined]
        def __getitem__(self, place: int) -> Any:
            return {"input_ids": self.tokens[place], "labels": torch.tensor([float(place % 2), float(place % 3 == 0)])}

    model = loop.model_of(problem_type="multi_label_classification")
    sets = {"train_dataset": Tagged(16), "eval_dataset": Tagged()}
    loop.trainer_of(tmp_path / "root", model, callback(tmp_path), **sets).train()
    rows = read(tmp_path, "bert", VAL, "truth, score_0, score_1")[loop.EXAMPLES :]
    assert [truth for truth, *_ in rows] == [
        [name for name, has in zip(NAMES, (n % 2, n % 3 == 0), strict=True) if has] for n in range(loop.EXAMPLES)
    ]
    with torch.no_grad():
        expected = torch.sigmoid(model.eval()(input_ids=loop.Texts().tokens).logits)
    assert torch.allclose(torch.tensor([scores for _, *scores in rows]), expected, atol=1e-6)


def test_one_number_is_recorded_as_a_number(loop: Any, tmp_path: Path) -> None:
    class Rated(loop.Texts):  # type: ignore[misc, name-defined]
        def __getitem__(self, place: int) -> Any:
            return {"input_ids": self.tokens[place], "labels": place / 4}

    model = loop.model_of(id2label={0: "stars"}, label2id={"stars": 0})
    sets = {"train_dataset": Rated(16), "eval_dataset": Rated()}
    loop.trainer_of(tmp_path / "root", model, callback(tmp_path), **sets).train()
    rows = read(tmp_path, "bert", VAL, "truth, guess")[loop.EXAMPLES :]
    assert [truth for truth, _ in rows] == [n / 4 for n in range(loop.EXAMPLES)]
    with torch.no_grad():
        expected = model.eval()(input_ids=loop.Texts().tokens).logits[:, 0]
    assert torch.allclose(torch.tensor([guess for _, guess in rows], dtype=torch.float32), expected, atol=1e-6)


def test_a_loader_that_groups_by_length_is_refused(loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    how = {"train_sampling_strategy": "group_by_length"}
    trainer = loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path), arguments=how)
    from torch.utils.data import RandomSampler

    trainer._get_eval_sampler = RandomSampler
    trainer.evaluate()
    assert moments(tmp_path) == [] and "nothing says which examples the rows are about" in warned(caplog)[0]


def test_a_model_that_is_copied_saved_or_asked_by_others(
    loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import copy

    trainer = loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path))
    tokens = loop.Texts().tokens
    for _ in range(2):
        trainer.model.eval()(input_ids=tokens)
    trainer.train()
    torch.save(trainer.model, tmp_path / "whole.pt")
    other = copy.deepcopy(trainer.model)
    again = torch.load(tmp_path / "whole.pt", weights_only=False)
    with torch.no_grad():
        assert torch.equal(other(input_ids=tokens).logits, again(input_ids=tokens).logits)
    assert moments(tmp_path) == ["1", "2"] and len(warned(caplog)) == 1


def test_a_training_that_breaks_off_within_an_evaluation_leaves_nothing_of_it(loop: Any, tmp_path: Path) -> None:
    def breaks(said: Any) -> Any:
        raise KeyboardInterrupt

    trainer = loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path), compute_metrics=breaks)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    trainer.compute_metrics = None
    trainer.train()
    assert moments(tmp_path) == ["1", "2"] and find_run(tmp_path, "bert").state == "finished"


def test_a_callback_that_comes_after_the_trainer_says_what_it_missed(
    loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = loop.trainer_of(tmp_path / "root", loop.model_of())
    trainer.add_callback(callback(tmp_path))
    trainer.evaluate()
    trainer.evaluate()
    assert moments(tmp_path) == ["1:0"]
    assert "the callback came after the Trainer" in warned(caplog)[0]


def test_strict_stops_it(loop: Any, tmp_path: Path) -> None:
    sg.record(tmp_path, run="bert", guess=[1], ids=["a"])
    with pytest.raises(sg.SecondguessError, match="exists already"):
        loop.trainer_of(tmp_path / "root", loop.model_of(), callback(tmp_path, strict=True)).train()
    with pytest.raises(sg.SecondguessError, match="columns of data="):
        callback(tmp_path, content="sentence")
    recorder = callback(tmp_path / "b", strict=True, data=loop.Texts(), content="sentence")
    with pytest.raises(sg.SecondguessError, match="content is 'sentence', which data has not"):
        loop.trainer_of(tmp_path / "root", loop.model_of(), recorder).train()


def test_images_come_as_the_processor_says_they_were(
    loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import transformers

    from secondguess.analysis.content import decoded

    pixels = torch.randint(0, 256, (6, 3, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    processor = transformers.ViTImageProcessor(image_mean=[0.5] * 3, image_std=[0.25] * 3, do_resize=False)

    class Pictures(loop.Texts):  # type: ignore[misc, name-defined]
        def __getitem__(self, place: int) -> Any:
            return {"pixel_values": (pixels[place].float() / 255 - 0.5) / 0.25, "labels": place % 2}

    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=8, patch_size=4
    )
    model = transformers.ViTForImageClassification(config)
    sets = {"train_dataset": Pictures(6), "eval_dataset": Pictures(6), "processing_class": processor}
    loop.trainer_of(tmp_path / "root", model, callback(tmp_path, images=True), **sets).train()
    how = {**sets, "processing_class": None}
    loop.trainer_of(tmp_path / "root", model, callback(tmp_path / "without", images=True), **how).train()
    assert moments(tmp_path / "without") == ["1", "2"]
    (said,) = [text for text in warned(caplog) if "images" in text]
    assert said.startswith("bert/val_predictions is recorded without images: images are floats from -2 to 2")
    files = [str(path) for path in (tmp_path / "examples").glob("*.parquet")]
    images = duckdb.sql(f"SELECT image.bytes FROM read_parquet({files}) ORDER BY id::INT").fetchall()
    kept = [decoded(image)[:, :, :3].tolist() for (image,) in images]
    assert kept == pixels.permute(0, 2, 3, 1).tolist()


def test_two_processes_record_each_example_once(loop: Any, tmp_path: Path) -> None:
    """Eleven texts in batches of 3 on two processes: accelerate fills the last batches from the beginning."""
    home, store = tmp_path / "home", tmp_path / "store"
    home.mkdir()
    words = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(LOOP),
        str(store),
        str(tmp_path / "root"),
    ]
    environment = {**os.environ, "HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    data = loop.Texts()
    expected = [(epoch, str(n), NAMES[data.truth[n]]) for epoch in (1, 2) for n in range(loop.EXAMPLES)]
    assert sorted(read(store, "ddp", VAL, "epoch, id, truth"), key=lambda row: (row[0], int(row[1]))) == expected
    live = find_run(store, "ddp").commits[VAL]
    assert [entry["ranks"] for _, record in live for entry in record["epochs"]] == [
        {"world_size": 2, "rows": [6, 6], "repeated": 1}
    ] * 2
    assert len(read(store, "ddp", "test_predictions")) == 5
    assert find_run(store, "ddp").state == "finished" and list(home.iterdir()) == []
