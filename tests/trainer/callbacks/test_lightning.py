"""Lightning's validations, tests and predictions become tables: the real Trainer of both of its packages."""

import contextlib
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from many_ranks import read
from needs_torch import torch
from readme import block
from torch.utils.data import DataLoader, Subset

import secondguess as sg
from secondguess.analysis.store.runs import find_run

pytest.importorskip("lightning", reason="needs lightning: pip install lightning")
from lightning_loop import EXAMPLES, Named, Numbers, class_of, loaders, module_of, says_logits, says_loss, trainer_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of Lightning about itself

VAL = "val_predictions"


@pytest.fixture(params=["lightning", "pytorch_lightning"])
def package(request: pytest.FixtureRequest) -> Any:
    return import_module(request.param)


@pytest.fixture(scope="module")
def lightning() -> Any:
    return import_module("lightning")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.WARNING)
    yield


def callback(store: Path, **how: Any) -> Any:
    return sg.callbacks.LightningPredictions(store, run="vit", **how)


def moments(store: Path, table: str = VAL) -> list[str]:
    return [str(moment) for moment in find_run(store, "vit").tables.get(table, {})]


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.name == "secondguess"]


def scores(store: Path, table: str = VAL) -> torch.Tensor:
    return torch.tensor(read(store, "vit", table, "score_0, score_1, score_2"))


def test_a_validation_of_each_epoch_is_recorded_whole(package: Any, tmp_path: Path) -> None:
    """With the arguments that the first line of the documentation has."""
    recorder = callback(tmp_path)
    assert isinstance(recorder, package.Callback) and isinstance(recorder, sg.callbacks.LightningPredictions)
    module = module_of(package)
    trainer_of(package, tmp_path / "root", recorder).fit(module, **loaders())
    data = Numbers()
    rows = read(tmp_path, "vit", VAL, "epoch, id, truth")
    assert rows == [(epoch, str(n), n % 3) for epoch in (1, 2) for n in range(EXAMPLES)]
    with torch.no_grad():
        expected = torch.softmax(module(data.pixels.float() / 255), 1)
    assert torch.allclose(scores(tmp_path)[EXAMPLES:], expected, atol=1e-6)
    run = find_run(tmp_path, "vit")
    assert run.state == "finished" and run.about["config"] == {"width": 16}
    files = [str(path) for path in (tmp_path / "examples").glob("*.parquet")]
    images = duckdb.sql(f"SELECT image.bytes FROM read_parquet({files}) ORDER BY id::INT").fetchall()
    from secondguess.analysis.content import decoded

    assert [decoded(image)[:, :, 0].tolist() for (image,) in images] == data.pixels[:, 0].tolist()
    metrics = duckdb.sql(f"SELECT step, epoch, name FROM '{run.folder}/metrics/*.parquet' ORDER BY ALL").fetchall()
    assert metrics == [(4, 1, "val_loss"), (8, 2, "val_loss")]


