"""A table view, or the answer to SQL, as a file to download, every row of it."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from secondguess.analysis import signals
from secondguess.analysis.errors import BadInput
from secondguess.analysis.page import urls
from secondguess.analysis.page.site import Site, site

TYPES = {
    "csv": (".csv", "text/csv"),
    "json": (".json", "application/json"),
    "markdown": (".md", "text/markdown"),
    "parquet": (".parquet", "application/vnd.apache.parquet"),
}


async def export(request: Request) -> Response:
    """Send every row of a view; a worker writes them to a file that is deleted once it is sent."""
    page_site = site(request)
    view = replace(urls.read_table(request.query_params), limit=None, offset=0)
    name = "-".join(view.tables).replace("/", "-").replace("@", "-")
    return await sent(request, page_site, view, request.query_params.get("format", "csv"), name)


async def sent(request: Request, page_site: Site, what: object, form: str, name: str, **options: str) -> Response:
    """Send every row of a view or of SQL (what) as a file of that form; raises BadInput for an unknown form."""
    if form not in TYPES:
        raise BadInput(f"format is {form!r}, not one of {', '.join(TYPES)}")
    suffix, kind = TYPES[form]
    with tempfile.NamedTemporaryFile(suffix=suffix, prefix="secondguess-", delete=False) as file:
        path = Path(file.name)
    withdraw = signals.promise(partial(path.unlink, missing_ok=True))

    def remove() -> None:
        path.unlink(missing_ok=True)
        withdraw()

    try:
        await page_site.ask(request, "export", what, options={**options, "path": str(path), "form": form})
    except BaseException:
        remove()
        raise
    return FileResponse(path, media_type=kind, filename=name + suffix, background=BackgroundTask(remove))
