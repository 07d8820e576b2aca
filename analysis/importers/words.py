"""What the words of columns' names say of their roles, whatever the case, the separators and the order."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PIECES = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")

_GUESS = _set("""guess guesses guessed pred preds predict predicts predicted prediction predictions hat hypothesis
    hypotheses hyp inferred classified argmax scored""")
_WEAK_GUESS = _set("""output outputs gen generated generation response responses resp resps completion""")
_TRUTH = _set("""truth truths true gt gold golden actual actuals expected reference ref groundtruth""")
_LABEL = _set("label labels target targets class classes category y answer answers")
_SCORE = _set("""score prob proba probability p confidence conf logit softmax likelihood percent logprob""")
_SCORES = _set("scores probs probas probabilities logits confidences softmaxes logprobs")
_VERDICT = _set("correct incorrect match matches matched wrong verdict hit right correctness")
_ID = _set("id ids uid uuid guid index idx key")
_FILE = _set("image img picture photo file path audio video crop clip name full relative abs")
_PERSON = _set("participant subject patient student group cluster site exercise ann parent")
_NOT_ROWS = _set("""model run session device user worker batch annotator class experiment job config""")
_ROWS = _set("example sample doc document image img row item case record question data test")
_EPOCH = _set("epoch epochs")
_STEP = _set("step steps iteration iter checkpoint ckpt")
_FOLD = _set("fold folds cv split")
_RUN = _set("model classifier method algorithm run system experiment filter")
# A name with one of these is about a prediction and is none.
_ABOUT = _set("""time times timestamp ms us latency date at count num number total len length loss error errors
    absolute std var variance entropy rank threshold margin version prompt needs human second tokens
    bytes url dir type status strategy question value kind count source weight day month year""")
_SPLIT = _set("test val valid validation dev eval oof")
_FILLING = _set("y class label labels max scored model top final raw best the of is")
_NAMING = _set("name names text str string value id ids idx index orig original code")
_MOST_CLASSES = 20_000


@dataclass(frozen=True)
class Meaning:
    """What one name may mean: a role, how sure that is, and of a class's score the class and what the group shares."""

    role: str
    strength: float
    of: str = ""
    group: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recognised:
    """The columns that may have each role, the likeliest first; groups of class scores, the largest first."""

    by_role: Mapping[str, Sequence[tuple[str, float]]] = field(default_factory=dict)
    groups: Sequence[Sequence[tuple[str, str]]] = ()

    def columns(self, role: str) -> list[str]:
        """The columns that may have the role, the likeliest first."""
        return [column for column, _ in self.by_role.get(role, ())]

    def best(self, role: str) -> list[str]:
        """Those of them that are as likely as the likeliest."""
        ranked = self.by_role.get(role, ())
        return [column for column, strength in ranked if strength == ranked[0][1]]


def recognised(columns: Iterable[str]) -> Recognised:
    """What the names of a table's columns say; nothing here has seen a value."""
    by_role: dict[str, list[tuple[str, float]]] = {}
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for column in columns:
        meaning = meaning_of(column)
        if meaning is None:
            continue
        if meaning.role == "class score":
            groups.setdefault(meaning.group, []).append((column, meaning.of))
        else:
            by_role.setdefault(meaning.role, []).append((column, meaning.strength))
    ranked = {role: sorted(found, key=lambda one: -one[1]) for role, found in by_role.items()}
    several = [members for members in groups.values() if 1 < len(members) <= _MOST_CLASSES]
    return Recognised(ranked, sorted(several, key=len, reverse=True))


def words(name: str) -> list[str]:
    """The words of a name in small letters, digits apart: `trueLabel_2` is true, label, 2."""
    pieces = _PIECES.findall(_CAMEL.sub(" ", name))
    return [word for piece in pieces for word in _split(piece.lower())]


def guessed_of(name: str) -> list[str]:
    """What a guess is about: the words of its name without those that say that it is a guess."""
    return [word for word in words(name) if word not in _GUESS]


@cache
def _split(word: str) -> tuple[str, ...]:
    """A word that is several known ones without a separator, as in `groundtruth`, else itself."""
    if word in _KNOWN or len(word) > 40:
        return (word,)
    for at in range(len(word) - 1, 0, -1):
        if word[:at] in _KNOWN and (rest := _split(word[at:]))[0] in _KNOWN and (at > 2 or word[:at] in {"y", "is"}):
            return (word[:at], *rest)
    return (word,)


def meaning_of(name: str) -> Meaning | None:
    """What a column's name says of it, None where it says nothing."""
    said = words(name)
    if not said:
        return None
    for reading in (_verdict, _top, _score, _axis, _label, _identity):
        if (meaning := reading(said)) is not None:
            return meaning if meaning.role else None
    return None


_NOTHING = Meaning("", 0)


