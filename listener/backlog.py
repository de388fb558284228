"""Mentions that were stored without their analysis get it, behind everything live."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime

from listener import storing
from listener.errors import TemporaryError
from listener.ingest import Ingest

log = logging.getLogger("listener.backlog")


class Backlog:
    """Analyses what was stored without: rows of `import` beside the service, and failed ones due again."""

    def __init__(self, ingest: Ingest, *, size: int = 64, on_alerts: Callable[[], None] = lambda: None) -> None:
        self._ingest, self._size, self._on_alerts = ingest, size, on_alerts
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Ask it to end after the batch in hand."""
        self._stop.set()

    async def run(self) -> None:
        """Until stopped: take what waits, analyse it behind everything live, store and match it."""
        while not self._stop.is_set():
            try:
                done = await self.step(self._ingest.now())
            except TemporaryError as error:
                log.warning("stored mentions wait for their analysis: %s", error)
                done = 0
            except Exception:  # the sources go on collecting meanwhile
                log.exception("stored mentions cannot be analysed now, trying again")
                done = 0
            if not done:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), 1.0)

    async def step(self, now: datetime) -> int:
        """One batch; gives how many mentions it took."""
        waiting = await self._ingest.engine.waiting(self._size, now)
        if not waiting or self._ingest.batcher is None:
            return 0
        mentions = [item.record.mention for item in waiting]
        outcomes = await self._ingest.outcomes(mentions, live=False)
        results = [
            (m.id, m.version, o if not isinstance(o, Exception) else str(o) or type(o).__name__)
            for m, o in zip(mentions, outcomes, strict=True)
            if o is not None
        ]
        saved = await storing.analysed(self._ingest.engine, results, self._ingest.now(), self._ingest.rules)
        if saved.alerts:
            self._on_alerts()
        return len(waiting)
