"""The seam of a connector: its settings, its context, and `pages(cursor)`.

A connector hands on pages; each carries the cursor that says "everything up to here has been handed on".
The pipeline stores both together, so that a crash means a repeat, and ids make the repeat a no-op.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from listener.duration import PATTERN, format_duration, parse_duration
from listener.model import Mention, Page
from listener.secret import PATTERN as SECRET_PATTERN

Duration = Annotated[
    timedelta,
    BeforeValidator(lambda value: parse_duration(value) if isinstance(value, str) else value),
    PlainSerializer(format_duration, return_type=str),
    Field(json_schema_extra={"pattern": PATTERN, "type": "string"}),
]
SecretReference = Annotated[str, Field(pattern=SECRET_PATTERN)]
Kind = Literal["review", "post", "comment", "survey", "message"]


class Terms(BaseModel):
    """What the place's terms allow; `expire` and `erase` act on them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    may_store_text: bool = Field(True, description="false keeps labels and counts, never the words")
    max_retention: Duration | None = Field(
        None, description="older mentions are removed, nightly by the service or by `listener expire`"
    )
    must_delete_on_signal: bool = Field(True, description="a deletion at the source removes it here; false keeps it")
    attribution_required: bool = Field(False, description="show the place's name beside the text")


class SourceConfig(BaseModel):
    """What every source may set; a connector adds its own keys. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connector: str = Field(description="which connector reads this source")
    enabled: bool = Field(True, description="false leaves the source alone")
    every: Duration = Field(timedelta(minutes=5), description="pause between two looks at a polled source")
    brand: str | None = Field(None, description="brand of mentions that name none")
    product: str | None = Field(None, description="product of mentions that name none")
    place: str | None = Field(None, description="shop or place of mentions that name none")
    audience: str | None = Field(None, description="customer segment of mentions that name none")
    channel: str | None = Field(None, description="channel of mentions that name none")
    kind: Kind | None = Field(None, description="kind of mentions that name none")
    language: str | None = Field(None, description="language of mentions that name none")
    own_accounts: tuple[str, ...] = Field((), description="handles that speak for the brand: never alerted")
    terms: Terms = Field(Terms(), description="what the place's terms allow")


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One accepted push: its raw body, as it came, and when."""

    id: int
    event_id: str
    body: bytes
    received_at: datetime


class Inbox(Protocol):
    """The durable inbox of one push source, kept by the engine."""

    async def put(self, event_id: str, body: bytes, received_at: datetime) -> bool:
        """Store a push; False when this event id is there already. Overloaded when the inbox is full."""

    async def take(self, limit: int) -> Sequence[InboxEntry]:
        """The oldest entries; they stay until a stored page names them in `Page.inbox`."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the service lends a connector: the source's name, a clock, its inbox where it has one."""

    source: str
    inbox: Inbox | None = None
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


class Connector(Protocol):
    """A source at work. Built as `Class(config, context)`; `Config` is declared on the class."""

    Config: ClassVar[type[SourceConfig]]
    push: ClassVar[bool]  # True: fed through the inbox; pages() is called again on every arrival
    live: ClassVar[bool]  # False: an import, analysed behind everything live
    # A connector may also have
    #   pause: timedelta | None        the longer pause its source asked for, read after pages() ended
    #   progress: tuple[int, int]      bytes read and bytes in all, for a progress bar

    def __init__(self, config: Any, context: Context) -> None: ...

    def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """The pages after `cursor`, ending when there is nothing more for now.

        Raises TemporaryError (tried again after its retry_after) and PermanentError (waits for a person).
        The iterator may be closed after any page; the next call starts at the last stored cursor.
        """

    async def close(self) -> None:
        """Let go of connections and files."""


def apply(config: SourceConfig, mention: Mention, *, kind: str, channel: str) -> Mention:
    """The mention with what its source's settings add: brand, channel, ... where it names none, and the own flag.

    `kind` and `channel` are the connector's, for a mention and settings that name none. A mention is the brand's
    own where its author's handle stands in `own_accounts`, whatever the case and with or without a leading @.
    """
    missing: dict[str, Any] = {}
    for name, last in (("kind", kind), ("channel", channel)):
        if not getattr(mention, name):
            missing[name] = getattr(config, name) or last
    for name in ("brand", "product", "place", "audience", "language"):
        value = getattr(config, name)
        if value is not None and getattr(mention, name) is None:
            missing[name] = value
    if config.own_accounts and mention.author is not None and mention.author.handle and not mention.own:
        missing |= {"own": True} if _handle(mention.author.handle) in _handles(config.own_accounts) else {}
    return replace(mention, **missing) if missing else mention


@lru_cache(maxsize=64)
def _handles(accounts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_handle, accounts))


def _handle(text: str) -> str:
    return text.strip().removeprefix("@").casefold()
