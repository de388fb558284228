"""Files of mentions: CSV, TSV, JSON lines, a JSON array, .xlsx, Parquet; one file, a glob, or a watched folder."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal

from pydantic import Field

from connectors.base import Context, Duration
from connectors.columns import Columns, decide
from connectors.file_state import FileState, Mark
from connectors.records import Layout, Record, layout, opened, records
from connectors.rowids import RowIds
from connectors.rows import Rows, RowSettings, flat_keys
from connectors.sheets import SUFFIXES, sheet_rows
from listener.duration import parse_duration
from listener.errors import ConfigError, InputError, PermanentError, TemporaryError
from listener.model import Mention, Page, Reject

KNOWN = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", *SUFFIXES)
_SAMPLE = 200  # rows a guess looks at


class FileConfig(RowSettings):
    """Settings of a file source."""

    connector: str = Field("file", description="which connector reads this source")
    path: str = Field(description="a file, a folder (watched for new and grown files) or a glob")
    namespace: str | None = Field(
        None,
        description="rows with equal ids in one namespace are one mention; unset: the source's name for a single"
        " file, source and file's name in a folder",
    )
    ids: Literal["file", "global"] | None = Field(
        None, description="global: equal ids in two files of the source are one mention; file: never"
    )
    columns: tuple[str, ...] = Field((), description="names of the columns of a CSV file without a header line")
    sheet: str | None = Field(None, description="sheet of an .xlsx file; unset: the first")
    page_size: int = Field(500, ge=1, le=10_000, description="rows handed on at once")
    settle: Duration = Field(
        parse_duration("10s"), description="a last line without an end waits this long for the rest, in a folder"
    )


@dataclass(frozen=True, slots=True)
class Guess:
    """How a file would be read: shown by `listener import --dry-run` before anything is stored."""

    path: str
    form: str  # csv, jsonl, json, xlsx, parquet
    namespace: str
    columns: dict[str, str]  # column -> field
    left_out: tuple[str, ...]
    mentions: tuple[Mention, ...]  # the first three rows
    problems: tuple[str, ...]
    encoding: str | None = None
    delimiter: str | None = None
    scale: tuple[float, float] | None = None
    dates: str = "auto"


def file_namespace(path: str | Path) -> str:
    """The namespace of a file imported on its own without a source's name: its full name, since two may share one."""
    return Path(path).expanduser().resolve().as_posix()


