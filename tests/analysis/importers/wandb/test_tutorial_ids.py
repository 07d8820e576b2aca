"""Tables of the tutorial, whose ids are positions, against a local run on MNIST whose ids name the images."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray
from wandb_scripts import real_run

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput
from secondguess.trainer.recorder import Recorder

COUNT = 1_200
# As in the tutorial: an image's place in its batch, then the batch's number; the guess here is the image's true place.
SCRIPT = """
pixels = np.load(os.environ["PIXELS"])
size = int(os.environ["BATCH"])
table = wandb.Table(columns=["id", "image", "guess", "truth"])
for place, image in enumerate(pixels):
    table.add_data(f"{place % size}_{place // size}", wandb.Image(image), place, 0)
run.log({"test_predictions": table, "epoch": 1})
"""


def raw(folder: Path, name: str, head: int) -> NDArray[np.uint8]:
    """The bytes after the header of a raw file of MNIST's test images."""
    found = [path for path in folder.rglob(f"t10k-{name}-ubyte*") if path.is_file() and "Fashion" not in str(path)]
    data = found[0].read_bytes()
    return np.frombuffer(gzip.decompress(data) if found[0].suffix == ".gz" else data, np.uint8, offset=head)


@dataclass(frozen=True)
class Examples:
    """Test images of 28 x 28 with what they show, called as the trainer calls them."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    ids: list[str]

    @classmethod
    def of(cls, folder: Path) -> Self:
        images = raw(folder, "images-idx3", 16).reshape(-1, 28, 28)
        return cls(images, raw(folder, "labels-idx1", 8), [f"test-{place:05d}" for place in range(len(images))])


@pytest.fixture(scope="module")
def store(mnist_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local run on the first test images, and the tutorial's tables of them in batches of 32 and of 100."""
    folder = tmp_path_factory.mktemp("tutorial")
    examples = Examples.of(mnist_dir)
    np.save(folder / "pixels.npy", examples.images[:COUNT])
    with Recorder(folder / "store", run="local") as recorder, recorder.table("test_predictions", epoch=1) as table:
        some = slice(COUNT)
        table.add(ids=examples.ids[some], images=examples.images[some], truth=examples.labels[some], guess=[0] * COUNT)
    for size in (32, 100):
        place = real_run(folder / str(size), SCRIPT, PIXELS=str(folder / "pixels.npy"), BATCH=str(size))
        main(["import", str(place), "--run", f"by-{size}", "--store", str(folder / "store")])
    return folder / "store"


@pytest.fixture(scope="module")
def whole(mnist_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All test images by their true index, and in another order under the tutorial's ids; the guess is the index."""
    store = tmp_path_factory.mktemp("whole")
    examples = Examples.of(mnist_dir)
    order = np.random.default_rng(0).permutation(len(examples.ids))
    named = [f"{place % 32}_{place // 32}" for place in range(len(order))]
    for run, places, ids in (("local", np.arange(len(order)), examples.ids), ("tutorial", order, named)):
        with Recorder(store, run=run) as recorder, recorder.table("test_predictions", epoch=1) as table:
            table.add(ids=list(ids), images=examples.images[places], truth=examples.labels[places], guess=places)
    return store


def test_by_digest_is_by_true_index_for_all_images_of_mnist(whole: Path) -> None:
    answer = sg.connect(whole).table(
        "tutorial", "local", join="inner", key="digest", columns="guess_a, guess_b, id_b, truth_a, truth_b"
    )
    pairs = answer.fetchall()
    assert sorted(index for index, *_ in pairs) == list(range(10_000))
    assert all(
        one == other and name == f"test-{one:05d}" and truth == label for one, other, name, truth, label in pairs
    )
    (report,) = answer.statement.reports
    assert (report.matched, report.only_left, report.only_right, report.truths_differ) == (10_000, 0, 0, 0)
    assert report.same_examples is True


def by_digest(left: str, right: str) -> str:
    """The pairs of rows of two runs whose images are the same."""
    return f"""
        WITH l AS (SELECT t.*, x.digest FROM "{left}" t JOIN examples x USING (examples, id)),
             r AS (SELECT t.*, x.digest FROM "{right}" t JOIN examples x USING (examples, id))
        SELECT l.id, r.id, l.guess, r.guess FROM l JOIN r USING (digest) ORDER BY ALL
    """


@pytest.mark.parametrize("size", [32, 100])
def test_every_image_of_the_tutorial_s_pairs_with_its_own_by_digest(store: Path, size: int) -> None:
    pairs = sg.connect(store).sql(by_digest(f"by-{size}", "local")).fetchall()
    assert len(pairs) == COUNT
    assert sorted((place, name) for _, name, place, _ in pairs) == [(at, f"test-{at:05d}") for at in range(COUNT)]
    assert {name: place for name, _, place, _ in pairs} == {f"{at % size}_{at // size}": at for at in range(COUNT)}


def test_two_batch_sizes_pair_by_digest_and_are_refused_by_id(store: Path) -> None:
    pairs = sg.connect(store).sql(by_digest("by-32", "by-100")).fetchall()
    assert len(pairs) == COUNT
    assert all(left == right for _, _, left, right in pairs)
    # 0_0 to 31_11 are ids of both; only those of the first batch, 0_0 to 31_0, mean the same image.
    assert sum(left == right for left, right, _, _ in pairs) == 32
    with pytest.raises(BadInput, match=r"352 .*content differs"):
        sg.connect(store).ask("disagreements", "by-32", "by-100")


def test_positions_match_no_id_of_the_local_run(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["ask", "disagreements", "by-32", "local", "--store", str(store)])
    said = capsys.readouterr().err
    assert "on id: 0 matched, 1,200 only in by-32@1, 1,200 only in local@1" in said


def test_all_images_here_are_different(store: Path) -> None:
    """Else a digest could pair an image with another one's row."""
    found: list[tuple[Any, ...]] = (
        sg.connect(store)
        .sql("""
        SELECT examples, count(*), count(DISTINCT digest) FROM examples GROUP BY ALL
    """)
        .fetchall()
    )
    assert [(rows, digests) for _, rows, digests in found] == [(COUNT, COUNT)] * 3