def test_a_config_of_lightnings_command_line_names_the_class(
    lightning: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert issubclass(sg.callbacks.LightningPredictions, lightning.Callback)
    pytest.importorskip("jsonargparse", reason="needs jsonargparse: pip install 'jsonargparse[signatures]'")
    cli = import_module("lightning.pytorch.cli")

    class Data(lightning.LightningDataModule):  # type: ignore[misc, name-defined]
        train_dataloader = staticmethod(lambda: loaders()["train_dataloaders"])
        val_dataloader = staticmethod(lambda: loaders()["val_dataloaders"])

    monkeypatch.chdir(tmp_path)
    callbacks = [
        {"class_path": "secondguess.callbacks.LightningPredictions", "init_args": {"store": "p", "run": "vit"}}
    ]
    trainer = {"max_epochs": 1, "accelerator": "cpu", "logger": False, "callbacks": callbacks}
    cli.LightningCLI(
        class_of(lightning), Data, save_config_callback=None, args={"subcommand": "fit", "fit": {"trainer": trainer}}
    )
    assert moments(tmp_path / "p") == ["1"]


def test_the_readmes_line(package: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"L": package, "sg": sg}
    exec(block("LightningPredictions"), names)
    names["trainer"].fit_loop.max_epochs = 1
    names["trainer"].fit(module_of(package), **loaders())
    assert moments(tmp_path / "predictions") == ["1"]


@pytest.mark.parametrize(
    ("step", "how"),
    [
        (says_loss, {"logits": True}),
        (lambda module, batch: says_logits(module, batch)["logits"].bfloat16(), {"logits": True}),
        (lambda module, batch: {"probs": module(batch[0]).softmax(1), "targets": batch[1]}, {}),
        (lambda module, batch: {"out": module(batch[0]), "t": batch[1]}, {"logits": "out", "truth": "t"}),
        (lambda module, batch: module(batch[0]).softmax(1), {"logits": False}),
        (says_loss, {"predictions": lambda outputs, batch: {"logits": batch[0].flatten(1)[:, :3], "truth": batch[1]}}),
    ],
    ids=["forward", "bf16", "probs", "named", "returned", "function"],
)
def test_what_a_step_says_in_other_ways(lightning: Any, tmp_path: Path, step: Any, how: Any) -> None:
    module = module_of(lightning, step)
    trainer_of(lightning, tmp_path / "root", callback(tmp_path, **how), max_epochs=1).fit(module, **loaders())
    with torch.no_grad():
        x = Numbers().pixels.float() / 255
        expected = torch.softmax(x.flatten(1)[:, :3] if "predictions" in how else module(x), 1)
    assert torch.allclose(scores(tmp_path), expected, atol=0.01)
    assert [truth for (truth,) in read(tmp_path, "vit", VAL, "truth")] == [n % 3 for n in range(EXAMPLES)]


class Named3(NamedTuple):
    """A batch whose items have names, in an order of its own."""

    label: Any
    image: Any
    length: Any


class OfThree(Numbers):
    """Batches of three items: another number for each example stands before, after or beside its class."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def __getitem__(self, place: int) -> Any:
        image, truth = super().__getitem__(place)
        length = (truth + 1) % 3
        forms = {
            "named": Named3(truth, image, length),
            "lengths": (image, length, truth),
            "place": (image, truth, place),
            "text": (image, f"n{place}", truth),
        }
        return forms[self.form]


def says_of_three(module: Any, batch: Any) -> Any:
    return {"logits": module(batch.image if isinstance(batch, Named3) else batch[0])}


def validated(lightning: Any, folder: Path, form: str, **how: Any) -> None:
    trainer = trainer_of(lightning, folder / "root", callback(folder, **how))
    trainer.validate(module_of(lightning, says_of_three), DataLoader(OfThree(form), batch_size=3), verbose=False)


@pytest.mark.parametrize(
    ("form", "how"),
    [("named", {}), ("lengths", {"truth": 2}), ("place", {"ids": 2}), ("text", {}), ("text", {"ids": 1})],
    ids=["named", "said", "others-said", "text", "text-ids"],
)
def test_the_truth_of_a_batch_of_three_items(lightning: Any, tmp_path: Path, form: str, how: Any) -> None:
    validated(lightning, tmp_path, form, **how)
    assert [truth for (truth,) in read(tmp_path, "vit", VAL, "truth")] == [n % 3 for n in range(EXAMPLES)]


def test_a_validation_without_truth_says_so(lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Kinds(Numbers):
        def __getitem__(self, place: int) -> Any:
            image, truth = super().__getitem__(place)
            return {"image": image, "kind": truth}

    module = module_of(lightning, lambda module, batch: {"logits": module(batch["image"])})
    for how in ({}, {"truth": "kind"}):
        trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path / f"{len(how)}", **how))
        trainer.validate(module, DataLoader(Kinds(), batch_size=3), verbose=False)
    said = [text for text in warned(caplog) if "without truth" in text]
    assert said == [
        "vit/val_predictions is recorded without truth: no item is called as labels are; truth= is its key or place in "
        "the batch, or that in the step's dict"
    ]
    assert read(tmp_path / "1", "vit", VAL, "truth") == [(n % 3,) for n in range(EXAMPLES)]


def test_a_batch_of_which_several_items_may_be_the_truth_is_refused_in_words(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    validated(lightning, tmp_path, "lengths")
    assert moments(tmp_path) == []
    assert "the batch has 3 items, and those at the places 1, 2 may be the truth: say" in warned(caplog)[0]


@pytest.mark.parametrize("form", ["forward", "preds"])
def test_numbers_are_a_table_of_numbers(lightning: Any, tmp_path: Path, form: str) -> None:
    def says(module: Any, batch: Any) -> Any:
        said = module(batch[0])[:, 0]
        return {"preds": said} if form == "preds" else said

    module = module_of(lightning, says)
    recorder = callback(tmp_path, task="regression")
    trainer_of(lightning, tmp_path / "root", recorder, max_epochs=1).fit(module, **loaders())
    rows = read(tmp_path, "vit", VAL, "truth, guess")
    with torch.no_grad():
        expected = module(Numbers().pixels.float() / 255)[:, 0]
    assert torch.allclose(torch.tensor([guess for _, guess in rows], dtype=torch.float32), expected, atol=1e-6)
    assert [truth for truth, _ in rows] == [float(n % 3) for n in range(EXAMPLES)]


def test_guesses_alone_are_a_table(lightning: Any, tmp_path: Path) -> None:
    module = module_of(lightning, lambda module, batch: {"preds": module(batch[0]).argmax(1), "target": batch[1]})
    trainer_of(lightning, tmp_path / "root", callback(tmp_path), max_epochs=1).fit(module, **loaders())
    with torch.no_grad():
        expected = module(Numbers().pixels.float() / 255).argmax(1).tolist()
    assert [guess for (guess,) in read(tmp_path, "vit", VAL, "guess")] == expected


@pytest.mark.parametrize("how", [{}, {"scores": "p", "guess": "g"}], ids=["usual", "named"])
def test_guesses_that_a_step_says_besides_scores_are_its_guesses(lightning: Any, tmp_path: Path, how: Any) -> None:
    """As where a threshold of its own makes them."""
    scores, guess = how.get("scores", "probs"), how.get("guess", "preds")

    def says(module: Any, batch: Any) -> Any:
        return {scores: module(batch[0]).softmax(1), guess: torch.full((len(batch[0]),), 2)}

    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path, **how))
    trainer.validate(module_of(lightning, says), DataLoader(Numbers(), batch_size=3), verbose=False)
    assert read(tmp_path, "vit", VAL, "guess, confidence = score_2") == [(2, True)] * EXAMPLES


@pytest.mark.parametrize(
    ("step", "how", "why"),
    [
        (
            says_loss,
            {},
            r"what forward gave, of shape (3, 3), may be logits or probabilities: say LightningPredictions",
        ),
        (lambda module, batch: None, {"logits": True}, "the step returned nothing, and did not call the module's own"),
        (
            lambda module, batch: {"logits": module(batch[0]).softmax(1)},
            {},
            "logits sum to 1 in each row, as probabilities do",
        ),
        (lambda module, batch: {"probs": module(batch[0]) * 9}, {}, "scores are no probabilities"),
        (lambda module, batch: {"preds": module(batch[0])}, {}, "may be logits, probabilities or numbers: say logits="),
        (says_logits, {"truth": "no"}, "nothing is called 'no' in what came: names loss, logits; a list of 2"),
        (lambda module, batch: (module(batch[0]), module(batch[0]))[0].sum(), {"logits": True}, "several times"),
    ],
    ids=["unsaid", "nothing", "probs-as-logits", "logits-as-probs", "preds", "no-key", "twice"],
)
def test_what_is_not_said_is_refused_in_words_before_the_first_epoch(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, step: Any, how: Any, why: str
) -> None:
    module = module_of(lightning, step)
    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path, **how))
    trainer.fit(module, **loaders())
    assert trainer.current_epoch == 2 and moments(tmp_path) == []
    first, last = warned(caplog)
    assert first.startswith("vit/val_predictions is not recorded, and training goes on: ") and why in first
    assert last.startswith("run vit: not recorded: vit/val_predictions@1, vit/val_predictions@2") and why in last
    with pytest.raises(sg.SecondguessError):
        trainer_of(lightning, tmp_path / "root", callback(tmp_path / "2", strict=True, **how)).fit(module, **loaders())


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"val_check_interval": 0.5}, ["1:2", "1", "2:6", "2"]),
        ({"val_check_interval": 3, "check_val_every_n_epoch": None}, ["1:3", "2:6"]),
        ({"val_check_interval": 1, "accumulate_grad_batches": 2}, ["1:0", "1:1", "1", "2:2", "2:3", "2"]),
        ({"max_steps": 3, "max_epochs": -1, "val_check_interval": 1}, ["1:1", "1:2", "1:3"]),
        ({"check_val_every_n_epoch": 2, "num_sanity_val_steps": 0}, ["2"]),
    ],
    ids=["half", "every-3", "accumulated", "stopped", "second"],
)
def test_validations_within_an_epoch_are_its_steps(lightning: Any, tmp_path: Path, how: Any, expected: Any) -> None:
    trainer_of(lightning, tmp_path / "root", callback(tmp_path), **how).fit(module_of(lightning), **loaders())
    assert moments(tmp_path) == expected


@pytest.mark.parametrize("how", [{"max_steps": 6, "max_epochs": -1}, {}], ids=["max_steps", "broken-off"])
def test_a_test_after_a_training_that_ended_within_an_epoch_is_of_its_step(
    lightning: Any, tmp_path: Path, how: Any
) -> None:
    class Breaks(lightning.Callback):  # type: ignore[misc, name-defined]
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if not how and trainer.global_step == 6:
                raise ZeroDivisionError

    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path / "store"), Breaks(), **how)
    module = module_of(lightning)
    with contextlib.suppress(ZeroDivisionError):
        trainer.fit(module, **loaders())
    data = loaders()["val_dataloaders"]
    trainer.test(module, data, verbose=False)
    assert moments(tmp_path / "store", "test_predictions") == ["2:6"]
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = trainer_of(lightning, tmp_path / "root", callback(tmp_path / "other"))
    again.test(module, data, ckpt_path=tmp_path / "last.ckpt", verbose=False)
    assert moments(tmp_path / "other", "test_predictions") == ["2:6"]


def test_a_test_and_a_prediction_go_on_with_the_run(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path))
    module = module_of(lightning)
    trainer.validate(module, DataLoader(Numbers(), batch_size=3), verbose=False)
    trainer.fit(module, **loaders())
    trainer.test(module, DataLoader(Numbers(5), batch_size=2), verbose=False)
    trainer.predict(module, DataLoader(Numbers(7), batch_size=2))
    trainer.validate(module, DataLoader(Numbers(), batch_size=3), verbose=False)
    assert moments(tmp_path) == ["1:0", "1", "2"]
    assert read(tmp_path, "vit", "test_predictions", "epoch, id, truth") == [(2, str(n), n % 3) for n in range(5)]
    assert read(tmp_path, "vit", "predict_predictions", "id, truth") == [(str(n), n % 3) for n in range(7)]
    assert find_run(tmp_path, "vit").state == "finished"
    places, again = warned(caplog)
    assert "ids are places in the data set" in places
    assert again.startswith("vit/val_predictions@2 is recorded already, and stays as it is")


@pytest.mark.parametrize("how", [{}, {"save_weights_only": True}], ids=["whole", "weights"])
def test_a_test_of_a_checkpoint_is_of_when_that_was_saved(lightning: Any, tmp_path: Path, how: Any) -> None:
    """The best validation is made the second of the three epochs', half way through."""
    losses = iter([3.0, 3.0, 2.0, 1.0, 2.0, 3.0, 3.0])  # the first in the sanity check

    def says(module: Any, batch: Any) -> Any:
        module.log("val_loss", next(losses))
        return {"logits": module(batch[0])}

    keeps = import_module("lightning.pytorch.callbacks").ModelCheckpoint(tmp_path, monitor="val_loss", **how)
    options = {"max_epochs": 3, "val_check_interval": 0.5, "num_sanity_val_steps": 1, "enable_checkpointing": True}
    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path / "store"), keeps, **options)
    data = loaders(Numbers(3))
    trainer.fit(module_of(lightning, says), **data)
    assert moments(tmp_path / "store") == ["1:2", "1", "2:6", "2", "3:10", "3"]
    quiet = module_of(lightning)
    trainer.test(quiet, data["val_dataloaders"], ckpt_path="best", verbose=False)
    assert moments(tmp_path / "store", "test_predictions") == ["2:6"]
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = trainer_of(lightning, tmp_path / "root", callback(tmp_path / "store", reopen=True))
    again.test(quiet, data["val_dataloaders"], ckpt_path=tmp_path / "last.ckpt", verbose=False)
    assert moments(tmp_path / "store", "test_predictions") == ["2:6", "3"]


