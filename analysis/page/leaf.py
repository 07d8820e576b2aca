"""A page as a file of its own: sheet and images inside, links to other files, and no part that only a server answers.

Weighed against a browser's "save as", which keeps forms that go nowhere and links to a server that is gone.
"""

import re
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_NOT_KEPT = {"script", "button", "select", "textarea", "datalist", "label"}
_SOURCES = {"src", "href", "xlink:href"}

Link = Callable[[str], str | None]
"""From an address of the page to what a file has in its place, or to None where it has nothing."""


def leaf(page: str, sheet: str, link: Link, image: Link) -> str:
    """A page as a file: link gives the file that stands for an address, image an image's bytes as a data address."""
    writer = _Leaf(sheet, link, image)
    writer.feed(page)
    writer.close()
    return "".join(writer.parts)


class _Leaf(HTMLParser):
    """The page as it is read, and of it what is kept."""

    def __init__(self, sheet: str, link: Link, image: Link) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._sheet, self._link, self._image = sheet, link, image
        self._left: list[str] = []  # the elements that are open within one that is left out, that one first
        self._kept: list[str] = []  # those that are open within a form's table, that one first: no more of it is kept
        self._form = self._svg = 0  # how many are open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write an element's beginning, or leave it out."""
        given = {name: value or "" for name, value in attrs}
        if self._left:
            self._left += [tag] if tag not in _VOID else []
            return
        self._svg += tag == "svg"
        if tag == "form":
            self._form += 1
        elif tag == "link":
            self._linked(given)
        elif tag == "input" or self._is_left(tag, given):
            self._left = [tag] if tag not in _VOID else []
        elif self._form and not self._kept and tag != "table" and "scroll" not in given.get("class", "").split():
            return
        else:
            self._kept += [tag] if self._form and tag not in _VOID else []
            self._written(tag, given)

    def _written(self, tag: str, given: dict[str, str]) -> None:
        if tag == "meta" and "charset" in given:
            self.parts += [self._raw(), f'\n<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">']
        elif tag in ("a", "img", "image"):
            self._leading(tag, given)
        else:
            self.parts.append(self._raw())

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write an empty element."""
        if self._left or (self._form and not self._kept):
            return
        if tag in ("img", "image"):
            self._leading(tag, {name: value or "" for name, value in attrs})
        else:
            self.parts.append(self._raw())

    def handle_endtag(self, tag: str) -> None:
        """Write an element's end where its beginning was written."""
        if self._left:
            while self._left and self._left.pop() != tag:
                pass
            return
        self._svg -= tag == "svg"
        if tag == "form":
            self._form -= 1
        elif not self._form or self._kept:
            self.parts.append(f"</{tag}>")
            while self._kept and self._kept.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Write text."""
        if not self._left and (not self._form or self._kept):
            self.parts.append(data)

    def handle_entityref(self, name: str) -> None:
        """Write a sign by its name."""
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """Write a sign by its number."""
        self.handle_data(f"&#{name};")

    def handle_decl(self, decl: str) -> None:
        """Write what the file is."""
        self.parts.append(f"<!{decl}>")

    def _raw(self) -> str:
        return self.get_starttag_text() or ""

    def _linked(self, given: dict[str, str]) -> None:
        if given.get("rel") == "stylesheet":
            self.parts.append(f"<style>{self._sheet}</style>")
        elif given.get("rel") == "icon" and (data := self._image(given.get("href", ""))):
            self.parts.append(f'<link rel="icon" href="{data}">')

    def _is_left(self, tag: str, given: dict[str, str]) -> bool:
        """Whether an element says or does something only where a server answers."""
        classes = given.get("class", "").split()
        if tag in _NOT_KEPT or (tag == "details" and "menu" in classes) or "skip" in classes:
            return True
        alone = tag == "a" and not self._svg and ("button" in classes or "aria-label" in given)
        return alone and self._target(given.get("href", "")) is None

    def _target(self, address: str) -> str | None:
        return address if address.startswith("#") else self._link(address)

    def _leading(self, tag: str, given: dict[str, str]) -> None:
        """Write an element that names an address, with what stands for it here, or without."""
        raw = self._raw()
        for name in _SOURCES & given.keys():
            target = self._target(given[name]) if tag == "a" else self._image(given[name])
            kept = "" if target is None else f' {name}="{escape(target)}"'
            found = re.search(rf'\s{re.escape(name)}\s*=\s*("[^"]*"|\'[^\']*\'|[^\s>]+)', raw)
            raw = raw if found is None else raw[: found.start()] + kept + raw[found.end() :]
        self.parts.append(raw)
