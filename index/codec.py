"""A mention and its analysis as compact text, the same in every engine."""

import json
from typing import Any

from listener.model import (
    EMOTIONS,
    INTENTS,
    SENTIMENTS,
    Analysis,
    Mention,
    Segment,
    Sentiment,
    mention_from_json,
    mention_to_json,
)

_DIGITS = 6


def dumps(data: Any) -> str:
    """Compact JSON; lone surrogates survive as escapes, so that every store takes the text."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode("utf8")
    except UnicodeEncodeError:
        return json.dumps(data, separators=(",", ":"))
    return text


def pack_mention(mention: Mention) -> str:
    """A mention as JSON of its own field names."""
    return dumps(mention_to_json(mention))


def unpack_mention(text: str) -> Mention:
    """The mention that `pack_mention` wrote."""
    return mention_from_json(json.loads(text))


def _scores(scores: Any, names: tuple[str, ...]) -> list[float]:
    return [round(scores[name], _DIGITS) for name in names]


def pack_analysis(analysis: Analysis) -> str:
    """An analysis as a JSON array without names: ten million segments repeat no key."""
    segments = [
        [
            s.start, s.end, s.step, round(s.step_score, _DIGITS), _scores(s.sentiment.scores, SENTIMENTS),
            s.sentiment.label, _scores(s.emotions, EMOTIONS), _scores(s.intents, INTENTS), s.effort, int(s.uncertain),
        ]
        for s in analysis.segments
    ]  # fmt: skip
    return dumps(
        [
            analysis.model, analysis.language, _scores(analysis.sentiment.scores, SENTIMENTS),
            analysis.sentiment.label, _scores(analysis.emotions, EMOTIONS), _scores(analysis.intents, INTENTS),
            analysis.stars, int(analysis.uncertain), int(analysis.from_rating), segments,
        ]
    )  # fmt: skip


def unpack_analysis(text: str, vector: bytes | None = None) -> Analysis:
    """The analysis that `pack_analysis` wrote."""
    model, language, scores, label, emotions, intents, stars, uncertain, from_rating, segments = json.loads(text)
    return Analysis(
        model, language, Sentiment(label, dict(zip(SENTIMENTS, scores, strict=True))),
        dict(zip(EMOTIONS, emotions, strict=True)), dict(zip(INTENTS, intents, strict=True)), stars,
        tuple(_segment(*values) for values in segments), bool(uncertain), vector, bool(from_rating),
    )  # fmt: skip


def _segment(
    start: int, end: int, step: str, step_score: float, scores: list[float], label: str,
    emotions: list[float], intents: list[float], effort: int | None, uncertain: int,
) -> Segment:  # fmt: skip
    return Segment(
        start, end, step, step_score, Sentiment(label, dict(zip(SENTIMENTS, scores, strict=True))),
        dict(zip(EMOTIONS, emotions, strict=True)), dict(zip(INTENTS, intents, strict=True)), effort, bool(uncertain),
    )  # fmt: skip