def _verdict(said: list[str]) -> Meaning | None:
    plain = [word for word in said if word not in {"is", "was"}]
    if len(plain) == 1 and plain[0] in _VERDICT:
        return Meaning("verdict", 2)
    return Meaning("verdict", 1) if said == ["exact", "match"] else None


def _top(said: list[str]) -> Meaning | None:
    """The first of the likeliest classes, and how likely it is: `top1_class`, `top1_prob`; others are columns."""
    if len(said) < 2 or said[0] not in {"top", "rank"} or not said[1].isdigit():
        return None
    rest = set(said[2:])
    if said[0] == "rank" or int(said[1]) != 1:
        return _NOTHING
    if rest & (_SCORE | _SCORES):
        return Meaning("confidence", 1.5)
    return Meaning("guess", 1.5) if not rest or rest <= _LABEL | _NAMING | _GUESS else _NOTHING


def _score(said: list[str]) -> Meaning | None:
    mine = set(said)
    scored = mine & (_SCORE | _SCORES)
    if not scored:
        return _class_by_number(said)
    if mine & _ID and len(said) <= 2:  # p_id, score_id
        return None
    if mine & (_TRUTH | _ABOUT | {"threshold"}):
        return _NOTHING
    # `y_prob` is how likely, `prob_y` how likely y is.
    rest = [word for at, word in enumerate(said) if word not in scored | _GUESS | _FILLING or (at and word == "y")]
    if not rest:
        exact = scored & {"confidence", "conf"} and len(said) == 1
        return Meaning("scores" if scored & _SCORES else "confidence", 2 if exact else 1.5 if len(said) < 3 else 1)
    group = tuple(word for word in said if word not in rest)
    return Meaning("class score", 1, " ".join(rest), group)


def _class_by_number(said: list[str]) -> Meaning | None:
    if len(said) == 2 and said[0] == "class" and said[1].isdigit():
        return Meaning("class score", 0.5, said[1], ("class",))
    return None


def _axis(said: list[str]) -> Meaning | None:
    mine = set(said)
    if len(said) == 1 and mine <= _EPOCH:
        return Meaning("epoch", 2)
    if len(said) <= 2 and mine & _STEP and mine <= _STEP | {"global", "train", "training"}:
        return Meaning("epoch", 1)
    if mine <= _FOLD:
        return Meaning("fold", 2 if "fold" in mine else 1)
    if mine & _RUN and mine <= _RUN | {"name", "id"}:
        return Meaning("run", 2 if mine & {"model"} and "id" not in mine else 1)
    return None


def _label(said: list[str]) -> Meaning | None:
    """A guess, a truth, or a label of which the name does not say which of the two it is."""
    mine = set(said)
    guessed, true = mine & _GUESS, mine & _TRUTH or ("correct" in mine and mine & _LABEL)
    is_id = bool(mine & _ID) and not mine & (_LABEL - {"y"})
    if mine & _ABOUT and (guessed or true or mine & _LABEL):
        return _NOTHING
    if guessed and not true and not is_id:
        others = mine - _GUESS - _LABEL
        return Meaning("guess", 2 if not others else 1.5 if others <= _NAMING else 1)
    if mine <= {"y"} | _SPLIT and "y" in mine and len(mine) > 1:
        return Meaning("truth", 1.5)
    if true and not guessed and not is_id:
        others = mine - _TRUTH - _LABEL - {"ground", "correct"}
        return Meaning("truth", 2 if not others else 1.5 if others <= _NAMING else 1)
    if mine & _WEAK_GUESS and mine <= _WEAK_GUESS | {"model", "raw", "text", "llm", "filtered"}:
        return Meaning("guess", 0.5)
    if mine & _LABEL and mine <= _LABEL | _NAMING and not ("class" in mine and mine & _ID):
        return Meaning("label", 1 if mine <= _LABEL else 0.5)
    return None


def _identity(said: list[str]) -> Meaning | None:
    mine, last = set(said), said[-1]
    if said in (["id"], ["uuid"], ["uid"]):
        return Meaning("id", 3)
    if mine & _NOT_ROWS:
        return None
    if last in _ID or (last == "sid" and len(said) == 1):
        if mine & _PERSON:
            return Meaning("id", 1)
        return Meaning("id", 2.5 if mine & _ROWS else 2)
    if mine <= _FILE | {"filename", "filepath"}:
        return Meaning("id", 1.5 if said != ["name"] else 0.5)
    if last == "name" and len(said) > 1 and not mine & (_LABEL | _GUESS | _TRUTH):
        return Meaning("id", 0.7 if not mine & _ROWS else 1.2)
    return None


_KNOWN = frozenset().union(
    _GUESS, _TRUTH, _LABEL, _SCORE - {"p"}, _SCORES, _VERDICT, _ID, _FILE, _ROWS, _PERSON, _EPOCH, _FOLD, _RUN
) | {"ground", "is", "max", "top"}  # fmt: skip
