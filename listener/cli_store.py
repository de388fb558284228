"""`listener erase`, `expire`, `reindex`, `backup` and `doctor`: the whole store."""

import argparse
import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from index.dates import EXPECTED, span
from listener.app import App, opened
from listener.cli import DONE, FAILED, settings_of
from listener.cli_import import import_prefix
from listener.cli_output import confirmed, local_time, note, paint, printable, progress, say, say_json, short
from listener.errors import ConfigError, InputError, ListenerError
from listener.model import from_ms
from listener.secret import reveal
from listener.settings import Settings, find, load

_RECENT = timedelta(days=7)


def _told(args: argparse.Namespace, key: str, value: object, text: str) -> int:
    """One result, as JSON or in words."""
    if getattr(args, "json", False):
        say_json({key: value})
    else:
        say(text)
    return DONE


# --- removing -------------------------------------------------------------------------------------


def erase(args: argparse.Namespace) -> int:
    """Remove an author and all they wrote."""
    settings = settings_of(args)
    if not confirmed(f"Remove {args.author} and all they wrote, for good?", args.yes):
        note("nothing was removed")
        return DONE
    return asyncio.run(_erase(args, settings))


async def _erase(args: argparse.Namespace, settings: Settings) -> int:
    from listener.privacy import PREFIX, pseudonym

    names = [args.author]
    if settings.privacy.pseudonymise is not None and not args.author.startswith(PREFIX):
        names.append(pseudonym(reveal(settings.privacy.pseudonymise).encode(), args.author))
    removed = 0
    async with opened(settings) as app:
        for name in names:
            with progress("removing", "mention") as report:
                removed += await app.engine.erase(name, report)
    return _told(args, "erased", removed, f"mentions removed: {removed:,}, with their versions, evidence and notes")


def expire(args: argparse.Namespace) -> int:
    """Remove what was published before a date, or what each source's terms no longer allow to keep."""
    settings = settings_of(args)
    now = datetime.now(UTC)
    if args.before is not None:
        at = _before(args.before, now, settings.timezone)
        plans: list[tuple[datetime, str | None]] = [(at, None)]
    else:
        plans = [(now - config.terms.max_retention, name) for name, config in settings.sources.items()
                 if config.terms.max_retention is not None]  # fmt: skip
        if not plans:
            return _told(args, "expired", 0, "no source has terms.max_retention, and no --before was given")
    for at, name in plans:
        note(f"{f'source {name}' if name else 'everything'}: before {local_time(at, settings.timezone)}")
    if not confirmed("Remove these mentions for good?", args.yes):
        note("nothing was removed")
        return DONE
    return asyncio.run(_expire(args, settings, plans))


def _before(text: str, now: datetime, timezone: str) -> datetime:
    try:
        return from_ms(span(text, now, ZoneInfo(timezone))[0])
    except ValueError as error:
        raise InputError(f"--before {text}: expected {EXPECTED}") from error


async def _expire(args: argparse.Namespace, settings: Settings, plans: list[tuple[datetime, str | None]]) -> int:
    removed = 0
    async with opened(settings) as app:
        known = await app.engine.source_states()
        for at, name in plans:
            imports = [key for key in known if name and key.startswith(import_prefix(name))]
            with progress("removing", "mention") as report:
                removed += await app.engine.expire(at, [name, *imports] if name else [], report)
    return _told(args, "expired", removed, f"mentions removed: {removed:,}")


# --- the index and copies -------------------------------------------------------------------------


def reindex(args: argparse.Namespace) -> int:
    """Build the search index anew."""
    return asyncio.run(_reindex(args, settings_of(args)))


async def _reindex(args: argparse.Namespace, settings: Settings) -> int:
    async with opened(settings) as app:
        with progress("indexing", "mention") as report:
            done = await app.engine.reindex(report)
    return _told(args, "reindexed", done, f"mentions indexed anew: {done:,}")


def backup(args: argparse.Namespace) -> int:
    """Copy the store into a new file."""
    return asyncio.run(_backup(args, settings_of(args)))


async def _backup(args: argparse.Namespace, settings: Settings) -> int:
    async with opened(settings) as app:
        with progress("copying", "page") as report:
            await app.engine.backup(args.file, report)
    return _told(args, "backup", args.file, f"{args.file}: a complete copy; set [index] path to it to use it")


