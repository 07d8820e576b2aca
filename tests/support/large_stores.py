"""Two stores of the size of real work, made once and kept between runs: a sweep of many epochs, and many classes.

`python tests/support/large_stores.py sweep FOLDER` makes one by hand.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from secondguess.analysis.content import png
from secondguess.trainer.recorder import Recorder

RUNS, EPOCHS, EXAMPLES, CLASSES = 30, 200, 200, 10
ARCHITECTURES = (
    "vit_base_patch16_224.augreg_in21k_ft_in1k",
    "convnext_tiny.fb_in22k_ft_in1k_384",
    "resnet50d.ra2_in1k",
)
RATES, DECAYS = (0.001, 0.0003, 0.0001), (0.0001, 0.01)
OWN_COLUMNS = 25  # of the run that keeps measurements of its own

MANY, PHOTO, LABELS = 1_000, 96, 1_000
BREEDS = ("강아지", "고양이 🐈", "Staffordshire bullterrier, Staffordshire bull terrier", "flamingo 🦩", "자전거")


def large_store(name: str) -> Path:
    """The store `sweep` or `wide`, made where it is not kept yet; whoever writes into it copies it first."""
    made_by = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    kept = Path(tempfile.gettempdir()) / f"secondguess-tests-{os.getuid()}" / f"{name}-{made_by}"
    if not kept.is_dir():
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=kept.parent))
        MAKERS[name](making / "predictions")
        try:
            making.rename(kept)
        except OSError:  # another process was first
            shutil.rmtree(making)
    return kept / "predictions"


def sweep_run(number: int) -> tuple[str, dict[str, object]]:
    """The name and the config of a run of the sweep, as a launcher writes them."""
    architecture = ARCHITECTURES[number % 3]
    rate, decay = RATES[number // 3 % 3], DECAYS[number // 9 % 2]
    config: dict[str, object] = {"model": architecture, "lr": rate, "weight_decay": decay, "seed": number // 18}
    return f"sweep-{number:02d}-{architecture}-lr{rate:g}-wd{decay:g}", {**config, "batch_size": 256, "epochs": EPOCHS}


def make_sweep(store: Path) -> None:
    """Thirty runs of two hundred epochs, in two processes, since a machine of the tests has two cores."""
    with ProcessPoolExecutor(2) as processes:
        list(processes.map(_record_sweep, [store] * RUNS, range(RUNS)))


def _record_sweep(store: Path, number: int) -> None:
    name, config = sweep_run(number)
    chance = np.random.default_rng(number)
    images = np.random.default_rng(0).integers(0, 256, (EXAMPLES, 8, 8), dtype=np.uint8)
    truth = np.arange(EXAMPLES) % CLASSES
    hard = np.random.default_rng(1).random(EXAMPLES)
    other = (truth + np.random.default_rng(2).integers(1, CLASSES, EXAMPLES)) % CLASSES
    skill = 2.2 + chance.normal(0, 0.15) - 0.4 * (number % 3)
    with Recorder(store, run=name, config=config) as recorder:
        for epoch in range(1, EPOCHS + 1):
            learned = skill * (1 - np.exp(-epoch / 30))
            logits = chance.normal(0, 0.6, (EXAMPLES, CLASSES))
            logits[np.arange(EXAMPLES), truth] += 1.8 * learned
            logits[np.arange(EXAMPLES), other] += 4 * hard
            scores = np.exp(logits - logits.max(1, keepdims=True))
            scores = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
            columns = {f"measure_{place:02d}": chance.random(EXAMPLES) for place in range(OWN_COLUMNS)}
            recorder.log(epoch=epoch, train_loss=float(2 * np.exp(-learned) + chance.normal(0, 0.02)))
            with recorder.table("test_predictions", epoch=epoch, dataset="sweep-test") as table:
                table.add(
                    ids=[f"sweep-{row:03d}" for row in range(EXAMPLES)],
                    images=images,
                    truth=truth,
                    scores=scores,
                    **(columns if number == 7 else {}),
                )


def class_names() -> list[str]:
    """A thousand names as ImageNet's and its translations are: long ones, Korean ones, ones with pictures."""
    return [f"{BREEDS[number % len(BREEDS)]} {number}" for number in range(LABELS)]


def make_wide(store: Path) -> None:
    """Three runs over photos of a thousand classes; one of texts, one without truth, one that was interrupted."""
    for number, name in enumerate(("wide-small", "wide-large", "wide-large-augmented")):
        _record_wide(store, name, number)
    _record_wide(store, "wide-unlabelled", 3, labelled=False, epochs=1)
    _record_wide(store, "wide-interrupted", 4, epochs=2, finished=False)
    _record_texts(store)


def photos() -> Iterator[bytes]:
    """96 x 96 pictures in colour, no two alike: what a wide page of images has to draw."""
    down, right = np.mgrid[0:PHOTO, 0:PHOTO] / PHOTO
    for row in range(MANY):
        chance = np.random.default_rng(row)
        tones, tilt = chance.random((3, 3)), chance.normal(size=(3, 2)) * 4
        waves = [tones[0, c] + tones[1, c] * np.sin(tilt[c, 0] * down + tilt[c, 1] * right) / 2 for c in range(3)]
        yield png(np.clip(np.stack(waves, -1) * 255, 0, 255).astype(np.uint8))


def _record_wide(
    store: Path, name: str, number: int, *, labelled: bool = True, epochs: int = 5, finished: bool = True
) -> None:
    chance = np.random.default_rng(100 + number)
    truth = np.arange(MANY) % LABELS
    pictures = list(photos())
    recorder = Recorder(store, run=name, config={"width": number + 1, "seed": number}, classes=class_names())
    for epoch in range(1, epochs + 1):
        logits = chance.normal(0, 1, (MANY, LABELS))
        logits[np.arange(MANY), truth] += 2.2 + 0.5 * epoch + 0.2 * number
        logits[np.arange(MANY), (truth + len(BREEDS)) % LABELS] += 3  # its namesake
        scores = np.exp(logits - logits.max(1, keepdims=True))
        scores = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
        with recorder.table("test_predictions", epoch=epoch, dataset="wide-test") as table:
            table.add(
                ids=[f"photo-{row:04d}" for row in range(MANY)],
                images=pictures,
                scores=scores,
                **({"truth": truth} if labelled else {}),
            )
    recorder.close(finished=finished)


def _record_texts(store: Path) -> None:
    feelings = ["negative", "neutral", "positive"]
    chance = np.random.default_rng(7)
    lines = [
        f"Review {row}: the {BREEDS[row % 5]} was {feelings[row % 3]}, " + "and so was the rest of it. " * (row % 9)
        for row in range(300)
    ]
    with Recorder(store, run="wide-texts", config={"width": 1}, classes=feelings) as recorder:
        for epoch in range(1, 6):
            scores = chance.dirichlet([0.5] * 3, 300).astype(np.float32)
            scores[np.arange(300), np.arange(300) % 3] += 0.2 * epoch
            with recorder.table("reviews", epoch=epoch, dataset="reviews") as table:
                table.add(
                    ids=[f"review-{row:03d}" for row in range(300)],
                    content=lines,
                    truth=np.arange(300) % 3,
                    scores=scores / scores.sum(1, keepdims=True),
                )


MAKERS = {"sweep": make_sweep, "wide": make_wide}

if __name__ == "__main__":
    MAKERS[sys.argv[1]](Path(sys.argv[2]) / "predictions")
