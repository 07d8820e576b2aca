"""What the columns of a foreign table are, looked at in all their values before any is believed.

Where one reading explains the values it is taken and said; where several do, the import stops and says which commands
would settle it; where none does, columns stay as they are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers import images, label_lists, readings, shapes
from secondguess.analysis.importers.classes import Classes
from secondguess.analysis.importers.commands import Commands
from secondguess.analysis.importers.facts import Facts, facts_of, kind_of
from secondguess.analysis.importers.looked import Looked
from secondguess.analysis.importers.repeats import axis_offer
from secondguess.analysis.importers.roles import Given, Roles
from secondguess.analysis.importers.scores import Found, add_up, found_scores, guess_of, in_order
from secondguess.analysis.importers.shapes import Column, Threshold
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.importers.vocabulary import asked_line, met, sure_of_one
from secondguess.analysis.importers.words import Recognised, guessed_of, recognised, words

_COMPARISON = re.compile(r"(.+?)\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_HALF = 0.5
_PREDICTED = frozenset(["submission", "submissions", "submit", "pred", "preds", "prediction", "predictions", "outputs"])
_LABELLED = frozenset(["truth", "labels", "label", "gold", "solution", "answers", "groundtruth", "targets"])


@dataclass(frozen=True)
class Surveyed:
    """A table as it is to be imported: the versions' rows, the roles of their columns, and its classes if told."""

    versions: Sequence[TableRows]
    roles: Roles
    classes: Classes | None = None


def survey(versions: Sequence[TableRows], given: Given, commands: Commands, folder: Path | None = None) -> Surveyed:
    """Look at all values of a table's versions and decide; folder is where the files that cells name lie.

    Raises BadInput where a role that was given cannot be, or where several readings explain the values.
    """
    return _Survey(versions, given, commands, folder).decided()


