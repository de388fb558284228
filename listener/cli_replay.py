"""Dead letters read again with the settings of today, one by one, so that each knows whether it is stored now."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from connectors import registry
from connectors.base import Context, SourceConfig
from connectors.file import File, FileConfig
from connectors.records import records
from connectors.rowids import RowIds
from connectors.webhook import WebhookConfig
from index.contract import DeadLetter
from listener.app import App
from listener.cli_import import PREFIX, import_prefix, job
from listener.errors import InputError, ListenerError
from listener.ingest import Ingest
from listener.model import Page, Reject


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one dead letter; `reason` where it is still one."""

    letter: DeadLetter
    stored: bool
    reason: str = ""


async def replay(app: App, letters: Sequence[DeadLetter]) -> list[Replayed]:
    """Read each again; what is stored is marked as replayed.

    A connector may have `replay(raw: bytes, where: str) -> Page` (plain or async). For files the row is read as
    its file's columns say, a push goes back into the inbox; others cannot be replayed.
    """
    ingest = await app.ingest(analyse=False)  # stored as waiting: the service, or the next import, analyses them
    results = []
    for letter in letters:
        try:
            await _one(app, ingest, letter)
        except ListenerError as error:
            results.append(Replayed(letter, False, str(error)))
        else:
            await app.engine.dead_letter_replayed(letter.id, app.now())
            results.append(Replayed(letter, True))
    return results


async def _one(app: App, ingest: Ingest, letter: DeadLetter) -> None:
    """Read and store one. Raises ListenerError saying why it is still not readable."""
    source, config = _config(app, letter)
    if isinstance(config, WebhookConfig):
        await app.engine.inbox_put(letter.source, f"replay-{letter.id}", letter.raw, app.now())
        return
    kind = registry.load(config.connector)
    connector = kind(config, Context(source, None, app.now))
    try:
        again: Any = getattr(connector, "replay", None)
        if again is not None:
            page = again(letter.raw, letter.where)
            page = await page if inspect.isawaitable(page) else page
        elif isinstance(connector, File) and isinstance(config, FileConfig):
            page = _row(connector, app, letter, Path(config.path))
        else:
            raise InputError(
                f"connector {config.connector} cannot read single records again: mend the settings, then "
                f"`listener sources reset {letter.source}`; what is stored is not stored twice"
            )
    finally:
        await connector.close()
    if page.rejects:
        raise InputError(page.rejects[0].reason)
    if not page.mentions and not page.deletions:
        raise InputError("nothing was found in it")
    if (await ingest.page(letter.source, config, page, live=False)).rejected:
        raise InputError("it can be read now but not stored: its newer dead letter says why")


def _config(app: App, letter: DeadLetter) -> tuple[str, SourceConfig]:
    """Source name and settings under which its record was read."""
    if letter.source in app.settings.sources:
        return letter.source, app.settings.sources[letter.source]
    for name in app.settings.sources:
        if letter.source.startswith(import_prefix(name)):
            found = job(app.settings, letter.source.removeprefix(import_prefix(name)), name, None)
            return found.source, found.config
    if letter.source.startswith(PREFIX):
        rest = letter.source.removeprefix(PREFIX)
        name, _, path = ("", "", rest) if rest.startswith("/") else rest.partition(":")
        if path.startswith("/"):
            found = job(app.settings, path, name or None, None)
            return found.source, found.config
        raise InputError("it came from standard input: import it again")
    raise InputError(f"source {letter.source} is no longer in the settings")


def _row(connector: File, app: App, letter: DeadLetter, path: Path) -> Page:
    """A row of a file, read by the columns the file has today."""
    if not letter.raw:
        raise InputError(f"the whole file could not be read: {letter.reason}")
    if not path.is_file():
        name, _, _ = letter.where.rpartition(":")
        path = path / name
    if not path.is_file():
        raise InputError(f"its file is not there any more, and with it the names of its columns: {path.name}")
    how, columns, _ = connector.looked_at(path)
    if how is None or how.form == "json":
        raise InputError(f"rows of {path.suffix} files cannot be read alone: mend the file and import it again")
    rows, now = connector.rows(path, columns, how), app.now()
    mentions, rejects = [], []
    for record in records(BytesIO(letter.raw), how, 0, 1):
        if record.row is None:
            rejects.append(Reject(record.raw, record.error, letter.where))
            continue
        native = rows.native_id(record.row) or RowIds().next(record.row)
        mentions.append(rows.mention(record.row, now, native))
    return Page(tuple(mentions), None, (), tuple(rejects))
