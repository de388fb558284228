"""Values, columns and rows: what a foreign row becomes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.columns import decide, folded, named
from connectors.rows import Rows, RowSettings
from connectors.values import Dates, as_number, as_rating
from listener.errors import InputError
from listener.model import Mention, Score, to_ms

NOW = datetime(2026, 6, 1, tzinfo=UTC)
JAN2 = datetime(2026, 1, 2, tzinfo=UTC)


def settings(**more: Any) -> RowSettings:
    return RowSettings(connector="file", **more)


def mention(row: dict[str, Any], **more: Any) -> Mention:
    return Rows(settings(**more), "one", "one", open_keys=True).mention(row, NOW, "fallback")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02", JAN2), ("2026-01-02T10:30:00+02:00", datetime(2026, 1, 2, 8, 30, tzinfo=UTC)),
        ("2026-01-02 10:30:05.123Z", datetime(2026, 1, 2, 10, 30, 5, 123000, UTC)), ("20260102", JAN2),
        ("1767312000", JAN2), ("1767312000000", JAN2), (1767312000, JAN2), (1767312000.0, JAN2),
        ("Fri, 02 Jan 2026 01:00:00 +0100", JAN2), ("02.01.2026", JAN2), ("2026/1/2", JAN2),
        ("13/01/2026", JAN2.replace(day=13)),
        ("1/13/2026 3:05 PM", datetime(2026, 1, 13, 15, 5, tzinfo=UTC)), ("2 janvier 2026", JAN2),
        ("2 de enero de 2026", JAN2),
        ("January 2, 2026", JAN2), ("2. Januar 2026, 10:30", datetime(2026, 1, 2, 10, 30, tzinfo=UTC)),
        ("2026年1月2日", JAN2), ("2026年1月2日 10:30", datetime(2026, 1, 2, 10, 30, tzinfo=UTC)), ("02-Jan-2026", JAN2),
        ("1st Jan 2026", JAN2.replace(day=1)), ("02.01.26", JAN2),
        ("20260102103000", datetime(2026, 1, 2, 10, 30, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_dates_as_people_write_them(text: Any, expected: datetime) -> None:
    assert Dates()(text) == expected


@pytest.mark.parametrize(
    "text",
    ["soon", "2026", "12", "31/31/2026", "2026-13-01", "", "1e400", float("nan"), True, "32 mars 2026", "9" * 30],
)
def test_what_is_no_date_says_so(text: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        Dates()(text)


def test_a_date_that_can_be_two_asks_for_the_setting() -> None:
    with pytest.raises(ValueError, match="dates"):
        Dates()("03/04/2026")
    assert Dates("day")("03/04/2026").month == 4
    assert Dates("month")("03/04/2026").month == 3
    assert Dates("auto", "%d|%m|%Y")("03|04|2026").month == 4


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (4, (4.0, None)), ("4,5", (4.5, None)), ("4/5", (4.0, (1.0, 5.0))), ("7 / 10", (7.0, (0.0, 10.0))),
        ("80 %", (80.0, (0.0, 100.0))),
        ("★★★☆☆", (3.0, (1.0, 5.0))), ("4 stars", (4.0, None)), ("3 étoiles", (3.0, None)),
        ("4.0 out of 5", (4.0, (1.0, 5.0))), ("5★", (5.0, (1.0, 5.0))),
    ],
)  # fmt: skip
def test_ratings_as_people_write_them(value: Any, expected: Any) -> None:
    assert as_rating(value) == expected


def test_numbers() -> None:
    assert [as_number(text) for text in ("1 234", "1,234", "1,5", "12", 3)] == [1234.0, 1234.0, 1.5, 12.0, 3.0]
    with pytest.raises(ValueError, match="number"):
        as_number("a lot")


def test_column_names_in_many_languages() -> None:
    known = {
        "Review Text": "text", "reviewId": "native_id", "Commentaire": "text", "評価": "rating", "Дата": "published_at",
        "Étoiles": "rating", "user_followers_count": "author.followers", "created_at": "published_at", "내용": "text",
        "Nombre de usuario": None, "خانه": None, "author.handle": "author.handle", "lang": "language",
        "Datum": "published_at", "engagement.likes": "engagement.likes", "เดือน": None, "ข้อความ": "text",
    }  # fmt: skip
    for column, field in known.items():
        if field is not None:
            assert (named(column) or ("", 0))[0] == field, column
    assert named("colour") is None
    assert folded("Date de Création") == "date_de_creation"
    assert folded("createdAt") == "created_at"


def columns_of(rows: list[dict[str, Any]], **mapping: str) -> dict[str, str]:
    return dict(decide(list(rows[0]), rows, mapping).fields)


def test_values_decide_where_a_name_says_two_things() -> None:
    assert columns_of([{"id": "1", "note": "4"}, {"id": "2", "note": "5"}])["rating"] == "note"
    assert columns_of([{"id": "1", "note": "arrived late, twice"}])["text"] == "note"
    words = [{"review": "good", "type": "hotel", "rating": "n/a"}]
    found = decide(list(words[0]), words, {})
    assert (dict(found.fields), found.left_out) == ({"text": "review"} | {"rating": "rating"}, ("type",))
    assert "kind" in columns_of([{"text": "a", "type": "review"}])


def test_a_mapping_wins_and_an_empty_one_leaves_out() -> None:
    rows = [{"text": "machine", "Original": "said", "stars": "4"}]
    assert columns_of(rows, text="Original", rating="") == {"text": "Original"}
    assert decide(list(rows[0]), rows, {"text": "Nope"}).problems[0].startswith("column 'Nope'")
    with pytest.raises(ValidationError, match="no field"):
        settings(mapping={"colour": "x"})


def test_the_longest_column_is_the_text_where_no_name_is() -> None:
    rows = [{"a": "17", "b": "a long answer about the delivery of my parcel"}]
    assert columns_of(rows)["text"] == "b"


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ("1 3 5", (1, 5)),
        ("0 3 5", (0, 5)),
        ("1 7 10", (1, 10)),
        ("0 7", (0, 10)),
        ("14 20 3", (0, 20)),
        ("60 90", (0, 100)),
    ],
)
def test_the_scale_of_ratings_is_guessed(values: str, scale: tuple[int, int]) -> None:
    rows = [{"text": "a", "rating": value} for value in values.split()]
    assert decide(["text", "rating"], rows, {}).scale == scale


def test_ratings_become_one_to_five_and_keep_the_original() -> None:
    found = mention({"text": "a", "rating": 7}, scales={"rating": {"min": 0, "max": 10}})
    assert (found.rating, found.rating_original) == (3.8, Score("rating", 7, 0, 10))
    assert mention({"text": "a", "rating": 4}).rating_original is None
    assert mention({"text": "a", "rating": "8/10"}).rating == 4.2
    down = mention({"text": "a", "rating": 1}, scales={"rating": {"min": 1, "max": 6, "direction": "down"}})
    assert down.rating == 5
    with pytest.raises(InputError, match=r"outside 1\.\.5"):
        mention({"text": "a", "rating": 9})
    with pytest.raises(ValidationError, match="max must be above min"):
        settings(scales={"rating": {"min": 5, "max": 5}})


def test_scores() -> None:
    found = mention({"text": "a", "nps": "9", "csat": 4, "ces": 2}, scales={
        "ces": {"min": 1, "max": 5, "direction": "down", "asked_about": "support", "periodic": True}})  # fmt: skip
    assert found.scores == (
        Score("nps", 9, 0, 10), Score("csat", 4, 1, 5), Score("ces", 2, 1, 5, "down", "support", True),
    )  # fmt: skip
    assert found.kind == "survey"
    with pytest.raises(InputError, match="nps 11"):
        mention({"text": "a", "nps": 11})


def test_dates_and_versions() -> None:
    assert (mention({"text": "a"}).published_at, mention({"text": "a"}).version) == (NOW, 0)
    dated = mention({"text": "a", "date": "2026-01-02"})
    assert (dated.published_at, dated.version, dated.edited) == (JAN2, to_ms(JAN2), False)
    edited = mention({"text": "a", "date": "2026-01-02", "updated_at": "2026-01-03"})
    assert (edited.published_at, edited.version) == (JAN2, to_ms(JAN2.replace(day=3)))
    paris = mention({"text": "a", "date": "2026-01-02 01:00"}, timezone="Europe/Paris")
    assert paris.published_at == JAN2
    with pytest.raises(InputError, match="not a date"):
        mention({"text": "a", "date": "soon"})
    with pytest.raises(ValidationError, match="time zone"):
        settings(timezone="Mars/Olympus")
    with pytest.raises(ValidationError, match="strptime"):
        settings(dates="european")


def test_a_row_needs_words_or_a_rating() -> None:
    assert (mention({"title": "only"}).text, mention({"title": "only"}).title) == ("only", None)
    assert mention({"rating": 3}).text == ""
    with pytest.raises(InputError, match="no text"):
        mention({"id": "1", "text": "  "})


def test_kinds_and_their_aliases() -> None:
    assert [mention({"text": "a", "kind": kind}).kind for kind in ("Social", "support", "review")] == [
        "post", "message", "review",
    ]  # fmt: skip
    with pytest.raises(InputError, match="allowed: review, post"):
        mention({"text": "a", "kind": "poem"})


def test_own_accounts_whatever_the_case_and_the_at_sign() -> None:
    own = ("@Acme", "acme_help")
    assert mention({"text": "a", "author": {"handle": "ACME"}}, own_accounts=own).own
    assert mention({"text": "a", "username": "@acme_help"}, own_accounts=own).own
    assert not mention({"text": "a", "author": "acme2"}, own_accounts=own).own


def test_values_that_no_store_can_hold_are_replaced_one_for_one() -> None:
    found = mention({"id": "\ud800", "text": "a\x00b\udfffc", "title": "\x00"})
    assert (found.native_id, found.text, found.title) == ("\ufffd", "a\ufffdb\ufffdc", "\ufffd")


@pytest.mark.parametrize("row", [
    {"text": {"a": 1}, "title": "t"}, {"text": ["x"], "title": "t"}, {"text": "a", "author": {"handle": {"x": 1}}},
    {"text": "a", "author": [1]}, {"text": "a", "scores": "7"}, {"text": "a", "engagement": "x"},
    {"text": "a", "replies": "none"},
])  # fmt: skip
def test_shapes_that_are_not_expected_are_left_out(row: dict[str, Any]) -> None:
    assert mention(row).text in ("a", "t")


@pytest.mark.parametrize("row", [
    {"text": "a", "rating": {"value": 3}}, {"text": "a", "scores": [1]}, {"text": "a", "replies": [{"at": "x"}]},
    {"text": "a", "rating": [3]}, {"text": "a", "version": "new"},
    {"text": "a", "scores": [{"metric": "nps", "value": 11, "min": 0, "max": 10}]},
    {"text": "a", "author": {"followers": "many"}}, {"text": "a", "rating": {"value": 3, "min": 5, "max": 5}},
])  # fmt: skip
def test_shapes_that_mean_nothing_are_refused_with_a_reason(row: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"."):
        mention(row)
