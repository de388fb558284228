"""The App Store's review feed with its oddities."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from connectors.apple import Apple, AppleConfig
from connectors.base import Context
from listener.errors import PermanentError, TemporaryError
from listener.model import Mention, Page, mention_id

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FEED = '<feed xmlns:im="http://itunes.apple.com/rss" xmlns="http://www.w3.org/2005/Atom">{}</feed>'
APP = "<entry><id>123</id><title>The app itself</title><im:name>App</im:name></entry>"
REVIEW = (
    "<entry><updated>2026-01-03T02:11:09-07:00</updated><id>129</id><title>Lente</title>"
    '<content type="text">20 secondes &amp; plus</content><im:contentType term="Application" label="Application"/>'
    "<im:voteSum>1</im:voteSum><im:voteCount>3</im:voteCount><im:rating>2</im:rating><im:version>7.1.0</im:version>"
    "<author><name>Zoé_demo</name><uri>https://itunes.example/u</uri></author>"
    '<link rel="related" href="https://itunes.example/r"/><content type="html">&lt;b&gt;no&lt;/b&gt;</content></entry>'
)


class Store:
    """What each path answers: a body, or a status."""

    def __init__(self) -> None:
        self.answers: dict[str, str | int] = {}
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path.replace("/rss/customerreviews/page=", "/").replace("/id=7/sortby=mostrecent/", "/")
        self.asked.append(path)
        found = self.answers.get(path, FEED.format("") if path.endswith("xml") else '{"feed": {}}')
        return web.Response(status=found) if isinstance(found, int) else web.Response(text=found)

    async def read(self, cursor: str | None = None, **more: Any) -> tuple[list[Page], str | None]:
        settings = {"app": 7, "base_url": self.base, "countries": ("fr",), "request_pause": "0s"} | more
        apple, pages = Apple(AppleConfig(**settings), Context("one", now=lambda: NOW)), []
        try:
            async for page in apple.pages(cursor):
                pages.append(page)
                cursor = page.cursor
        finally:
            await apple.close()
        return pages, cursor


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    found = Store()
    app = web.Application()
    app.router.add_get("/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


def mentions(pages: list[Page]) -> list[Mention]:
    return [mention for page in pages for mention in page.mentions]


async def test_a_review_as_a_mention_and_the_app_itself_left_out(store: Store) -> None:
    store.answers["/fr/1/xml"] = FEED.format(APP + REVIEW)
    (found,) = mentions((await store.read(product="Acme app"))[0])
    assert found.id == mention_id("app_store", "129")
    assert (found.text, found.title, found.rating) == ("20 secondes & plus", "Lente", 2.0)
    assert found.published_at == datetime(2026, 1, 3, 9, 11, 9, tzinfo=UTC)
    assert (found.kind, found.channel, found.place, found.product) == ("review", "app_store", "fr", "Acme app")
    assert found.engagement == {"helpful": 1, "votes": 3}
    assert found.author is not None
    assert (found.author.handle, found.author.url, found.url) == (
        "Zoé_demo",
        "https://itunes.example/u",
        "https://itunes.example/r",
    )


@pytest.mark.parametrize(
    ("where", "expected"), [(None, ("Acme", None)), ("product", ("Acme 7.1.0", None)), ("audience", ("Acme", "7.1.0"))]
)
async def test_the_apps_version_goes_where_the_setting_says(
    store: Store, where: str | None, expected: tuple[str, str]
) -> None:
    store.answers["/fr/1/xml"] = FEED.format(REVIEW)
    (found,) = mentions((await store.read(product="Acme", version_in=where))[0])
    assert (found.product, found.audience) == expected


async def test_json_with_one_review_as_a_single_object(store: Store) -> None:
    store.answers["/fr/1/json"] = (
        '{"feed": {"entry": {"id": {"label": "9"}, "im:rating": {"label": "5"}, "updated": '
        '{"label": "2026-01-03T00:00:00Z"}, "title": {"label": "t"}, '
        '"content": {"label": "c"}, "author": {"name": {"label": "n"}, "label": ""},'
        '"link": {"attributes": {"href": "https://l.example"}}}}}'
    )
    (found,) = mentions((await store.read(format="json"))[0])
    assert (found.native_id, found.text, found.rating, found.url) == ("9", "c", 5.0, "https://l.example")


async def test_an_empty_json_page_is_no_end_unless_xml_says_so(store: Store) -> None:
    store.answers["/fr/1/json"] = '{"feed": {}}'
    store.answers["/fr/1/xml"] = FEED.format(REVIEW)
    assert len(mentions((await store.read(format="json"))[0])) == 1
    assert store.asked == ["/fr/1/json", "/fr/1/xml", "/fr/2/json", "/fr/2/xml"]


async def test_throttling_by_403_is_temporary_and_the_other_countries_are_read(store: Store) -> None:
    store.answers |= {"/us/1/xml": 403, "/fr/1/xml": FEED.format(REVIEW), "/de/1/xml": 404}
    with pytest.raises(TemporaryError, match="403"):
        await store.read(countries=("de", "us", "fr"))
    assert "/fr/1/xml" in store.asked
    store.answers["/us/1/xml"] = FEED.format("")
    with pytest.raises(PermanentError, match="404"):
        await store.read(countries=("de", "us", "fr"))


@pytest.mark.parametrize("body", ["<html>", "", '<!DOCTYPE x [<!ENTITY a "b">]><feed/>', "<other/>"])
async def test_a_page_that_is_no_feed_is_asked_again_later(store: Store, body: str) -> None:
    store.answers["/fr/1/xml"] = body
    with pytest.raises(TemporaryError, match="not the feed"):
        await store.read()


async def test_a_page_limit_before_the_known_reviews_is_a_gap(store: Store) -> None:
    def review(number: int, day: int) -> str:
        return REVIEW.replace("129", str(number)).replace("2026-01-03", f"2026-01-{day:02}")

    store.answers["/fr/1/xml"] = FEED.format(review(1, 1))
    _, cursor = await store.read(pages=2)
    for number in (1, 2):
        store.answers[f"/fr/{number}/xml"] = FEED.format(review(10 - number, 20 - number))
    pages, _ = await store.read(cursor, pages=2)
    (gap,) = [gap for page in pages for gap in page.gaps]
    assert (gap.start.day, gap.end and gap.end.day, gap.reason) == (1, 18, "fr: page limit reached")


async def test_every_storefront_at_once_keeps_the_cursor_small(store: Store) -> None:
    countries = tuple(f"{a}{b}" for a in "abcdefgh" for b in "abcdefghijklmnopqrstuv")[:175]
    for country in countries:
        reviews = "".join(REVIEW.replace("129", f"{country}{n}").replace(":11:09", f":{n:02}:09") for n in range(50))
        store.answers[f"/{country}/1/xml"] = FEED.format(reviews)
    pages, cursor = await store.read(countries=countries)
    assert len(mentions(pages)) == 175 * 50
    assert cursor is not None
    assert len(cursor) < 65536
    assert mentions((await store.read(cursor, countries=countries))[0]) == []
