"""One file of a file source in work: a page at a time, each with the position behind it."""

from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.file_state import FileState, Mark
from connectors.rowids import RowIds
from connectors.text_file import Layout, Record
from listener.errors import InputError
from listener.model import Mention, Page, Reject

if TYPE_CHECKING:
    from connectors.file import File


class Reading:
    """One file in work: a page at a time, each with the position behind it."""

    def __init__(self, owner: "File", path: Path, name: str, state: FileState, mark: Mark | None) -> None:
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
        age = abs(owner.context.now().timestamp() - stat.st_mtime)
        self._waiting = owner.many and age < owner.config.settle.total_seconds()
        self._ended = False

    @classmethod
    def begin(cls, owner: "File", path: Path, name: str, state: FileState) -> "Reading | None":
        """The reading of a file from where it stopped, None when there is nothing new in it."""
        if state.finished(name, path):
            return None
        if path.stat().st_size == 0:
            return None
        return cls(owner, path, name, state, state.resume(name, path))

    def _counted(self, start: tuple[int, int], offset: int) -> RowIds:
        """Occurrence numbers of the rows before `offset`, read again where some had no id."""
        known = self._owner.known_ids.pop(self._name, None)
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
        now = self._owner.context.now()
        taken = 0
        last: Record | None = None
        try:
            for record in islice(self._records, self._owner.config.page_size):
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
        if taken < self._owner.config.page_size:
            ended, self._ended = self._ended, True
            if not ended:
                self._mark = self._mark.done()
        self._state.put(self._name, self._mark)
        if self._ended:  # not before: a reading that was given up may still be running in its thread
            self._owner.known_ids = {self._name: (self._mark.offset, self._ids)}
        below = self._owner.below
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
