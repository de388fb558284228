"""What every connector owes, ours and others': one suite over every kind of place."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))

from places import BROKEN, PLACES, Place, Post, Served

from connectors import registry
from connectors.base import Connector
from listener.errors import ConfigError, PermanentError, TemporaryError
from listener.model import Mention, Page, mention_id


@pytest.fixture(params=PLACES, ids=lambda kind: kind.__name__)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    found: Place = request.param()
    await found.open(tmp_path)
    yield found
    await found.close()


@pytest.fixture
def served(place: Place) -> Served:
    if not isinstance(place, Served):
        pytest.skip("reads no server")
    return place


def posts(first: int, last: int) -> list[Post]:
    return [Post(f"p{n}", f"text of post {n}", n) for n in range(first, last)]


async def read(
    place: Place, connector: Connector, cursor: str | None, most: int = 10**6
) -> tuple[list[Page], str | None]:
    """The pages after `cursor`, each stored at once, and the cursor then stored; closed after `most` pages."""
    pages: list[Page] = []
    async with contextlib.aclosing(connector.pages(cursor)) as reading:  # type: ignore[type-var]
        async for page in reading:
            pages.append(page)
            place.stored(page)
            cursor = page.cursor if page.cursor is not None else cursor
            if len(pages) == most:
                break
    await connector.close()
    return pages, cursor


def mentions(pages: list[Page]) -> list[Mention]:
    return [mention for page in pages for mention in page.mentions]


def versions(pages: list[Page]) -> list[tuple[str, int]]:
    return [(mention.id, mention.version) for mention in mentions(pages)]


async def test_a_full_read_hands_on_every_post_once_and_a_second_nothing(place: Place) -> None:
    await place.publish(*posts(0, 45))
    pages, cursor = await read(place, place.build(), None)
    assert sorted(mention.native_id for mention in mentions(pages)) == sorted(f"p{n}" for n in range(45))
    assert {mention.text for mention in mentions(pages)} == {f"text of post {n}" for n in range(45)}
    assert all(mention.source == "one" and mention.kind and mention.channel for mention in mentions(pages))
    assert not any(page.rejects for page in pages)
    again, _ = await read(place, place.build(), cursor)
    assert mentions(again) == []


@pytest.mark.parametrize("stop", range(1, 8))
async def test_stopped_after_any_page_with_posts_arriving_nothing_is_lost_or_repeated(place: Place, stop: int) -> None:
    await place.publish(*posts(0, 45))
    cursor, pages = None, []
    for turn in range(4):
        more, cursor = await read(place, place.build(), cursor, stop)
        pages += more
        await place.publish(*posts(45 + turn * 6, 51 + turn * 6))
    more, cursor = await read(place, place.build(), cursor)
    found = versions(pages + more)
    assert len(found) == len(set(found))
    assert {mention.native_id for mention in mentions(pages + more)} == {f"p{n}" for n in range(69)}


async def test_an_edit_is_a_later_version_of_the_same_mention(place: Place) -> None:
    await place.publish(*posts(0, 15))
    before, cursor = await read(place, place.build(), None)
    await place.edit(Post("p3", "other words", 3, edited=500))
    after, _ = await read(place, place.build(), cursor)
    old = next(mention for mention in mentions(before) if mention.native_id == "p3")
    assert [mention.text for mention in mentions(after)] == ["other words"]
    assert mentions(after)[0].id == old.id
    assert mentions(after)[0].version > old.version


async def test_ids_are_a_hash_of_namespace_and_native_id_in_every_instance(place: Place) -> None:
    await place.publish(*posts(0, 12))
    first, _ = await read(place, place.build(), None, 1)
    for mention in mentions(first):
        assert mention.id == mention_id(place.namespace, mention.native_id)
    if not place.build().push:
        second, _ = await read(place, place.build(), None, 1)
        assert versions(first) == versions(second)


async def test_equal_ids_in_two_namespaces_are_two_mentions(place: Place) -> None:
    other = place.elsewhere()
    if other is None:
        pytest.skip("ids are global there")
    await place.publish(*posts(0, 5))
    here, _ = await read(place, place.build(), None)
    if place.build().push:
        await place.inbox.put("again", b'[{"native_id": "p1", "text": "x"}]', place.clock)  # type: ignore[attr-defined]
    there, _ = await read(place, other, None)
    assert {mention.native_id for mention in mentions(here)} & {mention.native_id for mention in mentions(there)}
    assert not {mention.id for mention in mentions(here)} & {mention.id for mention in mentions(there)}


async def test_a_record_that_cannot_be_read_is_kept_raw_and_stops_nothing(place: Place) -> None:
    await place.publish(*posts(0, 5), Post("bad", BROKEN, 6), *posts(7, 12))
    pages, cursor = await read(place, place.build(), None)
    assert {mention.native_id for mention in mentions(pages)} == {f"p{n}" for n in (*range(5), *range(7, 12))}
    rejects = [reject for page in pages for reject in page.rejects]
    assert len(rejects) == 1
    assert rejects[0].raw
    assert rejects[0].reason
    again, _ = await read(place, place.build(), cursor)
    assert not any(page.rejects for page in again)


async def test_cursors_are_json_below_64_kb(place: Place) -> None:
    await place.publish(*(Post(f"{n}-{'x' * 150}", f"post {n}", n) for n in range(2500)))
    pages, _ = await read(place, place.build(), None)
    assert mentions(pages)
    for page in pages:
        if page.cursor is not None:
            json.loads(page.cursor)
            assert len(page.cursor.encode()) < 65536


async def test_unknown_settings_are_refused(place: Place) -> None:
    with pytest.raises(ValidationError, match="colour"):
        place.build(colour="blue")


async def test_what_a_mention_does_not_say_comes_from_the_source(place: Place) -> None:
    await place.publish(*posts(0, 3))
    pages, _ = await read(place, place.build(brand="Acme", channel="shop", kind="message", language="fr"), None)
    for mention in mentions(pages):
        assert (mention.brand, mention.channel, mention.kind, mention.language) == ("Acme", "shop", "message", "fr")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_place_is_asked_again_when_it_says(served: Served, status: int) -> None:
    await served.publish(*posts(0, 3))
    served.status, served.headers = status, {"Retry-After": "17"}
    connector = served.build()
    with pytest.raises(TemporaryError) as caught:
        await read(served, connector, None)
    assert caught.value.retry_after == 17
    served.status = 200
    assert len(mentions((await read(served, connector, None))[0])) == 3


@pytest.mark.parametrize("status", [401, 404, 410])
async def test_a_place_that_says_no_waits_for_a_person(served: Served, status: int) -> None:
    served.status = status
    connector = served.build()
    with pytest.raises(PermanentError, match=str(status)):
        await read(served, connector, None)
    await connector.close()


async def test_a_place_that_is_down_is_temporary(served: Served) -> None:
    connector = served.build()
    await served.runner.cleanup()
    with pytest.raises(TemporaryError):
        await read(served, connector, None)
    await connector.close()


def test_an_unknown_connector_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.load("fax")
    assert {"file", "feed", "apple", "webhook"} <= set(caught.value.problems[0].allowed)
