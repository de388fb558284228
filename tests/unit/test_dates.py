"""Dates of a query are resolved as Elasticsearch resolves them, in the zone of the settings."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.ast import Range
from index.dates import span, zone
from index.query import parse
from listener.model import from_ms, to_ms

NOW = datetime(2026, 3, 18, 15, 30, 45, 123000, tzinfo=UTC)  # a Wednesday
PARIS = ZoneInfo("Europe/Paris")


def shown(text: str, where: str = "UTC", now: datetime = NOW) -> tuple[str, str]:
    first, last = (
        from_ms(ms).isoformat(timespec="milliseconds").replace("+00:00", "") for ms in span(text, now, zone(where))
    )
    return first, last


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", "2026-01-01T00:00:00.000", "2026-12-31T23:59:59.999"),
        ("2026-03", "2026-03-01T00:00:00.000", "2026-03-31T23:59:59.999"),
        ("2024-02", "2024-02-01T00:00:00.000", "2024-02-29T23:59:59.999"),
        ("2026-03-05", "2026-03-05T00:00:00.000", "2026-03-05T23:59:59.999"),
        ("2026-03-05T10", "2026-03-05T10:00:00.000", "2026-03-05T10:59:59.999"),
        ("2026-03-05T10:20", "2026-03-05T10:20:00.000", "2026-03-05T10:20:59.999"),
        ("2026-03-05 10:20:30", "2026-03-05T10:20:30.000", "2026-03-05T10:20:30.999"),
        ("2026-03-05T10:20:30.5Z", "2026-03-05T10:20:30.500", "2026-03-05T10:20:30.500"),
        ("2026-03-05T10:20:30+02:00", "2026-03-05T08:20:30.000", "2026-03-05T08:20:30.999"),
        ("2026-03-05T10:20-0530", "2026-03-05T15:50:00.000", "2026-03-05T15:50:59.999"),
        ("now", "2026-03-18T15:30:45.123", "2026-03-18T15:30:45.123"),
        ("now-7d", "2026-03-11T15:30:45.123", "2026-03-11T15:30:45.123"),
        ("now+1h", "2026-03-18T16:30:45.123", "2026-03-18T16:30:45.123"),
        ("now/d", "2026-03-18T00:00:00.000", "2026-03-18T23:59:59.999"),
        ("now/w", "2026-03-16T00:00:00.000", "2026-03-22T23:59:59.999"),
        ("now/M", "2026-03-01T00:00:00.000", "2026-03-31T23:59:59.999"),
        ("now/y", "2026-01-01T00:00:00.000", "2026-12-31T23:59:59.999"),
        ("now/h", "2026-03-18T15:00:00.000", "2026-03-18T15:59:59.999"),
        ("now-1M/M", "2026-02-01T00:00:00.000", "2026-02-28T23:59:59.999"),
        ("now/M-1d", "2026-02-28T00:00:00.000", "2026-03-30T23:59:59.999"),
        ("2026-01-31||+1M", "2026-02-28T00:00:00.000", "2026-02-28T00:00:00.000"),
        ("2026-01-01||+1M/d", "2026-02-01T00:00:00.000", "2026-02-01T23:59:59.999"),
        ("2024-02-29||+1y", "2025-02-28T00:00:00.000", "2025-02-28T00:00:00.000"),
        ("2026-12-15||+1M/M", "2027-01-01T00:00:00.000", "2027-01-31T23:59:59.999"),
        ("2026||", "2026-01-01T00:00:00.000", "2026-01-01T00:00:00.000"),
        ("1772319600000", "2026-02-28T23:00:00.000", "2026-02-28T23:00:00.000"),
    ],
)
def test_a_date_names_this_span(text: str, first: str, last: str) -> None:
    assert shown(text) == (first, last)


@pytest.mark.parametrize(
    ("text", "where", "first", "last"),
    [
        ("2026-03-05", "Europe/Paris", "2026-03-04T23:00:00.000", "2026-03-05T22:59:59.999"),
        ("2026-03-29", "Europe/Paris", "2026-03-28T23:00:00.000", "2026-03-29T21:59:59.999"),  # 23 hours
        ("2026-10-25", "Europe/Paris", "2026-10-24T22:00:00.000", "2026-10-25T22:59:59.999"),  # 25 hours
        ("2026-03-29T02:30", "Europe/Paris", "2026-03-29T01:30:00.000", "2026-03-29T01:30:59.999"),  # does not exist
        ("2026-10-25T02:30", "Europe/Paris", "2026-10-25T00:30:00.000", "2026-10-25T00:30:59.999"),  # the first of two
        ("2026-03", "Europe/Paris", "2026-02-28T23:00:00.000", "2026-03-31T21:59:59.999"),
        ("now/d", "Asia/Kolkata", "2026-03-17T18:30:00.000", "2026-03-18T18:29:59.999"),
        ("now/h", "Asia/Kolkata", "2026-03-18T15:30:00.000", "2026-03-18T16:29:59.999"),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00.000", "2018-11-05T01:59:59.999"),  # no midnight
    ],
)
def test_days_are_those_of_the_zone(text: str, where: str, first: str, last: str) -> None:
    assert shown(text, where) == (first, last)


def test_a_day_back_keeps_the_wall_clock_across_a_change_of_time() -> None:
    now = datetime(2026, 3, 29, 10, 0, tzinfo=PARIS)
    assert shown("now-1d", "Europe/Paris", now)[0] == "2026-03-28T09:00:00.000"
    assert shown("now-24h", "Europe/Paris", now)[0] == "2026-03-28T08:00:00.000"


def test_hours_are_rounded_in_the_second_half_of_a_repeated_hour() -> None:
    now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # the second 02:30 in Paris
    assert shown("now/h", "Europe/Paris", now) == ("2026-10-25T01:00:00.000", "2026-10-25T01:59:59.999")


@pytest.mark.parametrize(
    ("query", "low", "high", "include"),
    [
        ("date:>2026-03-05", "2026-03-05T23:59:59.999", None, (False, True)),
        ("date:>=2026-03-05", "2026-03-05T00:00:00.000", None, (True, True)),
        ("date:<2026-03-05", None, "2026-03-05T00:00:00.000", (True, False)),
        ("date:<=2026-03-05", None, "2026-03-05T23:59:59.999", (True, True)),
        ("date:[2026-03-01 TO 2026-03-05]", "2026-03-01T00:00:00.000", "2026-03-05T23:59:59.999", (True, True)),
        ("date:{2026-03-01 TO 2026-03-05}", "2026-03-01T23:59:59.999", "2026-03-05T00:00:00.000", (False, False)),
        ("date:[now/d TO now/d}", "2026-03-18T00:00:00.000", "2026-03-18T00:00:00.000", (True, False)),
        ("date:[* TO now-1d/d]", None, "2026-03-17T23:59:59.999", (True, True)),
        ('received:["2026-03-01 10:00" TO *]', "2026-03-01T10:00:00.000", None, (True, True)),
    ],
)
def test_bounds_round_as_elasticsearch_does(
    query: str, low: str | None, high: str | None, include: tuple[bool, bool]
) -> None:
    node = parse(query, now=NOW)
    assert isinstance(node, Range)
    expected = [None if at is None else to_ms(datetime.fromisoformat(at).replace(tzinfo=UTC)) for at in (low, high)]
    assert [node.low, node.high] == expected
    assert (node.include_low, node.include_high) == include


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13",
        "2026-02-30",
        "18/03/2026",
        "now-",
        "now-7",
        "now-7x",
        "nowd",
        "2026||+",
        "0000",
        "2026-03-05T25:00",
        "now+999999999y",
        "now-9999y",
        "9999-12-31||+1d",
        "2026-03-05T10:20:30+99:00",
        "999999999999999",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        span(text, NOW, UTC)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="Mars/Olympus"):
        zone("Mars/Olympus")


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),
    st.sampled_from("yMwdhms"),
    st.sampled_from(("UTC", "Europe/Paris", "Asia/Kolkata", "America/Sao_Paulo", "Australia/Lord_Howe")),
)
def test_a_rounded_span_holds_its_instant_and_the_next_begins_after_it(at: datetime, unit: str, where: str) -> None:
    now = at.replace(microsecond=0, tzinfo=UTC)
    first, last = span(f"now/{unit}", now, zone(where))
    assert first <= to_ms(now) <= last
    after = span(f"now/{unit}", from_ms(last + 1), zone(where))
    assert after[0] == last + 1


@given(st.text(max_size=30) | st.from_regex(r"(now|2026-0[1-9])(\|\|)?([+-][0-9]{0,9}[yMwdhms]|/[yMwdhms]){0,4}"))
def test_any_text_is_a_span_or_a_value_error(text: str) -> None:
    try:
        first, last = span(text, NOW, PARIS)
    except ValueError:
        return
    assert first <= last
