"""Sources at work: one task reads a source, one stores its pages, with a bounded queue between them.

A page's cursor is stored with the page, so stopping anywhere repeats at most the pages in hand, and ids make
the repeat a no-op. A source that fails waits and tries again; one that needs a person is quarantined; neither
holds up another.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from connectors.base import Connector, SourceConfig
from index.contract import Saved, SourceState
from listener.errors import ConfigError, ListenerError, NotFoundError, PermanentError, TemporaryError
from listener.ingest import Ingest
from listener.model import Gap, Page

log = logging.getLogger("listener.pipeline")

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15 * 60.0
_LOOK_FOR_LIFTED_QUARANTINE = 5.0


def backoff(attempt: int, retry_after: float | None = None, draw: Callable[[], float] = random.random) -> float:
    """Seconds to wait before try `attempt` + 1: what the place asked for, else exponential with full jitter."""
    if retry_after is not None:
        return retry_after + draw()  # a little spread, so that many sources do not return at one instant
    return max(0.1, draw() * min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt, 30)))


@dataclass(slots=True)
class Source:
    """A configured source with its connector, as the pipeline runs it."""

    name: str
    config: SourceConfig
    connector: Connector
    wake: asyncio.Event = field(default_factory=asyncio.Event)  # set when a push arrived


class Worker:
    """Runs one source until told to stop, or once through with `once`.

    `breath` is a pause in seconds after each page, for another process that writes to the same store.
    """

    def __init__(
        self, source: Source, ingest: Ingest, *, queue: int = 2, once: bool = False, breath: float = 0.0,
        on_saved: Callable[[Page, Saved], None] = lambda page, saved: None,
    ) -> None:  # fmt: skip
        self._source, self._ingest, self._engine = source, ingest, ingest.engine
        self._once, self._breath, self._on_saved = once, breath, on_saved
        self._queue: asyncio.Queue[Page | None] = asyncio.Queue(queue)
        self._stop = asyncio.Event()
        self._state = SourceState(source.name)
        self._known = False  # whether the stored state was read
        self._gap: int | None = None
        self._unwritten: Gap | None = None  # a gap that began while the store took no writes

    def stop(self) -> None:
        """Ask the source to end after the page in hand."""
        self._stop.set()

    async def run(self) -> None:
        """Read and store until stopped; raises PermanentError only with `once`."""
        attempt = 0
        while not self._stop.is_set():
            try:
                await self._recall()
                await self._sweep()
                await self._recovered()
            except TemporaryError as error:
                if self._once and attempt >= 5:
                    raise
                pause = backoff(attempt, error.retry_after)
                attempt += 1
                await self._failed(error, "waiting", pause)
                await self._sleep(pause)
                continue
            except (PermanentError, ConfigError) as error:
                await self._failed(error, "quarantined", None)
                if self._once:
                    raise
                await self._until_lifted()
                attempt = 0
                continue
            except Exception as error:  # a fault of ours or of a connector must not take the source down for good
                log.exception("source %s failed unexpectedly", self._source.name)
                if self._once:
                    raise
                pause = backoff(attempt + 3)
                attempt += 1
                await self._failed(error, "waiting", pause)
                await self._sleep(pause)
                continue
            attempt = 0
            if self._once:
                break
            await self._until_next_look()
        final = "done" if self._once and not self._stop.is_set() else "stopped"
        await self._put_state(replace(self._state, state=final, next_try_at=None))

    async def _recall(self) -> None:
        """What is stored of the source, read once."""
        if self._known:
            return
        self._state = (await self._engine.source_states()).get(self._source.name, self._state)
        gaps = await self._engine.gaps(self._source.name)
        self._gap = next((gap.id for gap in gaps if gap.end is None), None)  # left open by an earlier run
        self._known = True

    # --- one look at the source -----------------------------------------------------------------

    async def _sweep(self) -> None:
        """Read all pages there are now, while another task stores them in order."""
        await self._put_state(replace(self._state, state="running", detail=""))
        storing = asyncio.create_task(self._store_pages(), name=f"store {self._source.name}")
        reading = asyncio.create_task(self._read_pages(), name=f"read {self._source.name}")
        try:
            await asyncio.wait({storing, reading}, return_when=asyncio.FIRST_EXCEPTION)
            if storing.done() and storing.exception() is not None:
                reading.cancel()
                self._drop_queue()  # so that the reader's last word finds room
            failure: BaseException | None = None
            for result in await asyncio.gather(reading, storing, return_exceptions=True):
                if isinstance(result, Exception):  # the storing side's word counts, where both have one
                    failure = result
                elif isinstance(result, asyncio.CancelledError):  # not by us: the store's word follows, if it has one
                    failure = RuntimeError("the connector cancelled its own reading")
            if failure is not None:
                raise failure
        finally:
            for task in (reading, storing):
                if not task.done():
                    task.cancel()
            self._drop_queue()  # nobody takes from it any more, and the reader's last word needs room
            await asyncio.gather(reading, storing, return_exceptions=True)
            self._drop_queue()

    def _drop_queue(self) -> None:
        """Forget pages read but not stored: their cursors were not stored either, they are read again."""
        while not self._queue.empty():
            self._queue.get_nowait()

    async def _read_pages(self) -> None:
        """Put pages into the queue; a failed read still lets what was read be stored."""
        try:
            cursor = await self._engine.cursor(self._source.name)
            async with _closing(self._source.connector.pages(cursor)) as reading:
                while True:
                    following = asyncio.ensure_future(_next(reading))
                    stopping = asyncio.ensure_future(self._stop.wait())
                    try:
                        await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
                        if not following.done():  # a stream that waits for news is not waited for
                            break
                        page = following.result()
                    finally:
                        for waiter in (following, stopping):
                            waiter.cancel()
                        await asyncio.gather(following, stopping, return_exceptions=True)
                    if page is None:
                        break
                    await self._queue.put(page)
                    if self._stop.is_set():
                        break
        finally:
            await self._queue.put(None)

    async def _store_pages(self) -> None:
        while (page := await self._queue.get()) is not None:
            attempt = 0
            while True:
                try:
                    saved = await self._ingest.page(
                        self._source.name, self._source.config, page, live=self._source.connector.live
                    )
                    break
                except TemporaryError as error:  # the store is busy or away: the page is kept and tried again
                    if self._stop.is_set():
                        raise
                    pause = backoff(attempt, error.retry_after)
                    attempt += 1
                    await self._sleep(pause)
            self._on_saved(page, saved)
            if self._breath:
                await self._sleep(self._breath)

    # --- between looks --------------------------------------------------------------------------

    async def _until_next_look(self) -> None:
        if self._source.connector.push:
            await self._sleep(30.0, wake=self._source.wake)  # looks by itself too: another process may have pushed
            self._source.wake.clear()
            return
        pause = self._source.config.every
        asked: timedelta | None = getattr(self._source.connector, "pause", None)
        await self._sleep(max(pause, asked or pause).total_seconds())

    async def _until_lifted(self) -> None:
        """Wait until a person resets the source (its row changes) or the service stops."""
        while not self._stop.is_set():
            await self._sleep(_LOOK_FOR_LIFTED_QUARANTINE)
            with contextlib.suppress(ListenerError):  # a store that is busy says nothing about the quarantine
                state = (await self._engine.source_states()).get(self._source.name)
                if state is None or state.state != "quarantined":
                    return

    async def _sleep(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        """Sleep, unless the service stops or, where given, `wake` is set."""
        waiters = [asyncio.ensure_future(self._stop.wait())]
        if wake is not None:
            waiters.append(asyncio.ensure_future(wake.wait()))
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()

    # --- what is known of the source ------------------------------------------------------------

    async def _failed(self, error: Exception, state: str, pause: float | None) -> None:
        now = self._ingest.now()
        kind = "temporary" if state == "waiting" else "permanent"
        self._ingest.metrics.failures.labels(self._source.name, kind).inc()
        log.warning("source %s: %s", self._source.name, error)
        if self._gap is None and not self._source.connector.push:
            if self._unwritten is None:
                reason = f"{'outage or rate limit' if state == 'waiting' else 'quarantined'}: {error}"[:500]
                self._unwritten = Gap(self._source.name, self._state.last_success_at or now, None, reason)
            with contextlib.suppress(ListenerError):  # written later, then: a busy store must not end the source
                await self._write_gap()
        next_try = now + timedelta(seconds=pause) if pause is not None else None
        await self._put_state(replace(self._state, state=state, detail=str(error)[:500], next_try_at=next_try))

    async def _recovered(self) -> None:
        now = self._ingest.now()
        await self._write_gap()
        if self._gap is not None:
            with contextlib.suppress(NotFoundError):
                await self._engine.close_gap(self._gap, now)
            self._gap = None
        await self._put_state(replace(self._state, state="waiting", detail="", last_success_at=now, next_try_at=None))

    async def _write_gap(self) -> None:
        if self._unwritten is not None:
            self._gap = await self._engine.add_gap(self._unwritten)
            self._unwritten = None

    async def _put_state(self, state: SourceState) -> None:
        self._state = state
        with contextlib.suppress(ListenerError):  # the state is a report; the page is the truth
            await self._engine.put_source_state(state)


@contextlib.asynccontextmanager
async def _closing(pages: AsyncIterator[Page]) -> AsyncIterator[AsyncIterator[Page]]:
    """Close a connector's iterator at the end, where it can be closed: generators can, the seam does not ask for it."""
    try:
        yield pages
    finally:
        if (close := getattr(pages, "aclose", None)) is not None:
            await close()


async def _next(pages: AsyncIterator[Page]) -> Page | None:
    """The next page, None at the end; what would end the whole service, such as sys.exit(), is the source's failure."""
    try:
        return await anext(pages, None)
    except (SystemExit, GeneratorExit) as error:
        raise RuntimeError(f"the connector raised {type(error).__name__}") from error
