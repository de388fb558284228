"""A connector from another package, whole: a guest book that a place serves as plain lines `number|name|text`.

Registered by the entry point `guestbook = "example_connector:GuestBook"` in the group `listener.connectors`.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pydantic import Field

from connectors.base import Context, SourceConfig, apply
from connectors.http import Http
from listener.model import Author, Mention, Page, Reject, mention_id, to_ms

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class GuestBookConfig(SourceConfig):
    """Settings of a guest book."""

    url: str = Field(description="address of the book; `?after=N` gives the ten lines behind number N")


class GuestBook:
    """Reads the book ten lines at a time; the cursor is the last number read."""

    Config: ClassVar[type[GuestBookConfig]] = GuestBookConfig
    push: ClassVar[bool] = False
    live: ClassVar[bool] = True

    def __init__(self, config: GuestBookConfig, context: Context) -> None:
        self._config, self._context, self._http = config, context, Http()

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """Lines behind the cursor until there are none."""
        after = json.loads(cursor)["after"] if cursor else 0
        while lines := (await self._http.get(f"{self._config.url}?after={after}")).body.decode().splitlines():
            mentions, rejects = [], []
            for line in lines:
                number, _, rest = line.partition("|")
                after = int(number)
                name, mark, text = rest.partition("|")
                if not mark:
                    rejects.append(Reject(line.encode(), "a line is number|name|text", number))
                    continue
                entry, _, version = name.partition("#")
                native, at = entry or number, FIRST + timedelta(minutes=after)
                mention = Mention(
                    mention_id(self._config.url, native), native, self._context.source, "", "", text, at,
                    self._context.now(), to_ms(at) + int(version or 0), author=Author(handle="guest"),
                )  # fmt: skip
                mentions.append(apply(self._config, mention, kind="comment", channel="guestbook"))
            yield Page(tuple(mentions), json.dumps({"after": after}), rejects=tuple(rejects))

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._http.close()
