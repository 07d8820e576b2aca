"""One file that says it all of two tables: verdict, numbers, drawings and images, with nothing from anywhere else."""

import base64
from collections.abc import Mapping, Sequence

from secondguess.analysis.answers import compared
from secondguess.analysis.answers.comparison import by
from secondguess.analysis.answers.html import fragment, sheet
from secondguess.analysis.content import sniffed
from secondguess.analysis.evidence.flipped import Flipped
from secondguess.analysis.evidence.ledger import Comparison

_LARGEST = 40_000  # bytes of an image, so that the file stays below 2 MB


def html(made: Comparison, flipped: Mapping[str, Sequence[Flipped]]) -> str:
    """The report as HTML, the same of the same store; flipped are examples that broke and were fixed."""
    large = sum(one.image is not None and len(one.image) > _LARGEST for some in flipped.values() for one in some)
    faults = dict.fromkeys(one.fault for some in flipped.values() for one in some if one.fault)
    notes = [
        *made.notes,
        *faults,
        *([f"{large} images are larger than {_LARGEST // 1000} KB and left out"] if large else []),
    ]
    strips = [
        compared.strip(made, how, [_drawn(one) for one in flipped.get(how, ())], lambda view: "")
        for how in ("broken", "fixed")
    ]
    context = compared.drawing(made, lambda view: "")
    split = by(made) if made.by else None
    return fragment(
        "report.html", **context, strips=strips, notes=notes, by=split, by_column=made.by_column, sheet=sheet()
    )


def _drawn(one: Flipped) -> dict[str, object]:
    image = one.image if one.image is not None and len(one.image) <= _LARGEST else None
    source = f"data:{sniffed(image)};base64,{base64.b64encode(image).decode()}" if image is not None else ""
    return {"id": one.id, "guess_a": one.guess_a, "guess_b": one.guess_b, "url": "", "image": source}