@pytest.mark.parametrize("several", [list, lambda each: dict(zip(("clean", "noisy"), each, strict=True))])
def test_several_loaders_are_several_tables(lightning: Any, tmp_path: Path, several: Any) -> None:
    both = several([DataLoader(Numbers(), batch_size=3), DataLoader(Numbers(5), batch_size=2)])
    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path, prefix="my_"), max_epochs=1)
    trainer.fit(module_of(lightning), loaders()["train_dataloaders"], both)
    names = both if isinstance(both, dict) else (0, 1)
    tables = find_run(tmp_path, "vit").tables
    assert {name: [epoch.rows for epoch in epochs.values()] for name, epochs in tables.items()} == dict(
        zip((f"my_val_predictions_{name}" for name in names), ([EXAMPLES], [5]), strict=True)
    )


def test_a_loader_that_is_refused_costs_its_own_table_alone(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = [DataLoader(Numbers(), batch_size=3, shuffle=True), DataLoader(Numbers(5), batch_size=2)]
    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path, logits=True), num_sanity_val_steps=0)
    trainer.fit(module_of(lightning, says_loss), loaders()["train_dataloaders"], both)
    assert moments(tmp_path, f"{VAL}_1") == ["1", "2"] and moments(tmp_path, f"{VAL}_0") == []
    assert not [text for text in warned(caplog) if "predictions_1" in text]


