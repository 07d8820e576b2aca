"""The images in the drawings of questions, looked up by the ids that their parts name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from secondguess.analysis.ask import example
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.ask.scope import EXAMPLES_LEFT_OUT
from secondguess.analysis.errors import Damaged, SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.site import Site
from secondguess.analysis.store.records import Epoch

IMAGES = 9  # of each mistake
_MOST_ROWS = 2_000_000  # of the tables: of larger ones a second reading would keep the page waiting
_MOST_TABLES = 4


@dataclass(frozen=True)
class Asking:
    """The store's runs, and the records of the tables that a question is about, by their names in its answer.

    notes gathers why images are missing.
    """

    runs: Runs
    entries: Mapping[str, Epoch]
    notes: list[str] = field(default_factory=list)


async def add_images(request: Request, page_site: Site, asking: Asking, parts: Sequence[dict[str, Any]]) -> None:
    """Give each part its images, (key, address of the example, id), in the order of its ids.

    An id is looked up in the example file of the part's own table: two sets may share ids.
    """
    stems = {}
    for table in {part["table"] for part in parts}:
        entry = asking.entries.get(table)
        if entry is not None and entry.examples is not None:
            stems[table] = entry.examples.stem
    ids = sorted({name for part in parts for name in part["ids"] if name is not None})
    if not stems or not ids:
        return
    try:
        text = example.images(sorted(set(stems.values())), ids)
        seen = await page_site.ask(request, "sql", text, most=len(ids) * len(stems), runs=asking.runs)
    except Damaged as fault:  # the numbers stay
        asking.notes.append(str(fault))
        return
    except SecondguessError:  # no images
        return
    asking.notes.extend(note for note in seen.notes if note.startswith(EXAMPLES_LEFT_OUT))
    keys = {
        (stem, name): page_site.images.keep(image["bytes"])
        for stem, name, image in seen.rows
        if image and image["bytes"]
    }
    for part in parts:
        part["images"] = [
            (key, urls.example(part["view"], row), name)
            for row, name in enumerate(part["ids"])
            if (key := keys.get((stems.get(part["table"], ""), name)))
        ]


async def add_mistakes(request: Request, page_site: Site, asking: Asking, matrices: Sequence[dict[str, Any]]) -> None:
    """Give the most common mistakes of each matrix their surest images, where looking them up is quick."""
    entries = [asking.entries.get(matrix["name"]) for matrix in matrices]
    if len(matrices) > _MOST_TABLES or sum(entry.rows for entry in entries if entry is not None) > _MOST_ROWS:
        return
    parts = []
    for matrix, entry in zip(matrices, entries, strict=True):
        if entry is None or entry.examples is None or not matrix["mistakes"]:
            continue
        text = example.surest(matrix["name"], matrix["down"], matrix["across"], IMAGES)
        try:
            reply = await page_site.ask(request, "sql", text, most=20_000, runs=asking.runs)
        except SecondguessError:  # the words stay
            continue
        ids = {(one, other): names for one, other, names in reply.rows}
        for mistake in matrix["mistakes"]:
            _, one, other = mistake["key"]
            parts.append(mistake)
            mistake |= {"table": matrix["name"], "ids": ids.get((one, other), [])}
    await add_images(request, page_site, asking, parts)
