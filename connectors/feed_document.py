"""A fetched feed as entries: RSS 0.9 to 2.0, RSS 1.0, Atom and JSON Feed, each the same plain shape."""

import html
import json
import re
from calendar import timegm
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urljoin

import feedparser  # type: ignore[import-untyped]

from connectors.markup import html_to_text
from connectors.values import clean
from listener.errors import InputError
from listener.model import Author, parse_time

_TOMBSTONES = "http://purl.org/atompub/tombstones/1.0"
_DELETED = re.compile(r"<(?:[\w.-]+:)?deleted-entry\b([^>]*)>")
_ATTRIBUTE = re.compile(r"""\b(ref|when)\s*=\s*("[^"]*"|'[^']*')""")
_PERIODS = {"hourly": 1, "daily": 24, "weekly": 168, "monthly": 720, "yearly": 8760}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; the times are None where the feed gives none that can be read."""

    id: str
    text: str
    title: str | None = None
    url: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    author: Author | None = None
    language: str | None = None
    parent_id: str | None = None

    @property
    def content_hash(self) -> str:
        """Eight characters that change when the entry's words or times do."""
        parts = (self.title or "", self.text, str(self.updated_at or self.published_at or ""))
        return sha256("\x00".join(parts).encode("utf8", "surrogatepass")).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Document:
    """What one address answered: entries, bad entries (raw bytes, reason), deletions, the older page, the pause."""

    entries: tuple[Entry, ...]
    bad: tuple[tuple[bytes, str], ...] = ()
    deleted: tuple[tuple[str, datetime | None], ...] = ()
    older: str | None = None
    pause: timedelta | None = None
    expired: bool = False


def read_document(body: bytes, content_type: str, url: str) -> Document:
    """The entries of a feed's body. Raises InputError when it is no feed; a bad entry is only listed."""
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if "json" in content_type.lower() or start.startswith(b"{"):
        return _json_feed(body, url)
    return _xml_feed(body, content_type, url)


def _json_feed(body: bytes, url: str) -> Document:
    try:
        data = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        raise InputError("not a JSON Feed: it has no list `items`")
    entries, bad = [], []
    for item in data["items"]:
        try:
            entries.append(_json_item(item, data, url))
        except (InputError, AttributeError, TypeError, ValueError) as error:
            raw = json.dumps(item, ensure_ascii=False).encode("utf8", "surrogatepass")
            bad.append((raw, str(error)))
    older = data.get("next_url")
    return Document(
        tuple(entries), tuple(bad), (), urljoin(url, older) if isinstance(older, str) and older else None,
        expired=data.get("expired") is True,
    )  # fmt: skip


def _json_item(item: Any, feed: Mapping[str, Any], url: str) -> Entry:
    if not isinstance(item, dict):
        raise InputError("the item is not an object")
    link = item.get("url") or item.get("external_url")
    title = clean(html_to_text(item["title"])) if item.get("title") else None
    text = item.get("content_text") or html_to_text(item.get("content_html") or "") or item.get("summary") or ""
    if item.get("id") in (None, "") and not link:
        raise InputError("the item has no id")
    if not text and not title:
        raise InputError("the item has no text and no title")
    authors = item.get("authors") or [item.get("author") or {}]
    authors = authors if authors != [{}] else feed.get("authors") or [feed.get("author") or {}]
    return Entry(
        clean(str(item.get("id") or link)), clean(text.strip()), title, urljoin(url, link) if link else None,
        _time(item.get("date_published")), _time(item.get("date_modified")),
        _author(authors[0].get("name"), authors[0].get("url")), item.get("language") or feed.get("language"),
    )  # fmt: skip


