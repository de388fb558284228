"""`listener import`: files into the store, each with a cursor of its own, so that it goes on where it was ended."""

import argparse
import asyncio
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from connectors.base import Connector, Context, SourceConfig
from connectors.file import File, FileConfig, file_namespace
from index.contract import Saved
from listener.app import App, opened
from listener.backlog import Backlog
from listener.cli import DONE, INTERRUPTED, settings_of
from listener.cli_output import note, printable, progress, say, say_json, short
from listener.cli_signals import stopping
from listener.errors import InputError
from listener.ingest import Ingest
from listener.model import Page
from listener.pipeline import Source, Worker
from listener.settings import Settings

PREFIX = "import:"
_REASONS = 5  # told at the end
_ANALYSED_PAGE = 100  # rows a page when they are analysed: little is repeated after a kill
_POLL = 1.0
_BREATH = 0.12  # s after each page beside a service: above SQLite's longest sleep between two tries for the lock


@dataclass(frozen=True, slots=True)
class Job:
    """One file: how it is named, how it is read, under which source its mentions stand and its cursor is kept."""

    shown: str
    config: FileConfig
    source: str
    key: str


@dataclass(slots=True)
class Outcome:
    """What became of one file."""

    file: str
    source: str
    new: int = 0
    updated: int = 0
    known: int = 0
    rejected: int = 0
    alerts: int = 0
    seconds: float = 0.0
    reasons: list[dict[str, str]] = field(default_factory=list)

    def add(self, page: Page, saved: Saved) -> None:
        """Count a stored page."""
        self.new += saved.new
        self.updated += saved.updated
        self.known += saved.known
        self.rejected += saved.rejected
        self.alerts += saved.alerts
        room = _REASONS - len(self.reasons)
        self.reasons += [{"where": reject.where, "reason": reject.reason} for reject in page.rejects[: max(0, room)]]


def import_files(args: argparse.Namespace) -> int:
    """Store and analyse files, or show how they would be read."""
    settings = settings_of(args)
    if args.files.count("-") > 1:
        raise InputError("standard input can be named once")
    if args.source is not None and not args.source:
        raise InputError("--source needs a name")
    with _stdin() if "-" in args.files else _nothing() as spooled:
        jobs = [job(settings, name, args.source, spooled) for name in dict.fromkeys(args.files)]
        if args.dry_run:
            from listener.cli_dry_run import dry_run

            return dry_run(jobs, settings, getattr(args, "json", False))
        return asyncio.run(_import(args, settings, jobs))


# --- what is to be read ---------------------------------------------------------------------------


def job(settings: Settings, name: str, source: str | None, spooled: Path | None) -> Job:
    """How one file of the command line is read. Raises InputError where there is no such file."""
    stdin = name == "-"
    path = spooled if stdin and spooled is not None else Path(name).expanduser()
    if path.is_dir():
        raise InputError(f"{name} is a folder: name its files, or watch it with a source of connector `file`")
    if not path.exists():
        raise InputError(f"there is no file {name}")
    place = f"stdin:{_digest(path)}" if stdin else path.resolve().as_posix()
    update: dict[str, Any] = {"path": str(path)}
    if source is None:
        update["namespace"] = place if stdin else file_namespace(path)
    config = _config(settings, source, update)
    shown = "standard input" if stdin else name
    if source is None:
        return Job(shown, config, f"{PREFIX}{'stdin' if stdin else path.name}", f"{PREFIX}{place}")
    return Job(shown, config, source, f"{import_prefix(source)}{place}")


def import_prefix(source: str) -> str:
    """How the keys begin under which cursors and dead letters of files imported for a source are kept."""
    return f"{PREFIX}{source}:"


def _config(settings: Settings, source: str | None, update: dict[str, Any]) -> FileConfig:
    """The settings of the named source where it reads files, else what all sources may set (brand, channel, ...)."""
    held = settings.sources.get(source) if source is not None else None
    if isinstance(held, FileConfig):
        return held.model_copy(update=update)
    names = [] if held is None else [name for name in SourceConfig.model_fields if name != "connector"]
    shared = {name: getattr(held, name) for name in names}
    return FileConfig(**{**shared, **update})


@contextmanager
def _stdin() -> Iterator[Path]:
    """Standard input as a file, since reading may have to begin again."""
    with tempfile.TemporaryDirectory(prefix="listener-") as folder:
        path = Path(folder) / "stdin.jsonl"
        with path.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        yield path


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


# --- the work -------------------------------------------------------------------------------------


async def _import(args: argparse.Namespace, settings: Settings, jobs: Sequence[Job]) -> int:
    async with opened(settings) as app:
        beside = app.engine.locked_by_other()
        unanalysed = "off" if args.no_analysis else "waiting"
        analyse = not args.no_analysis and not beside
        ingest = await app.ingest(analyse=analyse, live=args.live, unanalysed=unanalysed)
        before = await _history(app)
        run = _Run(app, ingest, ingest.batcher is not None, _BREATH if beside else 0.0)
        with stopping(lambda number: run.stop()):
            for job in jobs:
                if not run.stopped:
                    await run.file(job)
            if ingest.batcher is not None and not run.stopped:
                await run.left_over()
        history = await _history(app) - before
        if getattr(args, "json", False):
            _report_json(run.outcomes, history)
        else:
            _report(run.outcomes, history, settings, "the running service" if beside else "`listener run` or `serve`")
        if run.stopped:
            note("stopped: the same command goes on from here")
            return INTERRUPTED
        if beside and not args.no_analysis and not args.no_wait:
            return await _watch(app)
    return DONE


