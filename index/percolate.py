"""Many stored queries against one mention: which of them it matches.

Each query is filed under keys of which a matching mention must have at least one (a word, a label, a brand):
of a conjunction the part that is likely rarest, of a disjunction all parts. Only the queries filed under a key of the
mention, and those without any key, are evaluated; the truth is that of index.evaluate.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from index.ast import And, Boost, Flag, Keyword, Node, Not, Or, Phrase, Segments
from index.document import Document
from index.evaluate import Asked, start_of
from index.tokens import stem, stem_languages

Key = tuple[str, str]

_SHARE = {  # how much of a corpus one value of a field may hold, by experience: a guess that only costs time
    "author": 0.001, "owner": 0.01, "product": 0.01, "place": 0.02, "brand": 0.05, "audience": 0.1, "case": 0.2,
    "source": 0.2, "channel": 0.2, "lang": 0.3, "kind": 0.4, "model": 0.9, "overall": 0.5,
    "step": 0.2, "emotion": 0.15, "intent": 0.15, "sentiment": 0.6,
}  # fmt: skip
_FLAG_SHARE = {"has_url": 0.2, "has_rating": 0.5, "reply": 0.3, "has_case": 0.4}


class Percolator:
    """Stored queries, each with an id, prepared for `match`."""

    def __init__(self, queries: Iterable[tuple[str, Node]]) -> None:
        pool: dict[Node, Node] = {}
        self._queries = [(name, _shared(node, pool)) for name, node in queries]
        self._filed: dict[Key, list[int]] = {}
        self._always: list[int] = []
        lengths: set[int] = set()
        for place, (_, node) in enumerate(self._queries):
            condition = _required(node)
            if condition is None:
                self._always.append(place)
                continue
            for key in condition[1]:
                self._filed.setdefault(key, []).append(place)
                if key[0] == "prefix":
                    lengths.add(len(key[1]))
        self._prefix_lengths = sorted(lengths)
        self._of_words = any(kind in ("exact", "prefix", "stem") for kind, _ in self._filed)

    def candidates(self, document: Document) -> list[int]:
        """The places of the queries that may match: all others cannot."""
        found = set(self._always)
        for key in self._keys(document):
            filed = self._filed.get(key)
            if filed:
                found.update(filed)
        return sorted(found)

    def match(self, document: Document) -> list[tuple[str, bool]]:
        """The ids of the queries that hold, in the order given, each with whether it holds for certain.

        Certain means: whatever the labels are that the classifier is unsure of.
        """
        unsure = document.uncertain or any(segment.uncertain for segment in document.segments)
        plain, certain = Asked(document), Asked(document, certain=True)
        return [
            (name, not unsure or certain.holds(node))
            for name, node in (self._queries[place] for place in self.candidates(document))
            if plain.holds(node)
        ]

    def _keys(self, document: Document) -> Iterator[Key]:
        """Every key the mention has."""
        # Where no query is filed under a word, the texts are not cut into words for nothing.
        for words in document.words.values() if self._of_words else ():
            for token in words.exact:
                yield "exact", token
                for length in self._prefix_lengths:
                    if length > len(token):
                        break
                    yield "prefix", token[:length]
            for form in words.stems:
                yield "stem", form
        yield from document.keywords.items()
        for labels in document.labels:
            for field, values in labels.items():
                for value in values:
                    yield field, value
        for name, holds in document.flags.items():
            if holds:
                yield "flag", name


def _shared(node: Node, pool: dict[Node, Node]) -> Node:
    """The same tree, whose equal parts are one object in all queries."""
    if isinstance(node, And | Or):
        node = type(node)(tuple(_shared(item, pool) for item in node.items))
    elif isinstance(node, Not):
        node = Not(_shared(node.item, pool))
    return pool.setdefault(node, node)


def _required(node: Node) -> tuple[float, frozenset[Key]] | None:
    """Keys of which a matching mention has at least one, with their guessed share; None where there are none."""
    if isinstance(node, Boost | Segments):
        return _required(node.item)
    if isinstance(node, And):
        conditions = [condition for condition in map(_required, node.items) if condition]
        return min(conditions, key=lambda condition: condition[0], default=None)
    if isinstance(node, Or):
        conditions = [condition for condition in map(_required, node.items) if condition]
        if len(conditions) < len(node.items):
            return None
        return sum(share for share, _ in conditions), frozenset(chain.from_iterable(keys for _, keys in conditions))
    if isinstance(node, Phrase):
        return min((_word(*pair) for pair in zip(node.exact, node.words, strict=True)), key=lambda item: item[0])
    if isinstance(node, Keyword) and not node.pattern:
        return _SHARE[node.field], frozenset(((node.field, node.value),))
    if isinstance(node, Flag):
        return _FLAG_SHARE.get(node.name, 0.1), frozenset((("flag", node.name),))
    start = start_of(node)
    return (0.3 / 4 ** min(len(start), 5), frozenset((("prefix", start),))) if start else None


def _word(exact: str, word: str) -> tuple[float, frozenset[Key]]:
    """One word of a phrase: its token, or its stem in any language; long words are taken to be rare."""
    stems = {("stem", form) for form in (stem(word, language) for language in stem_languages()) if form}
    return 0.2 / 2 ** min(len(exact), 8), frozenset({("exact", exact), *stems})
