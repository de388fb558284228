"""What the command line prints: tables, colours, JSON, safe CSV cells on stdout; notes and progress on stderr."""

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "inverse": "7"}
_STEERING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
SENTIMENT_STYLE = {"negative": "red", "neutral": "yellow", "positive": "green"}


def printable(text: str) -> str:
    """One line of text without characters that could steer a terminal: a mention is hostile text."""
    line = " ".join(text.split())
    return "".join("�" if char in _STEERING or unicodedata.category(char) in ("Cc", "Cs") else char for char in line)


def coloured() -> bool:
    """Whether stdout is a terminal that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, *styles: str) -> str:
    """The text in these styles on a terminal, as it is elsewhere."""
    if not styles or not coloured():
        return text
    return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m"


def width(text: str) -> int:
    """How many columns a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def short(text: str, longest: int) -> str:
    """One printable line of at most that many characters."""
    line = printable(text)
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def say(text: str = "") -> None:
    """A line of result on stdout."""
    print(text)


def note(text: str) -> None:
    """A line beside the result, on stderr."""
    print(text, file=sys.stderr)


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON that stdout can carry: readable where it speaks UTF-8, escaped elsewhere and for lone surrogates."""
    if (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8":
        text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
        if text.isascii() or not _has_surrogates(text):
            return text
    return json.dumps(value, indent=indent, allow_nan=False)


def _has_surrogates(text: str) -> bool:
    try:
        text.encode("utf8")
    except UnicodeEncodeError:
        return True
    return False


def say_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(to_json(value, indent=2))


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> None:
    """Rows in columns under their heads; columns numbered in `right` stand to the right."""
    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    sizes = [max([width(head), *(width(row[place]) for row in cells)]) for place, head in enumerate(heads)]

    def line(row: Sequence[str]) -> str:
        parts = []
        for place, cell in enumerate(row):
            blank = " " * (sizes[place] - width(cell))
            parts.append(blank + cell if place in right else cell + blank)
        return "  ".join(parts).rstrip()

    say(paint(line(list(heads)), "bold"))
    for row in cells:
        say(line(row))


def safe_cell(value: object) -> object:
    """A CSV cell that no spreadsheet takes for a formula: such a text gets a ' in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def local_time(at: datetime | None, timezone: str) -> str:
    """An instant as people of that zone write it, to the minute; a dash for none."""
    return at.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M") if at else "-"


Report = Callable[[int, int], None]  # done, total


@contextmanager
def progress(label: str, unit: str = "it", *, scale: bool = False) -> Iterator[Report]:
    """A progress bar on stderr, nothing where that is no terminal; yields `report(done, total)`."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from tqdm import tqdm  # type: ignore[import-untyped]  # tqdm ships no types

    with tqdm(desc=label, unit=unit, unit_scale=scale, dynamic_ncols=True, file=sys.stderr, leave=False) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        yield report


def caret(query: str, column: int) -> str:
    """A query with a caret under the fault, two lines."""
    line = "".join(" " if unicodedata.category(char) == "Cc" else char for char in query)
    return f"  {line}\n  {' ' * width(line[:column])}^"


def confirmed(question: str, yes: bool) -> bool:
    """Whether a person says yes, or `--yes` was given. Raises InputError where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        from listener.errors import InputError

        raise InputError("nobody is there to confirm this: give --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "o", "oui")
