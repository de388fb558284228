"""A query's truth for one mention, and where its words stand: what every engine must agree with.

With `certain`, labels the classifier is unsure of are unknown (Kleene's logic): the result is True only where the
query holds whatever they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from index.ast import (
    LABEL_FIELDS,
    All,
    And,
    Boost,
    Exists,
    Flag,
    Fuzzy,
    Keyword,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Range,
    Segments,
    Wildcard,
)
from index.document import Document as Document
from index.document import Words
from index.document import has_link as has_link
from index.document import language_of as language_of
from index.patterns import glob, literal_start, near
from index.positions import occurrences
from index.tokens import stem

Truth = bool | None  # None: unknown


@dataclass(frozen=True, slots=True)
class _View:
    """What is asked: a document, one of its segments (None: the whole), and whether unsure labels are unknown."""

    document: Document
    segment: int | None
    certain: bool
    known: dict[int, Truth] | None = None  # by the node's identity

    def unsure(self, field: str) -> bool:
        """Whether a label is unknown here."""
        if not self.certain:
            return False
        if self.segment is not None:
            return field in LABEL_FIELDS and self.document.segments[self.segment].uncertain
        return field in ("overall", "stars") and self.document.uncertain


def evaluate(node: Node, document: Document, certain: bool = False) -> bool:
    """Whether the query holds for the mention; with `certain`, whatever its unsure labels are."""
    return _truth(node, _View(document, None, certain)) is True


class Asked:
    """One mention asked many queries: a node that several of them hold, as the same object, is evaluated once.

    The nodes must outlive it, since they are known by their identity.
    """

    def __init__(self, document: Document, certain: bool = False) -> None:
        self._view = _View(document, None, certain, {})

    def holds(self, node: Node) -> bool:
        """The same as `evaluate`."""
        return _truth(node, self._view) is True


def _truth(node: Node, view: _View) -> Truth:
    known = view.known
    if known is None:
        return _RULES[type(node)](node, view)
    key = id(node)
    if key not in known:
        known[key] = _RULES[type(node)](node, view)
    return known[key]


def _and(node: And, view: _View) -> Truth:
    result: Truth = True
    for item in node.items:
        truth = _truth(item, view)
        if truth is False:
            return False
        if truth is None:
            result = None
    return result


def _or(node: Or, view: _View) -> Truth:
    return _any(_truth(item, view) for item in node.items)


def _any(truths: Iterator[Truth]) -> Truth:
    result: Truth = False
    for truth in truths:
        if truth:
            return True
        if truth is None:
            result = None
    return result


def _not(node: Not, view: _View) -> Truth:
    truth = _truth(node.item, view)
    return None if truth is None else not truth


def _segments(node: Segments, view: _View) -> Truth:
    return _any(
        _truth(node.item, _View(view.document, place, view.certain)) for place in range(len(view.document.segments))
    )


def _keyword(node: Keyword, view: _View) -> Truth:
    document = view.document
    if node.field in LABEL_FIELDS:
        if view.segment is None:
            return False
        if view.unsure(node.field):
            return None
        return node.value in document.labels[view.segment][node.field]
    value = document.keywords.get(node.field)
    if value is None:
        return False
    if view.unsure(node.field):
        return None
    return keyword_matches(value, node.value, node.pattern)


def _range(node: Range, view: _View) -> Truth:
    if node.field == "effort":
        value: float | None = None if view.segment is None else view.document.segments[view.segment].effort
        if view.segment is not None and view.unsure("effort"):
            return None
    else:
        value = view.document.numbers.get(node.field)
    if value is None:
        return False
    if view.unsure(node.field):
        return None
    if node.low is not None and (value < node.low or (value == node.low and not node.include_low)):
        return False
    return node.high is None or value < node.high or (value == node.high and node.include_high)


def _exists(node: Exists, view: _View) -> Truth:
    if node.field not in LABEL_FIELDS:
        return view.document.has(node.field)
    if view.segment is None:
        return False
    if node.field not in ("step", "sentiment") and view.unsure(node.field):
        return None
    return bool(view.document.labels[view.segment][node.field])


def _text(node: Node, view: _View) -> Truth:
    return next(places(node, view.document, view.segment), None) is not None


_RULES: dict[type, Callable[..., Truth]] = {
    All: lambda node, view: True,
    And: _and,
    Or: _or,
    Not: _not,
    Boost: lambda node, view: _truth(node.item, view),
    Segments: _segments,
    Keyword: _keyword,
    Range: _range,
    Exists: _exists,
    Flag: lambda node, view: view.document.flags[node.name],
    Phrase: _text,
    Prefix: _text,
    Wildcard: _text,
    Fuzzy: _text,
}


# --- words ----------------------------------------------------------------------------------------


def places(node: Node, document: Document, segment: int | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Where a leaf of words holds: field and token positions, in the whole mention or in one segment."""
    assert isinstance(node, Phrase | Prefix | Wildcard | Fuzzy)
    for field in node.fields:
        if segment is not None and field != "text":
            continue
        words = document.words[field]
        if not words.tokens:
            continue
        first, last = (0, len(words.tokens)) if segment is None else document.spans[segment]
        if isinstance(node, Phrase):
            found: Iterator[tuple[int, ...]] = _phrase(node, words, first, last)
        else:
            forms = (form for form in words.beginning(start_of(node)[:1]) if token_matches(node, form))
            found = ((at,) for form in forms for at in words.exact[form] if first <= at < last)
        for positions in found:
            yield field, positions


