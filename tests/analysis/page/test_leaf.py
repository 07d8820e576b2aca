"""Of a page what is kept in a file, part by part."""

import pytest

from secondguess.analysis.page.leaf import leaf

PAGES = {"/run?run=a&x=1": "a.html"}


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        ('<a href="/run?run=a&amp;x=1">a</a>', '<a href="a.html">a</a>'),
        ('<a href="/elsewhere" title="t">a</a>', '<a title="t">a</a>'),
        ('<a href="#main">a</a>', '<a href="#main">a</a>'),
        ('<a class="button" href="/elsewhere">Swap</a>b', "b"),
        ('<a class="button" href="/run?run=a&amp;x=1">Swap</a>', '<a class="button" href="a.html">Swap</a>'),
        ('<a href="/elsewhere" aria-label="Remove">-</a>b', "b"),
        ('<svg viewBox="0 0 1 1"><a href="/x" aria-label="3"><rect/></a></svg>', None),
        ('<img src="/image/k" width="8">', '<img src="data:k" width="8">'),
        ('<img src="/image/gone" width="8">', '<img width="8">'),
        ('<script src="/x"></script>b', "b"),
        ("<button>Copy <b>x</b></button>b", "b"),
        ('<details class="menu"><summary>S</summary><details>x</details></details>b', "b"),
        ('<details class="sql"><summary>S</summary></details>', '<details class="sql"><summary>S</summary></details>'),
        ('<form action="/x"><p>Filter</p><input name="x"><label>a</label></form>b', "b"),
        ('<form><div class="scroll fits"><table><tr><td><input>1</table></div><p>x</p></form>b', None),
        ("&lt;b&gt; &amp; &#39;", "&lt;b&gt; &amp; &#39;"),
        ("<p>a<br>b", "<p>a<br>b"),
    ],
)
def test_what_is_kept(page: str, kept: str | None) -> None:
    without = {
        '<svg viewBox="0 0 1 1"><a href="/x" aria-label="3"><rect/></a></svg>': (
            '<svg viewBox="0 0 1 1"><a aria-label="3"><rect/></a></svg>'
        ),
        '<form><div class="scroll fits"><table><tr><td><input>1</table></div><p>x</p></form>b': (
            '<div class="scroll fits"><table><tr><td>1</table></div>b'
        ),
    }
    image = {"/image/k": "data:k"}.get
    assert leaf(page, "sheet", PAGES.get, image) == (without[page] if kept is None else kept)


def test_the_sheet_is_inside_and_the_policy_forbids_every_request() -> None:
    page = (
        '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/static/x.css"><link rel="icon" href="/i">'
    )
    text = leaf(page, "b > a {}", PAGES.get, {"/i": "data:i"}.get)
    assert text.startswith('<!doctype html><meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy"')
    assert "default-src &#x27;none&#x27;" in text
    assert text.endswith('<style>b > a {}</style><link rel="icon" href="data:i">')
