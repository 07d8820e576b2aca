"""W&B's expression language as a tree: read by a grammar, nothing run, every part with its place in the text."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from secondguess.analysis.errors import BadInput, Fault

LONGEST = 65_536  # bytes
_SAME = {"&&": "and", "||": "or", "not": "!", "===": "==", "!==": "!="}
_CONSTANTS = {"true": True, "false": False, "null": None, "None": None}
_HINTS = {
    "=": "write == to compare",
    "**": "say what the minus is for: (-a) ** b or -(a ** b)",
    "AND": "write and",
    "OR": "write or",
    "NOT": "write not",
    "?": "there is no condition in this language",
    "`": "quote text with ' or \"",
}
_EXACT = 2**63 - 1
_TOKEN = re.compile(r"""\w+|"(\\.|[^"\\])*"|'(\\.|[^'\\])*'|[=!<>&|*]+|\S""")
_WORDS = {"None": "null", "True": "true", "False": "false"}


@dataclass(frozen=True)
class Node:
    """A part of an expression: where its text is, of an operator where its own sign or name is."""

    line: int
    column: int


@dataclass(frozen=True)
class Name(Node):
    """A variable: `row`, `runs`, a function's parameter."""

    name: str


@dataclass(frozen=True)
class Literal(Node):
    """A value written out; null is None."""

    value: str | float | int | bool | None


@dataclass(frozen=True)
class Pick(Node):
    """`target[key]`, an item of a list or a column of a row; it stands where its key does."""

    target: Node
    key: Node


@dataclass(frozen=True)
class Call(Node):
    """`target.op`, `target.op(arguments)`, or `op(arguments)` where the target is None."""

    target: Node | None
    op: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Lambda(Node):
    """`(names) => body`."""

    names: tuple[str, ...]
    body: Node