class Others(Named):
    classes = ("dog", "cat", "hen")


def test_a_data_set_with_other_names_of_its_classes_is_said(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = [DataLoader(Named(), batch_size=3), DataLoader(Others(), batch_size=3)]
    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path))
    trainer.validate(module_of(lightning), both, verbose=False)
    said = [text for text in warned(caplog) if "calls its classes" in text]
    assert said == [
        "vit/val_predictions_1: the data set calls its classes dog, cat, hen, the run cat, dog, hen, and a label's "
        "number is taken for the run's; classes= says which they are"
    ]


def test_a_test_of_named_classes_goes_on_with_a_run_of_numbers(lightning: Any, tmp_path: Path) -> None:
    module = module_of(lightning)
    trainer_of(lightning, tmp_path / "root", callback(tmp_path)).fit(module, **loaders())
    again = trainer_of(lightning, tmp_path / "root", callback(tmp_path, reopen=True))
    again.test(module, DataLoader(Named(), batch_size=3), verbose=False)
    assert [truth for (truth,) in read(tmp_path, "vit", "test_predictions", "truth")] == [
        n % 3 for n in range(EXAMPLES)
    ]


def test_labels_in_a_dict_that_is_the_second_item_of_a_batch(lightning: Any, tmp_path: Path) -> None:
    class Pairs(Numbers):
        def __getitem__(self, place: int) -> Any:
            image, truth = super().__getitem__(place)
            return {"img": image}, {"y": truth}

    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path))
    step = module_of(lightning, lambda module, batch: {"logits": module(batch[0]["img"])})
    trainer.validate(step, DataLoader(Pairs(), batch_size=3), verbose=False)
    assert [truth for (truth,) in read(tmp_path, "vit", VAL, "truth")] == [n % 3 for n in range(EXAMPLES)]