class File:
    """Reads the files behind `path`, oldest name first; the cursor holds a position in each."""

    Config: ClassVar[type[FileConfig]] = FileConfig
    push: ClassVar[bool] = False
    live: ClassVar[bool] = False

    def __init__(self, config: FileConfig, context: Context) -> None:
        self._config, self._context = config, context
        self._root = Path(config.path).expanduser()
        self.progress: tuple[int, int] = (0, 0)
        self._below: BinaryIO | None = None  # the file in work as it lies on disk, for the progress
        self._ids: dict[str, tuple[int, RowIds]] = {}  # of the file read last, so that a grown one is not re-read

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """Pages of `page_size` rows; a file is read again only where it grew or was replaced."""
        state = FileState(cursor)
        paths = await asyncio.to_thread(self._paths)
        folder = self._many
        await asyncio.to_thread(state.keep_only, {self._name(path): path for path in paths})
        sizes = [path.stat().st_size for path in paths if path.exists()]
        done, total = 0, sum(sizes)
        for path in paths:
            name = self._name(path)
            try:
                reading = await asyncio.to_thread(_Reading.begin, self, path, name, state)
                while reading is not None:
                    page, below = await asyncio.to_thread(reading.page)
                    self.progress = (min(done + below, total), total)
                    if page is None:
                        break
                    yield page
            except InputError as error:
                if not folder:
                    raise PermanentError(str(error)) from error
                state.finish(name, path)
                yield Page((), state.json(), (), (Reject(b"", str(error), name),))
            except OSError as error:
                raise TemporaryError(f"{name}: {error.strerror or error}") from error
            done += path.stat().st_size if path.exists() else 0
            self.progress = (min(done, total), total)

    async def close(self) -> None:
        """Nothing stays open between pages' iterations."""
        self._ids.clear()

    @property
    def _many(self) -> bool:
        return self._root.is_dir() or (not self._root.exists() and any(c in self._config.path for c in "*?["))

    def _paths(self) -> list[Path]:
        if self._root.is_dir():
            return sorted(path for path in self._root.iterdir() if path.is_file() and _readable(path))
        if self._root.exists():
            return [self._root]
        if not self._many:
            raise PermanentError(f"there is no file {self._config.path}")
        anchor = Path(self._root.anchor) if self._root.anchor else Path()
        pattern = self._root.relative_to(self._root.anchor) if self._root.anchor else self._root
        return sorted(path for path in anchor.glob(str(pattern)) if path.is_file() and _readable(path))

    def _name(self, path: Path) -> str:
        if not self._many:
            return path.name
        base = self._root if self._root.is_dir() else _fixed_part(self._root)
        return path.relative_to(base).as_posix()

    def namespace(self, path: Path) -> str:
        """The namespace of a file's ids, as the settings say."""
        if self._config.namespace is not None:
            return self._config.namespace
        if self._config.ids == "global" or (self._config.ids is None and not self._many):
            return self._context.source
        return f"{self._context.source}/{self._name(path)}"

    def looked_at(self, path: Path) -> tuple[Layout | None, Columns, list[Record]]:
        """Layout, columns and first records of a file; the layout is None for a binary table."""
        how = None if path.suffix.lower() in SUFFIXES else layout(path, self._config.columns)
        first = list(islice(self.read(path, how, how.start if how else 0, how.first if how else 1), _SAMPLE))
        rows = [record.row for record in first if record.row is not None]
        columns: Sequence[str] = how.columns if how else ()
        if not columns:
            columns, rows = flat_keys(rows)
        if how is not None and how.form == "csv" and not columns:
            raise InputError(f"{path.name} has no header line")
        return how, decide(columns, rows, self._config.mapping, self._config.scales, self._config.reading()), first

    def read(self, path: Path, how: Layout | None, offset: int, number: int) -> Iterator[Record]:
        """The records of a file from an offset on; the file is closed with the iterator."""
        if how is None:
            yield from sheet_rows(path, offset, self._config.sheet)
            return
        stream, below = opened(path)
        with stream, below:
            self._below = below
            try:
                yield from records(stream, how, offset, number)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise InputError(f"{path.name} is cut off or damaged: {error}") from error

    def rows(self, path: Path, columns: Columns, how: Layout | None) -> Rows:
        """What turns this file's rows into mentions."""
        jsonish = how is not None and how.form != "csv"
        return Rows(self._config, self._context.source, self.namespace(path), columns, open_keys=jsonish)


