"""The records an engine keeps beside mentions, and what its reads and writes take and give back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from listener.model import Analysis, Page, Record

CASE_STATES = ("new", "assigned", "replied", "resolved", "ignored")
FACET_FIELDS = (
    "lang", "channel", "source", "kind", "brand", "product", "place", "audience", "author", "rating",
    "overall", "model", "sentiment", "emotion", "intent", "step", "effort",
)  # fmt: skip
SORTS = ("date", "-date", "received", "-received", "rating", "-rating", "followers", "-followers", "relevance")
INTERVALS = ("hour", "day", "week", "month")


# --- alerts ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscription:
    """A stored query, the condition under which it fires, and where to deliver.

    With a `cooldown`, matches of one group (`group_by`: the field whose value makes the group, None: the
    whole subscription) that follow a fired alert are gathered and fire together when it ends.
    """

    id: str
    query: str
    created_at: datetime
    name: str = ""
    condition: str = "each"
    destinations: tuple[str, ...] = ("console",)
    cooldown: timedelta = timedelta(0)
    group_by: str | None = None
    enabled: bool = True
    version: int = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """One mention of an alert as it stood when it matched."""

    mention_id: str
    version: int
    matched_at: datetime
    data: Mapping[str, Any]  # what a reader of the alert needs: text, author, url, labels, highlights


@dataclass(frozen=True, slots=True)
class Alert:
    """One firing of a subscription; delivered from `due_at` on, still gathering mentions before."""

    id: str
    subscription: str
    group: str
    created_at: datetime
    due_at: datetime
    evidence: tuple[Evidence, ...]
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A subscription that a mention matches; `certain` where it holds without any uncertain label."""

    subscription: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A mention as just stored, as it stood before, and the subscriptions either matches."""

    before: Record | None
    after: Record
    matches: tuple[Match, ...]
    matched_before: frozenset[str]  # of these, the earlier version matched with certainty


@dataclass(frozen=True, slots=True)
class Group:
    """What a group of a subscription has fired: the due time of its last alert, and the one gathering."""

    last_due_at: datetime | None = None
    gathering: Alert | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write with the changes: alerts (new or grown), and what was counted but not alerted."""

    alerts: tuple[Alert, ...] = ()
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (subscription, outcome) -> n


class Rules(Protocol):
    """The service's decision on changes, a pure function called inside the engine's write."""

    def groups(self, changes: Sequence[Change], subscriptions: Mapping[str, Subscription]) -> set[tuple[str, str]]:
        """The (subscription, group) pairs whose state `plan` needs."""

    def plan(
        self,
        changes: Sequence[Change],
        subscriptions: Mapping[str, Subscription],
        groups: Mapping[tuple[str, str], Group],
        now: datetime,
    ) -> Plan:
        """What to write."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An alert on its way to one destination."""

    alert: Alert
    destination: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to bring an alert to one destination."""

    alert: str
    destination: str
    at: datetime
    ok: bool
    detail: str = ""


# --- ingest ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """A page with its analyses, stored as one.

    Records without analysis are `waiting` (the service will analyse them), `off` (asked not to), or, where
    `failures` names their id, failed: tried again at a growing distance.
    """

    source: str
    page: Page
    records: tuple[Record, ...]
    now: datetime
    unanalysed: str = "waiting"
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Saved:
    """What a write did: mentions new, replaced by a later version, known already; alerts written."""

    new: int = 0
    updated: int = 0
    known: int = 0
    deleted: int = 0
    rejected: int = 0
    alerts: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored mention that waits for its analysis, with the number of failed tries."""

    record: Record
    tries: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be parsed, with its raw bytes."""

    id: int
    source: str
    at: datetime
    where: str
    reason: str
    raw: bytes
    replayed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source fares: when it last succeeded, why it waits, how much it brought."""

    source: str
    state: str = "new"  # new, running, waiting, quarantined, done, stopped
    detail: str = ""
    last_success_at: datetime | None = None
    next_try_at: datetime | None = None
    mentions: int = 0
    rejects: int = 0
    newest_at: datetime | None = None  # latest published_at seen


# --- triage and keys -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """The triage state of a mention; written with the version that was read."""

    mention_id: str
    state: str
    opened_at: datetime
    owner: str | None = None
    due_at: datetime | None = None
    replied_at: datetime | None = None
    backlog: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)  # reason, notes, history, ...
    version: int = 0


@dataclass(frozen=True, slots=True)
class Correction:
    """A label that a person set right, for `listener journey learn`."""

    mention_id: str
    version: int
    at: datetime
    data: Mapping[str, Any]
    id: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the HTTP API, known by its hash alone."""

    id: str
    name: str
    hash: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None = None


# --- reads ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search:
    """One search: `mode` text, meaning (neighbours of `vector`) or hybrid; `sort` one of SORTS."""

    query: str = ""
    mode: str = "text"
    sort: str = "-date"
    size: int = 20
    page: str | None = None
    vector: bytes | None = None
    timezone: str = "UTC"
    highlight: bool = True


@dataclass(frozen=True, slots=True)
class Hit:
    """A mention found: highlights are (field, start, end) in the original text or title."""

    record: Record
    highlights: tuple[tuple[str, int, int], ...] = ()
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Hits:
    """A page of hits; `next` is the token of the following page, None on the last."""

    total: int
    hits: tuple[Hit, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """The mentions of one span of time that have one value (None: not split)."""

    start: datetime
    value: str | None
    count: int


@dataclass(frozen=True, slots=True)
class StepCounts:
    """Raw counts of one journey step; the maths on them is the service's."""

    step: str
    segments: int
    mentions: int
    negative: int
    neutral: int
    positive: int
    uncertain: int
    emotions: Mapping[str, int]
    intents: Mapping[str, int]
    effort_sum: int
    effort_n: int
    promoters: int  # mentions with a segment of this step and an NPS answer of 9 or 10
    passives: int
    detractors: int


@dataclass(frozen=True, slots=True)
class Status:
    """What a store holds and whether it is sound; `problems` is empty where all is well."""

    engine: str
    schema: str
    mentions: int
    analysed: int
    waiting: int
    failed: int
    vectors: int
    bytes: int
    problems: tuple[str, ...] = ()


AnalysisOutcome = tuple[str, int, Analysis | str]  # mention id, version, analysis or the error's text
