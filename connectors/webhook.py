"""Pushed mentions: a signed body, kept in the durable inbox, read from there page by page.

A body is one object, an array, `{"mentions": [...]}` or JSON lines. An object has the field names of a mention, or
those of the neutral payload: `id text language occurred_at rating{value,min,max,metric} author{id,name} url source`.
`{"deleted": true, "native_id": ...}` takes a mention back.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from connectors.base import Context, InboxEntry, SecretReference
from connectors.rows import Rows, RowSettings
from connectors.signature import SCHEMES, SignatureError, check, sign
from connectors.values import as_flag, as_text
from listener.errors import ConfigError, InputError
from listener.model import Deletion, Mention, Page, Reject, mention_id, to_ms
from listener.secret import reveal

_TAKEN = 50  # inbox entries read at once
_PAGE = 500
_EVENT = 200


class WebhookConfig(RowSettings):
    """Settings of a pushed source."""

    connector: str = Field("webhook", description="which connector reads this source")
    secrets: tuple[SecretReference, ...] = Field(
        (), description="each may sign: write the new one beside the old one while senders change over"
    )
    scheme: Literal["listener", "standard-webhooks", "github", "typeform", "sha256"] = Field(
        "listener", description="how senders sign"
    )
    unsigned: bool = Field(False, description="true takes pushes without a signature: only behind a wall of your own")
    max_bytes: int = Field(1_000_000, ge=1000, description="largest body taken")

    @model_validator(mode="after")
    def _signed(self) -> "WebhookConfig":
        if not self.secrets and not self.unsigned:
            raise ValueError("set `secrets`, or `unsigned = true` to take pushes from anybody")
        return self


def verify(config: WebhookConfig, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The event id under which a push may be kept.

    Raises SignatureError (answer 401), InputError for an empty or too large body (400, 413), ConfigError where a
    secret cannot be read (503).
    """
    if len(body) > config.max_bytes:
        raise InputError(f"the body has {len(body):,} bytes; {config.max_bytes:,} are taken")
    if not config.unsigned:
        check(config.scheme, [reveal(reference) for reference in config.secrets], headers, body, now)
    if not body.strip():
        raise InputError("the body is empty")
    return _event_id(config, headers, body)


def _event_id(config: WebhookConfig, headers: Mapping[str, str], body: bytes) -> str:
    low = {name.lower(): value for name, value in headers.items()}
    named = (SCHEMES[config.scheme].event, "X-Listener-Event", "Idempotency-Key")
    for name in named:
        if name is not None and (value := low.get(name.lower(), "").strip()):
            return value[:_EVENT]
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        # `id` alone names the mention, which may come again edited; beside a `native_id` it names the event.
        found = data.get("event_id") or (data.get("id") if data.get("native_id") else None)
        if found and (text := as_text(found)):
            return text[:_EVENT]
    return sha256(body).hexdigest()


class Webhook:
    """Reads the inbox of its source; a push is settled with the page that holds its last mention."""

    Config: ClassVar[type[WebhookConfig]] = WebhookConfig
    push: ClassVar[bool] = True
    live: ClassVar[bool] = True

    def __init__(self, config: WebhookConfig, context: Context) -> None:
        if context.inbox is None:
            raise ConfigError("a webhook needs an inbox", path=f"sources.{context.source}")
        self._config, self._context, self._inbox = config, context, context.inbox

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """What lies in the inbox now, oldest first; the cursor is not needed."""
        handed: set[int] = set()  # pages may be stored later than the next one is asked for
        while True:
            entries = await self._inbox.take(_TAKEN + len(handed))
            handed &= {entry.id for entry in entries}
            entries = [entry for entry in entries if entry.id not in handed]
            if not entries:
                return
            for page in self._pages(entries):
                yield page
            handed.update(entry.id for entry in entries)

    async def close(self) -> None:
        """Nothing is open."""

    def _pages(self, entries: list[InboxEntry]) -> Iterator[Page]:
        mentions: list[Mention] = []
        deletions: list[Deletion] = []
        rejects: list[Reject] = []
        settled: list[int] = []
        rows = Rows(self._config, self._context.source, self._context.source, open_keys=True, channel="webhook")
        for entry in entries:
            for place, item in enumerate(_items(entry.body)):
                where = f"{entry.event_id}#{place}"
                try:
                    found = self._read(rows, item, entry, place)
                    if isinstance(found, Deletion):
                        deletions.append(found)
                    else:
                        mentions.append(found)
                except InputError as error:
                    raw = item if isinstance(item, bytes) else _raw(item)
                    rejects.append(Reject(raw, str(error), where))
                if len(mentions) + len(deletions) + len(rejects) >= _PAGE:
                    yield Page(tuple(mentions), None, tuple(deletions), tuple(rejects), inbox=tuple(settled))
                    mentions, deletions, rejects, settled = [], [], [], []
            settled.append(entry.id)
        yield Page(tuple(mentions), None, tuple(deletions), tuple(rejects), inbox=tuple(settled))

    def _read(self, rows: Rows, item: Any, entry: InboxEntry, place: int) -> Mention | Deletion:
        if isinstance(item, bytes):
            raise InputError("not JSON")
        if not isinstance(item, dict):
            raise InputError("not a JSON object")
        if as_flag(item.get("deleted")):
            return self._deletion(rows, item, entry)
        neutral = dict(item)
        if not neutral.get("channel") and isinstance(neutral.get("source"), str):
            neutral["channel"] = neutral["source"]
        kind = neutral.get("kind")
        if isinstance(kind, str) and "." in kind:  # `feedback.created` names the event, not the mention
            neutral.pop("kind")
        # A push without a date is as new as its arrival, so that it may correct an earlier one.
        mention = rows.mention(neutral, entry.received_at, f"{entry.event_id}#{place}")
        if mention.version == 0:
            return _arrived(mention, entry.received_at)
        return mention

    def _deletion(self, rows: Rows, item: dict[str, Any], entry: InboxEntry) -> Deletion:
        native = rows.native_id(item)
        if not native:
            raise InputError("a deletion names its mention by native_id")
        at = item.get("deleted_at") or item.get("occurred_at")
        try:
            when = entry.received_at if at is None else self._config.reading()(at)
        except ValueError as error:
            raise InputError(str(error)) from error
        return Deletion(mention_id(self._context.source, native), when)


def _arrived(mention: Mention, received_at: datetime) -> Mention:
    return replace(mention, version=to_ms(received_at))


def _items(body: bytes) -> Iterator[Any]:
    """The objects of a body; a line or body that is no JSON comes back as its bytes."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        yield from _json_lines(body)
        return
    if isinstance(data, dict) and isinstance(data.get("mentions"), list):
        data = data["mentions"]
    yield from data if isinstance(data, list) else [data]


def _json_lines(body: bytes) -> Iterator[Any]:
    lines = [line for line in body.splitlines() if line.strip()]
    read = []
    for line in lines:
        try:
            read.append(json.loads(line))
        except (ValueError, RecursionError):
            read.append(line)
    # A body none of whose lines is an object is one broken push, not many.
    yield from read if any(isinstance(item, dict) for item in read) else [body]


def _raw(item: Any) -> bytes:
    return json.dumps(item, ensure_ascii=False).encode("utf8", "surrogatepass")


__all__ = ["SignatureError", "Webhook", "WebhookConfig", "sign", "verify"]
