"""A text file below its records: its layout, its uncompressed bytes, its lines in any encoding."""

import csv
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

Quoting = Literal[0, 1, 2, 3]  # the csv module's constants
MAX_LINE = 4_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """One row: the line it begins on (from 1), where it ends, its raw bytes, and its cells or what is wrong."""

    number: int
    end: int
    raw: bytes
    row: dict[str, Any] | None = None
    error: str = ""
    whole: bool = True  # False: the file ends before the line does, it may still be written


@dataclass(frozen=True, slots=True)
class Layout:
    """How a text file is written, told from its head."""

    form: str  # csv, jsonl or json
    encoding: str = "utf-8"
    start: int = 0  # first byte of the first record
    first: int = 1  # line of the first record
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    quoting: Quoting = csv.QUOTE_MINIMAL
    escape: str | None = None
    problems: tuple[str, ...] = ()


def opened(path: Path) -> tuple[BinaryIO, BinaryIO]:
    """The file as its uncompressed bytes, and the file below whose tell() says how far the reading is."""
    below = path.open("rb")
    if below.read(2) == b"\x1f\x8b":
        below.seek(0)
        return cast(BinaryIO, gzip.GzipFile(fileobj=below)), below
    below.seek(0)
    return below, below


def head_of(path: Path, size: int) -> bytes:
    """The first bytes of a file, fewer where a gzip file is cut off or damaged."""
    stream, below = opened(path)
    parts: list[bytes] = []
    with stream, below:
        try:
            while size > 0 and (part := stream.read(min(size, 4096))):
                parts.append(part)
                size -= len(part)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            pass
    return b"".join(parts)


def newline_of(encoding: str) -> bytes:
    """The bytes of a line end."""
    return "\n".encode(encoding)


def line_reader(stream: BinaryIO, encoding: str) -> Callable[[int], bytes]:
    """What reads one line, of a number of bytes at most, as readline() does; UTF-16 is cut at whole characters."""
    if not encoding.startswith("utf-16"):
        return stream.readline
    newline = newline_of(encoding)

    def wide(limit: int) -> bytes:
        line = stream.readline(limit)
        while line and len(line) < limit:
            if len(line) % 2:
                line += stream.read(1)
            if line.endswith(newline) and len(line) % 2 == 0:
                break
            more = stream.readline(limit)
            if not more:
                break
            line += more
        return line

    return wide
