"""Places that connectors read in the contract suite: real files, a real server on port 0, an inbox in memory."""

import json
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

from connectors import registry
from connectors.base import Connector, Context
from connectors.memory_inbox import MemoryInbox
from listener.model import Page

START = datetime(2026, 1, 1, tzinfo=UTC)
BROKEN = "\x01broken"  # a post with this text is served so that it cannot be read


@dataclass(frozen=True)
class Post:
    """What somebody wrote: `minute` counts from START, `edited` too."""

    id: str
    text: str
    minute: int
    edited: int | None = None

    @property
    def at(self) -> datetime:
        return START + timedelta(minutes=self.minute)

    @property
    def changed(self) -> datetime:
        return START + timedelta(minutes=self.edited if self.edited is not None else self.minute)


class Place:
    """One kind of place: posts are published there, and a connector reads them."""

    connector = ""
    http = False

    async def open(self, folder: Path) -> None:
        self.folder, self.clock = folder, START + timedelta(days=30)
        self.posts: list[Post] = []

    async def close(self) -> None:
        """Nothing to close."""

    def settings(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def namespace(self) -> str:
        raise NotImplementedError

    def build(self, source: str = "one", **more: Any) -> Connector:
        found = registry.load(self.connector)
        config = found.Config(**{"connector": self.connector, **self.settings(), **more})
        return found(config, self.context(source))

    def elsewhere(self) -> Connector | None:
        """A connector that meets the same native ids in another namespace; None where ids are global."""
        return self.build("two")

    def context(self, source: str) -> Context:
        return Context(source, now=lambda: self.clock)

    async def publish(self, *posts: Post) -> None:
        self.posts.extend(posts)

    async def edit(self, post: Post) -> None:
        """The same post with other words."""
        self.posts = [post if old.id == post.id else old for old in self.posts]

    def stored(self, page: Page) -> None:
        """What the engine does once a page is durable."""


class FilePlace(Place):
    connector = "file"
    suffix = ".csv"
    delimiter = ","

    async def open(self, folder: Path) -> None:
        await super().open(folder)
        self.path = folder / f"reviews{self.suffix}"
        self.path.write_text("id;text;date;updated_at\n".replace(";", self.delimiter), "utf8", newline="")

    def settings(self) -> dict[str, Any]:
        return {"path": str(self.path), "page_size": 7}

    @property
    def namespace(self) -> str:
        return "one"

    def line(self, post: Post) -> str:
        cells = [post.id, post.text, post.at.isoformat(), post.changed.isoformat()]
        if post.text == BROKEN:
            cells.append("one cell too many")
        return self.delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells)

    async def publish(self, *posts: Post) -> None:
        await super().publish(*posts)
        with self.path.open("a", encoding="utf8", newline="") as file:
            file.write("".join(self.line(post) + "\n" for post in posts))

    async def edit(self, post: Post) -> None:
        await self.publish(post)


class LinesPlace(FilePlace):
    suffix = ".jsonl"

    async def open(self, folder: Path) -> None:
        await super().open(folder)
        self.path.write_text("")

    def line(self, post: Post) -> str:
        if post.text == BROKEN:
            return '{"id": "broken", "text'
        row = {"native_id": post.id, "text": post.text, "published_at": post.at.isoformat()}
        return json.dumps(row | {"version": int(post.changed.timestamp() * 1000), "author": {"handle": "guest"}})


class FolderPlace(FilePlace):
    """A watched folder: every publication is a file of its own."""

    async def open(self, folder: Path) -> None:
        await super().open(folder)
        self.path.unlink()
        self.files = 0

    def settings(self) -> dict[str, Any]:
        return {"path": str(self.folder), "page_size": 7, "ids": "global"}

    async def publish(self, *posts: Post) -> None:
        self.files += 1
        self.path = self.folder / f"part{self.files:03}.csv"
        self.path.write_text("id,text,date,updated_at\n", "utf8", newline="")
        await super().publish(*posts)


class Served(Place):
    """A place on a real server; `status` set makes it answer that to everything."""

    http = True

    async def open(self, folder: Path) -> None:
        await super().open(folder)
        self.status, self.headers = 200, dict[str, str]()
        self.asked: list[web.Request] = []
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def close(self) -> None:
        await self.runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.status != 200:
            return web.Response(status=self.status, headers=self.headers)
        return self.answer(request)

    def answer(self, request: web.Request) -> web.Response:
        raise NotImplementedError

    def elsewhere(self) -> Connector | None:
        return self.build(url=f"{self.base}/elsewhere")

    def newest(self) -> list[Post]:
        return sorted(self.posts, key=lambda post: (post.changed, post.id), reverse=True)


class FeedPlace(Served):
    """A JSON Feed of ten items a page, the older ones behind `next_url`."""

    connector = "feed"

    def settings(self) -> dict[str, Any]:
        return {"url": self.namespace, "older_pages": 100}

    @property
    def namespace(self) -> str:
        return f"{self.base}/feed.json"

    def answer(self, request: web.Request) -> web.Response:
        number = int(request.query.get("page", "1"))
        posts = self.newest()
        feed: dict[str, Any] = {"version": "https://jsonfeed.org/version/1.1", "title": "T"}
        feed["items"] = [self.item(post) for post in posts[(number - 1) * 10 : number * 10]]
        if number * 10 < len(posts):
            feed["next_url"] = f"/feed.json?page={number + 1}"
        return web.json_response(feed)

    def item(self, post: Post) -> Any:
        if post.text == BROKEN:
            return {"content_text": "an item without an id"}
        item = {"id": post.id, "content_text": post.text, "date_published": post.at.isoformat()}
        return item | ({"date_modified": post.changed.isoformat()} if post.edited is not None else {})


