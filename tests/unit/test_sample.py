"""What the bundled sample promises its readers, and the connector that hands it on."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Context
from connectors.sample import OUR_BRAND, RIVALS, Sample, SampleConfig, live, past, rows, write
from listener.errors import InputError
from listener.model import KINDS, STEPS, Mention, Page, parse_time

ROOT = Path(__file__).parents[2]
FIRST = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
NOW = FIRST + timedelta(minutes=7)
INFLUENCER = 1_000_000


def ours() -> list[dict[str, Any]]:
    return [row for row in rows() if row["brand"] == OUR_BRAND]


def incident() -> list[dict[str, Any]]:
    return [row for row in rows() if row["native_id"].startswith("inc-")]


def sample(now: datetime = FIRST, **settings: Any) -> Sample:
    return Sample(SampleConfig(**{"speed": 1e6, **settings}), Context("demo", now=lambda: now))


async def every(source: Sample, cursor: str | None = None) -> list[Page]:
    return [page async for page in source.pages(cursor)]


async def restarted_after_each_page(first: Sample, later: Sample) -> list[Page]:
    """One page, then a new start at its cursor, until nothing comes."""
    pages: list[Page] = []
    source, cursor = first, None
    while True:
        iterator = source.pages(cursor)
        page = await anext(iterator, None)
        await iterator.aclose()  # type: ignore[attr-defined]
        if page is None:
            return pages
        pages.append(page)
        source, cursor = later, page.cursor


def mentions(pages: list[Page]) -> list[Mention]:
    return [mention for page in pages for mention in page.mentions]


# --- the packaged rows ----------------------------------------------------------------------------


def test_every_synthetic_text_is_there_once_under_an_id_of_its_own() -> None:
    ids = Counter(row["native_id"] for row in rows())
    assert max(ids.values()) == 1
    assert sum(one.startswith("syn-") for one in ids) == 1008
    assert len({row["language"] for row in rows()}) == 16


def test_gold_segments_are_exact_ordered_and_disjoint() -> None:
    for row in rows():
        end = 0
        for segment in row["gold"]:
            assert segment["start"] >= end, row["native_id"]
            assert row["text"][segment["start"] : segment["end"]] == segment["text"] != "", row["native_id"]
            assert segment["step"] in STEPS
            end = segment["end"]


def test_our_brand_has_150_synthetic_texts_in_at_least_eight_languages() -> None:
    texts = [row for row in ours() if row["native_id"].startswith("syn-")]
    assert len(texts) >= 150
    assert len({row["language"] for row in texts}) >= 8
    assert {row["brand"] for row in rows()} == {OUR_BRAND, *RIVALS}


def test_our_brand_lives_all_nine_steps() -> None:
    told = Counter(segment["step"] for row in ours() for segment in row["gold"])
    assert all(told[step] >= 10 for step in STEPS if step != "none"), told


def test_no_text_of_ours_still_names_the_brand_it_was_moved_from() -> None:
    others = [name.casefold() for name in (*RIVALS, "Традоз", "ترادوزا", "トラドーザ", "트라도자")]
    for row in ours():
        assert not [name for name in others if name in row["text"].casefold()], row["text"]


def test_every_row_has_what_a_reader_needs() -> None:
    for row in rows():
        assert row["kind"] in KINDS
        assert row["author"]["name"], row["native_id"]
        assert row["author"]["id"], row["native_id"]
        host = row["url"].split("/")[2]
        assert host == row["channel"].replace("_", "-") + ".example.invalid"
    assert len({row["url"] for row in rows()}) == len(rows())
    answers = [score for row in rows() for score in row.get("scores", ())]
    assert len(answers) == 143
    assert all(score["metric"] == "nps" and 0 <= score["value"] <= 10 for score in answers)
    for brand in (OUR_BRAND, "Halvarro", "Casaluma"):
        assert sum("place" in row for row in rows() if row["brand"] == brand) >= 5
    assert sum("product" in row for row in ours()) >= 40


def test_a_writer_keeps_language_and_brand_and_goes_along_the_journey() -> None:
    by_writer = defaultdict(list)
    for row in past(FIRST):
        by_writer[row["author"]["id"]].append(row)
    gold = {row["native_id"]: row["gold"] for row in rows()}
    journeys = [one for one in by_writer.values() if len(one) > 1]
    assert len(journeys) >= 20
    for one in journeys:
        assert 2 <= len(one) <= 4
        assert len({(row["language"], row["brand"], json.dumps(row["author"])) for row in one}) == 1
        one.sort(key=lambda row: parse_time(row["published_at"]))
        steps = [STEPS.index(gold[row["native_id"]][0]["step"]) for row in one]
        assert steps == sorted(set(steps)), [row["text"] for row in one]


def test_twenty_replies_come_after_what_they_answer_and_before_the_first_ingest() -> None:
    answered = [row for row in past(FIRST) if "replies" in row]
    assert len(answered) == 20
    for row in answered:
        for reply in row["replies"]:
            assert parse_time(row["published_at"]) < parse_time(reply["at"]) < FIRST
            assert row["brand"] == OUR_BRAND


@pytest.mark.parametrize("hour", [0, 9, 23])
def test_the_past_part_lies_within_sixty_days_and_mostly_by_day(hour: int) -> None:
    first = FIRST.replace(hour=hour)
    times = [parse_time(row["published_at"]) for row in past(first)]
    assert all(first - timedelta(days=60) <= at <= first for at in times)
    assert times[0] < first - timedelta(days=55)
    texts = [row for row in past(first) if row["language"] in ("fr", "de", "es", "it", "pt", "nl", "pl", "en")]
    night = [row for row in texts if 1 <= parse_time(row["published_at"]).hour < 5]
    assert len(night) < 0.05 * len(texts)  # a sixth of the day


def test_few_are_edited_and_only_after_they_were_published() -> None:
    edited = [mention for mention in mentions(asyncio.run(every(sample(live=False)))) if mention.edited]
    assert 1 <= len(edited) <= 10
    assert all(mention.version < FIRST.timestamp() * 1000 for mention in edited)


def test_the_incident_begins_in_the_last_hours_and_is_told_in_several_languages() -> None:
    told = [row for row in incident() if row["phase"] == "past"]
    assert all(row["age"] <= 5 * 3600 and row["brand"] == OUR_BRAND for row in told)
    negative = [row for row in incident() if all(item["sentiment"] == "negative" for item in row["gold"][:1])]
    assert 10 <= len(negative) <= 14
    assert len({row["language"] for row in told}) >= 5
    assert sum(row.get("rating", 5) <= 2 for row in told) >= 4


def test_the_live_part_has_thirty_rows_the_influencer_and_the_end_of_the_incident() -> None:
    arriving = live()
    assert len(arriving) == 30
    delays = [0.0, *(delay for delay, _ in arriving)]
    assert all(2 <= after - before <= 5 for before, after in pairwise(delays))
    famous = [place for place, (_, row) in enumerate(arriving) if row["author"].get("followers", 0) >= INFLUENCER]
    assert famous == [3]
    end = [place for place, (_, row) in enumerate(arriving) if row["native_id"].startswith("inc-")]
    assert len(end) >= 5
    assert max(end) >= 25
    assert not [row for row in ours() if row["author"].get("followers", 0) >= INFLUENCER and row["phase"] == "past"]


def test_an_answer_in_a_thread_names_a_mention_that_came_before() -> None:
    order = [row["native_id"] for row in rows()]
    answers = [row for row in rows() if "parent_id" in row]
    assert answers
    assert all(order.index(row["parent_id"]) < order.index(row["native_id"]) for row in answers)


def test_the_packaged_file_is_what_the_builder_makes(tmp_path: Path) -> None:
    if not (given := os.environ.get("LISTENER_TEST_DATA")):
        pytest.skip("LISTENER_TEST_DATA does not name the folder with synthetic_1.jsonl, or the one above")
    folder = next((one for one in (Path(given), Path(given, "journey")) if (one / "synthetic_1.jsonl").exists()), None)
    assert folder is not None, "LISTENER_TEST_DATA holds no synthetic_1.jsonl"
    built = tmp_path / "sample.jsonl.gz"
    subprocess.run([sys.executable, ROOT / "tools" / "build_sample.py", folder, built], check=True)
    packaged = files("connectors").joinpath("data/sample.jsonl.gz").read_bytes()
    assert gzip.decompress(built.read_bytes()) == gzip.decompress(packaged)


# --- the connector --------------------------------------------------------------------------------


async def test_resumed_after_every_page_nothing_is_lost_and_nothing_repeated() -> None:
    whole = await every(sample())
    assert {len(page.mentions) for page in whole[:9]} == {100}
    assert [len(page.mentions) for page in whole[-30:]] == [1] * 30
    pieces = await restarted_after_each_page(sample(), sample(NOW))
    expected = [(mention.id, mention.version) for mention in mentions(whole)]
    assert len(set(expected)) == len(rows())
    assert [(mention.id, mention.version) for mention in mentions(pieces)] == expected
    assert await every(sample(NOW), pieces[-1].cursor) == []


async def test_times_are_fixed_at_the_first_ingest_and_live_ones_are_dated_on_arrival() -> None:
    whole = mentions(await every(sample()))
    later = mentions(await restarted_after_each_page(sample(), sample(NOW)))
    assert [one.published_at for one in later[:-30]] == [one.published_at for one in whole[:-30]]
    assert {one.published_at for one in later[-30:]} == {NOW}
    assert {one.received_at for one in later[-30:]} == {NOW}
    assert not any(one.edited for one in later[-30:])


async def test_a_live_page_handed_on_twice_is_the_same_version() -> None:
    before = (await every(sample(live=False)))[-1].cursor
    once = await anext(sample(NOW).pages(before))
    again = await anext(sample(NOW + timedelta(minutes=3)).pages(before))
    assert once.mentions[0].published_at < again.mentions[0].published_at
    assert (once.mentions[0].id, once.mentions[0].version) == (again.mentions[0].id, again.mentions[0].version)


async def test_without_live_the_past_part_is_all_and_live_goes_on_from_there() -> None:
    quiet = await every(sample(live=False))
    assert len(mentions(quiet)) == len(rows()) - 30
    assert len(mentions(await every(sample(), quiet[-1].cursor))) == 30


async def test_the_live_part_takes_its_time() -> None:
    before = (await every(sample(live=False)))[-1].cursor
    started = time.monotonic()
    await every(sample(speed=500), before)
    assert time.monotonic() - started >= live()[-1][0] / 500


async def test_mentions_carry_what_the_rows_say_and_the_settings_add() -> None:
    found = {one.native_id: one for one in mentions(await every(sample(own_accounts=["ines.valmont"])))}
    famous = found["inc-fr-00"]
    assert famous.author is not None
    assert (famous.author.followers, famous.author.verified, famous.own) == (1_460_000, True, True)
    assert found["syn-fr-027"].replies[0].at > found["syn-fr-027"].published_at
    assert found["inc-en-03"].parent_id == "inc-en-02"
    assert {one.source for one in found.values()} == {"demo"}
    assert sum(one.own for one in found.values()) == 1


@pytest.mark.parametrize("cursor", ["x", "{}", '{"first": 3, "past": 0, "live": 0}', "[]"])
async def test_a_foreign_cursor_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(InputError, match="cursor of the sample"):
        await anext(sample().pages(cursor))


def test_written_for_a_file_source_the_past_part_has_the_contract_field_names_alone(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in write(tmp_path, FIRST).read_text("utf8").splitlines()]
    assert len(lines) == len(rows()) - 30
    foreign = {key for line in lines for key in line} - set(Mention.__dataclass_fields__)
    assert foreign == set()
    assert all("published_at" in line and "native_id" in line for line in lines)
