"""Small Keras trainings as people write them, on the backend that KERAS_BACKEND names: `keras_loop.py FOLDER CASE …`.

Each case has a store of its name in the folder. What the test cannot see there is printed as JSON, with what the logger
`secondguess` warned of.
"""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from readme import block

import secondguess as sg

EXAMPLES, CLASSES = 11, 3
random = np.random.default_rng(0)
PIXELS = random.integers(0, 256, (EXAMPLES, 4, 4, 1), np.uint8)
TRUTH = np.arange(EXAMPLES) % CLASSES


def model_of(**how: Any) -> Any:
    """The same network each time, whose outputs are probabilities unless activation is None."""
    keras.utils.set_random_seed(1)
    last = keras.layers.Dense(CLASSES, activation=how.get("activation", "softmax"))
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Rescaling(how.get("scale", 1 / 255)), last])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits="activation" in how)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model


def callback(**how: Any) -> Any:
    return sg.callbacks.KerasPredictions(Path.cwd(), batch_size=4, **{"run": "k", "data": (PIXELS, TRUTH), **how})


def fit(model: Any, *callbacks: Any, x: Any = PIXELS, **how: Any) -> Any:
    keras.utils.set_random_seed(2)
    validation = {"validation_data": (x, TRUTH)}
    return model.fit(x, TRUTH, epochs=2, verbose=0, batch_size=4, callbacks=list(callbacks), **{**validation, **how})


def usual() -> Any:
    """The documentation's line; what it trains is the same without it."""
    recorder, model, plain = callback(), model_of(), model_of()
    said, other = fit(model, recorder).history, fit(plain).history
    recorder.record(model, (PIXELS[:5], keras.utils.to_categorical(TRUTH[:5], CLASSES)))
    return {
        "is_callback": isinstance(recorder, keras.callbacks.Callback),
        "same": said["loss"] == other["loss"] and said["val_accuracy"] == other["val_accuracy"],
        "accuracy": said["val_accuracy"],
        "scores": model.predict(PIXELS, verbose=0).tolist(),
    }


def logits() -> Any:
    model = model_of(activation=None)
    fit(model, callback(logits=True))
    return {"outputs": model.predict(PIXELS, verbose=0).tolist()}


def refused() -> Any:
    """Outputs that are no probabilities, which nobody says are logits."""
    return {"epochs": len(fit(model_of(activation=None), callback()).epoch)}


def strict() -> Any:
    try:
        fit(model_of(activation=None), callback(strict=True))
    except sg.SecondguessError as error:
        return {"raised": str(error)}
    return {}


def normalised() -> Any:
    x = (PIXELS.astype("float32") / 255 - 0.25) / 0.5
    fit(model_of(scale=1.0), callback(data=(x, TRUTH), mean=0.25, std=0.5), x=x)
    return {"pixels": PIXELS[..., 0].tolist()}