class AtomPlace(FeedPlace):
    """One Atom document of everything."""

    @property
    def namespace(self) -> str:
        return f"{self.base}/atom.xml"

    def answer(self, request: web.Request) -> web.Response:
        entries = "".join(self.entry(post) for post in self.newest())
        text = f'<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>T</title>{entries}</feed>'
        return web.Response(text=text, content_type="application/atom+xml")

    def entry(self, post: Post) -> str:
        if post.text == BROKEN:
            return "<entry><id>broken</id></entry>"
        return (
            f"<entry><id>{post.id}</id><title>t</title><content>{escape(post.text)}</content>"
            f"<published>{post.at.isoformat()}</published><updated>{post.changed.isoformat()}</updated></entry>"
        )


class ApplePlace(Served):
    """The review feed: ten reviews a page here, ten pages at most."""

    connector = "apple"
    form = "xml"

    def settings(self) -> dict[str, Any]:
        return {"app": 1, "base_url": self.base, "countries": ("fr",), "request_pause": "0s", "format": self.form}

    @property
    def namespace(self) -> str:
        return "app_store"

    def elsewhere(self) -> Connector | None:
        return None

    def answer(self, request: web.Request) -> web.Response:
        number = int(request.path.split("page=")[1].split("/")[0])
        if number > 10:
            return web.Response(status=400)
        posts = self.newest()[(number - 1) * 10 : number * 10]
        if request.path.endswith("/json"):
            entries = [self.entry(post) for post in posts]
            return web.json_response({"feed": {"entry": entries[0]} if len(entries) == 1 else {"entry": entries}})
        entries = "".join(self.element(post) for post in posts)
        text = f'<feed xmlns:im="http://itunes.apple.com/rss" xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'
        return web.Response(text=text, content_type="text/xml")

    def element(self, post: Post) -> str:
        rating = "many" if post.text == BROKEN else "2"
        return (
            f"<entry><updated>{post.changed.isoformat()}</updated><id>{post.id}</id><title>t</title>"
            f'<content type="text">{escape(post.text.replace(BROKEN, "broken"))}</content><im:rating>{rating}'
            f"</im:rating><author><name>n</name></author></entry>"
        )

    def entry(self, post: Post) -> Any:
        plain = {"updated": post.changed.isoformat(), "id": post.id, "title": "t", "content": post.text}
        plain |= {"im:rating": "many" if post.text == BROKEN else "2"}
        return {name: {"label": value} for name, value in plain.items()} | {"author": {"name": {"label": "n"}}}


class AppleJsonPlace(ApplePlace):
    form = "json"


class PushPlace(Place):
    """A webhook: posts arrive in the inbox, singly."""

    connector = "webhook"

    async def open(self, folder: Path) -> None:
        await super().open(folder)
        self.inbox = MemoryInbox()

    def settings(self) -> dict[str, Any]:
        return {"unsigned": True}

    @property
    def namespace(self) -> str:
        return "one"

    def context(self, source: str) -> Context:
        return replace(super().context(source), inbox=self.inbox)

    async def publish(self, *posts: Post) -> None:
        await super().publish(*posts)
        for post in posts:
            body = {"native_id": post.id, "text": post.text, "occurred_at": post.at.isoformat()}
            if post.edited is not None:
                body["updated_at"] = post.changed.isoformat()
            raw = b"{broken" if post.text == BROKEN else json.dumps(body).encode()
            await self.inbox.put(f"{post.id}/{post.edited}", raw, self.clock)

    async def edit(self, post: Post) -> None:
        await self.publish(post)

    def stored(self, page: Page) -> None:
        self.inbox.settle(page.inbox)


class GuestBookPlace(Served):
    """The place of the example connector, which comes as an installed package."""

    connector = "guestbook"

    async def open(self, folder: Path) -> None:
        await super().open(folder)
        packages = folder / "site"
        info = packages / "guestbook-1.0.dist-info"
        info.mkdir(parents=True)
        info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: guestbook\nVersion: 1.0\n")
        info.joinpath("entry_points.txt").write_text("[listener.connectors]\nguestbook = example_connector:GuestBook\n")
        example = Path(__file__).with_name("example_connector.py")
        packages.joinpath(example.name).write_text(example.read_text("utf8"), "utf8")
        self.packages = str(packages)
        sys.path.insert(0, self.packages)

    async def close(self) -> None:
        sys.path.remove(self.packages)
        sys.modules.pop("example_connector", None)
        await super().close()

    def settings(self) -> dict[str, Any]:
        return {"url": self.namespace}

    @property
    def namespace(self) -> str:
        return f"{self.base}/book"

    async def edit(self, post: Post) -> None:
        await self.publish(post)

    def answer(self, request: web.Request) -> web.Response:
        after = int(request.query["after"])
        lines = [
            f"{number}|no text" if post.text == BROKEN else f"{number}|{post.id}#{post.edited or 0}|{post.text}"
            for number, post in enumerate(self.posts, 1)
        ]
        return web.Response(text="\n".join(lines[after : after + 10]))


PLACES = (
    FilePlace, LinesPlace, FolderPlace, FeedPlace, AtomPlace, ApplePlace, AppleJsonPlace, PushPlace, GuestBookPlace,
)  # fmt: skip
