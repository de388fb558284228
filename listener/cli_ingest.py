"""`listener init` and `listener reanalyze`."""

import argparse
import asyncio
import hashlib
from pathlib import Path
from typing import Any

from listener.app import App, opened
from listener.cli import DONE, INTERRUPTED, settings_of
from listener.cli_output import Report, note, progress, say, say_json
from listener.cli_signals import stopping
from listener.errors import InputError
from listener.ingest import Ingest
from listener.model import Record
from listener.presets import presets
from listener.settings import FILE_NAME, Settings, loads
from listener.settings_text import initial

_PAGE = 256


# --- init -----------------------------------------------------------------------------------------


def init(args: argparse.Namespace) -> int:
    """Write a first settings file, create the store and the ready-made subscriptions; overwrites nothing."""
    folder = Path(args.dir)
    path = folder / FILE_NAME
    if path.exists():
        raise InputError(f"{path} exists already: name another folder, or remove it first")
    folder.mkdir(parents=True, exist_ok=True)
    text = initial(folder)
    settings = loads(text, folder)
    kept = asyncio.run(_subscribe(settings))
    with path.open("x", encoding="utf8") as stream:  # last: where the store cannot be made, nothing is in the way
        stream.write(text)
    say(f"{path}: settings, with no sources yet")
    say(f"{settings.index.path}: the store")
    for name in kept:
        say(f"subscription {name}: alerts go to the console (`listener subscriptions` lists them)")
    say(f"next: listener --config {path} import FILE")
    return DONE


async def _subscribe(settings: Settings) -> list[str]:
    """Create the ready-made subscriptions that are not there yet; gives their names."""
    async with opened(settings) as app:
        there = {subscription.id for subscription in await app.engine.subscriptions()}
        made = [preset.subscription(app.now()) for preset in presets() if preset.key not in there]
        for subscription in made:
            await app.engine.put_subscription(subscription)
    return [subscription.id for subscription in made]


# --- reanalyze ------------------------------------------------------------------------------------


def reanalyze(args: argparse.Namespace) -> int:
    """Analyse stored mentions again, by id; goes on where an ended run of the same query stopped."""
    return asyncio.run(_reanalyze(args, settings_of(args)))


async def _reanalyze(args: argparse.Namespace, settings: Settings) -> int:
    query = args.query or "*"
    async with opened(settings) as app:
        ingest = await app.ingest()
        if ingest.batcher is None:
            raise InputError("the settings name no classifier: set [classifier] name")
        key = "reanalyze:" + hashlib.sha256(f"{query}\x00{ingest.batcher.name}".encode()).hexdigest()[:16]
        after = None if args.restart else (await app.engine.settings()).get(key)
        if after is not None:
            note("going on where the last run of this query stopped (--restart begins anew)")
        stop = asyncio.Event()
        with stopping(lambda number: stop.set()), progress("analysing") as report:
            counts = await _again(app, ingest, query, key, after, args.alerts, stop, report)
        ended = not stop.is_set()
    if getattr(args, "json", False):
        say_json({**counts, "complete": ended})
    else:
        say(f"analysed {counts['analysed']:,}, failed {counts['failed']:,}, alerts {counts['alerts']:,}")
        if counts["skipped"]:
            say(f"left as they are: {counts['skipped']:,} whose text is not stored")
    if not ended:
        note("stopped: the same command goes on from here")
    return DONE if ended else INTERRUPTED


async def _again(
    app: App, ingest: Ingest, query: str, key: str, after: str | None, alerts: bool, stop: asyncio.Event, report: Report
) -> dict[str, int]:
    """Page by page, each stored with its position behind it: a repeat after a crash repeats one page."""
    from index.contract import Search

    engine, counts = app.engine, dict.fromkeys(("analysed", "failed", "alerts", "skipped"), 0)
    total = (await engine.search(Search(query, size=1, highlight=False), app.now())).total
    done = 0
    while not stop.is_set():
        records = await engine.select(query, app.now(), after, _PAGE)
        if not records:
            await engine.put_setting(key, None)
            break
        readable = [record for record in records if not _without_text(record)]
        results = await _results(ingest, readable)
        saved = await engine.analysed(results, app.now(), ingest.rules if alerts else None)
        after, done = records[-1].mention.id, done + len(records)
        await engine.put_setting(key, after)
        failed = len(readable) - sum(not isinstance(outcome, str) for *_, outcome in results)
        counts["analysed"] += len(readable) - failed
        counts["failed"] += failed
        counts["skipped"] += len(records) - len(readable)
        counts["alerts"] += saved.alerts
        report(done, max(total, done))
    return counts


async def _results(ingest: Ingest, records: list[Record]) -> list[tuple[str, int, Any]]:
    """What to store; a failure only where there is no earlier analysis to keep."""
    outcomes = await ingest.outcomes([record.mention for record in records], live=False)
    results: list[tuple[str, int, Any]] = []
    for record, outcome in zip(records, outcomes, strict=True):
        told = (str(outcome) or type(outcome).__name__) if isinstance(outcome, Exception) else outcome
        if told is not None and (not isinstance(told, str) or record.analysis is None):
            results.append((record.mention.id, record.mention.version, told))
    return results


def _without_text(record: Record) -> bool:
    """Whether the words were not kept (the place's terms): its analysis cannot be made again."""
    return not record.mention.text and record.analysis is not None and not record.analysis.from_rating
