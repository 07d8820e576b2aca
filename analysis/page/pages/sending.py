"""Forms that a page sends: only those that this server drew, and none larger than they are."""

import hmac

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from secondguess.analysis.page.site import Site

_LARGEST = 131_072  # bytes of a form
_MOST_FIELDS = 200


async def sent_form(request: Request, page_site: Site) -> list[tuple[str, str]] | Response:
    """The fields of a form, whatever their line breaks were; else what is said of it."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > _LARGEST:
        return PlainTextResponse("the form is larger than 128 KB; use the command line\n", 413)
    sent = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    fields = [(name, str(value).replace("\r\n", "\n")) for name, value in sent.multi_items()]
    given = dict(fields).get("csrf", "").encode()
    if not hmac.compare_digest(given, page_site.keys.csrf.encode()):
        return PlainTextResponse("this form is not of this page; reload it and send it again\n", 403)
    return fields
