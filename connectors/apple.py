"""Apple's public feed of App Store reviews: one listing a country, newest first, at most 500 reviews deep."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Literal
from xml.etree import ElementTree

from pydantic import Field

from connectors.base import Context, Duration, SourceConfig, apply
from connectors.http import Http
from connectors.newest_first import Listed, Listing, NewestFirst
from connectors.values import as_number, clean
from listener.duration import parse_duration
from listener.errors import InputError, PermanentError, TemporaryError
from listener.model import Author, Gap, Mention, Page, Reject, from_ms, mention_id, parse_time, to_ms

NAMESPACE = "app_store"
_ATOM = "{http://www.w3.org/2005/Atom}"
_IM = "{http://itunes.apple.com/rss}"
_THROTTLED = (403,)  # this place answers 403 when asked too often, not only when it means no
_KEYS = 1000  # remembered one by one over all countries, which keeps the cursor below 64 kB
_FIELDS = (
    "id", "title", "content", "updated", "im:rating", "im:version", "im:voteSum", "im:voteCount", "author", "link",
)  # fmt: skip


class AppleConfig(SourceConfig):
    """Settings of an App Store source."""

    connector: str = Field("apple", description="which connector reads this source")
    every: Duration = Field(parse_duration("1h"), description="pause between two looks at all countries")
    app: int = Field(gt=0, description="number of the app, as in the address of its page: id123456789")
    countries: tuple[str, ...] = Field(
        ("us",), min_length=1, max_length=200, description="storefronts, as two-letter country codes"
    )
    pages: int = Field(10, ge=1, le=10, description="pages of 50 reviews read at most, a country")
    format: Literal["xml", "json"] = Field(
        "xml", description="xml is complete; json sometimes answers an empty page and is then checked against xml"
    )
    request_pause: Duration = Field(parse_duration("1s"), description="pause between two requests")
    overlap: Duration = Field(
        parse_duration("12h"), description="how far behind the newest known review late ones are looked for"
    )
    version_in: Literal["product", "audience"] | None = Field(
        None, description="keeps the app's version behind the product's name, or as the audience; unset: left out"
    )
    base_url: str = Field("https://itunes.apple.com", description="where the feed is asked for")
    timeout: Duration = Field(parse_duration("30s"), description="longest wait for one answer")


class Apple:
    """Reads every country's reviews down to the newest known ones."""

    Config: ClassVar[type[AppleConfig]] = AppleConfig
    push: ClassVar[bool] = False
    live: ClassVar[bool] = True

    def __init__(self, config: AppleConfig, context: Context) -> None:
        self._config, self._context = config, context
        self._http = Http(config.timeout)
        self._asked = False

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """New and edited reviews; a country that fails is told after the others were read."""
        states: dict[str, dict[str, Any]] = json.loads(cursor) if cursor else {}
        countries = [country.strip().lower() for country in self._config.countries]
        states = {country: state for country, state in states.items() if country in countries}
        failed: list[Exception] = []
        for country in countries:
            recent = max(4, _KEYS // len(countries))
            walk = NewestFirst[Mention | Reject](states.get(country), recent, self._config.overlap)
            try:
                async for step in walk.walk(partial(self._listing, country), self._config.pages):
                    states[country] = step.state
                    gaps = tuple(
                        Gap(self._context.source, from_ms(start), from_ms(end), f"{country}: page limit reached")
                        for start, end in step.holes
                    )
                    yield Page(
                        tuple(post for post in step.posts if isinstance(post, Mention)),
                        json.dumps(states, separators=(",", ":")),
                        rejects=tuple(post for post in step.posts if isinstance(post, Reject)),
                        gaps=gaps,
                    )
            except (TemporaryError, PermanentError) as error:
                failed.append(error)
        if failed:  # what may pass by itself is told first: it is tried again
            raise min(failed, key=lambda problem: isinstance(problem, PermanentError))

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._http.close()

    async def _listing(self, country: str, number: int) -> Listing[Mention | Reject]:
        entries = await self._entries(country, number, self._config.format)
        if not entries and self._config.format == "json":  # says nothing: only xml tells an end
            entries = await self._entries(country, number, "xml")
        now = self._context.now()
        posts: list[Listed[Mention | Reject]] = []
        before = to_ms(now)
        for entry in entries:
            if not entry.get("im:rating"):
                continue  # the app itself
            try:
                mention = self._mention(entry, country, now)
                before = mention.version
                posts.append(Listed(before, f"{mention.native_id}:{before}", mention))
            except (InputError, ValueError) as error:
                raw = json.dumps(entry, ensure_ascii=False).encode("utf8", "surrogatepass")
                reject = Reject(raw, str(error) or "unreadable", f"{country} page {number}")
                posts.append(Listed(before, raw.decode("utf8", "replace"), reject))
        return Listing(posts, last=not entries)

    async def _entries(self, country: str, number: int, form: str) -> list[dict[str, Any]]:
        if self._asked:
            await asyncio.sleep(self._config.request_pause.total_seconds())
        self._asked = True
        path = f"{country}/rss/customerreviews/page={number}/id={self._config.app}/sortby=mostrecent/{form}"
        answer = await self._http.get(f"{self._config.base_url.rstrip('/')}/{path}", temporary=_THROTTLED)
        try:
            return _from_json(answer.body) if form == "json" else _from_xml(answer.body)
        except (ValueError, AttributeError, ElementTree.ParseError) as error:
            raise TemporaryError(f"{country} page {number}: not the feed of reviews: {error}") from error

    def _mention(self, entry: Mapping[str, Any], country: str, now: datetime) -> Mention:
        native, updated = clean(entry.get("id") or ""), parse_time(entry.get("updated") or "")
        if not native:
            raise InputError("the review has no id")
        rating = as_number(entry["im:rating"])
        if not 1 <= rating <= 5:
            raise InputError(f"rating {rating:g} is outside 1..5")
        text, title = clean(entry.get("content") or "").strip(), clean(entry.get("title") or "").strip() or None
        text, title = (text, title) if text else (title or "", None)
        version = clean(entry.get("im:version") or "")
        product = self._config.product or str(self._config.app)
        audience = version if version and self._config.version_in == "audience" else None
        if version and self._config.version_in == "product":
            product = f"{product} {version}"
        name = clean(entry.get("author") or "") or None
        counts = {"helpful": entry.get("im:voteSum"), "votes": entry.get("im:voteCount")}
        mention = Mention(
            mention_id(NAMESPACE, native), native, self._context.source, "", "", text, updated, now, to_ms(updated),
            title, product=product, place=country, audience=audience,
            author=Author(handle=name, name=name, url=entry.get("author_url") or None) if name else None,
            url=entry.get("link") or None, rating=rating,
            engagement={key: int(as_number(value)) for key, value in counts.items() if value},
        )  # fmt: skip
        return apply(self._config, mention, kind="review", channel="app_store")


def _from_json(body: bytes) -> list[dict[str, Any]]:
    feed = json.loads(body)["feed"] if body.strip() else {}
    entries = feed.get("entry") or []
    return [_plain(entry) for entry in (entries if isinstance(entries, list) else [entries])]


def _plain(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        return {"im:rating": "?", "entry": repr(entry)[:1000]}
    found = {name: _label(entry.get(name)) for name in _FIELDS}
    author, link = entry.get("author"), entry.get("link")
    if isinstance(author, dict):
        found["author"], found["author_url"] = _label(author.get("name")), _label(author.get("uri"))
    if isinstance(link, dict):
        found["link"] = (link.get("attributes") or {}).get("href")
    return found


def _label(value: Any) -> str | None:
    label = value.get("label") if isinstance(value, dict) else value
    return label if isinstance(label, str) else None


def _from_xml(body: bytes) -> list[dict[str, Any]]:
    text = body.decode("utf-8-sig")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can be made to grow without limit
        raise ValueError("it declares a document type")
    root = ElementTree.fromstring(text)
    if root.tag != f"{_ATOM}feed":
        raise ValueError(f"its root is {root.tag[:60]}")
    return [_element(entry) for entry in root.iter(f"{_ATOM}entry")]


def _element(entry: ElementTree.Element) -> dict[str, Any]:
    def words(elements: Iterable[ElementTree.Element]) -> str | None:
        return next((element.text for element in elements if element.text), None)

    names = {name: f"{_IM}{name[3:]}" if name.startswith("im:") else f"{_ATOM}{name}" for name in _FIELDS}
    found: dict[str, Any] = {name: words(entry.iter(tag)) for name, tag in names.items()}
    contents = entry.findall(f"{_ATOM}content")
    found["content"] = words(content for content in contents if content.get("type", "text") == "text")
    found["author"] = words(entry.iterfind(f"{_ATOM}author/{_ATOM}name"))
    found["author_url"] = words(entry.iterfind(f"{_ATOM}author/{_ATOM}uri"))
    links = entry.findall(f"{_ATOM}link")
    found["link"] = next((link.get("href") for link in links), None)
    return found