class _Reading:
    """One file in work: a page at a time, each with the position behind it."""

    def __init__(self, owner: File, path: Path, name: str, state: FileState, mark: Mark | None) -> None:
        self._owner, self._path, self._name, self._state = owner, path, name, state
        self._how, columns, _ = owner.looked_at(path)
        self._rows = owner.rows(path, columns, self._how)
        stat = path.stat()
        start = (self._how.start, self._how.first) if self._how else (0, 1)
        offset, number = (mark.offset, mark.number) if mark is not None else start
        self._mark = mark or Mark.start(path, *start)
        self._mark = self._mark.seen(stat.st_size, stat.st_mtime_ns)
        self._ids = self._counted(start, offset)
        self._records = owner.read(path, self._how, offset, number)
        age = abs(owner._context.now().timestamp() - stat.st_mtime)
        self._waiting = owner._many and age < owner._config.settle.total_seconds()
        self._ended = False

    @classmethod
    def begin(cls, owner: File, path: Path, name: str, state: FileState) -> "_Reading | None":
        """The reading of a file from where it stopped, None when there is nothing new in it."""
        if state.finished(name, path):
            return None
        if path.stat().st_size == 0:
            return None
        return cls(owner, path, name, state, state.resume(name, path))

    def _counted(self, start: tuple[int, int], offset: int) -> RowIds:
        """Occurrence numbers of the rows before `offset`, read again where some had no id."""
        known = self._owner._ids.pop(self._name, None)
        if known is not None and known[0] == offset:
            return known[1]
        ids = RowIds()
        if offset > start[0] and self._mark.hashed:
            for record in self._owner.read(self._path, self._how, *start):
                if record.end > offset:
                    break
                if record.row is not None and not self._rows.native_id(record.row):
                    ids.next(record.row)
        return ids

    def page(self) -> tuple[Page | None, int]:
        """The next page and the bytes read so far; None at the end of the file."""
        if self._ended:
            return None, self._mark.size
        mentions: list[Mention] = []
        rejects: list[Reject] = []
        now = self._owner._context.now()
        taken = 0
        last: Record | None = None
        try:
            for record in islice(self._records, self._owner._config.page_size):
                if not record.whole and self._waiting:
                    self._ended = True
                    break
                taken, last = taken + 1, record
                self._one(record, now, mentions, rejects)
        except InputError as error:  # damaged from here on, or still being written
            self._ended = self._waiting
            if not self._waiting:
                rejects.append(Reject(b"", str(error), self._name))
        if last is not None:
            tail = last.raw if self._how is not None and self._how.form != "json" else b""
            self._mark = self._mark.moved(last.end, last.number + _lines(last, self._how), tail, self._ids.used)
        if taken < self._owner._config.page_size:
            ended, self._ended = self._ended, True
            if not ended:
                self._mark = self._mark.done()
        self._state.put(self._name, self._mark)
        if self._ended:  # not before: a reading that was given up may still be running in its thread
            self._owner._ids = {self._name: (self._mark.offset, self._ids)}
        below = self._owner._below
        share = 0 if below is None or below.closed else below.tell()
        share = self._mark.size if self._mark.finished else min(share, self._mark.size)
        return Page(tuple(mentions), self._state.json(), (), tuple(rejects)), share

    def _one(self, record: Record, now: datetime, mentions: list[Mention], rejects: list[Reject]) -> None:
        where = f"{self._name}:{record.number}"
        if record.row is None:
            rejects.append(Reject(record.raw, record.error, where))
            return
        row = record.row
        native = self._rows.native_id(row) or self._ids.next(row)
        try:
            mentions.append(self._rows.mention(row, now, native))
        except InputError as error:
            rejects.append(Reject(record.raw, str(error), where))


def _lines(record: Record, how: Layout | None) -> int:
    if how is None:
        return 1
    breaks = record.raw.count("\n".encode(how.encoding))
    return breaks if how.form == "json" else max(1, breaks)


def _readable(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(KNOWN) and not name.startswith((".", "~"))


def _fixed_part(pattern: Path) -> Path:
    parts = []
    for part in pattern.parts[:-1]:
        if any(mark in part for mark in "*?["):
            break
        parts.append(part)
    return Path(*parts)


def plan(paths: Sequence[str | Path], config: FileConfig, context: Context) -> tuple[Guess, ...]:
    """How each file would be read: columns, what is left out, the first three rows as mentions, problems."""
    guesses = []
    for item in paths:
        owner = File(config.model_copy(update={"path": str(item)}), context)
        for path in owner._paths():
            guesses.append(_guess(owner, path))
    return tuple(guesses)


def _guess(owner: File, path: Path) -> Guess:
    how, columns, first = owner.looked_at(path)
    rows, ids, now = owner.rows(path, columns, how), RowIds(), owner._context.now()
    mentions: list[Mention] = []
    problems = [*(how.problems if how else ()), *columns.problems]
    for record in first:
        if len(mentions) == 3:
            break
        try:
            if record.row is None:
                raise InputError(record.error)
            native = rows.native_id(record.row) or ids.next(record.row)
            mentions.append(rows.mention(record.row, now, native))
        except InputError as error:
            problems.append(f"row {record.number}: {error}")
    form = how.form if how else path.suffix.lower().lstrip(".")
    return Guess(
        str(path), form, owner.namespace(path), columns.shown, columns.left_out, tuple(mentions), tuple(problems),
        how.encoding if how else None, how.delimiter if how and how.form == "csv" else None, columns.scale,
        columns.order,
    )  # fmt: skip


__all__ = ["ConfigError", "File", "FileConfig", "Guess", "file_namespace", "plan"]
