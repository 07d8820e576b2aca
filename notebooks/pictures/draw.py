"""The README's pictures, drawn anew by Chromium: `python notebooks/pictures/draw.py MNIST DIGITS`.

MNIST is a store with the runs cnn-0 and double-0 of five epochs on MNIST, DIGITS one with cnn and double of thirty on
the digits.
"""

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
JOINED = "/table?t=cnn-0%401&t=cnn-0%405&join=inner&where=guess_a+%3C%3E+guess_b"
PICTURES = {
    "two-epochs": (JOINED, 860),
    "errors-by-guess": ("/questions?q=errors-by-guess&t=double-0%405&t=cnn-0%405", 640),
    "comparison": ("/compare?t=cnn-0%401&t=cnn-0%405", 900),
    "trajectories": ("/questions?q=trajectories&t=cnn-0&o.sort=-flips", 560),
}
SCRUBBED = "/questions?q=errors-by-guess&t=cnn%401&t=double%401"
EPOCHS = (*range(1, 11), 12, 14, 17, 20, 25, 30)


@contextmanager
def page_of(store: Path, browser: Any, width: int, height: int) -> Iterator[Any]:
    """A browser's page on `secondguess view`, and where that is."""
    command = [sys.executable, "-m", "secondguess", "view", "--no-browser", "--store", str(store)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = next(line.strip() for line in process.stdout if "http://" in line)
        page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=1)
        page.goto(address)
        page.wait_for_url("**/runs")
        yield page, address.partition("/open")[0]
    finally:
        process.terminate()


def draw(store: Path, browser: Any) -> None:
    """Each picture, as high as its page needs to be understood."""
    for name, (address, height) in PICTURES.items():
        with page_of(store, browser, 1280, height) as (page, base):
            page.goto(base + address, wait_until="networkidle")
            page.screenshot(path=HERE / f"{name}.png")
            reduced(Image.open(HERE / f"{name}.png")).save(HERE / f"{name}.png", optimize=True)


def scrub(store: Path, browser: Any) -> None:
    """The slider dragged from the first epoch to the last, a frame each."""
    frames = []
    with page_of(store, browser, 1280, 680) as (page, base):
        page.goto(base + SCRUBBED, wait_until="networkidle")
        for epoch in EPOCHS:
            slider = page.locator("form.slider input[type=range]")
            slider.evaluate(
                "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }", epoch
            )
            page.wait_for_function(
                "epoch => document.querySelector('.lead').innerText.includes(`cnn@${epoch} `)", arg=epoch
            )
            page.wait_for_load_state("networkidle")
            frames.append(reduced(Image.open(io.BytesIO(page.screenshot())).resize((960, 510))))
    frames[0].save(
        HERE / "scrubbing.gif",
        save_all=True,
        append_images=frames[1:],
        duration=[300] * (len(frames) - 1) + [1500],
        loop=0,
    )


def reduced(image: Image.Image) -> Image.Image:
    """With 64 colours, which are enough for a page."""
    return image.convert("RGB").quantize(64, dither=Image.Dither.NONE)


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        draw(Path(sys.argv[1]), chromium)
        scrub(Path(sys.argv[2]), chromium)
