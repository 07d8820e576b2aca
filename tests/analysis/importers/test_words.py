"""Roles by the words of columns' names, measured on headers that people published.

Names alone, before any value is looked at. Of the half that was set aside before the words were chosen: id 37 of 37,
guess 48 of 48, truth 43 of 43, verdict 8 of 8, run 3 of 3, fold 2 of 2, confidence 20 of 21, scores 12 of 14. The
confusions are `Scored Probabilities`, by its plural scores and by its values a probability, and `CLASS_0, CLASS_1`, by
hand columns and by words scores. Both are decided by values, and what is taken for what is shown before it is written.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from secondguess.analysis.importers.words import Recognised, meaning_of, recognised, words

HEADERS = json.loads((Path(__file__).parent / "headers.json").read_text())
ROLES = ("id", "guess", "truth", "label", "confidence", "verdict", "run", "fold", "epoch", "scores")
TWICE = 2  # a role that fewer of the headers set aside have is not measured there


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("true_label_name", ["true", "label", "name"]),
        ("PredictedClass", ["predicted", "class"]),
        ("y_hat", ["y", "hat"]),
        ("Image Name", ["image", "name"]),
        ("ImageID2", ["image", "id", "2"]),
        ("groundtruth", ["groundtruth"]),
        ("TRUE-LABEL", ["true", "label"]),
        ("predictedlabel", ["predicted", "label"]),
        ("ytrue", ["y", "true"]),
        ("prob.0", ["prob", "0"]),
        ("Größe", ["größe"]),
        ("", []),
    ],
)
def test_a_name_is_words_whatever_its_case_and_separators(name: str, said: list[str]) -> None:
    assert words(name) == said


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("y_hat", "guess"),
        ("PredictedClass", "guess"),
        ("predictedlabel", "guess"),
        ("Y_TRUE", "truth"),
        ("Ground Truth", "truth"),
        ("true_label_name", "truth"),
        ("prediction_score", "confidence"),
        ("Scored Probabilities", "scores"),
        ("Image Name", "id"),
        ("prediction_id", "id"),
        ("p_id", "id"),
        ("is_correct", "verdict"),
        ("label", "label"),
        ("truth_score", None),
        ("prediction_time", None),
        ("word", None),
        ("p_value", None),
    ],
)
def test_words_say_the_role(name: str, role: str | None) -> None:
    meaning = meaning_of(name)
    assert (meaning.role if meaning else None) == role


def said_of(found: Recognised) -> dict[str, set[str]]:
    """For each role the columns that a survey would begin with; several mean that it looks at values, or asks."""
    said = {role: set(found.best(role)) for role in ROLES if role != "scores"}
    if found.best("guess") or found.groups or found.best("scores"):
        if not said["truth"]:
            said["truth"] = said["label"]
        said["label"] = set()
    if said["truth"]:
        said["label"] = set()
    said["scores"] = {name for name, _ in found.groups[0]} if found.groups else set(found.best("scores")[:1])
    return said


def measured(which: str) -> tuple[dict[str, Counter[str]], list[str]]:
    """How often each role was right, missed, or wrong, and a line for each that was not right."""
    counts: dict[str, Counter[str]] = {role: Counter() for role in ROLES}
    lines = []
    for header in HEADERS:
        if header["set"] != which:
            continue
        said = said_of(recognised(header["columns"]))
        for role in ROLES:
            right = set(header["right"].get(role, ()))
            is_right = said[role] == right if role == "scores" else bool(said[role]) and said[role] <= right
            how = "right" if is_right and right else "missed" if right and not said[role] else "wrong"
            if said[role] or right:
                counts[role][how] += 1
            if how != "right" and (said[role] or right):
                lines.append(
                    f"{role}: {how}, {sorted(said[role])} for {sorted(right)} in {','.join(header['columns'])}"
                )
    return counts, lines


def test_the_corpus_is_large_enough_and_half_of_it_was_set_aside() -> None:
    sizes = Counter(header["set"] for header in HEADERS)
    assert len(HEADERS) >= 60 + 22
    assert abs(sizes["aside"] - sizes["tune"]) <= 1


@pytest.mark.parametrize("which", ["tune", "aside"])
def test_roles_are_right_in_the_headers(which: str) -> None:
    counts, lines = measured(which)
    print(f"\n{which}:", *(f"{role} {dict(count)}" for role, count in counts.items()), *lines, sep="\n  ")
    everything = sum(counts.values(), Counter())
    assert everything["right"] / (everything["right"] + everything["wrong"]) >= 0.97
    for role, count in counts.items():
        total = count["right"] + count["missed"] + count["wrong"]
        if total > TWICE:
            assert count["right"] / total >= 0.85, role