def _xml_feed(body: bytes, content_type: str, url: str) -> Document:
    # No base address: feedparser would make guids, which are identities, depend on where the feed lies today.
    headers = {"content-type": content_type or "application/xml"}
    try:
        found = feedparser.parse(body, response_headers=headers, sanitize_html=False)
    except Exception as error:  # it promises none, and still lets some through on broken encodings
        raise InputError(f"not a feed: {error}") from error
    if not found.get("version") and not found.entries:
        reason = found.get("bozo_exception")
        raise InputError(f"not a feed: {reason}" if reason else "not a feed")
    entries, bad = [], []
    for item in found.entries:
        try:
            entries.append(_xml_entry(item, found.feed, url))
        except (InputError, AttributeError, TypeError, ValueError, KeyError) as error:
            bad.append((json.dumps(item, default=str).encode("utf8", "surrogatepass"), str(error) or "unreadable"))
    links = {link.get("rel"): link.get("href") for link in found.feed.get("links", ()) if link.get("href")}
    older = links.get("prev-archive") or links.get("next")
    return Document(
        tuple(entries), tuple(bad), _deleted(body), urljoin(url, older) if older else None, _pause_of(found.feed)
    )


def _xml_entry(item: Any, feed: Any, url: str) -> Entry:
    title = clean(_words(item.get("title_detail") or {"value": item.get("title") or ""})).replace("\n", " ") or None
    contents = [detail for detail in item.get("content", ()) if detail.get("value")]
    detail = (contents or [item.get("summary_detail") or {"value": item.get("summary") or ""}])[0]
    text = clean(_words(detail))
    link = item.get("link") or None
    if not text and not title:
        raise InputError("the entry has no text and no title")
    identity = item.get("id") or link
    if not identity:
        identity = sha256(f"{title or ''}\x00{text}".encode("utf8", "surrogatepass")).hexdigest()
    person = item.get("author_detail") or {}
    return Entry(
        clean(identity), text, title, urljoin(url, link) if link else None,
        _struct(item.get("published_parsed") or item.get("created_parsed")),
        _struct(item.get("updated_parsed") if "updated_parsed" in item.keys()  # noqa: SIM118 (its `in` answers for published, too)
         else None),
        _author(person.get("name") or item.get("author") or feed.get("author"), person.get("href")),
        detail.get("language") or feed.get("language"), (item.get("thr_in-reply-to") or {}).get("ref"),
    )  # fmt: skip


def _words(detail: Mapping[str, Any]) -> str:
    value = detail.get("value") or ""
    return value.strip() if detail.get("type") == "text/plain" else html_to_text(value)


def _author(name: Any, url: Any) -> Author | None:
    if not isinstance(name, str) or not name.strip():
        return None
    return Author(handle=clean(name.strip()), name=clean(name.strip()), url=url if isinstance(url, str) else None)


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)


def _struct(value: Any) -> datetime | None:
    try:
        return None if value is None else datetime.fromtimestamp(timegm(value), UTC)
    except (ValueError, OverflowError):
        return None


def _deleted(body: bytes) -> tuple[tuple[str, datetime | None], ...]:
    """The tombstones of RFC 6721, which feedparser keeps only one of."""
    if _TOMBSTONES.encode() not in body:
        return ()
    found = []
    for match in _DELETED.finditer(body.decode("utf-8", "replace")):
        attributes = {name: html.unescape(value[1:-1]) for name, value in _ATTRIBUTE.findall(match[1])}
        if "ref" in attributes:
            found.append((clean(attributes["ref"]), _time(attributes.get("when"))))
    return tuple(found)


def _pause_of(feed: Any) -> timedelta | None:
    ttl = str(feed.get("ttl") or "")
    if ttl.isdigit():
        return timedelta(minutes=int(ttl[:6]))
    period = _PERIODS.get(str(feed.get("sy_updateperiod") or "").strip().lower())
    times = str(feed.get("sy_updatefrequency") or "1")
    return timedelta(hours=period) / max(1, int(times[:4])) if period and times.isdigit() else None


def pause_of_headers(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long an answer stays fresh, by Cache-Control max-age, else Expires."""
    control = headers.get("Cache-Control", "")
    if match := re.search(r"\bmax-age\s*=\s*\"?(\d{1,9})", control, re.IGNORECASE):
        return timedelta(seconds=int(match[1]))
    if re.search(r"no-cache|no-store", control, re.IGNORECASE):
        return None
    at = _time(headers.get("Expires"))
    return at - now if at is not None and at > now else None


def longest(pauses: Iterable[timedelta | None], limit: timedelta) -> timedelta | None:
    """The longest of the pauses asked for, never above `limit`."""
    asked = [pause for pause in pauses if pause is not None]
    return min(max(asked), limit) if asked else None
