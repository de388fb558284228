"""Feeds as they are served: validators, moves, windows, edits without dates, tombstones, broken documents."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connectors.base import Context
from connectors.feed import Feed, FeedConfig
from connectors.feed_document import read_document
from connectors.http import Http, shown
from connectors.markup import html_to_text
from listener.errors import InputError, PermanentError, TemporaryError
from listener.model import Page, mention_id, to_ms

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>Blog</title><link>https://blog.example/</link><description>d</description><language>fr</language>{extra}
{items}</channel></rss>"""


def item(guid: str, text: str = "texte", date: str | None = "Fri, 02 Jan 2026 10:00:00 GMT", more: str = "") -> str:
    when = f"<pubDate>{date}</pubDate>" if date else ""
    words = f"<title>T {guid}</title><link>/{guid}</link><description>{text}</description>"
    return f"<item><guid>{guid}</guid>{words}{when}{more}</item>"


def rss(*items: str, extra: str = "") -> bytes:
    return RSS.format(items="".join(items), extra=extra).encode()


class Site:
    """A server whose answers are set one path at a time."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.asked: list[web.Request] = []
        self.clock = NOW

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        status, body, headers = self.answers.get(request.path_qs, (404, b"", {}))
        if status == 200 and "ETag" in headers and request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(status=status, body=body, headers=headers)

    def put(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        self.answers[path] = status, body, {name.replace("_", "-"): value for name, value in headers.items()}

    def feed(self, path: str = "/feed", **more: Any) -> Feed:
        return Feed(FeedConfig(url=self.base + path, **more), Context("one", now=lambda: self.clock))

    async def read(self, cursor: str | None = None, path: str = "/feed", **more: Any) -> tuple[list[Page], str | None]:
        feed, pages = self.feed(path, **more), []
        try:
            async for page in feed.pages(cursor):
                pages.append(page)
                cursor = page.cursor or cursor
        finally:
            await feed.close()
        self.pause = feed.pause
        return pages, cursor


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def test_an_rss_item_as_a_mention(site: Site) -> None:
    html = "<p>Son <b>correct</b>,</p><p>micro &lt; 3</p><script>x()</script>"
    more = f"<content:encoded><![CDATA[{html}]]></content:encoded>"
    site.put("/feed", rss(item("1", "court", more=more + "<dc:creator>Mia</dc:creator>")))
    (page,), _ = await site.read()
    (found,) = page.mentions
    assert (found.native_id, found.id) == ("1", mention_id(site.base + "/feed", "1"))
    assert (found.text, found.title) == ("Son correct,\n\nmicro < 3", "T 1")
    assert (found.published_at, found.version) == (
        datetime(2026, 1, 2, 10, tzinfo=UTC),
        to_ms(datetime(2026, 1, 2, 10, tzinfo=UTC)),
    )
    assert (found.url, found.language, found.kind, found.channel) == (site.base + "/1", "fr", "post", "feed")
    assert found.author is not None
    assert found.author.name == "Mia"


async def test_validators_go_back_exactly_and_304_brings_nothing(site: Site) -> None:
    site.put("/feed", rss(item("1")), ETag='W/"a b"', Last_Modified="Fri, 02 Jan 2026 10:00:00 GMT")
    _, cursor = await site.read()
    pages, _ = await site.read(cursor)
    assert pages == []
    assert site.asked[1].headers["If-None-Match"] == 'W/"a b"'
    assert site.asked[1].headers["If-Modified-Since"] == "Fri, 02 Jan 2026 10:00:00 GMT"


async def test_an_unchanged_body_brings_nothing(site: Site) -> None:
    site.put("/feed", rss(item("1")))
    _, cursor = await site.read()
    assert (await site.read(cursor))[0] == []


async def test_a_feed_that_moved_for_good_is_asked_where_it_is_and_keeps_its_ids(site: Site) -> None:
    site.put("/feed", b"", 301, Location="/two")
    site.put("/two", b"", 308, Location="/three")
    site.put("/three", rss(item("1")))
    pages, cursor = await site.read()
    assert pages[0].mentions[0].id == mention_id(site.base + "/feed", "1")
    site.asked.clear()
    await site.read(cursor)
    assert [request.path for request in site.asked] == ["/three"]
    site.put("/feed", b"", 302, Location="/three")
    _, cursor = await site.read()
    site.asked.clear()
    await site.read(cursor)
    assert site.asked[0].path == "/feed"


async def test_an_edit_is_seen_with_and_without_dates(site: Site) -> None:
    dates = ("Fri, 02 Jan 2026 10:00:00 GMT", None)
    site.put("/feed", rss(*(item(f"{n}", "before", date) for n, date in enumerate(dates))))
    (first,), cursor = await site.read()
    assert [(m.version, m.published_at) for m in first.mentions][1] == (0, NOW)
    site.clock = NOW + timedelta(hours=1)
    site.put("/feed", rss(*(item(f"{n}", "after", date) for n, date in enumerate(dates))))
    (second,), cursor = await site.read(cursor)
    assert [m.text for m in second.mentions] == ["after", "after"]
    assert [m.id for m in second.mentions] == [m.id for m in first.mentions]
    assert [m.version for m in second.mentions] == [to_ms(site.clock)] * 2
    assert [m.published_at for m in second.mentions] == [m.published_at for m in first.mentions]
    site.put("/feed", rss(*(item(f"{n}", "after", date) for n, date in enumerate(dates)), extra="<ttl>5</ttl>"))
    (third,), _ = await site.read(cursor)
    assert third.mentions == ()


async def test_a_window_without_a_known_entry_is_a_gap(site: Site) -> None:
    site.put("/feed", rss(item("1"), item("2", date="Sat, 03 Jan 2026 10:00:00 GMT")))
    _, cursor = await site.read()
    site.put(
        "/feed", rss(item("3", date="Sun, 04 Jan 2026 10:00:00 GMT"), item("2", date="Sat, 03 Jan 2026 10:00:00 GMT"))
    )
    pages, cursor = await site.read(cursor)
    assert pages[0].gaps == ()
    site.put(
        "/feed", rss(item("9", date="Fri, 09 Jan 2026 10:00:00 GMT"), item("8", date="Thu, 08 Jan 2026 10:00:00 GMT"))
    )
    pages, _ = await site.read(cursor)
    (gap,) = pages[0].gaps
    assert (gap.source, gap.start.day, gap.end and gap.end.day, gap.reason) == ("one", 4, 8, "window exceeded")


async def test_older_pages_are_followed_on_the_first_read_up_to_the_setting(site: Site) -> None:
    atom = '<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>f</title>{}<entry><id>e{}</id><title>t</title><updated>2026-01-02T10:00:00Z</updated></entry></feed>'
    for number in range(5):
        path = "/feed" if number == 0 else f"/feed?page={number}"
        site.put(path, atom.format(f'<link rel="next" href="/feed?page={number + 1}"/>', number).encode())
    pages, cursor = await site.read(older_pages=2)
    assert [m.native_id for page in pages for m in page.mentions] == ["e0", "e1", "e2"]
    site.asked.clear()
    await site.read(cursor, older_pages=2)
    assert len(site.asked) == 1


async def test_older_pages_on_another_host_are_not_asked(site: Site) -> None:
    feed = {"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", "content_text": "a"}]}
    site.put("/feed", json.dumps(feed | {"next_url": "http://localhost:1/inside"}).encode())
    pages, _ = await site.read()
    assert len(pages[0].mentions) == 1
    assert len(site.asked) == 1


async def test_the_pause_that_a_feed_asks_for(site: Site) -> None:
    site.put("/feed", rss(item("1"), extra="<ttl>90</ttl>"), Cache_Control="public, max-age=600", ETag='"1"')
    _, cursor = await site.read()
    assert site.pause == timedelta(minutes=90)
    await site.read(cursor)
    assert site.pause == timedelta(minutes=90)
    site.put("/feed", rss(item("1")), Cache_Control="max-age=99999999")
    await site.read()
    assert site.pause == timedelta(hours=24)
    site.put("/feed", rss(item("1")))
    await site.read()
    assert site.pause is None


async def test_tombstones_become_deletions(site: Site) -> None:
    site.put(
        "/feed",
        b"""<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0">
      <id>f</id><title>f</title><at:deleted-entry ref="a&amp;1" when="2026-01-05T00:00:00Z"/>
      <at:deleted-entry when="2026-01-06T00:00:00Z" ref='b'><at:comment>gone</at:comment></at:deleted-entry></feed>""",
    )
    (page,), _ = await site.read()
    expected = [(mention_id(site.base + "/feed", native), day) for native, day in (("a&1", 5), ("b", 6))]
    assert [(d.mention_id, d.at.day) for d in page.deletions] == expected


@pytest.mark.parametrize(
    "body", [b"<html><body>Maintenance</body></html>", b"{broken", b"", b"\x00\xff" * 50_000, b'{"items": 3}']
)
async def test_a_body_that_is_no_feed_is_kept_once_and_stops_nothing(site: Site, body: bytes) -> None:
    site.put("/feed", rss(item("1")))
    _, cursor = await site.read()
    site.put("/feed", body)
    (page,), cursor = await site.read(cursor)
    assert page.rejects[0].raw == body[:64_000]
    assert (await site.read(cursor))[0] == []
    site.put("/feed", rss(item("2"), item("1")))
    (page,), _ = await site.read(cursor)
    assert [m.native_id for m in page.mentions] == ["2"]


async def test_broken_xml_still_gives_its_entries(site: Site) -> None:
    site.put("/feed", rss(item("1", "caf& bar"), item("2")).replace(b"</channel></rss>", b""))
    (page,), _ = await site.read()
    assert [m.native_id for m in page.mentions] == ["1", "2"]


async def test_an_ended_json_feed_waits_for_a_person(site: Site) -> None:
    site.put("/feed", b'{"version": "https://jsonfeed.org/version/1", "expired": true, "items": []}')
    with pytest.raises(PermanentError, match="ended"):
        await site.read()


async def test_answers_that_are_too_long_too_far_or_elsewhere(site: Site) -> None:
    site.put("/feed", b"x" * 20_000)
    with pytest.raises(PermanentError, match="longer"):
        await site.read(max_bytes=10_000)
    site.put("/feed", b"", 302, Location="/feed")
    with pytest.raises(PermanentError, match="redirects"):
        await site.read()
    site.put("/feed", b"", 302, Location="file:///etc/passwd")
    with pytest.raises(PermanentError, match="file address"):
        await site.read()
    site.put("/feed", b"", 429, Retry_After="7")
    with pytest.raises(TemporaryError) as caught:
        await site.read()
    assert caught.value.retry_after == 7


async def test_what_is_meant_for_one_host_is_not_sent_to_another(site: Site) -> None:
    other = site.base.replace("127.0.0.1", "localhost")
    site.put("/from", b"", 302, Location=other + "/to")
    site.put("/to", b"ok")
    client = Http()
    await client.get(site.base + "/from", {"Authorization": "secret"})
    await client.close()
    assert "Authorization" in site.asked[0].headers
    assert "Authorization" not in site.asked[1].headers
    assert shown("https://user:pass@host.example/a?token=1#x") == "https://host.example/a"


def test_json_feed_items() -> None:
    feed = {
        "version": "https://jsonfeed.org/version/1", "author": {"name": "Mia"}, "language": "fr",
        "items": [
            {"id": 42, "content_html": "<p>a</p>", "url": "/x"}, {"url": "https://b.example/y", "content_text": "b"},
            {"content_text": "no id"}, "no object", {"id": "e", "content_text": ""},
            {"id": "f", "title": "only", "date_published": "soon", "authors": [{"name": "Ana", "url": "https://a"}]},
        ],
    }  # fmt: skip
    found = read_document(json.dumps(feed).encode(), "", "https://b.example/feed")
    assert [(e.id, e.text, e.url) for e in found.entries] == [
        ("42", "a", "https://b.example/x"), ("https://b.example/y", "b", "https://b.example/y"), ("f", "", None),
    ]  # fmt: skip
    assert found.entries[0].author is not None
    assert (found.entries[0].author.name, found.entries[0].language) == ("Mia", "fr")
    assert len(found.bad) == 3


def test_rss_1_and_atom_with_replies() -> None:
    rdf = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
      xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="c"><title>c</title></channel>
      <item rdf:about="urn:1"><title>One</title><link>https://x.example/1</link><description>d</description>
      <dc:date>2026-01-02T10:00:00Z</dc:date></item></rdf:RDF>"""
    (entry,) = read_document(rdf, "application/rdf+xml", "https://x.example/").entries
    assert (entry.id, entry.text) == ("urn:1", "d")
    assert (entry.published_at or entry.updated_at) == datetime(2026, 1, 2, 10, tzinfo=UTC)
    atom = b"""<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de"
      xmlns:thr="http://purl.org/syndication/thread/1.0">
      <id>f</id><title>f</title><entry><id>e</id><title>t</title><updated>2026-01-03T00:00:00Z</updated>
      <published>2026-01-02T00:00:00Z</published><thr:in-reply-to ref="parent"/>
      <content type="text">1 &lt; 2 &amp;amp; so</content></entry></feed>"""
    (entry,) = read_document(atom, "application/atom+xml", "https://x.example/").entries
    assert (entry.text, entry.parent_id, entry.language) == ("1 < 2 &amp; so", "parent", "de")
    assert entry.updated_at == datetime(2026, 1, 3, tzinfo=UTC)


