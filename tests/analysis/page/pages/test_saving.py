"""Saving on the page: what came of it is said, a taken name is no dead end, a view is renamed and deleted."""

from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from page import Server
from recording import bytes_of

from secondguess.analysis.errors import AlreadyThere, NotFound
from secondguess.analysis.tables import saved
from secondguess.analysis.tables.view import TableView

pytest_plugins = ["page"]
VIEW = {"t": "cnn@3", "where": "wrong"}
ODD = "틀린 & <b>"


@pytest.fixture
def clean(server: Server) -> Iterator[Server]:
    """The server of a store without saved views."""
    yield server
    for name in saved.names(server.store):
        saved.remove(server.store, name)


def test_what_was_saved_is_said_on_the_views_page(clean: Server) -> None:
    sent = clean.post("/save", {**VIEW, "name": ODD})
    assert (sent.status, sent.header("location").startswith("/table?t=cnn%403&where=wrong&saved=")) == (303, True)
    assert f"Saved as <b>{ODD}</b>" in unescape(clean.ask(sent.header("location")).text).replace("&amp;", "&")
    assert "Saved as" not in clean.ask("/table?t=cnn%403&where=wrong&saved=another").text
    assert "Saved as" not in clean.ask(sent.header("location").replace("wrong", "NOT+wrong")).text


def test_a_taken_name_can_be_replaced_or_changed_and_nothing_typed_is_lost(clean: Server) -> None:
    clean.post("/save", {**VIEW, "name": "mine"})
    other = {"t": "double@3", "where": "id = 'a\nb'", "sort": "-id"}
    sent = clean.post("/save", {**other, "name": "mine"})
    taken = clean.ask(sent.header("location"))  # which going back to sends nothing again
    assert (sent.status, taken.status, "There is a view named &#39;mine&#39; already" in taken.text) == (303, 200, True)
    for field in ('value="mine"', 'name="where" value="id = &#39;a\nb&#39;"', 'name="sort" value="-id"', "Replace"):
        assert field in taken.text, field
    assert saved.load(clean.store, "mine").tables == ("cnn@3",)
    assert clean.post("/save", {**other, "name": "mine", "replace": "1"}).status == 303
    assert saved.load(clean.store, "mine") == TableView(("double@3",), where=("id = 'a\nb'",), sort=("-id",))


@pytest.mark.parametrize("name", ["", "a/b", "a@1", "*", "\x00", "x" * 300])
def test_a_name_that_cannot_be_leaves_the_form_as_it_was(clean: Server, name: str) -> None:
    answer = clean.ask(clean.post("/save", {**VIEW, "name": name}).header("location"))
    assert 'role="alert"' in answer.text
    assert 'name="where" value="wrong"' in answer.text
    assert saved.names(clean.store) == []


def test_a_view_is_renamed_unless_the_name_is_taken(clean: Server) -> None:
    for name in ("old", "other"):
        clean.post("/save", {**VIEW, "name": name})
    assert "Rename" in clean.ask("/saved?name=old").text
    taken = clean.ask(clean.post("/saved", {"name": "old", "how": "rename", "new": "other"}).header("location"))
    assert "There is a view named &#39;other&#39; already." in taken.text
    assert 'name="new" required size="24" value="other"' in taken.text
    odd = clean.ask(clean.post("/saved", {"name": "old", "how": "rename", "new": "a/b"}).header("location"))
    assert 'role="alert"' in odd.text
    sent = clean.post("/saved", {"name": "old", "how": "rename", "new": ODD})
    assert f"Saved as <b>{ODD}</b>" in unescape(clean.ask(sent.header("location")).text)
    assert saved.names(clean.store) == ["other", ODD]
    assert clean.post("/saved", {"name": "old", "how": "rename", "new": "x"}).status == 404
    assert clean.post("/saved", {"name": "other", "how": "burn"}).status == 400


def test_a_view_is_deleted_and_shown_once_more(clean: Server) -> None:
    before = bytes_of(clean.store)
    clean.post("/save", {**VIEW, "name": "gone"})
    sent = clean.post("/saved", {"name": "gone", "how": "delete"})
    text = clean.ask(sent.header("location")).text
    assert "<b>gone</b> is deleted; to have it again, save this view" in text
    assert saved.names(clean.store) == []
    assert bytes_of(clean.store) == before
    assert clean.post("/saved", {"name": "gone", "how": "delete"}).status == 404


def test_a_view_that_is_damaged_can_be_deleted(clean: Server) -> None:
    clean.post("/save", {**VIEW, "name": "bad"})
    (clean.store / "views" / "bad.json").write_text("{")
    answer = clean.ask("/saved?name=bad")
    assert (answer.status, "is not a saved view" in answer.text) == (200, True)
    assert clean.ask("/saved.json?name=bad").data["url"] is None
    assert clean.post("/saved", {"name": "bad", "how": "delete"}).header("location") == "/table"
    assert saved.names(clean.store) == []


def test_without_the_page_too(clean: Server) -> None:
    store: Path = clean.store
    saved.save(store, "one", TableView(("cnn@3",)))
    saved.save(store, "two", TableView(("cnn@2",)))
    with pytest.raises(AlreadyThere):
        saved.rename(store, "one", "two")
    assert saved.rename(store, "one", "one") == store / "views" / "one.json"
    saved.rename(store, "one", "three")
    assert (saved.names(store), saved.load(store, "three").tables) == (["three", "two"], ("cnn@3",))
    for call in (lambda: saved.remove(store, "one"), lambda: saved.rename(store, "one", "four")):
        with pytest.raises(NotFound, match="no view named 'one'; the store has: three, two"):
            call()