@dataclass(frozen=True)
class Unary(Node):
    """`-operand`, or `!operand`, which `not operand` is as well."""

    op: str
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    """`left op right`; `&&` is and, `||` is or, `===` is ==."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Array(Node):
    """`[items]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Object(Node):
    """`{key: value}`, in the order written."""

    items: tuple[tuple[str, Node], ...]


class Misread(BadInput):
    """A part of an expression that cannot be, and the node that stands where it does."""

    where: Node


def refused(where: Node, what: str, instead: str = "") -> Misread:
    """The error that says what cannot be, where, and what can."""
    error = Misread(f"{what} (line {where.line}, column {where.column})" + (f"; {instead}" if instead else ""))
    error.where = where
    return error


def fault(text: str, error: Misread) -> Fault:
    """What is wrong in the text of an expression: the sign, the name or the value at its node."""
    lines = text.split("\n")
    start = sum(len(line) + 1 for line in lines[: error.where.line - 1]) + error.where.column - 1
    token = _TOKEN.match(text, start)
    return Fault("the expression", text, str(error), start, len(token[0]) if token else 1)


def spelled(node: Node) -> str:
    """A short part of an expression as one would write it, `…` where it is long."""
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Literal):
        return f'"{node.value}"' if isinstance(node.value, str) else _WORDS.get(str(node.value), str(node.value))
    if isinstance(node, Pick) and isinstance(node.key, Literal):
        return f"{spelled(node.target)}[{spelled(node.key)}]"
    return "…"


def parse(text: str) -> Node:
    """The tree of an expression; raises BadInput with what is not understood, and where.

    In quoted text a backslash stands for itself, but before a quote, which it keeps from ending the text.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadInput("the expression is not valid Unicode text") from None
    if size > LONGEST:
        raise BadInput(f"the expression is longer than {LONGEST:,} bytes; shorten it")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _misread(error, text) from None
    assert isinstance(tree, Node)
    return tree


@cache
def _parser() -> Lark:
    grammar = (files("secondguess.analysis.language") / "grammar.lark").read_text(encoding="utf-8")
    # The tree is built while the text is read, from the leaves up: no depth of brackets costs a stack frame.
    return Lark(grammar, parser="lalr", maybe_placeholders=False, transformer=_Builder())


def _misread(error: UnexpectedInput, text: str) -> BadInput:
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        sign, place = str(error.token), Node(error.line, error.column)
    elif isinstance(error, UnexpectedCharacters):
        sign, place = error.char, Node(error.line, error.column)
    elif not text.strip():
        return BadInput('the expression is empty; write one, such as row["guess"] != row["truth"]')
    else:
        lines = text.rstrip().split("\n")
        return refused(Node(len(lines), len(lines[-1]) + 1), "the expression ends before it is complete")
    if sign in "'\"":
        return refused(place, "the text that begins here never ends", f"close it with {sign}")
    shown = sign if len(sign) <= 40 else f"{sign[:40]}…"
    return refused(place, f"{shown} is not understood here", _HINTS.get(sign, ""))


def _unquoted(token: Token) -> str:
    return re.sub(r"\\(['\"])", r"\1", token[1:-1])


def _at(token: Token) -> tuple[int, int]:
    return token.line or 1, token.column or 1


class _Builder(Transformer[Token, Any]):
    """What each rule of the grammar becomes, given its parts."""

    def name(self, parts: list[Any]) -> Name:
        return Name(*_at(parts[0]), str(parts[0]))

    def text(self, parts: list[Any]) -> Literal:
        return Literal(*_at(parts[0]), _unquoted(parts[0]))

    def number(self, parts: list[Any]) -> Literal:
        value = float(parts[0])
        # Whole numbers stay whole, so that an id of nineteen digits is itself.
        whole = parts[0].isdecimal() and value <= _EXACT and int(parts[0]) <= _EXACT
        return Literal(*_at(parts[0]), int(parts[0]) if whole else value)

    def constant(self, parts: list[Any]) -> Literal:
        return Literal(*_at(parts[0]), _CONSTANTS[parts[0]])

    def unary(self, parts: list[Any]) -> Unary:
        sign, operand = parts
        return Unary(*_at(sign), _SAME.get(sign, str(sign)), operand)

    def binary(self, parts: list[Any]) -> Binary:
        left, sign, right = parts
        return Binary(*_at(sign), _SAME.get(sign, str(sign)), left, right)

    def call(self, parts: list[Any]) -> Call:
        target, name, *rest = parts
        return Call(*_at(name), target, str(name), rest[0] if rest else ())

    def function(self, parts: list[Any]) -> Call:
        name, given = parts
        return Call(*_at(name), None, str(name), given)

    def pick(self, parts: list[Any]) -> Pick:
        target, key = parts
        return Pick(key.line, key.column, target, key)

    def brackets(self, parts: list[Any]) -> tuple[Token, tuple[Node, ...]]:
        return parts[0], tuple(parts[1:])

    def arguments(self, parts: list[Any]) -> tuple[Node, ...]:
        return tuple(parts)

    def inner(self, parts: list[Any]) -> Node:
        ((bracket, inside),) = parts
        if len(inside) != 1:
            raise refused(Node(*_at(bracket)), f"round brackets hold one value, not {len(inside)}")
        node: Node = inside[0]
        return node

    def arrow(self, parts: list[Any]) -> Lambda:
        head, body = parts
        if isinstance(head, Token):
            return Lambda(*_at(head), (str(head),), body)
        bracket, inside = head
        for parameter in inside:
            if not isinstance(parameter, Name):
                raise refused(parameter, "a function's parameters are names", "write (row) => …")
        return Lambda(*_at(bracket), tuple(parameter.name for parameter in inside), body)

    def array(self, parts: list[Any]) -> Array:
        return Array(*_at(parts[0]), tuple(parts[1:]))

    def object(self, parts: list[Any]) -> Object:
        return Object(*_at(parts[0]), tuple(parts[1:]))

    def pair(self, parts: list[Any]) -> tuple[str, Node]:
        key, value = parts
        return (str(key) if key.type == "NAME" else _unquoted(key)), value