class _Run:
    """The files of one call, one after the other."""

    def __init__(self, app: App, ingest: Ingest, analyses: bool, breath: float) -> None:
        self._app, self._ingest, self._analyses, self._breath = app, ingest, analyses, breath
        self._stop: Callable[[], None] = lambda: None
        self.stopped = False
        self.outcomes: list[Outcome] = []

    def stop(self) -> None:
        """End after the page in hand."""
        self.stopped = True
        self._stop()

    async def file(self, job: Job) -> None:
        """Read one file to its end, from where it was left."""
        config = job.config
        if self._analyses:
            config = config.model_copy(update={"page_size": min(config.page_size, _ANALYSED_PAGE)})
        connector = File(config, Context(job.source, None, self._app.now))
        outcome = Outcome(job.shown, job.source)
        self.outcomes.append(outcome)
        start = time.perf_counter()
        with progress(job.shown, "B", scale=True) as report:

            def saved(page: Page, stored: Saved) -> None:
                outcome.add(page, stored)
                report(*connector.progress)

            source = Source(job.key, config, cast(Connector, connector))  # its Config is narrower than the seam's
            worker = Worker(source, self._ingest, once=True, breath=self._breath, on_saved=saved)
            self._stop = worker.stop
            try:
                await worker.run()
            finally:
                await connector.close()
                outcome.seconds = time.perf_counter() - start

    async def left_over(self) -> None:
        """Analyse what waits from an earlier import beside a service that is gone."""
        backlog = Backlog(self._ingest)
        waiting = (await self._app.engine.status()).waiting
        if not waiting:
            return
        note(f"{waiting:,} stored mentions still wait for their analysis")
        done = 0
        with progress("analysing what waits") as report:
            while not self.stopped and (taken := await backlog.step(self._app.now())):
                done += taken
                report(done, max(waiting, done))


async def _history(app: App) -> int:
    """Matches so far that were counted, not alerted, since they were history."""
    subscriptions = await app.engine.subscriptions()
    counts = [await app.engine.counts(subscription.id) for subscription in subscriptions]
    return sum(count.get("history", 0) for count in counts)


async def _watch(app: App) -> int:
    """Show how the running service analyses what waits; Ctrl-C leaves it to the service."""
    stop = asyncio.Event()
    left = most = (await app.engine.status()).waiting
    note(f"the running service analyses {left:,} stored mentions (Ctrl-C leaves it to the service)")
    with stopping(lambda number: stop.set()), progress("analysed by the service") as report:
        while left and not stop.is_set() and app.engine.locked_by_other():
            most = max(most, left)
            report(most - left, most)
            try:
                await asyncio.wait_for(stop.wait(), _POLL)
            except TimeoutError:
                left = (await app.engine.status()).waiting
    if not left:
        note("all of them are analysed")
        return DONE
    if stop.is_set():
        note(f"{left:,} are left to the service")
        return INTERRUPTED
    note(f"the service stopped with {left:,} left: the same command analyses them, and so does the next service")
    return DONE


# --- what is told ---------------------------------------------------------------------------------


def _report(outcomes: Sequence[Outcome], history: int, settings: Settings, deliverer: str) -> None:
    for outcome in outcomes:
        handled = outcome.new + outcome.updated + outcome.known
        if not handled and not outcome.rejected:
            say(f"{outcome.file}: nothing new since it was last imported")
            continue
        rate = f" ({handled / outcome.seconds:,.0f} a second)" if outcome.seconds > 0 and handled else ""
        say(
            f"{outcome.file}: {outcome.new:,} new, {outcome.updated:,} updated, {outcome.known:,} known, "
            f"{outcome.rejected:,} rejected in {outcome.seconds:.1f} s{rate}"
        )
        for reason in outcome.reasons:
            say(f"  {printable(reason['where'])}: {short(reason['reason'], 160)}")
    if any(outcome.rejected for outcome in outcomes):
        say("rejected records are kept: listener sources dead-letters")
    if history:
        age = settings.alerts.max_age.total_seconds() / 3600
        say(f"{history:,} matches were history (published over {age:g} h before): counted, not alerted; see --live")
    if alerts := sum(outcome.alerts for outcome in outcomes):
        say(f"{alerts:,} alerts were written; {deliverer} delivers them (listener alerts)")


def _report_json(outcomes: Sequence[Outcome], history: int) -> None:
    alerts = sum(outcome.alerts for outcome in outcomes)
    say_json({"files": [asdict(outcome) for outcome in outcomes], "alerts": alerts, "history": history})
