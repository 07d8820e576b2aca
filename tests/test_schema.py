"""Names of runs and tables, as text and as folders."""

import string
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.errors import BadInput
from analysis.schema import RESERVED_NAMES, checked_name, decoded, encoded, is_score, score_column

# Any name a person may give: no / @ * ?, no control characters.
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/@*?"), min_size=1, max_size=40
).filter(lambda name: bool(name.strip()))


@given(NAMES)
@example("%")
@example("%25")
@example("100%")
@example("..")
@example(". ")
@example("run.json")
@example("END.JSON")
@example("a=b")
def test_a_folder_name_gives_its_name_back(name: str) -> None:
    assert decoded(encoded(name)) == name


@given(NAMES, NAMES)
@example("a:b", "a%3Ab")
@example(".", "%2E")
def test_different_names_have_different_folders(one: str, other: str) -> None:
    assert (encoded(one) == encoded(other)) == (one == other)


@given(NAMES)
@example(".")
@example("..")
@example("x.json")
def test_a_folder_name_means_nothing_to_paths_globs_and_partitions(name: str) -> None:
    folder = encoded(name)
    assert not set(folder) & set('/\\:"<>|[]{}*?=')
    assert not folder.startswith(".")
    assert not folder.endswith((".", " "))
    assert not folder.lower().endswith(".json")


def test_plain_names_are_their_own_folders() -> None:
    for name in ("cnn-2", "lr 0.01", "émile", "模型", "🙂", "O'Brien", "a+b,c;d#e&f$g!h(i)j~k^l`m"):
        assert encoded(name) == name


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("a:b", "a%3Ab"),
        ("100%", "100%25"),
        ("[x]", "%5Bx%5D"),
        ("lr=0.01", "lr%3D0.01"),
        (".hidden", "%2Ehidden"),
        ("trailing.", "trailing%2E"),
        ("trailing ", "trailing%20"),
        ('say "hi"', "say %22hi%22"),
        ("run.json", "run%2Ejson"),
        ("{x}", "%7Bx%7D"),
        ("back\\slash", "back%5Cslash"),
    ],
)
def test_folders_are_percent_encoded_where_a_character_means_more_than_itself(name: str, folder: str) -> None:
    assert encoded(name) == folder


@pytest.mark.parametrize(
    "name", ["a/b", "a@b", "[*]", "what?", "tab\t", "new\nline", "nul\0", "\x7f", "a\x85b", "\x1b[31m"]
)
def test_forbidden_characters_are_refused_and_shown(name: str) -> None:
    with pytest.raises(BadInput, match=r"/ @ \* \? and control characters are not allowed"):
        checked_name("run", name)


@pytest.mark.parametrize("name", ["", " ", "\u2003"])
def test_an_empty_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="must not be empty"):
        checked_name("table", name)


@pytest.mark.parametrize("name", [*sorted(RESERVED_NAMES), "Examples", "WANDB"])
def test_reserved_names_are_refused_in_any_case(name: str) -> None:
    with pytest.raises(BadInput, match="is reserved"):
        checked_name("run", name)


@pytest.mark.parametrize("name", [None, 3, b"cnn", ["cnn"]])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(BadInput, match="must be text"):
        checked_name("run", name)


def test_a_name_is_stored_composed_so_that_it_is_found_however_it_is_typed() -> None:
    decomposed = unicodedata.normalize("NFD", "Müller")
    assert decomposed != "Müller"
    assert checked_name("run", decomposed) == "Müller"


def test_half_a_character_is_refused() -> None:
    with pytest.raises(BadInput, match="not valid Unicode"):
        checked_name("run", "\ud83d")


@pytest.mark.parametrize(
    ("name", "fits"), [("x" * 200, True), ("x" * 201, False), ("模" * 66, True), ("模" * 67, False), ("%" * 67, False)]
)
def test_a_name_may_take_200_bytes_as_a_folder(name: str, fits: bool) -> None:
    if fits:
        assert checked_name("run", name) == name
    else:
        with pytest.raises(BadInput, match="is longer than 200 bytes"):
            checked_name("run", name)


def test_score_columns_are_told_from_others() -> None:
    assert [score_column(index) for index in (0, 9, 10)] == ["score_0", "score_9", "score_10"]
    assert all(is_score(score_column(index)) for index in range(11))
    others = ["score", "score_", "score_x", "score_²", "my_score_1", "score_1_", "Score_1", *string.punctuation]
    assert not any(map(is_score, others))
