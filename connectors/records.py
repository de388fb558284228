"""Records of a text file, one after the other: CSV, TSV, JSON lines and a JSON array, plain or gzip, from any offset.

Offsets are bytes of the uncompressed file. A record that cannot be read keeps its raw bytes and says why; the
reading goes on behind it.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from connectors.json_records import json_array, json_lines
from connectors.text_file import MAX_LINE, Layout, Quoting, Record, head_of, line_reader, newline_of

HEAD = 262_144  # bytes looked at to tell encoding, dialect and columns
csv.field_size_limit(1_000_000)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def layout(path: Path, header: tuple[str, ...] = ()) -> Layout:
    """Encoding, form and dialect of a file; `header` names the columns of a CSV file without a header line."""
    head = head_of(path, HEAD)
    encoding, skip, problems = _encoding(head)
    text = head[skip:].decode(encoding, "replace").lstrip()
    suffix = "".join(path.suffixes[-2:]).lower().removesuffix(".gz")
    if suffix.endswith((".jsonl", ".ndjson", ".json")) or text[:1] in ("{", "["):
        form = "json" if text[:1] == "[" else "jsonl"
        if form == "json" and encoding.startswith("utf-16"):
            problems = (*problems, "a JSON array in UTF-16 is not read: save it as UTF-8")
        return Layout(form, encoding, skip, problems=problems)
    delimiter, quoting, escape = _dialect(head[skip:].decode(encoding, "replace"), suffix)
    found = Layout("csv", encoding, skip, 1, header, delimiter, quoting, escape, problems)
    if header:
        return found
    names = next(_csv(io.BytesIO(head), found, skip, 1, named=False), None)
    if names is None or names.row is None:
        return found
    columns = tuple(_unique(names.row["cells"]))
    behind = names.number + names.raw.count(newline_of(encoding))
    return Layout("csv", encoding, names.end, behind, columns, delimiter, quoting, escape, problems)


def records(stream: BinaryIO, how: Layout, offset: int, number: int) -> Iterator[Record]:
    """The records from byte `offset`, which begins line `number`."""
    stream.seek(offset)
    if how.form == "csv":
        return _csv(stream, how, offset, number)
    return json_lines(stream, how, offset, number) if how.form == "jsonl" else json_array(stream, offset, number)


def _encoding(head: bytes) -> tuple[str, int, tuple[str, ...]]:
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name, len(mark), ()
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD)
    except UnicodeDecodeError as error:
        # One broken byte in a file that shows it is UTF-8 elsewhere is a bad row, not another encoding.
        rest = head.decode("utf-8", "replace")
        broken, good = rest.count("\ufffd"), sum(c > "\x7f" for c in rest)
        if good - broken >= broken:
            return "utf-8", 0, ()
        return "cp1252", 0, (f"not UTF-8 (byte {error.start}): read as Windows-1252",)
    return "utf-8", 0, ()


def _dialect(text: str, suffix: str) -> tuple[str, Quoting, str | None]:
    """Delimiter, quoting and escape that give the first rows most evenly the same number of columns."""
    lines = text.splitlines(keepends=True)[:400]
    if len(text) >= HEAD // 4 and len(lines) > 1:
        lines.pop()
    best: tuple[str, Quoting, str | None] = ("\t" if suffix.endswith(".tsv") else ",", csv.QUOTE_MINIMAL, None)
    highest = 0.0
    for delimiter in ("\t", ",", ";", "|"):
        if not any(delimiter in line for line in lines):
            continue
        ways: list[tuple[Quoting, str | None]] = [(csv.QUOTE_MINIMAL, None)]
        if '\\"' in text:
            ways.append((csv.QUOTE_MINIMAL, "\\"))
        if delimiter == "\t":
            ways.append((csv.QUOTE_NONE, None))
        for quoting, escape in ways:
            try:
                rows = list(csv.reader(lines, delimiter=delimiter, quoting=quoting, escapechar=escape))
            except csv.Error:
                continue
            widths = [len(row) for row in rows if row]
            usual = len(rows[0]) if rows and rows[0] else 0
            if usual < 2:
                continue
            even = sum(width == usual for width in widths) / len(widths)
            # Evenness decides; more columns break a tie, the order of trial the next.
            likely = quoting == csv.QUOTE_MINIMAL and escape is None
            if quoting == csv.QUOTE_NONE:  # quotes that open a cell without closing it are mere characters
                likely = any(cell[:1] == '"' and cell.rstrip()[-1:] != '"' for row in rows for cell in row)
            score = even + min(usual, 50) / 1000 + (0.0005 if likely else 0)
            if score > highest + 1e-9 or (quoting == csv.QUOTE_NONE and likely and score > highest - 1e-9):
                highest, best = score, (delimiter, quoting, escape)
    return best


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    unique = []
    for place, name in enumerate((name.strip() for name in names), 1):
        name = name or f"column {place}"
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return unique


class _Lines:
    """Decoded lines for csv.reader, which pulls them one at a time; remembers the raw ones of the row in hand."""

    def __init__(self, stream: BinaryIO, encoding: str, offset: int, number: int) -> None:
        self.read = line_reader(stream, encoding)
        self.encoding, self.offset, self.number = encoding, offset, number
        self.raw: list[bytes] = []
        self.broken = self.ended = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self.read(MAX_LINE)
        if not line:
            self.ended = True
            raise StopIteration
        self.raw.append(line)
        self.offset += len(line)
        self.number += 1
        try:
            return line.decode(self.encoding)
        except UnicodeDecodeError:
            self.broken = True
            return line.decode(self.encoding, "replace")

    def begin(self) -> tuple[int, int]:
        """Start a new row: where it begins."""
        self.raw, self.broken = [], False
        return self.offset, self.number


def _csv(stream: BinaryIO, how: Layout, offset: int, number: int, named: bool = True) -> Iterator[Record]:
    if stream.tell() != offset:
        stream.seek(offset)
    lines, columns, width = _Lines(stream, how.encoding, offset, number), how.columns, len(how.columns)
    newline = newline_of(how.encoding)
    reader = _reader(lines, how)
    while True:
        start, first = lines.begin()
        error = ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            cells, error = [], str(problem)
        raw = b"".join(lines.raw)
        if len(lines.raw) > 1 and (error or _unclosed(raw, how, lines.ended)):
            # A quote that never closes has swallowed the lines behind it: give up its own line only.
            raw = lines.raw[0]
            stream.seek(start + len(raw))
            lines = _Lines(stream, how.encoding, start + len(raw), first + 1)
            reader = _reader(lines, how)
            yield Record(first, start + len(raw), raw, None, error or "a quoted field does not end")
            continue
        whole = raw.endswith(newline) or (not lines.ended and len(raw) >= MAX_LINE)
        if lines.broken:
            error = f"not {how.encoding}"
        elif not cells and not error:
            continue
        elif named and len(cells) != width:
            while len(cells) > width and not cells[-1].strip():
                cells.pop()
            if len(cells) != width:
                error = error or f"{len(cells)} columns instead of {width}"
        if error:
            yield Record(first, lines.offset, raw, None, error, whole)
        elif named:
            yield Record(first, lines.offset, raw, dict(zip(columns, cells, strict=True)), "", whole)
        else:
            yield Record(first, lines.offset, raw, {"cells": cells}, "", whole)


def _unclosed(raw: bytes, how: Layout, ended: bool) -> bool:
    """Whether a row over several lines holds an odd number of quotes, as no well-written row does."""
    if how.quoting == csv.QUOTE_NONE or (how.escape is not None and not ended):
        return False
    return raw.decode(how.encoding, "replace").count('"') % 2 == 1


def _reader(lines: _Lines, how: Layout) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=how.delimiter, quoting=how.quoting, escapechar=how.escape)
