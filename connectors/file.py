"""Files of mentions: CSV, TSV, JSON lines, a JSON array, .xlsx, Parquet; one file, a glob, or a watched folder."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal

from pydantic import Field

from connectors.base import Context, Duration
from connectors.columns import Columns, decide
from connectors.file_reading import Reading
from connectors.file_state import FileState
from connectors.records import layout, records
from connectors.rowids import RowIds
from connectors.rows import Rows, RowSettings, flat_keys
from connectors.sheets import SUFFIXES, sheet_rows
from connectors.text_file import Layout, Record, opened
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
        self.config, self.context = config, context
        self._root = Path(config.path).expanduser()
        self.progress: tuple[int, int] = (0, 0)
        self.below: BinaryIO | None = None  # the file in work as it lies on disk, for the progress
        self.known_ids: dict[str, tuple[int, RowIds]] = {}  # of the file read last, so that a grown one is not re-read

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """Pages of `page_size` rows; a file is read again only where it grew or was replaced."""
        state = FileState(cursor)
        paths = await asyncio.to_thread(self.paths)
        folder = self.many
        await asyncio.to_thread(state.keep_only, {self._name(path): path for path in paths})
        sizes = [path.stat().st_size for path in paths if path.exists()]
        done, total = 0, sum(sizes)
        for path in paths:
            name = self._name(path)
            try:
                reading = await asyncio.to_thread(Reading.begin, self, path, name, state)
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
        self.known_ids.clear()

    @property
    def many(self) -> bool:
        """Whether the path is a folder or a glob, which is watched."""
        return self._root.is_dir() or (not self._root.exists() and any(c in self.config.path for c in "*?["))

    def paths(self) -> list[Path]:
        """The files there are now, by name. Raises PermanentError where a single one is missing."""
        if self._root.is_dir():
            return sorted(path for path in self._root.iterdir() if path.is_file() and _readable(path))
        if self._root.exists():
            return [self._root]
        if not self.many:
            raise PermanentError(f"there is no file {self.config.path}")
        anchor = Path(self._root.anchor) if self._root.anchor else Path()
        pattern = self._root.relative_to(self._root.anchor) if self._root.anchor else self._root
        return sorted(path for path in anchor.glob(str(pattern)) if path.is_file() and _readable(path))

    def _name(self, path: Path) -> str:
        if not self.many:
            return path.name
        base = self._root if self._root.is_dir() else _fixed_part(self._root)
        return path.relative_to(base).as_posix()

    def namespace(self, path: Path) -> str:
        """The namespace of a file's ids, as the settings say."""
        if self.config.namespace is not None:
            return self.config.namespace
        if self.config.ids == "global" or (self.config.ids is None and not self.many):
            return self.context.source
        return f"{self.context.source}/{self._name(path)}"

    def looked_at(self, path: Path) -> tuple[Layout | None, Columns, list[Record]]:
        """Layout, columns and first records of a file; the layout is None for a binary table."""
        how = None if path.suffix.lower() in SUFFIXES else layout(path, self.config.columns)
        first = list(islice(self.read(path, how, how.start if how else 0, how.first if how else 1), _SAMPLE))
        rows = [record.row for record in first if record.row is not None]
        columns: Sequence[str] = how.columns if how else ()
        if not columns:
            columns, rows = flat_keys(rows)
        if how is not None and how.form == "csv" and not columns:
            raise InputError(f"{path.name} has no header line")
        return how, decide(columns, rows, self.config.mapping, self.config.scales, self.config.reading()), first

    def read(self, path: Path, how: Layout | None, offset: int, number: int) -> Iterator[Record]:
        """The records of a file from an offset on; the file is closed with the iterator."""
        if how is None:
            yield from sheet_rows(path, offset, self.config.sheet)
            return
        stream, below = opened(path)
        with stream, below:
            self.below = below
            try:
                yield from records(stream, how, offset, number)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise InputError(f"{path.name} is cut off or damaged: {error}") from error

    def rows(self, path: Path, columns: Columns, how: Layout | None) -> Rows:
        """What turns this file's rows into mentions."""
        jsonish = how is not None and how.form != "csv"
        return Rows(self.config, self.context.source, self.namespace(path), columns, open_keys=jsonish)


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
        for path in owner.paths():
            guesses.append(_guess(owner, path))
    return tuple(guesses)


def _guess(owner: File, path: Path) -> Guess:
    how, columns, first = owner.looked_at(path)
    rows, ids, now = owner.rows(path, columns, how), RowIds(), owner.context.now()
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
