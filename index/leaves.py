"""One clause of a query to its leaf: words analysed, labels and flags looked up, numbers and dates read."""

import math
import re
from collections.abc import Callable
from datetime import datetime, tzinfo

from luqum import tree  # type: ignore[import-untyped]  # luqum ships no types

from index import dates
from index.ast import (
    DATE_FIELDS,
    LABEL_FIELDS,
    NUMBER_FIELDS,
    TEXT_FIELDS,
    All,
    And,
    Exists,
    Flag,
    Fuzzy,
    Keyword,
    Node,
    Phrase,
    Prefix,
    Range,
    Segments,
    Wildcard,
)  # fmt: skip
from index.names import allowed, value_of
from index.tokens import Token, base_language, exact, fold, open_ended, single_letter, tokenize
from listener.errors import QueryError

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WILD = re.compile(r"(?<!\\)(?:\\\\)*[*?]")
_SPLIT = re.compile(r"(\\.|[*?])", re.DOTALL)
_NAMED = ("sentiment", "emotion", "intent", "step", "overall", "kind", "case", "is", "has", "verified")


def unescape(text: str) -> str:
    """The text without the backslashes that made characters literal."""
    return _ESCAPED.sub(r"\1", text)


class Leaves:
    """Makes leaves; `now` and `where` resolve dates, `steps` are the journey's."""

    def __init__(self, now: datetime, where: tzinfo, steps: tuple[str, ...]) -> None:
        self.now, self.where, self.steps = now, where, steps

    def check_place(self, field: str, bound: bool, column: int) -> None:
        """Inside `segments:( )` only labels and the text may be asked for."""
        if bound and field not in (*LABEL_FIELDS, "text"):
            raise QueryError(
                f"{field}: belongs to the whole mention, not to a segment", column,
                f"one of {', '.join((*LABEL_FIELDS, 'text'))} inside segments:( )",
            )  # fmt: skip

    def leaf(self, item: tree.Item, field: str | None, bound: bool) -> Node | None:
        """The leaf of one clause; None where it holds no searchable character."""
        column = item.pos or 0
        if field is None or field in TEXT_FIELDS:
            fields = ("text",) if bound else (field,) if field else TEXT_FIELDS
            return self._text(item, fields, column)
        node = self._valued(item, field, column)
        return Segments(node) if field in LABEL_FIELDS and not bound else node

    # --- words ------------------------------------------------------------------------------------

    def _text(self, item: tree.Item, fields: tuple[str, ...], column: int) -> Node | None:
        if isinstance(item, tree.Word):
            return self._word(item.value, fields, column)
        if isinstance(item, tree.Phrase):
            return _phrase(fields, unescape(item.value[1:-1]))
        if isinstance(item, tree.Proximity):
            return _phrase(fields, unescape(item.term.value[1:-1]), slop=_slop(item, column))
        if isinstance(item, tree.Fuzzy):
            return self._fuzzy(item, fields, column)
        raise QueryError("words have no ranges", column, "a word, a phrase, or a number or date field")

    def _word(self, raw: str, fields: tuple[str, ...], column: int) -> Node | None:
        if not _WILD.search(raw):
            return _phrase(fields, unescape(raw))
        if not raw.strip("*"):
            return All() if fields == TEXT_FIELDS else Exists(fields[0])
        if not raw.strip("*?,;.:!…"):
            return None
        if raw.endswith("*") and not _WILD.search(raw[:-1]):
            return _tailed(fields, unescape(raw[:-1]), column, lambda token: Prefix(fields, token.exact))
        return _wildcard(fields, raw, column)

    def _fuzzy(self, item: tree.Fuzzy, fields: tuple[str, ...], column: int) -> Node | None:
        distance = 2 if item._implicit_degree else item.degree
        if distance not in (0, 1, 2):
            raise QueryError(f"{distance} edits are not possible", column, "~, ~1 or ~2 after a word")
        raw = item.term.value
        if _WILD.search(raw):
            raise QueryError("a word is either fuzzy or has wildcards", column, "one of the two")
        if not distance:
            return _phrase(fields, unescape(raw))
        return _tailed(fields, unescape(raw), column, lambda token: Fuzzy(fields, token.exact, int(distance)))

    # --- values of named fields -------------------------------------------------------------------

    def _valued(self, item: tree.Item, field: str, column: int) -> Node:
        if isinstance(item, tree.Range | tree.From | tree.To):
            return self._bounds(item, field, column)
        if isinstance(item, tree.Fuzzy | tree.Proximity):
            raise QueryError(f"{field}: has no fuzzy values", column, "the value itself, or a pattern such as Acme*")
        quoted = isinstance(item, tree.Phrase)
        raw = item.value[1:-1] if quoted else item.value
        if not quoted and raw == "*":
            if field in ("is", "has"):
                raise QueryError(f"{field}:* says nothing", column, f"one of {', '.join(allowed(field, ()))}")
            return Exists(field)
        if field in _NAMED:
            return self._named(field, unescape(raw), column)
        if field == "effort" or field in NUMBER_FIELDS:
            number = _number(field, unescape(raw), column)
            return Range(field, number, number)
        if field in DATE_FIELDS:
            low, high = self._span(unescape(raw), column)
            return Range(field, low, high)
        return self._keyword(field, raw, quoted, column)

    def _named(self, field: str, text: str, column: int) -> Node:
        key = value_of(field, text, self.steps)
        if key is None:
            raise QueryError(
                f"{field}: has no value {text!r}", column, f"one of {', '.join(allowed(field, self.steps))}"
            )
        if field in ("is", "has"):
            return Flag(key if field == "is" else f"has_{key}")
        if field == "verified":
            truth = float(key == "true")
            return Range(field, truth, truth)
        return Keyword(field, key)

    def _keyword(self, field: str, raw: str, quoted: bool, column: int) -> Node:
        if quoted or not _WILD.search(raw):
            return Keyword(field, keyword(field, unescape(raw)))
        if raw[0] in "*?":
            raise QueryError("a pattern needs a literal first character", column, f"a value such as {field}:Acme*")
        parts = [
            part if part in ("*", "?") else "".join("\\" + c if c in "*?\\" else c for c in unescape(part))
            for part in _SPLIT.split(raw) if part
        ]  # fmt: skip
        pattern = fold("".join(parts))
        return Keyword(field, pattern.lstrip("@") if field == "author" else pattern, pattern=True)

    def _bounds(self, item: tree.Item, field: str, column: int) -> Node:
        if field in _NAMED or not (field in NUMBER_FIELDS or field in DATE_FIELDS or field == "effort"):
            raise QueryError(f"{field}: has no order", column, "a value; ranges are for numbers and dates")
        if isinstance(item, tree.Range):
            low = self._bound(field, item.low, item.include_low, False, column)
            high = self._bound(field, item.high, item.include_high, True, column)
            return Range(field, low, high, item.include_low, item.include_high)
        if isinstance(item, tree.From):
            return Range(field, self._bound(field, item.a, item.include, False, column), None, item.include, True)
        return Range(field, None, self._bound(field, item.a, item.include, True, column), True, item.include)

    def _bound(self, field: str, item: tree.Item, include: bool, upper: bool, column: int) -> float | None:
        """A bound's number; of a date's span `>` and `<=` take the end, `>=` and `<` the start."""
        quoted = isinstance(item, tree.Phrase)
        text = unescape(item.value[1:-1] if quoted else item.value)
        column = item.pos if item.pos is not None else column
        if text == "*" and not quoted:
            return None
        if field not in DATE_FIELDS:
            return _number(field, text, column)
        first, last = self._span(text, column)
        return last if include == upper else first

    def _span(self, text: str, column: int) -> tuple[int, int]:
        try:
            return dates.span(text, self.now, self.where)
        except ValueError as error:
            raise QueryError(str(error), column, dates.EXPECTED) from error