# --- doctor ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `level` is ok, note (worth a look) or wrong (somebody must act)."""

    level: str
    what: str
    detail: str


def doctor(args: argparse.Namespace) -> int:
    """Look at everything; exit code 1 where something is wrong."""
    from listener.settings_check import Warned, check

    path = find(args.config)
    problems = check(path)
    findings = [Finding("wrong", "settings", str(problem)) for problem in problems]
    if not problems:
        findings.append(Finding("ok", "settings", f"{path} is valid, its secrets are set"))
    if all(isinstance(problem, Warned) for problem in problems):
        findings += asyncio.run(_examined(load(path)))
    wrong = any(finding.level == "wrong" for finding in findings)
    if getattr(args, "json", False):
        say_json({"healthy": not wrong, "findings": [asdict(finding) for finding in findings]})
        return FAILED if wrong else DONE
    styles = {"ok": "green", "note": "yellow", "wrong": "red"}
    for finding in findings:
        say(f"{paint(f'{finding.level:<5}', styles[finding.level])}  {finding.what}: {printable(finding.detail)}")
    return FAILED if wrong else DONE


async def _examined(settings: Settings) -> list[Finding]:
    findings = []
    try:
        async with opened(settings) as app:
            for look in (_store, _classifier, _sources, _letters, _deliveries):
                findings += await look(app)
    except ListenerError as error:
        findings.append(Finding("wrong", "store", str(error)))
    return findings


async def _store(app: App) -> list[Finding]:
    status = await app.engine.status(check=True)
    held = f"{status.mentions:,} mentions, {status.analysed:,} analysed, {status.bytes / 1e6:,.0f} MB"
    found = [Finding("ok", "store", f"{status.engine}, schema {status.schema}, {held}")]
    found += [Finding("wrong", "store", problem) for problem in status.problems]
    if status.failed:
        found.append(Finding("note", "analysis", f"{status.failed:,} mentions could not be analysed (is:unanalysed)"))
    running = app.engine.locked_by_other()
    if status.waiting:
        who = "the running service does it" if running else "no service is running"
        found.append(Finding("note", "analysis", f"{status.waiting:,} mentions wait: {who}"))
    found.append(Finding("ok", "service", "running" if running else "not running"))
    return found


async def _classifier(app: App) -> list[Finding]:
    try:
        batcher = await app.batcher()
    except ConfigError as error:
        return [Finding("wrong", "classifier", str(error))]
    return [Finding("ok", "classifier", batcher.name if batcher else "none: nothing is analysed")]


async def _sources(app: App) -> list[Finding]:
    found = []
    for name, state in (await app.engine.source_states()).items():
        if state.state == "quarantined":
            mend = f"mend it, then `listener sources reset {name}`"
            found.append(Finding("wrong", f"source {name}", f"waits for a person: {state.detail}; {mend}"))
    for gap in await app.engine.gaps():
        if gap.end is None:
            since = local_time(gap.start, app.settings.timezone)
            found.append(Finding("wrong", f"source {gap.source}", f"misses mentions since {since}: {gap.reason}"))
    return found or [Finding("ok", "sources", f"{len(app.settings.sources)} in the settings, none needs a person")]


async def _letters(app: App) -> list[Finding]:
    letters = await app.engine.dead_letters(limit=1000)
    if not letters:
        return [Finding("ok", "dead letters", "none")]
    count = f"{len(letters):,}" + (" or more" if len(letters) == 1000 else "")
    newest = f"such as {letters[-1].where}: {short(letters[-1].reason, 100)}"
    return [Finding("note", "dead letters", f"{count} (listener sources dead-letters), {newest}")]


async def _deliveries(app: App) -> list[Finding]:
    """Deliveries of the last days that were given up and did not succeed after."""
    found: dict[tuple[str, str], str] = {}
    sent: set[tuple[str, str]] = set()
    for item in await app.engine.deliveries(limit=1000):  # newest first
        key = (item.alert, item.destination)
        if item.ok:
            sent.add(key)
        elif key not in sent and item.at >= app.now() - _RECENT:
            found.setdefault(key, item.detail)
    if not found:
        return [Finding("ok", "deliveries", "none failed in the last 7 days")]
    (_, destination), detail = next(iter(found.items()))
    return [Finding("wrong", "deliveries", f"{len(found):,} alerts not delivered, such as to {destination}: {detail}")]