class _Survey(Looked):
    """A table while its columns' roles are being decided."""

    def decided(self) -> Surveyed:
        """The table as all of it says."""
        self._check_given()
        self.names = Recognised() if self.given.only else recognised(self.fields)
        self._look()
        image = images.image_of(self)
        id_ = self._id()
        if (several := label_lists.roles(self)) is not None:
            several = replace(several, id=id_, image=image)
            return Surveyed(self._versions(several), several, self.classes)
        truth = self._truth()
        guess = self._guess(truth)
        roles = self._labels(id_, guess, truth)
        roles = replace(roles, image=image)
        if self.commands.strict:
            self._refuse_nothing(roles)
            if roles.id is not None and (offer := axis_offer(self.versions, roles.id, self.names, self.commands)):
                self.notes.append(offer)
        return Surveyed(self._versions(roles), roles, self.classes)

    # What is there.

    def _check_given(self) -> None:
        names = list(self.fields)
        for role in ("truth", "image", "confidence"):
            told = getattr(self.given, role)
            if told is not None and told not in names:
                raise BadInput(f"no column named {told!r} for --{role}; the table has: {listing(names)}")
        for column in self._id_parts():
            if column not in names:
                raise BadInput(f"no column named {column!r} for --id; the table has: {listing(names)}")
        if self.given.guess is not None and self._comparison() is None and self.given.guess not in names:
            raise BadInput(f"no column named {self.given.guess!r} for --guess; the table has: {listing(names)}")

    def _id_parts(self) -> list[str]:
        told = self.given.id
        if told is None:
            return []
        return [told] if told in self.fields else [part.strip() for part in told.split(",")]

    def _comparison(self) -> tuple[str, str, float] | None:
        """The column, sign and number of a guess such as `pred >= 0.5`."""
        told = self.given.guess
        if told is None or told in self.fields or (match := _COMPARISON.fullmatch(told.strip())) is None:
            return None
        column = match[1].strip().strip('"')
        if column not in self.fields:
            raise BadInput(f"no column named {column!r} for --guess {told!r}; the table has: {listing(self.fields)}")
        return column, match[2], float(match[3])

    def _look(self) -> None:
        """Gather the facts: of all columns where they are text as written, else of those that may have a role."""
        may = [name for role in self.names.by_role for name in self.names.columns(role)]
        may += [name for members in self.names.groups for name, _ in members]
        given = [self.given.guess, self.given.truth, self.given.confidence, self.given.scores, *self._id_parts()]
        cells = {*may, *(name for name in given if name is not None)}
        compared = self._comparison()
        looked = {*cells, *(str(name) for name in (compared or ())[:1])}
        looked |= {name for name in self.fields if self.written or (self.commands.strict and self._may_tell(name))}
        self.facts = facts_of(self.versions, looked, cells)
        self._unwrap()

    def _unwrap(self) -> None:
        """Take lists of one for what is in them, and a guess that is {label, score} apart; then look at these."""
        roles = ("guess", "truth", "label", "confidence", "scores")
        named = [name for role in roles for name in self.names.columns(role)]
        columns: dict[str, Column] = {}
        for name in dict.fromkeys([*named, *self._roles_given()]):
            facts = self.facts.get(name)
            if facts is not None and facts.is_single and facts.inside is not None and not label_lists.are_beside(self):
                whole = pa.int64() if facts.inside.is_integer else pa.float64()
                columns[name] = shapes.single(name, whole if facts.are_numbers else pa.string())
                self.notes.append(f"{name} has lists of one, and is taken for what is in them")
            elif name in self.fields and (parts := shapes.label_and_score(self.fields[name])) is not None:
                score = f"{name}_score"
                columns |= {name: shapes.member(name, name, parts[0]), score: shapes.member(name, score, parts[1])}
                self.notes.append(f"{name} has a label and a score in each cell, which become {name} and {score}")
        if not columns:
            return
        kept = {name: columns.get(name) or shapes.kept(one) for name, one in self.fields.items()} | columns
        self.versions = [shapes.reshaped(rows, list(kept.values()), (), rows.written) for rows in self.versions]
        self.__post_init__()
        self.names = Recognised() if self.given.only else recognised(self.fields)
        self.facts |= facts_of(self.versions, columns, ())

    def _may_tell(self, name: str) -> bool:
        """Whether a column of no known name may be a class's scores, name image files, or be what a guess is about."""
        said = set(words(name))
        about = {" ".join(guessed_of(guess)) for guess in self.names.columns("guess")}
        return kind_of(self.fields[name]) == "number" or bool(said & images.FILES) or " ".join(words(name)) in about

    # The roles.

    def _id(self) -> str | None:
        parts = self._id_parts()
        if len(parts) > 1:
            column = shapes.joined(parts)
            self.make(column)
            self.notes.append(f"an id is {', '.join(parts)} with {shapes.SEPARATOR!r} between them")
            return ",".join(parts)
        ranked = parts or [name for name in self.names.columns("id") if name not in self._roles_given()]
        candidates = [name for name in ranked if kind_of(self.fields[name]) not in {"nested", "image", "media"}]
        return candidates[0] if candidates else parts[0] if parts else None

    def _roles_given(self) -> set[str]:
        given = self.given
        return {name for name in (given.guess, given.truth, given.confidence, given.scores) if name is not None}

    def _truth(self) -> str | None:
        if self.given.truth is not None:
            self._label_checked("truth", self.given.truth)
            return self.given.truth
        given = self._roles_given()
        best = [name for name in self.names.columns("truth") if name not in given and self._is_label(name)]
        if best:
            return best[0]
        labels = [name for name in self.names.columns("label") if name not in given and self._is_label(name)]
        lists = [name for role in ("truth", "label") for name in self.names.columns(role) if self._has_lists(name)]
        if lists and not labels and self.commands.strict:
            raise BadInput(
                f"{lists[0]!r} has lists in its cells: rows with several labels, of which there is no guess in lists; "
                "name it with --guess COLUMN, or a column with one label a row with --truth COLUMN"
            )
        return labels[0] if labels else self._truth_beside(given)

    def _truth_beside(self, given: set[str]) -> str | None:
        """The column that is called as a guess is, but for the word that says guess: sentiment, predicted_sentiment."""
        by_words: dict[tuple[str, ...], str] = {tuple(words(name)): name for name in self.fields if name not in given}
        for guess in self.names.columns("guess"):
            about = tuple(guessed_of(guess))
            name = by_words.get(about) if about else None
            if name is None or name == guess or not self._is_label(name):
                continue
            one, other = self.facts[guess], self.facts[name]
            if readings.meet(one, other) or readings.is_regression(one, other):
                self.notes.append(f"{name} is taken for the truth, as {guess} is a guess of it")
                return name
        return None

    def _has_lists(self, name: str) -> bool:
        facts = self.facts.get(name)
        if facts is None or not facts.some:
            return False
        return bool(facts.is_nested and facts.lengths - {1}) or pa.types.is_list(self.fields[name].type)

    def _is_label(self, name: str) -> bool:
        facts = self.facts.get(name)
        return facts is not None and facts.kind != "nested" and not facts.is_scores

    def _label_checked(self, role: str, name: str) -> None:
        kind = kind_of(self.fields[name])
        if kind in {"media", "image", "bytes"} or (kind == "nested" and self.facts[name].kind == "nested"):
            raise BadInput(f"column {name!r} has {self.fields[name].type} in its cells, which is no {role}")

    def _guess(self, truth: str | None) -> str | None:
        if self.given.guess is not None:
            if self._comparison() is None:
                self._label_checked("guess", self.given.guess)
            return self.given.guess
        names = [name for name in self.names.columns("guess") if name != truth and self._is_label(name)]
        shares = [name for name in names if self.facts[name].is_share]
        if len(shares) > 1 and add_up(self, shares):  # a probability of each class: the guess follows from them
            names = [name for name in names if name not in shares]
        names = [name for name in names if name != self.given.confidence]
        if not names or truth is None:
            return self._one_guess(names)
        meeting = [name for name in names if self._explains(name, truth)]
        strengths = dict(self.names.by_role["guess"])
        best = [name for name in meeting if strengths[name] == strengths[meeting[0]]]
        if meeting and names[0] not in meeting:
            self.notes.append(f"{meeting[0]} is taken for the guess, since no {names[0]} is ever a {truth}")
        return self._one_guess(best or names)

    def _explains(self, guess: str, truth: str) -> bool:
        one, other = self.facts[guess], self.facts[truth]
        return readings.meet(one, other) or (one.is_share and readings.is_binary(other))

    def _one_guess(self, names: Sequence[str]) -> str | None:
        strengths = dict(self.names.by_role.get("guess", ()))
        best = [name for name in names if strengths[name] == strengths[names[0]]]
        if len(best) > 1 and self.commands.strict and not self._same_guess(best):
            raise BadInput(
                f"{listing(best)} may each be the guess; import one, or each as a run: "
                + self.commands.offer(*({"guess": name, "run": name, "truth": self._truth()} for name in best[:3]))
            )
        return best[0] if best else None

    def _same_guess(self, names: Sequence[str]) -> bool:
        """Whether the columns are one guess by its number and by its name: then the first is as good."""
        plain = {tuple(word for word in words(name) if word not in {"name", "id", "idx", "label"}) for name in names}
        return len(plain) == 1

    def _labels(self, id_: str | None, guess: str | None, truth: str | None) -> Roles:
        """Guess, truth, scores and confidence together, since each says how the others are meant."""
        compared = self._comparison()
        if self.given.regression:
            if compared is not None:
                raise BadInput(
                    f"--regression is of numbers, and --guess {guess!r} makes classes of them; leave one out"
                )
            return Roles(id_, *asked_line(self, guess, truth))
        if compared is not None:
            column, sign, bound = compared
            return self._threshold(id_, column, truth, Threshold(column, sign, bound), asked=True)
        if self.given.only:  # nothing is read into values whose format says what they are
            only = found_scores(self, guess, truth)
            return Roles(id_, guess, truth, None, in_order(self, only), self._confidence(guess, only))
        if guess is not None and self.facts[guess].is_share and (roles := self._probability(id_, guess, truth)):
            return roles
        scores = found_scores(self, guess, truth)
        if guess is None and scores is not None:
            guess = guess_of(self, scores, truth)
        confidence = self._confidence(guess, scores)
        if guess is None:
            guess, truth, roles = self._without_guess(id_, confidence, truth)
            if roles is not None:
                return roles
        guess, truth = met(self, guess, truth)
        if scores is None and confidence is None and self.given.right is None:
            self._may_be_numbers(guess, truth)
        if guess is not None and confidence is not None and scores is None:
            both = sure_of_one(self, guess, truth, confidence)
            if both is not None:
                pair = self._pair(Threshold(confidence, ">=", _HALF), both)
                return Roles(id_, guess, truth, None, pair)
        return Roles(id_, guess, truth, None, in_order(self, scores), confidence)

    def _may_be_numbers(self, guess: str | None, truth: str | None) -> None:
        """Say of many whole numbers without names that they are taken for classes: they may be counts, or years."""
        if self.given.classes is not None or self.classes is not None:
            return
        one, other = self.facts.get(guess or ""), self.facts.get(truth or "")
        if one is not None and other is not None and readings.are_many_numbers(one, other):
            self.notes.append(f"the numbers of {guess} and {truth} are taken for classes; for amounts say --regression")

    def _probability(self, id_: str | None, column: str, truth: str | None) -> Roles | None:
        """The roles where a column is the probability of the second of two labels."""
        if truth is not None:
            facts = self.facts[truth]
            if facts.is_number and facts.fractions:
                return None
            if not (readings.is_binary(facts) or self._two(facts)):
                return None
        return self._threshold(id_, column, truth, Threshold(column, ">=", _HALF), asked=False)

    def _two(self, facts: Facts) -> bool:
        return facts.values is not None and len(facts.values) == 2 and not facts.is_number

    def _threshold(self, id_: str | None, column: str, truth: str | None, by: Threshold, asked: bool) -> Roles:
        facts = self.facts[column]
        if not facts.is_number:
            raise BadInput(f"column {column!r} is not numbers in every row, so it compares with none")
        labels = self._two_labels(column, truth, asked)
        by = replace(by, labels=labels, decimal_comma=self.decimal_comma)
        guess = by.guess(f"{column} {by.operator} {by.bound:g}")
        self.make(guess)
        self.used.add(column)
        scores: tuple[str, ...] = ()
        if facts.low >= 0 and facts.high <= 1 and by.operator in {">=", ">"}:
            scores = self._pair(by, labels)
            self.notes.append(
                f"{column} is taken for the probability of {labels[1]}: the guess is {labels[1]} where it is "
                f"{by.operator} {by.bound:g}, else {labels[0]}"
            )
        if truth is not None and isinstance(labels[0], int):
            self.make(shapes.relabelled(truth, {"0": 0, "1": 1, "0.0": 0, "1.0": 1}, pa.int64()))
        return Roles(id_, guess.field.name, truth, None, scores)

    def _pair(self, by: Threshold, labels: tuple[str | int, str | int]) -> tuple[str, str]:
        """Scores of two classes from the probability of the second."""
        by = replace(by, decimal_comma=self.decimal_comma)
        names = (f"1 - {by.column}", by.column)
        for place, name in enumerate(names):
            self.make(by.score(place, name))
        self.used.add(by.column)
        told = tuple(map(str, labels))
        self.classes = Classes(told) if told == ("0", "1") else Classes(told, True, f"{by.column} is of {told[1]}")
        return names

    def _two_labels(self, column: str, truth: str | None, asked: bool) -> tuple[str | int, str | int]:
        if truth is None:
            return (0, 1)
        facts = self.facts[truth]
        if readings.is_binary(facts):
            return (0, 1)
        if self.given.classes is not None and len(self.given.classes) == 2:
            return self.given.classes[0], self.given.classes[1]
        if (pair := readings.sides(facts)) is not None:
            return pair
        if facts.values is None or len(facts.values) != 2:
            raise BadInput(f"{column} compared with a number has two outcomes, but {truth} has not two values")
        first, second = sorted(facts.values)
        raise BadInput(
            f"{column} is the probability of {first!r} or of {second!r}; say of which, as the second of --classes: "
            + self.commands.offer(
                {"classes": f"{first},{second}", "truth": truth}, {"classes": f"{second},{first}", "truth": truth}
            )
        )

    def _ask_whose(self, confidence: str, truth: str | None) -> None:
        """Stop where a label and a number of at least 0.5 may be a guess with its confidence as well as a truth."""
        is_told = self.given.truth is not None or truth in self.names.columns("truth")
        if truth is None or is_told or not self.commands.strict or self.facts[confidence].low < _HALF:
            return
        raise BadInput(
            f"{truth!r} may be the guess that {confidence} is the confidence of, or the truth; say which: "
            + self.commands.offer({"guess": truth, "confidence": confidence}, {"truth": truth})
        )

    def _confidence(self, guess: str | None, scores: Found | None) -> str | None:
        told = self.given.confidence
        if told is not None:
            facts = self.facts.get(told)
            if facts is None or not facts.is_number:
                raise BadInput(f"column {told!r} is not numbers in every row, so it is no --confidence")
            return self.as_number(told, pa.float32())
        called = [*self.names.columns("confidence"), *self.names.columns("scores")]
        candidates = [name for name in called if name in self.facts and name != guess]
        candidates = [name for name in candidates if self.facts[name].is_number and self.facts[name].some]
        if not candidates or scores is not None or self.given.no_scores:
            return None
        name, facts = candidates[0], self.facts[candidates[0]]
        if facts.low < 0 or facts.high > 1:
            self.notes.append(
                f"{name} goes from {facts.low:g} to {facts.high:g} and is no probability: it stays a column"
                f" (--confidence {name} takes it all the same)"
            )
            return None
        return self.as_number(name, pa.float32())

    def _without_guess(
        self, id_: str | None, confidence: str | None, truth: str | None
    ) -> tuple[str | None, str | None, Roles | None]:
        """What may stand for the guess where no name says it: a probability, or a label that is a submission's."""
        if confidence is not None and self.given.confidence is None:
            self._ask_whose(confidence, truth)
            self.made.pop(confidence, None)
            if truth is None or readings.is_binary(self.facts[truth]) or self._two(self.facts[truth]):
                return None, None, self._threshold(id_, confidence, truth, Threshold(confidence, ">=", _HALF), False)
        is_told = self.given.truth is not None or truth in self.names.columns("truth")
        if truth is None or is_told or not self.commands.strict or self.names.columns("verdict"):
            return None, truth, None
        if self.facts[truth].is_share:
            return None, None, self._threshold(id_, truth, None, Threshold(truth, ">=", _HALF), False)
        named = set(words(self.commands.stem))
        if named & _PREDICTED and not named & _LABELLED:
            self.notes.append(f"{truth} is taken for the guess, as the file's name says")
            return truth, None, None
        if named & _LABELLED and not named & _PREDICTED:
            return None, truth, None
        raise BadInput(
            f"{truth!r} may be what a model says (a submission) or what is true; say which: "
            + self.commands.offer({"guess": truth}, {"truth": truth})
        )

    # The table that comes out.

    def _refuse_nothing(self, roles: Roles) -> None:
        if self.given.names_any or roles.guess or roles.truth or roles.scores or roles.confidence or self.notes:
            return
        free = [name for name in self.fields if name != roles.id]
        guess, truth = (free[-1:] or ["COLUMN"])[0], (free[-2:-1] or [None])[0]
        found = f"{roles.id!r} is the id, but " if roles.id else ""
        raise BadInput(
            f"{found}no column is recognised as guess, truth or scores; the table has: {listing(list(self.fields))}; "
            f"name them, as in: {self.commands.with_(id=roles.id, guess=guess, truth=truth)}"
        )

    def _versions(self, roles: Roles) -> Sequence[TableRows]:
        """The versions' rows as they are meant; as they came where nothing about them was changed."""
        columns: dict[str, Column] = {}
        for name, one in self.fields.items():
            if name in self.made:
                columns[name] = self.made[name]
            elif name not in self.used:
                columns[name] = self._other(one, roles)
        columns.update({name: column for name, column in self.made.items() if name not in columns})
        if all(column.as_is for column in columns.values()) and len(columns) == len(self.fields):
            return [replace(rows, notes=(*rows.notes, *self.notes)) for rows in self.versions]
        return [shapes.reshaped(rows, list(columns.values()), self.notes) for rows in self.versions]

    def _other(self, one: pa.Field, roles: Roles) -> Column:
        """A column as it is; written as text, it is numbers where it is in every row, as numbers print."""
        facts = self.facts.get(one.name)
        is_name = one.name in (roles.id, roles.guess, roles.truth) or recognised([one.name]).columns("id")
        if facts is None or not self.is_text(one.name) or is_name or not facts.some:
            return shapes.kept(one)
        if facts.is_integer:
            return shapes.number(one.name, pa.int64(), False)
        if facts.is_exact and not facts.is_whole:
            return shapes.number(one.name, pa.float64(), self.decimal_comma)
        return shapes.kept(one)