def test_entities_neither_read_files_nor_grow(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush hush")
    evil = b"""<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a SYSTEM "file://%s"><!ENTITY b "bbbbbbbbbb">
      <!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">
      <!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY f "&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;">]>
      <rss version="2.0"><channel><title>t</title><item><guid>1</guid><title>x</title>
      <description>[&a;][&f;]</description></item></channel></rss>""" % str(secret).encode()
    try:
        entries = read_document(evil, "text/xml", "https://x.example/").entries
    except InputError:
        return
    for entry in entries:
        assert len(entry.text) < 1000
        assert secret.read_text() not in entry.text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain\ntext", "plain\ntext"), ("<p>a</p><p>b</p>", "a\n\nb"), ("a<br>b<br/>c", "a\nb\nc"),
        ("x<style>p{}</style><script>if (a<b) {}</script>y", "xy"), ("<ul><li>a</li><li>b</li></ul>", "a\n\nb"),
        ("&lt;3 &amp; &eacute;&#233;&nbsp;!", "<3 & éé\xa0!"), ("a  \n  b <b>c</b>", "a b c"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<p>unclosed <b>bold", "unclosed bold"), ("<svg><title>no</title></svg>yes", "yes"), ("<", "<"), ("", ""),
    ],
)  # fmt: skip
def test_html_becomes_text(markup: str, text: str) -> None:
    assert html_to_text(markup) == text
