"""Once a night: what sources may no longer keep goes, and the bytes that removals left in the store."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.base import SourceConfig
from index.embedded.engine import EmbeddedEngine
from listener.errors import TemporaryError

log = logging.getLogger("listener.nightly")
_HOUR = time(3, 30)


class Nightly:
    """Expires by the sources' terms and scrubs the store, at half past three in the zone of the settings."""

    def __init__(
        self, engine: EmbeddedEngine, sources: Mapping[str, SourceConfig], timezone: str, now: Callable[[], datetime]
    ) -> None:
        self._engine, self._sources, self._zone, self._now = engine, sources, ZoneInfo(timezone), now

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep((self.next_time(self._now()) - self._now()).total_seconds())
            try:
                await self.once()
            except TemporaryError as error:
                log.warning("the nightly upkeep is left to the next night: %s", error)

    def next_time(self, now: datetime) -> datetime:
        """The next half past three after `now`."""
        local = now.astimezone(self._zone)
        today = local.replace(hour=_HOUR.hour, minute=_HOUR.minute, second=0, microsecond=0, tzinfo=None)
        days = 0 if today.replace(tzinfo=self._zone) > local else 1
        return (today + timedelta(days=days)).replace(tzinfo=self._zone)

    async def once(self) -> int:
        """Expire and scrub now; gives how many mentions expired."""
        removed = 0
        for name, config in self._sources.items():
            if config.terms.max_retention is not None:
                removed += await self._engine.expire(self._now() - config.terms.max_retention, [name])
        if removed:
            log.info("%d mentions were removed: their sources' terms let them be kept no longer", removed)
        await self._engine.scrub()
        return removed
