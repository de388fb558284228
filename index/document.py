"""One mention as the query language sees it: the value of every field, prepared once.

The rules that turn a record into field values stand here for every engine: `language_of`, `author_of`, `has_link`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from index.leaves import keyword
from index.tokens import Token, base_language, stem, tokenize
from listener.model import Mention, Record, Segment, labels, to_ms

_LINK = re.compile(r"https?://\S|www\.\S", re.IGNORECASE)


def language_of(record: Record) -> str | None:
    """The language a mention is analysed and found in: the detected one where it is known, else the declared."""
    detected = base_language(record.analysis.language) if record.analysis else None
    return detected or base_language(record.mention.language)


def author_of(mention: Mention) -> str | None:
    """The value of the field `author`: the handle, else the name, folded, without a leading @."""
    author = mention.author
    name = (author.handle or author.name) if author else None
    return keyword("author", name) if name else None


def has_link(mention: Mention) -> bool:
    """`has:url`: the text or the title holds a link (http://, https:// or www.)."""
    return bool(_LINK.search(mention.text) or (mention.title and _LINK.search(mention.title)))


class Words:
    """The tokens of one text field with the positions of every form."""

    def __init__(self, tokens: Sequence[Token], language: str | None) -> None:
        self.tokens = tokens
        self.language = language
        self.exact = _places([token.exact for token in tokens])

    @cached_property
    def stems(self) -> Mapping[str, Sequence[int]]:
        """Positions of each marked stem; empty where the language has no stemmer."""
        return _places([stem(token.word, self.language) for token in self.tokens])

    @cached_property
    def _beginning(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for form in self.exact:
            found.setdefault(form[:1], []).append(form)
        return found

    def beginning(self, letter: str) -> Iterable[str]:
        """The exact forms that begin with a letter; all of them without one."""
        return self._beginning.get(letter, ()) if letter else self.exact

    def within(self, segment: Segment) -> tuple[int, int]:
        """First position and the one after the last of the tokens that lie wholly inside the segment."""
        first = bisect_left(self.tokens, segment.start, key=lambda token: token.start)
        return first, max(first, bisect_right(self.tokens, segment.end, key=lambda token: token.end))


def _places(forms: Sequence[str | None]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, form in enumerate(forms):
        if form is not None:
            places.setdefault(form, []).append(place)
    return places


class Document:
    """A record and the state of its case, ready to be asked."""

    def __init__(
        self, record: Record, *, case: str | None = None, owner: str | None = None, overdue: bool = False
    ) -> None:
        mention, analysis = record.mention, record.analysis
        self.record = record
        self.language = language_of(record)
        self.segments: tuple[Segment, ...] = analysis.segments if analysis else ()
        self.uncertain = analysis is not None and analysis.uncertain
        plain = {
            "channel": mention.channel, "source": mention.source, "kind": mention.kind, "brand": mention.brand,
            "product": mention.product, "place": mention.place, "audience": mention.audience, "case": case,
            "owner": owner, "model": analysis.model if analysis else None,
            "overall": analysis.sentiment.label if analysis else None,
        }  # fmt: skip
        self.keywords = {field: keyword(field, value) for field, value in plain.items() if value}
        self.keywords |= {"lang": self.language} if self.language else {}
        handle = author_of(mention)
        self.keywords |= {"author": handle} if handle else {}
        self.flags = {
            "reply": mention.parent_id is not None, "edited": mention.edited, "own": mention.own,
            "uncertain": self.uncertain, "unanalysed": analysis is None, "overdue": overdue,
            "has_url": has_link(mention), "has_rating": mention.rating is not None, "has_case": case is not None,
        }  # fmt: skip
        self._case = case

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Numbers and dates (ms) by field; absent where the mention has none."""
        mention, analysis, author = self.record.mention, self.record.analysis, self.record.mention.author
        values: dict[str, float | None] = {
            "followers": author.followers if author else None,
            "verified": float(author.verified) if author and author.verified is not None else None,
            "rating": mention.rating, "stars": analysis.stars if analysis else None,
            "date": to_ms(mention.published_at), "received": to_ms(mention.received_at),
        }  # fmt: skip
        return {field: value for field, value in values.items() if value is not None}

    @cached_property
    def words(self) -> Mapping[str, Words]:
        """The tokens of each text field."""
        texts = {"text": self.record.mention.text, "title": self.record.mention.title or ""}
        return {field: Words(tokenize(text), self.language) for field, text in texts.items()}

    @cached_property
    def spans(self) -> Sequence[tuple[int, int]]:
        """The token positions of each segment."""
        return [self.words["text"].within(segment) for segment in self.segments]

    @cached_property
    def labels(self) -> Sequence[Mapping[str, frozenset[str]]]:
        """The labels of each segment: one step and sentiment, the emotions and intents that reach 0.5."""
        return [
            {
                "step": frozenset((segment.step,)), "sentiment": frozenset((segment.sentiment.label,)),
                "emotion": frozenset(labels(segment.emotions)), "intent": frozenset(labels(segment.intents)),
                "effort": frozenset() if segment.effort is None else frozenset((str(segment.effort),)),
            }
            for segment in self.segments
        ]  # fmt: skip

    def has(self, field: str) -> bool:
        """Whether a field of the whole mention has a value."""
        if field in ("text", "title"):
            return bool(getattr(self.record.mention, field))
        return field in self.keywords or field in self.numbers
