"""Cases of mentions, corrections of their labels, and the keys of the HTTP API."""

import json
from collections.abc import Sequence
from dataclasses import replace

import apsw

from index.codec import dumps
from index.contract import CASE_STATES, ApiKey, Case, Correction
from index.embedded.database import Database, row, rows
from index.tokens import fold
from listener.errors import ConflictError, InputError, NotFoundError
from listener.model import from_ms, iso, parse_time, to_ms

_CASE = "SELECT mention, state, opened, owner, due, replied, backlog, data, version FROM triage "
_PUT = (
    "INSERT OR REPLACE INTO triage(mention, state, owner, owner_folded, opened, due, replied, backlog, data, version) "
    "VALUES (?,?,?,?,?,?,?,?,?,?)"
)


def read_case(connection: apsw.Connection, mention_id: bytes) -> Case | None:
    """The case of a mention."""
    found = row(connection, _CASE + "WHERE mention = ?", mention_id)
    return None if found is None else _case(*found)


def write_case(connection: apsw.Connection, case: Case) -> Case:
    """Write a case in the caller's transaction; gives it back one version on.

    Raises ConflictError where `case.version` is not the stored one, NotFoundError where its mention is gone.
    """
    if case.state not in CASE_STATES:
        raise InputError(f"{case.state!r} is no state of a case: use one of {', '.join(CASE_STATES)}")
    mention_id = _require_mention(connection, case.mention_id)
    found = row(connection, "SELECT version FROM triage WHERE mention = ?", mention_id)
    stored = int(found[0]) if found else 0
    if stored != case.version:
        raise ConflictError(f"the case of {case.mention_id} is at version {stored}, not {case.version}", stored)
    written = replace(case, version=stored + 1)
    due, replied = written.due_at, written.replied_at
    connection.execute(
        _PUT,
        (
            mention_id, written.state, written.owner, fold(written.owner) if written.owner else None,
            to_ms(written.opened_at), to_ms(due) if due else None, to_ms(replied) if replied else None,
            written.backlog, dumps(dict(written.data)), written.version,
        ),
    )  # fmt: skip
    return written


class Triage:
    """The part of the embedded engine that keeps cases, corrections and API keys."""

    _db: Database

    async def case(self, mention_id: str) -> Case | None:
        """The case of a mention."""
        return await self._db.read(lambda connection: read_case(connection, _id_bytes(mention_id)))

    async def put_case(self, case: Case) -> Case:
        """Write a case read at `case.version` (0: must not exist yet); gives it back one version on.

        Raises ConflictError with the stored version, NotFoundError for a mention that is not stored (any more).
        """
        return await self._db.write(lambda connection: write_case(connection, case))

    async def cases(self, states: Sequence[str] = (), owner: str | None = None, limit: int = 1000) -> list[Case]:
        """Cases by due time, those without a due time last; the backlog after the live ones."""
        conditions, values = ["1"], list[object]()
        if states:
            conditions.append(f"state IN ({','.join('?' * len(states))})")
            values += states
        if owner is not None:
            conditions.append("owner_folded = ?")
            values.append(fold(owner))
        sql = f"{_CASE} WHERE {' AND '.join(conditions)} ORDER BY backlog, due IS NULL, due, opened, mention LIMIT ?"
        found = await self._db.read(lambda connection: rows(connection, sql, *values, limit))
        return [_case(*item) for item in found]

    async def add_correction(self, correction: Correction) -> int:
        """Keep a correction; gives its id. Raises NotFoundError for a mention that is not stored (any more)."""

        def add(connection: apsw.Connection) -> int:
            mention_id = _require_mention(connection, correction.mention_id)
            connection.execute(
                "INSERT INTO correction(mention, version, at, data) VALUES (?,?,?,?)",
                (mention_id, correction.version, to_ms(correction.at), dumps(dict(correction.data))),
            )
            return connection.last_insert_rowid()

        return await self._db.write(add)

    async def corrections(self) -> list[Correction]:
        """All corrections, oldest first."""
        sql = "SELECT mention, version, at, data, id FROM correction ORDER BY at, id"
        found = await self._db.read(lambda connection: rows(connection, sql), None)
        return [
            Correction(mention.hex(), version, from_ms(at), json.loads(data), number)
            for mention, version, at, data, number in found
        ]

    async def keys(self) -> list[ApiKey]:
        """All API keys, revoked ones too, oldest first."""
        found = await self._db.read(lambda connection: rows(connection, "SELECT id, data FROM api_key"))
        return sorted((_key(number, data) for number, data in found), key=lambda key: (key.created_at, key.id))

    async def put_key(self, key: ApiKey) -> None:
        """Create or replace a key."""
        data = {
            "name": key.name, "hash": key.hash, "scopes": list(key.scopes), "created_at": iso(key.created_at),
            "revoked_at": iso(key.revoked_at) if key.revoked_at else None,
        }  # fmt: skip
        await self._db.write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO api_key(id, data) VALUES (?,?)", (key.id, dumps(data))
            )
        )


def _case(
    mention: bytes, state: str, opened: int, owner: str | None, due: int | None, replied: int | None,
    backlog: int, data: str, version: int,
) -> Case:  # fmt: skip
    return Case(
        mention.hex(), state, from_ms(opened), owner, None if due is None else from_ms(due),
        None if replied is None else from_ms(replied), bool(backlog), json.loads(data), version,
    )  # fmt: skip


def _key(number: str, data: str) -> ApiKey:
    plain = json.loads(data)
    revoked = plain["revoked_at"]
    return ApiKey(
        number, plain["name"], plain["hash"], tuple(plain["scopes"]), parse_time(plain["created_at"]),
        parse_time(revoked) if revoked else None,
    )  # fmt: skip


def _require_mention(connection: apsw.Connection, mention_id: str) -> bytes:
    """The stored id of a mention that exists: notes never outlive the mention they speak of."""
    key = _id_bytes(mention_id)
    if row(connection, "SELECT 1 FROM mention WHERE id = ?", key) is None:
        raise NotFoundError(f"there is no mention {mention_id}")
    return key


def _id_bytes(mention_id: str) -> bytes:
    try:
        return bytes.fromhex(mention_id)
    except ValueError:
        raise NotFoundError(f"there is no mention {mention_id!r}: an id is 32 hex digits") from None