def test_a_trial_run_takes_no_name_and_a_training_without_validation_neither(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = callback(tmp_path / "store")
    trainer_of(lightning, tmp_path / "root", recorder, fast_dev_run=True).fit(module_of(lightning), **loaders())
    trainer_of(lightning, tmp_path / "root", recorder).fit(module_of(lightning), loaders()["train_dataloaders"])
    assert not (tmp_path / "store").exists() and warned(caplog) == []
    how = {"fast_dev_run": True}
    trainer_of(lightning, tmp_path / "root", recorder, **how).fit(module_of(lightning, says_loss), **loaders())
    assert "may be logits or probabilities" in warned(caplog)[0]


def test_a_loader_that_shuffles_is_refused_but_with_ids(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = loaders(Named(), shuffle=True)
    trainer_of(lightning, tmp_path / "root", callback(tmp_path / "a")).fit(module_of(lightning), **data)
    assert moments(tmp_path / "a") == []
    assert "nothing says which examples the rows are about" in warned(caplog)[0]
    trainer_of(lightning, tmp_path / "root", callback(tmp_path / "b", ids="name")).fit(module_of(lightning), **data)
    rows = read(tmp_path / "b", "vit", VAL, "id, truth")
    kinds = Named.classes
    assert sorted(rows) == sorted([(f"n{n}", kinds[n % 3]) for n in range(EXAMPLES)] * 2)


def test_a_subsets_examples_are_those_of_the_whole(lightning: Any, tmp_path: Path) -> None:
    data = loaders(Subset(Named(), [9, 4, 2, 7]))
    how = {"limit_val_batches": 1, "max_epochs": 1}
    trainer_of(lightning, tmp_path / "root", callback(tmp_path), **how).fit(module_of(lightning), **data)
    assert read(tmp_path, "vit", VAL, "id, truth") == [("9", "cat"), ("4", "dog"), ("2", "hen")]


class Normalised(Numbers):
    """As torchvision's Normalize leaves them."""

    def __getitem__(self, place: int) -> Any:
        image, truth = super().__getitem__(place)
        return (image - 0.25) / 0.5, truth


@pytest.mark.parametrize("given", [True, False])
def test_normalised_images_need_their_normalisation(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, given: bool
) -> None:
    how = {"mean": [0.25], "std": [0.5]} if given else {}
    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path, **how))
    trainer.fit(module_of(lightning), **loaders(Normalised()))
    assert moments(tmp_path) == ["1", "2"]
    said = [text for text in warned(caplog) if "without images" in text]
    assert len(said) == (0 if given else 1)
    pictures = [str(path) for path in (tmp_path / "examples").glob("*.parquet")]
    assert bool(pictures) is given
    if given:
        from secondguess.analysis.content import decoded

        images = duckdb.sql(f"SELECT image.bytes FROM read_parquet({pictures}) ORDER BY id::INT").fetchall()
        assert [decoded(image)[:, :, 0].tolist() for (image,) in images] == Numbers().pixels[:, 0].tolist()