class Batches(keras.utils.PyDataset):
    """Batches of 3, asked for by number."""

    class_names = ("cat", "dog", "hen")

    def __len__(self) -> int:
        return -(-EXAMPLES // 3)

    def __getitem__(self, number: int) -> Any:
        span = slice(3 * number, 3 * number + 3)
        return PIXELS[span], TRUTH[span]


def pydataset() -> Any:
    fit(model_of(), callback(data=Batches()))
    return {}


def loader() -> Any:
    """A torch DataLoader in order, one that shuffles, and one that the user vouches for."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.from_numpy(PIXELS), torch.from_numpy(TRUTH))
    sets = {"in_order": DataLoader(data, batch_size=3), "shuffled": DataLoader(data, batch_size=3, shuffle=True)}
    fit(model_of(), callback(data=sets))
    recorder = sg.callbacks.KerasPredictions(Path.cwd(), run="named", ids=[f"n{n}" for n in range(EXAMPLES)])
    recorder.record(model_of(), ((PIXELS[n : n + 3], TRUTH[n : n + 3]) for n in range(0, EXAMPLES, 3)))
    return {}


class Shuffled(Batches):
    """Batches in an order that is drawn, as a Sequence with `shuffle` and Keras' own image iterators have them."""

    def __init__(self, shuffle: bool) -> None:
        super().__init__()
        self.shuffle = shuffle
        self.places = np.random.default_rng(0).permutation(EXAMPLES) if shuffle else np.arange(EXAMPLES)

    def __getitem__(self, number: int) -> Any:
        places = self.places[3 * number : 3 * number + 3]
        return PIXELS[places], TRUTH[places]


class Drawn(Batches):
    """Batches whose order is drawn anew after each epoch, which nothing says."""

    def __init__(self) -> None:
        super().__init__()
        self.places = np.arange(EXAMPLES)

    def __getitem__(self, number: int) -> Any:
        places = self.places[3 * number : 3 * number + 3]
        return PIXELS[places], TRUTH[places]

    def on_epoch_end(self) -> None:
        self.places = np.random.default_rng(0).permutation(self.places)


def shuffling() -> Any:
    """PyDatasets that say that they shuffle, or do not, or say nothing, and a loader that does with ids in no order."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    fit(model_of(), callback(data={"drawn": Shuffled(True), "in_order": Shuffled(False)}))
    loader = DataLoader(TensorDataset(torch.from_numpy(PIXELS), torch.from_numpy(TRUTH)), batch_size=3, shuffle=True)
    drawn = Drawn()
    fit(model_of(), callback(run="after", data=drawn), validation_data=drawn)
    callback(run="ids", data=None, ids=[f"n{n}" for n in range(EXAMPLES)]).record(model_of(), loader)
    known = {PIXELS[n].tobytes(): f"n{n}" for n in range(EXAMPLES)}
    named = callback(run="fn", data=None, id_fn=lambda batch, _: [known[np.asarray(x).tobytes()] for x in batch[0]])
    named.record(model_of(), Shuffled(True))
    return {}


def spent() -> Any:
    """A generator, which gives its rows in the first epoch alone; no rows; more labels than rows."""
    batches = ((PIXELS[n : n + 3], TRUTH[n : n + 3]) for n in range(0, EXAMPLES, 3))
    fit(model_of(), callback(data=batches, ids=range(EXAMPLES)))
    callback(run="none", data=None).record(model_of(), (PIXELS[:0], TRUTH[:0]))
    callback(run="more", data=None).record(model_of(), (PIXELS[:5], TRUTH))
    return {}


def broken() -> Any:
    """A training that breaks off, and another in the same process, while the first callback is still there."""

    class Breaks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise ZeroDivisionError

    recorder = callback()
    with contextlib.suppress(ZeroDivisionError):
        fit(model_of(), recorder, Breaks())
    fit(model_of(), callback(resume=True))
    return {}


def regression() -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Rescaling(1 / 255), keras.layers.Dense(1)])
    model.compile(optimizer="adam", loss="mse")
    callback(task="regression").record(model, (PIXELS, TRUTH / 4))
    return {"outputs": model.predict(PIXELS, verbose=0)[:, 0].tolist()}


def inputs() -> Any:
    """A data frame, lists of rows, and a model of two inputs and two outputs, told by their names."""
    import pandas as pd

    flat = PIXELS.reshape(EXAMPLES, -1).astype("float32") / 255
    keras.utils.set_random_seed(1)
    plain = keras.Sequential([keras.layers.Dense(CLASSES, activation="softmax")])
    plain.build((None, 16))
    recorder = callback()
    recorder.record(plain, (pd.DataFrame(flat), pd.Series(TRUTH)), table="frame")
    recorder.record(plain, (flat.tolist(), TRUTH.tolist()), table="lists")
    first, second = keras.Input((16,), name="first"), keras.Input((16,), name="second")
    both = keras.layers.Add()([first, second])
    outputs = {"kind": keras.layers.Dense(CLASSES, activation="softmax")(both), "size": keras.layers.Dense(1)(both)}
    model = keras.Model({"first": first, "second": second}, outputs)
    data = ({"first": flat, "second": flat}, {"kind": TRUTH, "size": TRUTH / 4})
    callback(run="two", output="kind").record(model, data)
    layers = [keras.layers.Dense(1, name="size"), keras.layers.Dense(CLASSES, activation="softmax", name="kind")]
    listed = keras.Model(first, [layer(first) for layer in layers])
    callback(run="listed", output="kind").record(listed, (flat, [TRUTH / 4, list(TRUTH)]))
    return {}


def evaluated() -> Any:
    """evaluate() gives a callback nothing to record, and says so."""
    recorder = callback()
    model_of().evaluate(PIXELS, TRUTH, verbose=0, callbacks=[recorder])
    return {}


def readme() -> Any:
    exec(
        block("KerasPredictions"),
        {
            "sg": sg,
            "model": model_of(),
            **dict.fromkeys(("x", "x_val"), PIXELS),
            **dict.fromkeys(("y", "y_val"), TRUTH),
        },
    )
    return {}


CASES: dict[str, Callable[[], Any]] = {
    each.__name__: each
    for each in (
        usual,
        logits,
        refused,
        strict,
        normalised,
        pydataset,
        loader,
        shuffling,
        spent,
        broken,
        regression,
        inputs,
        evaluated,
        readme,
    )
}


class Kept(logging.Handler):
    """What was warned of since it was last asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main(folder: Path, cases: list[str]) -> None:
    warnings = Kept()
    logging.getLogger("secondguess").addHandler(warnings)
    for case in cases:
        (folder / case).mkdir(parents=True)
        os.chdir(folder / case)
        warnings.texts = []
        said = CASES[case]()
        print(json.dumps({"case": case, **said, "warnings": warnings.texts, "backend": keras.backend.backend()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2:])
