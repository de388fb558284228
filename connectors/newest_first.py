"""Walking a newest-first listing so that stopping after any page, with new posts arriving, loses and repeats nothing.

Page numbers last only for one walk: every walk begins at the newest post and goes down to the checkpoint. What an
interrupted walk handed on is remembered as spans of time, so that the next walk steps over it; the newest keys are
remembered one by one, so that a post that shows up late, dated back, is still seen. The checkpoint moves once, when
a walk is complete. The state is JSON of bounded size.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_MOST_SPANS = 20
_MOST_EDGE = 50


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One post of a listing: the time in ms it is sorted by, a key of id and version, the post itself."""

    at: int
    key: str
    item: T


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of a listing, newest first; `last` when there is certainly none behind it."""

    posts: Sequence[Listed[T]]
    last: bool = False


@dataclass(slots=True)
class Span:
    """Posts from `high` down to `low` were handed on; at `low` itself those of `edge` (short keys)."""

    high: int
    low: int
    edge: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """What one page of a walk brings: posts not handed on before, the state behind it, holes left for good."""

    posts: tuple[T, ...]
    state: dict[str, Any]
    holes: tuple[tuple[int, int], ...] = ()


class NewestFirst(Generic[T]):
    """The state of one listing; `walk` reads it once. `recent` bounds how many keys are kept one by one."""

    def __init__(
        self, state: dict[str, Any] | None, recent: int = 400, overlap: timedelta = timedelta(hours=12)
    ) -> None:
        state = state or {}
        self._limit, self._overlap = max(recent, 1), int(overlap.total_seconds() * 1000)
        self.top: int | None = state.get("top")
        self._horizon: int | None = state.get("horizon")
        self._recent: dict[str, int] = {item[:8]: int(item[8:], 36) for item in state.get("recent", ())}
        self._spans = [Span(*span) for span in state.get("walk", {}).get("spans", ())]

    def state(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        recent = [key + _base36(at) for key, at in self._recent.items()]
        state: dict[str, Any] = {"top": self.top, "horizon": self._horizon, "recent": recent}
        if self._spans:
            state["walk"] = {"spans": [[span.high, span.low, span.edge] for span in self._spans]}
        return {name: value for name, value in state.items() if value is not None}

    async def walk(self, fetch: Callable[[int], Awaitable[Listing[T]]], most_pages: int) -> AsyncIterator[Step[T]]:
        """Pages 1, 2, ... of `fetch` down to the checkpoint, the end, or `most_pages`; a step after each."""
        current: Span | None = None
        before = self.state()
        for number in range(1, most_pages + 1):
            listing = await fetch(number)
            fresh = []
            for post in listing.posts:
                key = _short(post.key)
                if not self._handed_on(post.at, key):
                    fresh.append(post.item)
                self._remember(post.at, key)
                current = _extended(current, post.at, key)
            reached = self._reached(listing)
            complete = listing.last or reached or number == most_pages
            holes: tuple[tuple[int, int], ...] = ()
            if current is not None:
                self._merge(current)
            if complete:
                holes = () if reached or listing.last else self._holes()
                self._finish()
            if fresh or holes or (complete and self.state() != before):
                yield Step(tuple(fresh), self.state(), holes)
            if complete:
                return

    def _handed_on(self, at: int, key: str) -> bool:
        if key in self._recent:
            return True
        if self._horizon is None or at > self._horizon:
            return False  # every key handed on above the horizon is remembered
        if self.top is not None and at <= self.top:
            return True
        return any(span.low < at <= span.high or (at == span.low and key in span.edge) for span in self._spans)

    def _remember(self, at: int, key: str) -> None:
        if self._horizon is not None and at <= self._horizon:
            return
        self._recent[key] = at
        if len(self._recent) > self._limit + 20:
            newest = sorted(self._recent.items(), key=lambda item: -item[1])
            dropped = newest[self._limit :]
            self._horizon = max([at for _, at in dropped] + ([] if self._horizon is None else [self._horizon]))
            self._recent = {key: at for key, at in newest[: self._limit] if at > self._horizon}

    def _reached(self, listing: Listing[T]) -> bool:
        return self.top is not None and bool(listing.posts) and listing.posts[-1].at < self.top - self._overlap

    def _merge(self, current: Span) -> None:
        apart = []
        for span in self._spans:
            if span.high < current.low or span.low > current.high:
                apart.append(span)
                continue
            if span.low < current.low:
                current.low, current.edge = span.low, list(span.edge)
            elif span.low == current.low:
                current.edge = list(dict.fromkeys((*current.edge, *span.edge)))[-_MOST_EDGE:]
            current.high = max(current.high, span.high)
        spans = sorted((*apart, current), key=lambda span: -span.high)
        self._spans = spans[:_MOST_SPANS]

    def _holes(self) -> tuple[tuple[int, int], ...]:
        """Times between what was handed on and the checkpoint: (from, to); none before a first complete walk."""
        if self.top is None:
            return ()
        lower = [span.high for span in self._spans[1:]] + [self.top]
        found = [(below, span.low) for span, below in zip(self._spans, lower, strict=True)]
        return tuple((start, end) for start, end in found if start < end)

    def _finish(self) -> None:
        if self._spans:
            highest = max(span.high for span in self._spans)
            self.top = highest if self.top is None else max(self.top, highest)
        self._spans = []


def _extended(span: Span | None, at: int, key: str) -> Span:
    if span is None:
        return Span(at, at, [key])
    if at < span.low:
        span.low, span.edge = at, [key]
    elif at == span.low and len(span.edge) < _MOST_EDGE:
        span.edge.append(key)
    span.high = max(span.high, at)
    return span


def _short(key: str) -> str:
    return b64encode(blake2b(key.encode("utf8", "surrogatepass"), digest_size=6).digest()).decode()


def _base36(number: int) -> str:
    digits = ""
    sign, number = ("-", -number) if number < 0 else ("", number)
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return sign + (digits or "0")
