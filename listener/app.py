"""The composition root: settings in, a running service out. Nothing else knows which parts are used."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from connectors import registry
from connectors.base import Connector, Context, InboxEntry, SourceConfig
from index.contract import Saved
from index.embedded.engine import EmbeddedEngine
from listener import notifiers
from listener.alerts import AlertRules
from listener.backlog import Backlog
from listener.delivery import Deliverer
from listener.errors import ConfigError
from listener.evidence import describe
from listener.ingest import Brands, Ingest
from listener.metrics import Metrics
from listener.model import Page
from listener.nightly import Nightly
from listener.pipeline import Source, Worker
from listener.privacy import is_pseudonym, pseudonym
from listener.secret import reveal
from listener.settings import Settings
from nlp.batching import Batcher

log = logging.getLogger("listener.app")


class SourceInbox:
    """The durable inbox of one push source, over the engine; says when something arrived."""

    def __init__(self, engine: EmbeddedEngine, source: str) -> None:
        self._engine, self._source = engine, source
        self.arrived: Callable[[], None] = lambda: None

    async def put(self, event_id: str, body: bytes, received_at: datetime) -> bool:
        """Store a push durably; False when this event id is there already."""
        new = await self._engine.inbox_put(self._source, event_id, body, received_at)
        self.arrived()
        return new

    async def take(self, limit: int) -> Sequence[InboxEntry]:
        """The oldest entries."""
        return [InboxEntry(*entry) for entry in await self._engine.inbox_take(self._source, limit)]


def utc_now() -> datetime:
    """The clock of a real service."""
    return datetime.now(UTC)


@dataclass(slots=True)
class App:
    """What a command works with: an open engine, and the rest on demand."""

    settings: Settings
    engine: EmbeddedEngine
    now: Callable[[], datetime] = utc_now
    metrics: Metrics = field(default_factory=Metrics)
    _batcher: Batcher | None = None

    async def batcher(self) -> Batcher | None:
        """The classifier, loaded on first use off the event loop; None where the settings say `none`."""
        wanted = self.settings.classifier
        if wanted.name == "none":
            return None
        if self._batcher is None:
            from nlp.registry import load

            threads = {"threads": wanted.threads} if wanted.threads else {}
            classifier = await asyncio.to_thread(load, wanted.name, **threads)
            self._batcher = Batcher(classifier, wanted.token_budget, wanted.capacity)
        return self._batcher

    def rules(self) -> AlertRules:
        """The decision what becomes an alert."""
        return AlertRules(partial(describe, timezone=self.settings.timezone))

    async def ingest(self, *, analyse: bool = True, live: bool = False, unanalysed: str = "waiting") -> Ingest:
        """What every page goes through."""
        key = self.settings.privacy.pseudonymise
        return Ingest(
            self.engine,
            await self.batcher() if analyse else None,
            self.rules(),
            Brands(self.settings.brands),
            self.metrics,
            self.now,
            self.settings.alerts.max_age,
            reveal(key).encode() if key else None,
            unanalysed,
            self.settings.index.vectors,
            live,
        )

    def source(self, name: str, config: SourceConfig) -> Source:
        """A source ready to run."""
        inbox = SourceInbox(self.engine, name)
        connector = registry.load(config.connector)(config, Context(name, inbox, self.now))
        source = Source(name, config, connector)
        inbox.arrived = source.wake.set
        return source

    def note_queues(self) -> None:
        """Bring the gauges of the metrics up to date."""
        self.metrics.waiting.set(self._batcher.waiting if self._batcher is not None else 0)

    async def close(self) -> None:
        """Let go of classifier and engine."""
        if self._batcher is not None:
            await self._batcher.close()
        await self.engine.close()


def engine_of(settings: Settings) -> EmbeddedEngine:
    """The engine that the settings name, not yet opened."""
    engine = EmbeddedEngine(
        Path(settings.index.path),
        readers=settings.index.readers,
        inbox_limit=settings.serve.inbox_limit,
        timezone=settings.timezone,
    )
    if settings.privacy.pseudonymise:
        key = reveal(settings.privacy.pseudonymise).encode()
        engine.stored_handle = lambda handle: handle if is_pseudonym(handle) else pseudonym(key, handle)
    return engine


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, *, service: bool = False, now: Callable[[], datetime] = utc_now
) -> AsyncIterator[App]:
    """An app with its engine open; `service` takes the store's lock."""
    app = App(settings, engine_of(settings), now)
    try:
        await app.engine.open(service=service)
        yield app
    finally:
        await app.close()