def keyword(field: str, value: str) -> str:
    """The form in which a keyword field's value is stored and compared: folded, a language by its base code."""
    if field == "lang":
        return base_language(fold(value)) or "und"
    folded = fold(value)
    return folded.lstrip("@") if field == "author" else folded


def _number(field: str, text: str, column: int) -> float:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise QueryError(f"{field}: {text!r} is not a number", column, "a number")
    return number


def _slop(item: tree.Proximity, column: int) -> int:
    if item._implicit_degree:
        raise QueryError("how far may the words stand apart?", column, 'a number, as in "late delivery"~5')
    return min(int(item.degree), 10_000)


def _words(fields: tuple[str, ...], tokens: list[Token], text: str, slop: int = 0) -> Phrase:
    return Phrase(fields, tuple(token.exact for token in tokens), tuple(token.word for token in tokens), slop, text)


def _phrase(fields: tuple[str, ...], text: str, slop: int = 0) -> Node | None:
    """The words of a text in order; a last single letter of an unspaced script is the start of a token."""
    tokens = open_ended(tokenize(text), text)
    if not tokens:
        return None
    if not single_letter(tokens[-1]):
        return _words(fields, tokens, text, slop)
    return _joined(fields, tokens, text, Prefix(fields, tokens[-1].exact))


def _joined(fields: tuple[str, ...], tokens: list[Token], text: str, last: Node) -> Node:
    """What stands before the last token as a phrase, and the last in its own way."""
    if len(tokens) == 1:
        return last
    return And((_words(fields, tokens[:-1], text[: tokens[-1].start]), last))


def _tailed(fields: tuple[str, ...], text: str, column: int, tail: Callable[[Token], Node]) -> Node | None:
    tokens = open_ended(tokenize(text), text)
    if not tokens:
        if text and text[0] in "*?":
            raise QueryError("a pattern needs a literal first character", column, "a letter first, as in deliver*")
        return None
    return _joined(fields, tokens, text, tail(tokens[-1]))


def _wildcard(fields: tuple[str, ...], raw: str, column: int) -> Node:
    """A pattern over one exact token; its literal parts are folded as tokens are."""
    parts = [part for part in _SPLIT.split(raw) if part]
    if parts[0] in ("*", "?"):
        raise QueryError("a wildcard needs a literal first character", column, "a letter first, as in deliver*")
    pattern = "".join(part if part in ("*", "?") else exact(unescape(part)) for part in parts)
    if not pattern or pattern[0] in "*?":
        raise QueryError("a wildcard needs a literal first character", column, "a letter first, as in deliver*")
    return Wildcard(fields, pattern)
