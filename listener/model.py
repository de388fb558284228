"""The vocabulary as frozen dataclasses: mention, segment, analysis, page.

Standard library only. Times are aware UTC datetimes; `published_at` says when a mention was written,
`received_at` when we first saw it. `to_json` and `from_json` speak the field names of the JSONL contract.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

STEPS = (
    "discovery", "reviews", "store", "purchase", "payment",
    "reception", "support", "advocacy", "survey", "none",
)  # fmt: skip
SENTIMENTS = ("negative", "neutral", "positive")
EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
INTENTS = (
    "complaint", "question", "suggestion", "praise", "purchase_intent", "churn_risk", "escalation",
)  # fmt: skip
KINDS = ("review", "post", "comment", "survey", "message")
KIND_ALIASES = {"social": "post", "support": "message", "mail": "message", "email": "message", "chat": "message"}
METRICS = ("nps", "csat", "ces")
VECTOR_SIZE = 384
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a mention; `id` is the platform's own where it has one."""

    handle: str | None = None
    name: str | None = None
    id: str | None = None
    followers: int | None = None
    verified: bool | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """One answer to a scale question; `metric` nps, csat or ces; `direction` up when more is better."""

    metric: str
    value: float
    min: float
    max: float
    direction: str = "up"
    asked_about: str | None = None
    periodic: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A public answer of the brand under a mention."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Mention:
    """One review, post, comment, survey answer or message, as collected."""

    id: str
    native_id: str
    source: str
    kind: str
    channel: str
    text: str
    published_at: datetime
    received_at: datetime
    version: int  # the source's edit time in ms; the publication time where never edited
    title: str | None = None
    language: str | None = None  # as declared by the source; the analysis has the detected one
    brand: str | None = None
    product: str | None = None
    place: str | None = None
    audience: str | None = None
    author: Author | None = None
    url: str | None = None
    parent_id: str | None = None  # native id of what this answers
    thread_id: str | None = None
    rating: float | None = None  # 1..5
    rating_original: Score | None = None
    scores: tuple[Score, ...] = ()
    engagement: Mapping[str, int] = field(default_factory=dict)
    replies: tuple[Reply, ...] = ()
    own: bool = False  # written by an own account of the brand
    history: bool = False  # received long after it was published: counted, never alerted

    @property
    def edited(self) -> bool:
        """Whether this version is later than the first publication."""
        return self.version > to_ms(self.published_at)


@dataclass(frozen=True, slots=True)
class Sentiment:
    """`label` is the argmax of the three `scores`, which sum to 1."""

    label: str
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of the text with one opinion: text[start:end] in Python string indices."""

    start: int
    end: int
    step: str
    step_score: float
    sentiment: Sentiment
    emotions: Mapping[str, float]  # all six; 0.5 is the decision
    intents: Mapping[str, float]  # all seven; 0.5 is the decision
    effort: int | None = None
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """A span whose removal lowers the score of `label` by `weight`; `segment` None speaks of the whole."""

    label: str
    start: int
    end: int
    weight: float
    segment: int | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """All the classifier says of one mention; `vector` is 384 signed bytes (see nlp.vector)."""

    model: str  # name@version
    language: str  # ISO 639 code of the text, "und" when unsure
    sentiment: Sentiment  # of the whole text
    emotions: Mapping[str, float]
    intents: Mapping[str, float]
    stars: float | None
    segments: tuple[Segment, ...]
    uncertain: bool
    vector: bytes | None = None
    from_rating: bool = False  # no text: the sentiment was read from the stars


@dataclass(frozen=True, slots=True)
class Verbatim:
    """What a classifier reads of a mention."""

    text: str
    language: str | None = None
    kind: str | None = None
    rating: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A mention with its analysis, None while it has none."""

    mention: Mention
    analysis: Analysis | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """The source says that this mention is gone."""

    mention_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be parsed: its raw bytes, why, and where it stood."""

    raw: bytes
    reason: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of time in which a source may have missed mentions; `end` None while it lasts."""

    source: str
    start: datetime
    end: datetime | None
    reason: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What a connector hands on at once: stored together with the cursor that follows it."""

    mentions: tuple[Mention, ...] = ()
    cursor: str | None = None  # None leaves the stored cursor as it is
    deletions: tuple[Deletion, ...] = ()
    rejects: tuple[Reject, ...] = ()
    gaps: tuple[Gap, ...] = ()
    inbox: tuple[int, ...] = ()  # inbox entries settled by this page


def mention_id(namespace: str, native_id: str) -> str:
    """The id of a mention: 32 hex digits of a hash over namespace and native id."""
    return hashlib.sha256(f"{namespace}\x00{native_id}".encode("utf8", "surrogatepass")).hexdigest()[:32]


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime, rounded down."""
    return (at - _EPOCH) // _MILLISECOND