class Service:
    """Pipeline and delivery of all configured sources, until stopped."""

    def __init__(
        self, app: App, *, on_saved: Callable[[str, Page, Saved], None] = lambda source, page, saved: None
    ) -> None:
        self.app = app
        self.sources: dict[str, Source] = {}
        self.ready = asyncio.Event()
        self._on_saved = on_saved
        self._workers: list[Worker] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._destinations: dict[str, notifiers.Notifier] = {}
        self._deliverer: Deliverer | None = None
        self._backlog: Backlog | None = None

    async def start(self) -> None:
        """Load the classifier, check every source and destination, start all tasks."""
        settings = self.app.settings
        self._destinations = destinations_of(settings.destinations)
        for name, config in settings.sources.items():
            if config.enabled:
                self.sources[name] = self.app.source(name, config)
        ingest = await self.app.ingest()
        self._deliverer = Deliverer(
            self.app.engine, self._destinations, self.app.now, language=settings.alerts.language
        )
        self._backlog = Backlog(ingest, on_alerts=self._deliverer.wake.set)
        self._spawn("deliver", self._deliverer.run())
        self._spawn("backlog", self._backlog.run())
        self._spawn("nightly", Nightly(self.app.engine, settings.sources, settings.timezone, self.app.now).run())
        for name, source in self.sources.items():
            worker = Worker(source, ingest, queue=settings.limits.pages, on_saved=self._after(name))
            self._workers.append(worker)
            self._spawn(f"source {name}", worker.run())
        self.ready.set()

    async def stop(self) -> None:
        """Finish the pages and sends in hand, within the grace of the settings, and let go of everything."""
        self.ready.clear()
        for worker in self._workers:
            worker.stop()
        if self._backlog is not None:
            self._backlog.stop()
        named = {task.get_name(): task for task in self._tasks}
        working = [task for name, task in named.items() if name not in ("deliver", "nightly")]
        grace = self.app.settings.limits.grace.total_seconds()
        if working:
            await asyncio.wait(working, timeout=grace)
        if self._deliverer is not None:
            self._deliverer.stop()
            await asyncio.wait([named["deliver"]], timeout=grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        parts: list[Connector | notifiers.Notifier] = [source.connector for source in self.sources.values()]
        for part in [*parts, *self._destinations.values()]:
            try:
                await part.close()
            except Exception:  # the others are closed all the same
                log.exception("%s does not close", type(part).__name__)

    async def wait(self) -> None:
        """Until a part fails that should never end; its error is raised."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            if not task.cancelled():  # by `stop`: an end that was asked for
                task.result()

    def _spawn(self, name: str, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    def _after(self, name: str) -> Callable[[Page, Saved], None]:
        def saved(page: Page, saved: Saved) -> None:
            if saved.alerts and self._deliverer is not None:
                self._deliverer.wake.set()
            self._on_saved(name, page, saved)

        return saved


def destinations_of(configs: Mapping[str, Any]) -> dict[str, notifiers.Notifier]:
    """The notifiers of the settings by name. Raises ConfigError for a secret that is not set."""
    return {name: notifiers.load(config.type)(config) for name, config in configs.items()}


def configured(settings: Settings, names: Iterable[str]) -> list[tuple[str, SourceConfig]]:
    """The named sources of the settings. Raises ConfigError for one that is not there."""
    found = []
    for name in names:
        if name not in settings.sources:
            raise ConfigError(
                f"no source of that name; there are: {', '.join(settings.sources) or 'none'}", f"sources.{name}"
            )
        found.append((name, settings.sources[name]))
    return found