def test_images_of_the_data_set_come_by_their_place(lightning: Any, tmp_path: Path) -> None:
    data = Normalised()
    recorder = callback(tmp_path, images=lambda place: data.pixels[place, 0].numpy())
    trainer_of(lightning, tmp_path / "root", recorder, max_epochs=1).fit(module_of(lightning), **loaders(data))
    files = [str(path) for path in (tmp_path / "examples").glob("*.parquet")]
    assert duckdb.sql(f"SELECT count(image.bytes) FROM read_parquet({files})").fetchall() == [(EXAMPLES,)]


def test_a_run_that_is_there_stops_no_training(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sg.record(tmp_path, run="vit", guess=[1], ids=["a"])
    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path))
    trainer.fit(module_of(lightning), **loaders())
    assert trainer.current_epoch == 2
    first, last = warned(caplog)
    assert "run 'vit' exists already (finished)" in first and "run 'vit' exists already (finished)" in last
    with pytest.raises(sg.SecondguessError, match="exists already"):
        trainer_of(lightning, tmp_path / "root", callback(tmp_path, strict=True)).fit(module_of(lightning), **loaders())
    trainer_of(lightning, tmp_path / "root", callback(tmp_path, overwrite=True)).fit(module_of(lightning), **loaders())
    assert moments(tmp_path) == ["1", "2"]


