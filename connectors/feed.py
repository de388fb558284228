"""Feeds: RSS, Atom and JSON Feed, asked for politely and read to their known entries."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, ClassVar

from pydantic import Field
from yarl import URL

from connectors.base import Context, Duration, SourceConfig, apply
from connectors.feed_document import Document, Entry, longest, pause_of_headers, read_document
from connectors.http import Http, Response
from listener.duration import parse_duration
from listener.errors import InputError, PermanentError
from listener.model import Deletion, Gap, Mention, Page, Reject, from_ms, iso, mention_id, parse_time, to_ms

_KNOWN = 1400  # entries remembered: about 40 kB of cursor
_PAGE = 200
_RAW = 64_000
_TAG = 256  # longest validator kept


class FeedConfig(SourceConfig):
    """Settings of a feed source."""

    connector: str = Field("feed", description="which connector reads this source")
    every: Duration = Field(parse_duration("15m"), description="pause between two looks, unless the feed asks for more")
    url: str = Field(pattern=r"^https?://\S+$", description="address of the feed; it is the namespace of its ids")
    older_pages: int = Field(10, ge=0, le=1000, description="older pages followed on the first read")
    timeout: Duration = Field(parse_duration("30s"), description="longest wait for one answer")
    max_bytes: int = Field(5_000_000, ge=1000, description="largest answer that is read")
    longest_pause: Duration = Field(parse_duration("24h"), description="a feed that asks for more is asked anyway")


class _State:
    """The cursor: validators exactly as received, the known entries, the older page to read next."""

    def __init__(self, cursor: str | None) -> None:
        data: dict[str, Any] = json.loads(cursor) if cursor else {}
        self.url: str | None = data.get("url")
        self.etag: str | None = data.get("etag")
        self.modified: str | None = data.get("modified")
        self.body: str | None = data.get("body")
        self.older: str | None = data.get("older")
        self.left: int | None = data.get("left")
        self.last: str | None = data.get("last")
        self.ttl: float | None = data.get("ttl")  # seconds, as the feed itself asks
        self.known: dict[str, str] = {entry[:8]: entry[8:] for entry in data.get("known", ())}

    def json(self) -> str:
        while len(self.known) > _KNOWN:
            self.known.pop(next(iter(self.known)))
        data = {
            "url": self.url, "etag": self.etag, "modified": self.modified, "body": self.body, "older": self.older,
            "left": self.left, "last": self.last, "ttl": self.ttl,
            "known": [key + value for key, value in self.known.items()],
        }  # fmt: skip
        return json.dumps({name: value for name, value in data.items() if value is not None}, separators=(",", ":"))

    def validators(self) -> dict[str, str]:
        sent = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in sent.items() if value is not None}

    def version(self, entry: Entry, now: datetime) -> tuple[int, datetime | None] | None:
        """Version and first sight of an entry that is new or edited, None for one handed on already.

        An edit that leaves the times as they were takes the time it was seen as its version.
        """
        key, content = _short(entry.id), entry.content_hash
        dated = entry.updated_at or entry.published_at
        version = to_ms(max(dated, entry.published_at or dated)) if dated is not None else 0
        seen = None if dated is not None else now
        if (kept := self.known.pop(key, None)) is not None:
            if kept[:8] == content:
                self.known[key] = kept
                return None
            before, _, first = kept[8:].partition(".")
            if int(before, 16) >= version:
                version = to_ms(now)
            if dated is None and first:
                seen = from_ms(int(first, 16))
        self.known[key] = f"{content}{version:x}" + (f".{to_ms(seen):x}" if seen is not None else "")
        return version, seen


class Feed:
    """Reads one feed; `pause` is the longer pause that the feed asked for, None when it asked for none."""

    Config: ClassVar[type[FeedConfig]] = FeedConfig
    push: ClassVar[bool] = False
    live: ClassVar[bool] = True

    def __init__(self, config: FeedConfig, context: Context) -> None:
        self._config, self._context = config, context
        self._http = Http(config.timeout, config.max_bytes)
        self.pause: timedelta | None = None

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """New and edited entries of the feed, then, on the first read, its older pages."""
        state = _State(cursor)
        url, expired = state.url or self._config.url, False
        answer = await self._http.get(url, state.validators())
        now = self._context.now()
        fresh = pause_of_headers(answer.headers, now)
        if answer.moved is not None and answer.moved != state.url:
            state.url = answer.moved
            if answer.status == 304:
                yield Page(cursor=state.json())
        if answer.status != 304 and (digest := _short(answer.body)) != state.body:
            first = not state.known
            document, rejects = await self._document(answer)
            state.ttl = document.pause.total_seconds() if document.pause else None
            gaps = self._gaps(state, document, now)
            if first and document.older and self._config.older_pages:
                state.older, state.left = document.older, self._config.older_pages
            for page in self._pages(state, document, rejects, gaps, (answer, digest)):
                yield page
            expired = document.expired
        elif answer.status != 304 and _take_validators(state, answer):
            yield Page(cursor=state.json())
        async for page in self._walk(state, url):
            yield page
        asked = timedelta(seconds=state.ttl) if state.ttl else None
        self.pause = longest([fresh, asked], self._config.longest_pause)
        if expired:
            raise PermanentError(f"{self._config.url}: the feed says that it has ended")

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._http.close()

    async def _walk(self, state: _State, url: str) -> AsyncIterator[Page]:
        while state.older is not None:
            older, left = state.older, state.left or 0
            if left <= 0 or URL(older).host != URL(url).host:  # a feed does not send us to other hosts
                state.older = state.left = None
                yield Page(cursor=state.json())
                return
            answer = await self._http.get(older)
            document, rejects = await self._document(answer)
            following = document.older if document.older != older else None
            pages = list(self._pages(state, document, rejects, (), None))
            state.older, state.left = (following, left - 1) if following else (None, None)
            for page in pages[:-1]:
                yield page
            last = pages[-1]
            yield Page(last.mentions, state.json(), last.deletions, last.rejects)

    async def _document(self, answer: Response) -> tuple[Document, tuple[Reject, ...]]:
        where = self._config.url
        try:
            content_type = answer.headers.get("Content-Type", "")
            document = await asyncio.to_thread(read_document, answer.body, content_type, answer.url)
        except InputError as error:
            return Document(()), (Reject(answer.body[:_RAW], str(error), where),)
        return document, tuple(Reject(raw[:_RAW], reason, where) for raw, reason in document.bad)

    def _pages(
        self,
        state: _State,
        document: Document,
        rejects: tuple[Reject, ...],
        gaps: tuple[Gap, ...],
        answer: tuple[Response, str] | None,
    ) -> Iterable[Page]:
        """The document in pages; only the last one's cursor says that the whole document has been read."""
        now = self._context.now()
        deletions = tuple(Deletion(mention_id(self._config.url, native), at or now) for native, at in document.deleted)
        mentions: list[Mention] = []
        for entry in document.entries:
            found = state.version(entry, now)
            if found is None:
                continue
            mentions.append(self._mention(entry, *found, now))
            if entry.published_at is not None:
                state.last = max(state.last or "", iso(entry.published_at))
            if len(mentions) == _PAGE:
                yield Page(tuple(mentions), state.json(), gaps=gaps)
                mentions, gaps = [], ()
        if answer is not None:
            _take_validators(state, answer[0])
            state.body = answer[1]
        if state.last is None:
            state.last = iso(now)
        yield Page(tuple(mentions), state.json(), deletions, rejects, gaps)

    def _gaps(self, state: _State, document: Document, now: datetime) -> tuple[Gap, ...]:
        """A window in which nothing is known any more has moved on too far since the last look."""
        if not state.known or not document.entries or state.last is None:
            return ()
        if any(_short(entry.id) in state.known for entry in document.entries):
            return ()
        times = [at for entry in document.entries if (at := entry.published_at or entry.updated_at) is not None]
        start, end = parse_time(state.last), min(times, default=now)
        return (Gap(self._context.source, min(start, end), end, "window exceeded"),)

    def _mention(self, entry: Entry, version: int, seen: datetime | None, now: datetime) -> Mention:
        published = entry.published_at or entry.updated_at or seen or now
        text, title = (entry.text, entry.title) if entry.text else (entry.title or "", None)
        mention = Mention(
            mention_id(self._config.url, entry.id), entry.id, self._context.source, "", "", text, published, now,
            version, title, entry.language, author=entry.author, url=entry.url, parent_id=entry.parent_id,
        )  # fmt: skip
        return apply(self._config, mention, kind="post", channel="feed")


def _take_validators(state: _State, answer: Response) -> bool:
    before = state.etag, state.modified
    etag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
    state.etag = etag if etag and len(etag) <= _TAG else None
    state.modified = modified if modified and len(modified) <= _TAG else None
    return before != (state.etag, state.modified)


def _short(key: str | bytes) -> str:
    data = key.encode("utf8", "surrogatepass") if isinstance(key, str) else key
    return b64encode(blake2b(data, digest_size=6).digest()).decode()
