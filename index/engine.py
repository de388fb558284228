"""The seam of an engine: everything the service keeps, behind one contract for all engines."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from index.contract import (
    Alert,
    AnalysisOutcome,
    ApiKey,
    Batch,
    Bucket,
    Case,
    Correction,
    DeadLetter,
    Delivery,
    Hit,
    Hits,
    Match,
    Outgoing,
    Rules,
    Saved,
    Search,
    SourceState,
    Status,
    StepCounts,
    Subscription,
    Waiting,
)
from listener.model import Gap, Record

Progress = Callable[[int, int], None]  # done, total


class Engine(Protocol):
    """A store of mentions with search, matching and the service's records.

    Reads raise QueryError and DeadlineError; writes raise ConflictError where a version no longer holds,
    TemporaryError where the engine is away, PermanentError where a person must act (disk full, broken store).
    """

    async def open(self, *, service: bool = False) -> None:
        """Connect, migrate, and with `service` take the store's lock (LockedError where it is taken)."""

    async def close(self) -> None:
        """Finish writes in hand and let go."""

    # mentions
    async def save(self, batch: Batch, rules: Rules | None = None) -> Saved:
        """Store a page: mentions, versions, deletions, dead letters, gaps, alerts, cursor."""

    async def known(self, versions: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Which (id, version) are settled, or older than what is stored, or deleted: no need to analyse."""

    async def waiting(self, limit: int, now: datetime) -> list[Waiting]:
        """Mentions waiting for their analysis, or due for another try, oldest arrival first."""

    async def analysed(self, outcomes: Sequence[AnalysisOutcome], now: datetime, rules: Rules | None = None) -> Saved:
        """Store analyses of stored mentions whose version still holds; match those that had none."""

    async def get(self, mention_id: str) -> Record:
        """One mention. Raises NotFoundError."""

    async def versions(self, mention_id: str) -> list[Record]:
        """The earlier versions of a mention, oldest first, without the present one."""

    async def search(self, search: Search, now: datetime) -> Hits:
        """One page of what a query finds."""

    async def neighbours(self, mention_id: str, size: int, query: str = "", *, now: datetime) -> list[Hit]:
        """The mentions nearest in meaning to a stored one, itself left out."""

    def export(self, query: str, now: datetime, timezone: str = "UTC") -> AsyncIterator[Record]:
        """Everything a query finds, newest first, in bounded memory."""

    async def facets(
        self, query: str, fields: Sequence[str], now: datetime, size: int = 20, timezone: str = "UTC"
    ) -> dict[str, list[tuple[str, int]]]:
        """Per field the values and how many mentions have them, most first (ties: by value)."""

    async def series(
        self, query: str, interval: str, now: datetime, split: str | None = None, timezone: str = "UTC"
    ) -> list[Bucket]:
        """Mentions per hour, day, week or month of `timezone`, split by a facet field; empty spans left out."""

    async def journey(self, query: str, now: datetime, timezone: str = "UTC") -> list[StepCounts]:
        """Raw counts per step over the segments of the mentions found, each step that occurs."""

    async def match(self, records: Sequence[Record]) -> list[list[Match]]:
        """Per record the enabled stored subscriptions it matches."""

    # cases and corrections
    async def case(self, mention_id: str) -> Case | None:
        """The case of a mention."""

    async def put_case(self, case: Case) -> Case:
        """Write a case read at `case.version` (0: must not exist yet); gives it back one version on."""

    async def cases(self, states: Sequence[str] = (), owner: str | None = None, limit: int = 1000) -> list[Case]:
        """Cases by due time, those without a due time last."""

    async def add_correction(self, correction: Correction) -> int:
        """Keep a correction; gives its id."""

    async def corrections(self) -> list[Correction]:
        """All corrections, oldest first."""

    # subscriptions, alerts, deliveries
    async def subscriptions(self) -> list[Subscription]:
        """All subscriptions by id."""

    async def put_subscription(self, subscription: Subscription) -> None:
        """Create or replace; the query is parsed first (QueryError)."""

    async def delete_subscription(self, subscription_id: str) -> None:
        """Remove it; its alerts stay. Raises NotFoundError."""

    async def counts(self, subscription_id: str) -> dict[str, int]:
        """How its matches ended so far: fired, history, uncertain, own."""

    async def alerts(
        self, subscription_id: str | None = None, limit: int = 100, before: datetime | None = None
    ) -> list[Alert]:
        """Alerts, newest first."""

    async def alert(self, alert_id: str) -> Alert:
        """One alert. Raises NotFoundError."""

    async def alerts_of(self, mention_id: str) -> list[Alert]:
        """The alerts that list a mention, newest first."""

    async def outgoing(self, limit: int, now: datetime, skip: Sequence[str] = ()) -> list[Outgoing]:
        """Alerts due for a delivery, oldest first, but those to the destinations of `skip`.

        An alert's evidence no longer grows once it is due.
        """

    async def delivered(self, delivery: Delivery, next_try_at: datetime | None) -> None:
        """Log an attempt; failed ones are tried again at `next_try_at`, or given up where None."""

    async def deliveries(self, alert_id: str | None = None, limit: int = 100) -> list[Delivery]:
        """The delivery log, newest first."""

    # sources
    async def cursor(self, source: str) -> str | None:
        """The cursor stored with the source's last page."""

    async def source_states(self) -> dict[str, SourceState]:
        """The state of every source that ever ran."""

    async def put_source_state(self, state: SourceState) -> None:
        """Write a source's state; counts are kept by `save`."""

    async def reset_source(self, source: str) -> None:
        """Forget the cursor and lift a quarantine; mentions stay."""

    async def add_gap(self, gap: Gap) -> int:
        """Open or add a gap; gives its id."""

    async def close_gap(self, gap_id: int, end: datetime) -> None:
        """The gap ended then."""

    async def gaps(self, source: str | None = None) -> list[Gap]:
        """The gap ledger, newest first."""

    async def dead_letters(self, source: str | None = None, limit: int = 100, *, all: bool = False) -> list[DeadLetter]:
        """Dead letters, oldest first; with `all` those replayed too."""

    async def dead_letter(self, dead_letter_id: int) -> DeadLetter:
        """One dead letter. Raises NotFoundError."""

    async def dead_letter_replayed(self, dead_letter_id: int, now: datetime) -> None:
        """Mark it as replayed with success; its raw bytes are dropped."""

    async def inbox_put(self, source: str, event_id: str, body: bytes, received_at: datetime) -> bool:
        """Keep a push; False when it came before; Overloaded when too many of its source wait."""

    async def inbox_take(self, source: str, limit: int) -> list[tuple[int, str, bytes, datetime]]:
        """The oldest pushes (id, event id, body, received); they stay until a batch's page names them."""

    # keys
    async def keys(self) -> list[ApiKey]:
        """All API keys, revoked ones too."""

    async def put_key(self, key: ApiKey) -> None:
        """Create or replace a key."""

    # whole store
    async def erase(self, author: str, progress: Progress | None = None) -> int:
        """Remove an author (handle, id or pseudonym) and all they wrote, everywhere; gives how many mentions."""

    async def expire(self, before: datetime, sources: Sequence[str] = (), progress: Progress | None = None) -> int:
        """Remove mentions published before then, of these sources or of all; gives how many."""

    async def reindex(self, progress: Progress | None = None) -> int:
        """Build the search index anew from the stored mentions; resumable; gives how many."""

    async def backup(self, path: str, progress: Progress | None = None) -> None:
        """A consistent copy of the whole store while it runs."""

    async def status(self) -> Status:
        """What the store holds, and what is wrong with it."""

    async def select(self, query: str, now: datetime, after: str | None = None, limit: int = 1000) -> list[Record]:
        """Records found in the order of their ids, after that id: for resumable work over the store."""

    async def settings(self) -> Mapping[str, str]:
        """Small values kept with the store."""

    async def put_setting(self, key: str, value: str | None) -> None:
        """Keep or forget a small value."""
