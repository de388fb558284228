"""A query's text cut into the lexemes of luqum's grammar, with the columns of the text as written.

luqum's own lexer takes `20:30`, `time:` and links for fields and knows no columns after a mistake; its grammar is
used as it stands. What cannot be syntax where it stands (a lone dash, `<3`, `[edit]`) is text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from luqum.head_tail import TokenValue  # type: ignore[import-untyped]  # luqum ships no types
from luqum.tree import Phrase, Word  # type: ignore[import-untyped]  # luqum ships no types

from index.limits import Limits
from index.names import FIELDS
from listener.errors import QueryError

_CLOSING = {'"': '"', "“": '”“"', "„": '“”"', "«": "»"}
_LINK = re.compile(r'(?:(?:https?|ftp)://|www\.|mailto:|tel:)[^\s"^]+', re.IGNORECASE)
_RANGE = re.compile(
    r'([\[{])\s*("(?:[^"\\]|\\.)*"|[^\s\]}"]+)\s+(TO)\s+("(?:[^"\\]|\\.)*"|[^\s\]}"]+)\s*([\]}])', re.DOTALL
)
_WORD = re.compile(r'(?:\\.|(?!&&|\|\|)[^\s()"“”„«»\[\]{}^~\\]|\\$)+', re.DOTALL)
_VALUE = re.compile(r'(?:\\.|[^\s()"“”„«»\[\]{}^~\\]|\\$)+', re.DOTALL)
_COLON = re.compile(r"(?:\\.|[^\\:])*?(?=:)", re.DOTALL)
_NAME = re.compile(r"[^\W\d][\w.\-]*")
_SMILEY = re.compile(r"[:;=][\-o'^]?[()\[\]{}DdPpOo/\\|*3]+(?=\s|$)|:[\w+\-]+:")
_APPROX = re.compile(r"~(\d+(?:\.\d+)?)?(?=[\s()^]|$)")
_BOOST = re.compile(r"\^(\d+(?:\.\d+)?)?")
_COMPARE = re.compile(r"[<>]=?")
_OPERATORS = {"AND": "AND_OP", "OR": "OR_OP", "NOT": "NOT"}


@dataclass
class Lexeme:
    """One token as luqum's parser takes it: `lexpos` is the column in the user's text."""

    type: str
    value: Any
    lexpos: int
    text: str
    lineno: int = 1


class Lexer:
    """Cuts one query; `lexemes` raises QueryError at the first thing that can only be a mistake."""

    def __init__(self, text: str, limits: Limits, field_of: Callable[[str], str | None]) -> None:
        self.text, self.limits, self.field_of = text, limits, field_of
        self.found: list[Lexeme] = []
        self.open: list[tuple[int, bool]] = []  # column of each open parenthesis; whether it groups a field's values
        self.at = 0

    def lexemes(self) -> list[Lexeme]:
        """All lexemes of the text."""
        while self.at < len(self.text):
            if self.text[self.at].isspace():
                self.at += 1
            else:
                self._next()
        if self.open:
            raise QueryError("this parenthesis is never closed", self.open[-1][0], "a closing parenthesis )")
        self._no_empty_field(len(self.text))
        return self.found

    def _add(self, kind: str, length: int, value: Any = None) -> None:
        text = self.text[self.at : self.at + length]
        if value is None:
            value = Word(text) if kind == "TERM" else TokenValue(text)
        value.pos, value.size, value.head, value.tail = self.at, length, "", ""
        self.found.append(Lexeme(kind, value, self.at, text))
        self.at += length

    @property
    def _last(self) -> str:
        return self.found[-1].type if self.found else ""

    @property
    def _in_field(self) -> bool:
        """Whether what comes now is a value of a named field."""
        return self._last == "COLUMN" or (bool(self.open) and self.open[-1][1])

    def _adjacent(self) -> bool:
        return bool(self.found) and self.found[-1].lexpos + len(self.found[-1].text) == self.at

    def _no_empty_field(self, column: int) -> None:
        if self._last == "COLUMN":
            raise QueryError(f"nothing follows {self.found[-2].text}:", column, "a value")

    def _next(self) -> None:
        char = self.text[self.at]
        if char in _CLOSING:
            self._phrase(char)
        elif char in "()":
            self._parenthesis(char)
        elif char in "[{":
            self._range()
        elif char in "<>" and self._in_field:
            self._comparison()
        elif char == "~" and self._adjacent() and self._last in ("TERM", "PHRASE"):
            match = _APPROX.match(self.text, self.at)
            if match:
                self._add("APPROX", len(match[0]), TokenValue(match[1]))
            else:
                self.at += 1
        elif char == "^" and self._adjacent() and self._last != "COLUMN":
            self._boost()
        elif char in "+-!" and self._sign(char):
            pass
        elif self.text.startswith(("&&", "||"), self.at):
            self._add("AND_OP" if char == "&" else "OR_OP", 2)
        else:
            self._word()

    def _phrase(self, char: str) -> None:
        end = self.at + 1
        while end < len(self.text) and self.text[end] not in _CLOSING[char]:
            end += 2 if self.text[end] == "\\" else 1
        if end < len(self.text):
            self._add("PHRASE", end + 1 - self.at, Phrase('"' + self.text[self.at + 1 : end] + '"'))
        elif char == '"':
            raise QueryError("this quote is never closed", self.at, 'a closing quote "')
        else:
            self.at += 1

    def _parenthesis(self, char: str) -> None:
        if char == "(":
            self.open.append((self.at, self._in_field and not self._groups_segments()))
            if len(self.open) > self.limits.depth:
                raise QueryError(f"more than {self.limits.depth} parentheses inside each other", self.at)
            self._add("LPAREN", 1)
            return
        self._no_empty_field(self.at)
        if not self.open:
            raise QueryError("this parenthesis closes nothing", self.at, "an opening parenthesis ( before it")
        self.open.pop()
        self._add("RPAREN", 1)

    def _groups_segments(self) -> bool:
        return self._last == "COLUMN" and self.field_of(self.found[-2].text) in ("segments", "text", "title")

    def _range(self) -> None:
        match = _RANGE.match(self.text, self.at) if self._in_field else None
        if match:
            for group, kind in enumerate(("LBRACKET", "TERM", "TO", "TERM", "RBRACKET"), 1):
                self.at = match.start(group)
                quoted = kind == "TERM" and match[group].startswith('"')
                self._add(kind, len(match[group]), Word(match[group][1:-1]) if quoted else None)
        elif self._last == "COLUMN":
            raise QueryError("this range cannot be read", self.at, "a range such as [1 TO 5] or {now-7d TO *}")
        else:
            self.at += 1  # text

    def _comparison(self) -> None:
        match = _COMPARE.match(self.text, self.at)
        assert match
        self._add("GREATERTHAN" if match[0][0] == ">" else "LESSTHAN", len(match[0]))
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        value = _VALUE.match(self.text, self.at)
        if value:
            self._add("TERM", len(value[0]))
        elif not self.text.startswith('"', self.at):
            raise QueryError(f"nothing follows {match[0]}", self.at, "a number or a date")

    def _boost(self) -> None:
        match = _BOOST.match(self.text, self.at)
        if match and match[1]:
            self._add("BOOST", len(match[0]), TokenValue(match[1]))
        else:
            raise QueryError("a weight needs a number", self.at + 1, "a number, as in delivery^2")

    def _sign(self, char: str) -> bool:
        """Whether + - ! before a word, phrase or group is an operator: + is neutral, as every clause is required."""
        following = self.text[self.at + 1 : self.at + 2]
        negative_number = self._last in ("COLUMN", "GREATERTHAN", "LESSTHAN") and following.isdigit()
        if not following or following.isspace() or following == ")" or negative_number:
            return False
        if char == "+":
            self.at += 1
        else:
            self._add("NOT", 1)
        return True

    def _word(self) -> None:
        link = _LINK.match(self.text, self.at)
        smiley = None if self._in_field else _SMILEY.match(self.text, self.at)
        value = self._last == "COLUMN"
        if link:
            text = _balanced(link[0])
            self._add("TERM", len(text), Word(_escaped(text)))
        elif smiley and (self.at == 0 or self.text[self.at - 1].isspace()):
            self._add("TERM", len(smiley[0]), Word(_escaped(smiley[0])))
        else:
            match = (_VALUE if value else _WORD).match(self.text, self.at)
            if not match:
                self.at += 1  # a bracket, tilde or quotation mark that opens nothing
            elif not value and match[0] in _OPERATORS:
                self._add(_OPERATORS[match[0]], len(match[0]))
            elif value or not self._field(match[0]):
                self._add("TERM", len(match[0]))

    def _field(self, word: str) -> bool:
        """Takes `name:` where a field begins here; a time, a ratio or a word with a colon at its end is text."""
        colon = _COLON.match(word)
        if not colon:
            return False
        name = colon[0]
        following = self.text[self.at + len(name) + 1 : self.at + len(name) + 2]
        if self.field_of(name) is not None:
            self._add("TERM", len(name))
            self._add("COLUMN", 1)
            return True
        if not name and following and not following.isspace():
            raise QueryError("a colon without a field before it", self.at, f"a field: {', '.join(FIELDS)}")
        if following and not following.isspace() and following not in ")/" and _NAME.fullmatch(name):
            raise QueryError(f"unknown field {name!r}", self.at, f"one of {', '.join(FIELDS)}")
        return False


def _balanced(link: str) -> str:
    """The link up to a parenthesis that was opened before it."""
    depth = 0
    for place, char in enumerate(link):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return link[:place]
    return link


def _escaped(text: str) -> str:
    """Text in which `*`, `?` and a backslash mean themselves."""
    return re.sub(r"([*?\\])", r"\\\1", text)
