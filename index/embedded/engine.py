"""The embedded engine as a whole."""

from pathlib import Path
from typing import Any

import apsw

from index import tokens
from index.embedded.aggregates import Aggregates
from index.embedded.alerting import Alerting
from index.embedded.compile import prepare as prepare_queries
from index.embedded.database import Database
from index.embedded.ledger import Ledger
from index.embedded.reindex import Reindex
from index.embedded.schema import migrate
from index.embedded.triage import Triage
from index.embedded.upkeep import Upkeep


class EmbeddedEngine(Aggregates, Reindex, Alerting, Ledger, Triage, Upkeep):
    """Everything in one SQLite file; see index.engine.Engine for the contract."""

    def __init__(self, path: Path, *, readers: int = 2, inbox_limit: int = 10_000, timezone: str = "UTC") -> None:
        super().__init__()
        self.timezone = timezone
        self.inbox_limit = inbox_limit
        self._db = Database(Path(path), readers, prepare_queries, on_rollback=self._words.forget)

    async def open(self, *, service: bool = False) -> None:
        """Connect, migrate, and with `service` take the store's lock (LockedError where it is taken)."""
        self._db.path.parent.mkdir(parents=True, exist_ok=True)
        if service:
            self._db.lock()

        def prepare(connection: apsw.Connection) -> Any:
            migrate(connection)
            connection.execute("INSERT OR IGNORE INTO meta(key, value) VALUES ('analyser', ?)", (tokens.VERSION,))

        await self._db.write(prepare)

    async def close(self) -> None:
        """Finish writes in hand and let go."""
        await self._db.close()

    def locked_by_other(self) -> bool:
        """Whether a service of another process runs on this store."""
        return self._db.locked_by_other()
