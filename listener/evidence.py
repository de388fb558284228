"""What an alert keeps of one mention: enough to read it, answer it, and say why it fired.

JSON-ready and bounded, in keys and labels alone: words for people are `listener.render`'s.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from index.ast import And, Boost, Exists, Flag, Fuzzy, Keyword, Node, Or, Phrase, Prefix, Range, Segments, Wildcard
from index.contract import Subscription
from index.document import Document
from index.evaluate import evaluate, highlights
from index.query import parse
from listener.errors import QueryError
from listener.model import Record, Segment, iso, labels

Describe = Callable[[Record, Subscription, datetime], dict[str, Any]]
MAX_TEXT = 2000  # characters
_MAX_TITLE = 300
_MAX_CLAUSE = 500
_MAX_SEGMENTS = 40
_MAX_REASONS = 20
_MAX_ASKED = 500  # segments: beyond, a clause is not looked for
_MAX_HIGHLIGHTS = 100


def describe(record: Record, subscription: Subscription, now: datetime, timezone: str = "UTC") -> dict[str, Any]:
    """The evidence of a mention that matched, empty fields left out.

    `segments` are those that made it match, then others, 40 in all, each with `at`, its number in the analysis;
    `reasons` are {"segment": at}, {"words": [...]}, {"field", "value", "low", "high"} or {"flag"}.
    """
    mention, analysis = record.mention, record.analysis
    segments = analysis.segments if analysis else ()
    node = _tree(subscription.query, now, timezone)
    document = Document(record)
    reasons = list(_unique(_reasons(node, record, document))) if node else []
    because = [reason["segment"] for reason in reasons if "segment" in reason]
    others = [at for at in range(len(segments)) if at not in because]
    shown = sorted((because + others)[:_MAX_SEGMENTS])
    found = highlights(node, document) if node else []
    fields = {
        "subscription": subscription.id, "name": subscription.name, "query": subscription.query,
        "native_id": mention.native_id, "source": mention.source, "channel": mention.channel, "kind": mention.kind,
        "brand": mention.brand, "product": mention.product, "place": mention.place,
        "title": (mention.title or "")[:_MAX_TITLE], "text": mention.text[:MAX_TEXT],
        "cut": len(mention.text) > MAX_TEXT, "url": mention.url, "author": _author(record),
        "published_at": iso(mention.published_at), "rating": mention.rating,
        "language": analysis.language if analysis else mention.language,
        "overall": analysis.sentiment.label if analysis else None,
        "emotions": labels(analysis.emotions) if analysis else [],
        "segments": [_clause(at, segments[at], mention.text) for at in shown],
        "highlights": [[name, start, end] for name, start, end in found if end <= MAX_TEXT][:_MAX_HIGHLIGHTS],
        "reasons": reasons,
    }  # fmt: skip
    return {key: value for key, value in fields.items() if _filled(value)}


@lru_cache(maxsize=256)  # one page asks for the same query many times
def _tree(query: str, now: datetime, timezone: str) -> Node | None:
    try:
        return parse(query, now=now, timezone=timezone)
    except QueryError:
        # It was parsed when it was stored. If it no longer can be, the alert matters more than its reasons.
        return None


def _author(record: Record) -> dict[str, Any]:
    author = record.mention.author
    names = ("handle", "name", "followers", "verified", "url")
    values = {name: getattr(author, name) for name in names} if author else {}
    return {name: value for name, value in values.items() if value is not None}


def _clause(at: int, segment: Segment, text: str) -> dict[str, Any]:
    clause = {
        "at": at, "start": segment.start, "end": segment.end,
        "text": text[segment.start : segment.end][:_MAX_CLAUSE], "step": segment.step,
        "sentiment": segment.sentiment.label, "emotions": labels(segment.emotions),
        "intents": labels(segment.intents), "effort": segment.effort, "uncertain": segment.uncertain,
    }  # fmt: skip
    return {key: value for key, value in clause.items() if _filled(value)}


def _reasons(node: Node, record: Record, document: Document) -> Iterator[dict[str, Any]]:
    """The leaves by which the query holds: of an OR the true sides, of a NOT nothing."""
    if not evaluate(node, document, certain=True):
        return
    match node:
        case And(items) | Or(items):
            for item in items:
                yield from _reasons(item, record, document)
        case Boost(item):
            yield from _reasons(item, record, document)
        case Segments():
            for at in _holding(node, record):
                yield {"segment": at}
        case Phrase() | Prefix() | Wildcard() | Fuzzy():
            spans = highlights(node, document)
            words = [(record.mention.title or "" if f == "title" else record.mention.text)[s:e] for f, s, e in spans]
            yield {"words": list(dict.fromkeys(words))[:5]}
        case Range(field, low, high):
            yield _without_none({"field": field, "value": _value(record, field), "low": low, "high": high})
        case Keyword(field, value):
            yield _without_none({"field": field, "value": _value(record, field) or value})
        case Exists(field):
            yield _without_none({"field": field, "value": _value(record, field)})
        case Flag(name):
            yield {"flag": name}
        case _:
            return


def _holding(node: Segments, record: Record) -> Iterator[int]:
    """The numbers of the first segments for which it holds: each is asked alone."""
    analysis = record.analysis
    found = 0
    for at, segment in enumerate(analysis.segments[:_MAX_ASKED] if analysis else ()):
        alone = replace(record, analysis=replace(analysis, segments=(segment,))) if analysis else record
        if evaluate(node, Document(alone), certain=True):
            yield at
            found += 1
        if found == _MAX_REASONS:
            return


def _value(record: Record, field: str) -> Any:
    mention, author, analysis = record.mention, record.mention.author, record.analysis
    match field:
        case "followers" | "verified":
            return getattr(author, field) if author else None
        case "author":
            return (author.handle or author.name) if author else None
        case "stars" | "model":
            return getattr(analysis, field) if analysis else None
        case "overall":
            return analysis.sentiment.label if analysis else None
        case "lang":
            return analysis.language if analysis else mention.language
        case "date":
            return iso(mention.published_at)
        case "received":
            return iso(mention.received_at)
        case _:
            return getattr(mention, field, None)


def _filled(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [], {})  # 0 is a value


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _unique(reasons: Iterator[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for reason in reasons:
        if reason not in kept and len(kept) < _MAX_REASONS:
            kept.append(reason)
    return kept