def from_ms(ms: int) -> datetime:
    """The aware UTC datetime of milliseconds since 1970."""
    return _EPOCH + ms * _MILLISECOND


def iso(at: datetime) -> str:
    """An instant as `2026-01-02T10:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """An aware UTC datetime from ISO 8601; a time without a zone is UTC. Raises ValueError."""
    at = datetime.fromisoformat(text.strip())
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def redated(mention: Mention, published_at: datetime) -> Mention:
    """The same mention as if published then."""
    return replace(mention, published_at=published_at, version=to_ms(published_at))


def labels(scores: Mapping[str, float]) -> list[str]:
    """The names whose score reaches the decision point of 0.5."""
    return [name for name, score in scores.items() if score >= 0.5]


# --- JSON: the one shape used in files, exports, evidence and API ---------------------------------


_SCALARS = (str, int, float, bool)
_MENTION_FIELDS = tuple(Mention.__dataclass_fields__)
_AUTHOR_FIELDS = tuple(Author.__dataclass_fields__)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def mention_to_json(mention: Mention) -> dict[str, Any]:
    """A mention as JSON-ready dict, empty fields left out."""
    plain: dict[str, Any] = {}
    for key in _MENTION_FIELDS:
        value = getattr(mention, key)
        if type(value) in _SCALARS:
            if value is not False:
                plain[key] = value
        elif isinstance(value, Author):
            plain[key] = {name: part for name in _AUTHOR_FIELDS if (part := getattr(value, name)) is not None}
        elif value:
            plain[key] = _plain(value)
    return plain


def mention_from_json(data: Mapping[str, Any]) -> Mention:
    """The mention that `mention_to_json` wrote."""
    known = {key: value for key, value in data.items() if key in Mention.__dataclass_fields__}
    for key in ("published_at", "received_at"):
        known[key] = parse_time(known[key])
    if known.get("author"):
        known["author"] = Author(**known["author"])
    if known.get("rating_original"):
        known["rating_original"] = Score(**known["rating_original"])
    known["scores"] = tuple(Score(**score) for score in known.get("scores", ()))
    known["replies"] = tuple(Reply(parse_time(reply["at"]), reply["text"]) for reply in known.get("replies", ()))
    return Mention(**{"text": "", **known})


def segment_to_json(segment: Segment, text: str) -> dict[str, Any]:
    """A segment with its words, as printed by `listener analyze` and `listener search`."""
    return {
        "start": segment.start, "end": segment.end, "text": text[segment.start : segment.end],
        "step": segment.step, "step_score": segment.step_score, "sentiment": _plain(segment.sentiment),
        "emotions": dict(segment.emotions), "intents": dict(segment.intents),
        "effort": segment.effort, "uncertain": segment.uncertain,
    }  # fmt: skip


def analysis_to_json(analysis: Analysis, text: str) -> dict[str, Any]:
    """An analysis in the shape of `listener analyze`, without the vector."""
    return {
        "language": analysis.language, "sentiment": _plain(analysis.sentiment),
        "emotions": dict(analysis.emotions), "intents": dict(analysis.intents), "stars": analysis.stars,
        "segments": [segment_to_json(segment, text) for segment in analysis.segments],
        "uncertain": analysis.uncertain, "model": analysis.model,
        **({"from_rating": True} if analysis.from_rating else {}),
    }  # fmt: skip


def analysis_from_json(data: Mapping[str, Any], vector: bytes | None = None) -> Analysis:
    """The analysis that `analysis_to_json` wrote."""
    return Analysis(
        data["model"], data["language"], Sentiment(**data["sentiment"]), data["emotions"], data["intents"],
        data["stars"], tuple(_segment(item) for item in data["segments"]), data["uncertain"], vector,
        data.get("from_rating", False),
    )  # fmt: skip


def _segment(data: Mapping[str, Any]) -> Segment:
    return Segment(
        data["start"], data["end"], data["step"], data["step_score"], Sentiment(**data["sentiment"]),
        data["emotions"], data["intents"], data["effort"], data["uncertain"],
    )  # fmt: skip


def record_to_json(record: Record) -> dict[str, Any]:
    """A mention with what the classifier said of it, as `listener search --json` prints it."""
    merged = mention_to_json(record.mention)
    if record.analysis is None:
        return {**merged, "segments": []}
    analysis = analysis_to_json(record.analysis, record.mention.text)
    declared = {"declared_language": merged["language"]} if "language" in merged else {}
    return {**merged, **declared, **analysis}