def test_a_store_that_goes_away_costs_the_epochs_from_then_on(
    lightning: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def removes(module: Any, batch: Any) -> Any:
        if module.current_epoch == 1 and (tmp_path / "store" / "vit").is_dir():
            shutil.move(tmp_path / "store", tmp_path / "away")
        return says_logits(module, batch)

    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path / "store"), max_epochs=3)
    trainer.fit(module_of(lightning, removes), **loaders())
    assert trainer.current_epoch == 3 and moments(tmp_path / "away") == ["1"]
    said = warned(caplog)
    assert any("vit/val_predictions@2 is not recorded, and training goes on" in text for text in said)
    assert "not recorded: vit/val_predictions@2, vit/val_predictions@3" in said[-1]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_training_that_breaks_off_keeps_its_epochs_and_goes_on(lightning: Any, tmp_path: Path, error: Any) -> None:
    def breaks(module: Any, batch: Any) -> Any:
        if module.current_epoch == 1:
            raise error
        return says_logits(module, batch)

    trainer = trainer_of(lightning, tmp_path / "root", callback(tmp_path))
    with pytest.raises(SystemExit if error is KeyboardInterrupt else error):
        trainer.fit(module_of(lightning, breaks), **loaders())
    assert moments(tmp_path) == ["1"] and find_run(tmp_path, "vit").state == "interrupted"
    trainer_of(lightning, tmp_path / "root", callback(tmp_path, resume=True)).fit(module_of(lightning), **loaders())
    assert moments(tmp_path) == ["1", "2"] and find_run(tmp_path, "vit").state == "finished"


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_two_processes_record_each_example_once(tmp_path: Path, strategy: str) -> None:
    """Eleven examples on two processes: Lightning's sampler repeats one, which is dropped and counted."""
    home, root = tmp_path / "home", tmp_path / "root"
    home.mkdir()
    program = str(Path(__file__).parents[2] / "support/lightning_loop.py")
    drawing = {"MPLCONFIGDIR": str(root)}  # torchmetrics loads Matplotlib
    environment = {**os.environ, **drawing, "HOME": str(home), "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    ran = subprocess.run(
        [sys.executable, program, str(tmp_path / "store"), str(root), strategy],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr
    store = tmp_path / "store"
    expected = [(epoch, str(n), n % 3) for epoch in (1, 2) for n in range(EXAMPLES)]
    assert read(store, "ddp", VAL, "epoch, id, truth") == expected
    live = find_run(store, "ddp").commits[VAL]
    assert [entry["ranks"] for _, record in live for entry in record["epochs"]] == [
        {"world_size": 2, "rows": [6, 6], "repeated": 1}
    ] * 2
    (moment,) = find_run(store, "ddp").tables["test_predictions"]  # a process that is spawned knows of no training
    assert str(moment) == ("2" if strategy == "ddp" else "1:0")
    rows = read(store, "ddp", "test_predictions", "id, truth")
    assert rows == [(str(n), n % 3) for n in range(EXAMPLES)]
    assert find_run(store, "ddp").state == "finished"
    assert ran.stderr.count("rows of ids that were there already are left out") == 2
    assert list(home.iterdir()) == []
