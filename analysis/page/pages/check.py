"""The page that says what is wrong or odd in the store, all of which is read for it."""

import asyncio
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from secondguess.analysis.page.pages import facts
from secondguess.analysis.page.site import drawn, site
from secondguess.analysis.store.check import check


async def page(request: Request) -> Response:
    """What a check of the whole store finds, the grave first."""
    page_site = site(request)
    async with page_site.checking:
        checked = await asyncio.to_thread(check, page_site.store)
    context = {
        "title": "Check",
        "here": "Runs",
        "checked": checked,
        "size": facts.readable(checked.bytes),
    }
    findings = [{**asdict(finding), "grave": finding.is_grave} for finding in checked.findings]
    data = {"sound": checked.is_sound, "findings": findings, "files": checked.files, "bytes": checked.bytes}
    return drawn(request, "check.html", context, data)
