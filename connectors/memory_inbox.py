"""An inbox in memory: what the engine's durable one does, for tests and trials; gone with the process."""

from collections.abc import Collection, Sequence
from datetime import datetime

from connectors.base import InboxEntry
from listener.errors import Overloaded


class MemoryInbox:
    """Keeps pushes in order of arrival; an event id is taken once, also after its entry was settled."""

    def __init__(self, size: int = 10_000) -> None:
        self._size, self._next = size, 1
        self._entries: dict[int, InboxEntry] = {}
        self._events: set[str] = set()

    async def put(self, event_id: str, body: bytes, received_at: datetime) -> bool:
        """Store a push; False when its event id came before. Raises Overloaded when full."""
        if event_id in self._events:
            return False
        if len(self._entries) >= self._size:
            raise Overloaded("the inbox is full", retry_after=1.0)
        self._entries[self._next] = InboxEntry(self._next, event_id, body, received_at)
        self._events.add(event_id)
        self._next += 1
        return True

    async def take(self, limit: int) -> Sequence[InboxEntry]:
        """The oldest entries; they stay until they are settled."""
        return list(self._entries.values())[:limit]

    def settle(self, ids: Collection[int]) -> None:
        """What storing a page does with the entries it names."""
        for entry_id in ids:
            self._entries.pop(entry_id, None)
