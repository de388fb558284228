"""Dates of a query become instants: ISO dates, `now`, and date math as Elasticsearch writes it.

A date names a span: `2026-03` is the whole month, `2026-03-01T10:00` that minute, `now` one millisecond, `now/d`
the day. Which end of the span a bound takes follows Elasticsearch: `>=` and `<` its start, `>` and `<=` its end.
"""

import re
from calendar import monthrange
from datetime import MAXYEAR, UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from listener.model import to_ms

EXPECTED = "a date such as 2026-03-31, 2026-03, 2026-03-31T10:00, now, now-7d, now/d or 2026-03-01||+1M/d"
_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2})"
    r"(?:[T ](?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"\s*(?P<zone>Z|z|[+-]\d{2}(?::?\d{2})?)?)?)?)?"
)
_MATH = re.compile(r"([+-])(\d{0,9})([yMwdhHms])|/([yMwdhHms])")
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_UNIT_OF = {"year": "y", "month": "M", "day": "d", "hour": "h", "minute": "m", "second": "s"}
_ELAPSED = {"h": timedelta(hours=1), "H": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_EPOCH = re.compile(r"-?\d{10,14}")


def zone(name: str) -> tzinfo:
    """The time zone of that name. Raises ValueError."""
    try:
        return UTC if name.upper() in ("UTC", "Z") else ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}") from error


def span(text: str, now: datetime, where: tzinfo) -> tuple[int, int]:
    """First and last millisecond of what `text` names, in the zone `where`. Raises ValueError."""
    try:
        return _span(text.strip(), now, where)
    except OverflowError as error:
        raise ValueError(f"{text!r} lies beyond the years 1 to {MAXYEAR}") from error


def _span(text: str, now: datetime, where: tzinfo) -> tuple[int, int]:
    if _EPOCH.fullmatch(text):
        at = int(text)
        if abs(at) > 253_402_300_799_999:
            raise OverflowError
        return at, at
    if text.startswith("now"):
        return _calculated(now.astimezone(where), text[3:], text)
    date, bars, math = text.partition("||")
    match = _DATE.fullmatch(date.strip())
    if not match:
        raise ValueError(f"{text!r} is not a date")
    start, unit = _written(match, where)
    if bars:
        return _calculated(start, math, text)
    if unit is None:
        return to_ms(start), to_ms(start)
    return to_ms(start), to_ms(_next(start, unit)) - 1


def _written(match: re.Match[str], where: tzinfo) -> tuple[datetime, str | None]:
    """The start of a written date and the unit it leaves open; None where it names its millisecond."""
    values = {name: int(match[name]) for name in _PARTS if match[name] is not None}
    fraction = int((match["fraction"] or "").ljust(6, "0")[:6])
    if match["zone"]:
        where = _offset(match["zone"])
    start = datetime(**{"month": 1, "day": 1, **values}, microsecond=fraction, tzinfo=where)
    return start, None if match["fraction"] else _UNIT_OF[list(values)[-1]]


def _offset(text: str) -> tzinfo:
    if text in "Zz":
        return UTC
    at = datetime.strptime(text if len(text) > 3 else text + "00", "%z")
    assert at.tzinfo is not None
    return at.tzinfo


def _calculated(start: datetime, math: str, text: str) -> tuple[int, int]:
    """Date math applied from left to right, once rounding down and once rounding up."""
    low = high = start
    place = 0
    for match in _MATH.finditer(math):
        if match.start() != place:
            break
        place = match.end()
        sign, number, unit, rounded = match.groups()
        if rounded:
            after = _next(_floor(high, rounded), rounded).astimezone(UTC)
            low, high = _floor(low, rounded), (after - timedelta(milliseconds=1)).astimezone(high.tzinfo)
        else:
            count = int(f"{sign}{number or 1}")
            low, high = _moved(low, count, unit), _moved(high, count, unit)
    if place != len(math):
        raise ValueError(f"{text!r} is not a date: {math[place:]!r} is not date math")
    return to_ms(low), to_ms(high)


def _local(at: datetime, naive: datetime) -> datetime:
    """A wall clock time in the zone of `at`: after a gap that swallows it, before a repetition's second half."""
    return naive.replace(tzinfo=at.tzinfo, fold=at.fold).astimezone(UTC).astimezone(at.tzinfo)


def _moved(at: datetime, count: int, unit: str) -> datetime:
    """Hours and less by elapsed time, days and more by the calendar."""
    if unit in _ELAPSED:
        return (at.astimezone(UTC) + count * _ELAPSED[unit]).astimezone(at.tzinfo)
    naive = at.replace(tzinfo=None)
    if unit in "dw":
        return _local(at, naive + timedelta(days=count * (7 if unit == "w" else 1)))
    months = naive.year * 12 + naive.month - 1 + count * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    if not 1 <= year <= MAXYEAR:
        raise OverflowError
    last_day = monthrange(year, month + 1)[1]
    return _local(at, naive.replace(year=year, month=month + 1, day=min(naive.day, last_day)))


def _floor(at: datetime, unit: str) -> datetime:
    """The start of the year, month, week (Monday), day, hour, minute or second that holds `at`."""
    naive = at.replace(tzinfo=None)
    if unit in _ELAPSED:
        size = _ELAPSED[unit]
        past = (naive - naive.replace(hour=0, minute=0, second=0, microsecond=0)) % size
        return (at.astimezone(UTC) - past).astimezone(at.tzinfo)
    day = naive.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "w":
        day -= timedelta(days=day.weekday())
    elif unit == "M":
        day = day.replace(day=1)
    elif unit == "y":
        day = day.replace(month=1, day=1)
    return _local(at.replace(fold=0), day)


def _next(start: datetime, unit: str) -> datetime:
    """The start of the unit after the one that begins at `start`."""
    if unit in _ELAPSED:
        return _moved(start, 1, unit)
    return _floor(_moved(start.replace(fold=0), 1, unit), unit)