def _phrase(node: Phrase, words: Words, first: int, last: int) -> Iterator[tuple[int, ...]]:
    yield from occurrences(node.exact, words.exact, node.slop, first, last)
    stems = [stem(word, words.language) for word in node.words]
    if stems and None not in stems:
        yield from occurrences([form or "" for form in stems], words.stems, node.slop, first, last)


def start_of(leaf: Node) -> str:
    """The characters that every exact token begins with which a prefix, wildcard or fuzzy leaf stands for."""
    if isinstance(leaf, Prefix):
        return leaf.prefix
    if isinstance(leaf, Wildcard):
        return literal_start(leaf.pattern)
    return leaf.term[:1] if isinstance(leaf, Fuzzy) else ""


def token_matches(leaf: Node, token: str) -> bool:
    """Whether an exact token is one that a prefix, wildcard or fuzzy leaf stands for."""
    if isinstance(leaf, Prefix):
        return token.startswith(leaf.prefix)
    if isinstance(leaf, Wildcard):
        return glob(leaf.pattern, token)
    return isinstance(leaf, Fuzzy) and near(leaf.term, token, leaf.distance)


def keyword_matches(folded: str, value: str, pattern: bool) -> bool:
    """Whether a stored, folded keyword is the value asked for, or has its pattern."""
    return glob(value, folded) if pattern else folded == value


def highlights(node: Node, document: Document) -> list[tuple[str, int, int]]:
    """What of the mention the query's positive words matched: (field, start, end) in the original text, merged."""
    found: list[tuple[str, int, int]] = []
    for leaf, segment in _positive(node, document, None):
        for field, positions in places(leaf, document, segment):
            tokens = document.words[field].tokens
            spread = isinstance(leaf, Phrase) and leaf.slop > 0
            groups = [(at, at) for at in positions] if spread else [(positions[0], positions[-1])]
            found.extend((field, tokens[first].start, tokens[last].end) for first, last in groups)
    return _merged(sorted(set(found)))


def _positive(node: Node, document: Document, segment: int | None) -> Iterator[tuple[Node, int | None]]:
    """The leaves of words that are not negated, with the segment they speak of."""
    if isinstance(node, And | Or):
        for item in node.items:
            yield from _positive(item, document, segment)
    elif isinstance(node, Boost):
        yield from _positive(node.item, document, segment)
    elif isinstance(node, Segments):
        for place in range(len(document.segments)):
            if _truth(node.item, _View(document, place, False)):
                yield from _positive(node.item, document, place)
    elif isinstance(node, Phrase | Prefix | Wildcard | Fuzzy):
        yield node, segment


def _merged(ranges: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    merged: list[tuple[str, int, int]] = []
    for field, start, end in ranges:
        if merged and merged[-1][0] == field and start <= merged[-1][2]:
            merged[-1] = (field, merged[-1][1], max(end, merged[-1][2]))
        else:
            merged.append((field, start, end))
    return merged
