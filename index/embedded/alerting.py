"""Subscriptions, the alerts they fired with their evidence, the outbox and the delivery log."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import apsw

from index.codec import dumps
from index.contract import Alert, Delivery, Evidence, Group, Outgoing, Plan, Subscription
from index.embedded.database import Database, row, rows
from listener.errors import NotFoundError
from listener.model import from_ms, parse_time, to_ms

_ALERT = "SELECT id, subscription, grouping, created, due, destinations FROM alert "
_DETAIL = 1_000  # characters of a delivery's answer that the log keeps
_CHANGED = (  # a counter that tells every process to read the subscriptions again
    "INSERT INTO meta(key, value) VALUES ('subscriptions', '1') "
    "ON CONFLICT(key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"
)


def load_subscriptions(connection: apsw.Connection) -> dict[str, Subscription]:
    """All subscriptions, by id in the order of ids."""
    return {key: _unpack(key, data) for key, data in rows(connection, "SELECT id, data FROM subscription ORDER BY id")}


def read_groups(
    connection: apsw.Connection, keys: Iterable[tuple[str, str]], now_ms: int
) -> dict[tuple[str, str], Group]:
    """Per (subscription, group) when it last fired, and the alert still gathering with all its evidence."""
    groups = {}
    for subscription, group in keys:
        fired = row(
            connection,
            "SELECT max(due) FROM alert WHERE subscription = ? AND grouping = ? AND due <= ?",
            subscription, group, now_ms,
        )  # fmt: skip
        gathering = row(
            connection,
            _ALERT + "WHERE subscription = ? AND grouping = ? AND due > ? ORDER BY due DESC LIMIT 1",
            subscription, group, now_ms,
        )  # fmt: skip
        last = fired[0] if fired else None
        groups[subscription, group] = Group(
            None if last is None else from_ms(last), None if gathering is None else _alert(connection, *gathering)
        )
    return groups


def write_plan(connection: apsw.Connection, plan: Plan, now_ms: int) -> int:
    """Write alerts with evidence and outbox, and counts, in the caller's transaction; gives the new alerts.

    An alert written again gains only the evidence it lacks, and none once it is due: it may be on its way.
    """
    new = sum(_write_alert(connection, alert, now_ms) for alert in plan.alerts)
    connection.executemany(
        "INSERT INTO outcome(subscription, name, n) VALUES (?,?,?) "
        "ON CONFLICT(subscription, name) DO UPDATE SET n = n + excluded.n",
        [(subscription, name, n) for (subscription, name), n in plan.counts.items() if n],
    )
    return new


class Alerting:
    """The part of the embedded engine that keeps subscriptions and their alerts."""

    _db: Database
    timezone: str

    async def subscriptions(self) -> list[Subscription]:
        """All subscriptions by id."""
        return list((await self._db.read(load_subscriptions, None)).values())

    async def put_subscription(self, subscription: Subscription) -> None:
        """Create or replace; the query is parsed first (QueryError)."""
        from index.query import parse  # luqum loads where a query is first met

        # only whether it can be read matters here: any instant does for `now`
        parse(subscription.query, now=subscription.created_at, timezone=self.timezone)

        def put(connection: apsw.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO subscription(id, data) VALUES (?,?)", (subscription.id, _pack(subscription))
            )
            connection.execute(_CHANGED)

        await self._db.write(put)

    async def delete_subscription(self, subscription_id: str) -> None:
        """Remove it and its counts; its alerts stay. Raises NotFoundError."""

        def delete(connection: apsw.Connection) -> None:
            connection.execute("DELETE FROM subscription WHERE id = ?", (subscription_id,))
            if not connection.changes():
                raise NotFoundError(f"there is no subscription {subscription_id!r}")
            connection.execute("DELETE FROM outcome WHERE subscription = ?", (subscription_id,))
            connection.execute(_CHANGED)

        await self._db.write(delete)

    async def counts(self, subscription_id: str) -> dict[str, int]:
        """How its matches ended so far: fired, history, uncertain, own."""
        sql = "SELECT name, n FROM outcome WHERE subscription = ? ORDER BY name"
        return dict(await self._db.read(lambda connection: rows(connection, sql, subscription_id), None))

    async def alerts(
        self, subscription_id: str | None = None, limit: int = 100, before: datetime | None = None
    ) -> list[Alert]:
        """Alerts, newest first; those created before `before` where given."""

        def look(connection: apsw.Connection) -> list[Alert]:
            found = rows(
                connection,
                _ALERT + "WHERE (? IS NULL OR subscription = ?) AND created < ? ORDER BY created DESC, id LIMIT ?",
                subscription_id, subscription_id, to_ms(before) if before else 1 << 62, limit,
            )  # fmt: skip
            return [_alert(connection, *values) for values in found]

        return await self._db.read(look)

    async def alert(self, alert_id: str) -> Alert:
        """One alert. Raises NotFoundError."""

        def look(connection: apsw.Connection) -> Alert:
            found = row(connection, f"{_ALERT}WHERE id = ?", alert_id)
            if found is None:
                raise NotFoundError(f"there is no alert {alert_id!r}")
            return _alert(connection, *found)

        return await self._db.read(look)

    async def alerts_of(self, mention_id: str) -> list[Alert]:
        """The alerts that list a mention, newest first."""
        mentioned = "SELECT alert FROM evidence WHERE mention = ?"
        sql = f"{_ALERT}WHERE id IN ({mentioned}) ORDER BY created DESC, id DESC"

        def look(connection: apsw.Connection) -> list[Alert]:
            return [_alert(connection, *values) for values in rows(connection, sql, bytes.fromhex(mention_id))]

        return await self._db.read(look)

    async def outgoing(self, limit: int, now: datetime, skip: Sequence[str] = ()) -> list[Outgoing]:
        """Alerts due for a delivery, oldest first, but those to the destinations of `skip`.

        An alert's evidence no longer grows once it is due.
        """
        sql = (
            "SELECT o.destination, o.attempts, a.id, a.subscription, a.grouping, a.created, a.due, a.destinations "
            "FROM outbox o JOIN alert a ON a.id = o.alert WHERE o.state = 'pending' AND o.due <= ? "
            f"AND o.destination NOT IN ({','.join('?' * len(skip))}) "
            "ORDER BY o.due, o.alert, o.destination LIMIT ?"
        )

        def look(connection: apsw.Connection) -> list[Outgoing]:
            found = rows(connection, sql, to_ms(now), *skip, limit)
            return [
                Outgoing(_alert(connection, *values), destination, attempts) for destination, attempts, *values in found
            ]

        return await self._db.read(look, None)

    async def delivered(self, delivery: Delivery, next_try_at: datetime | None) -> None:
        """Log an attempt; failed ones are tried again at `next_try_at`, or given up where None."""
        state = "sent" if delivery.ok else "failed" if next_try_at is None else "pending"
        due = to_ms(next_try_at) if state == "pending" and next_try_at else to_ms(delivery.at)

        def log(connection: apsw.Connection) -> None:
            connection.execute(
                "INSERT INTO delivery(alert, destination, at, ok, detail) VALUES (?,?,?,?,?)",
                (delivery.alert, delivery.destination, to_ms(delivery.at), delivery.ok, delivery.detail[:_DETAIL]),
            )
            # a late failure of one attempt never takes back the success of another
            connection.execute(
                "UPDATE outbox SET state = ?, attempts = attempts + 1, due = ? "
                "WHERE alert = ? AND destination = ? AND (state = 'pending' OR ?)",
                (state, due, delivery.alert, delivery.destination, delivery.ok),
            )

        await self._db.write(log)

    async def deliveries(self, alert_id: str | None = None, limit: int = 100) -> list[Delivery]:
        """The delivery log, newest first."""
        where = "" if alert_id is None else "WHERE alert = ? "
        sql = f"SELECT alert, destination, at, ok, detail FROM delivery {where}ORDER BY id DESC LIMIT ?"
        values = (limit,) if alert_id is None else (alert_id, limit)
        found = await self._db.read(lambda connection: rows(connection, sql, *values))
        return [
            Delivery(alert, destination, from_ms(at), bool(ok), detail) for alert, destination, at, ok, detail in found
        ]


def _write_alert(connection: apsw.Connection, alert: Alert, now_ms: int) -> bool:
    """Write or grow one alert; gives whether it is new."""
    stored = row(connection, "SELECT due FROM alert WHERE id = ?", alert.id)
    due = to_ms(alert.due_at) if stored is None else int(stored[0])
    if stored is None:
        connection.execute(
            "INSERT INTO alert(id, subscription, grouping, created, due, destinations) VALUES (?,?,?,?,?,?)",
            (alert.id, alert.subscription, alert.group, to_ms(alert.created_at), due, dumps(alert.destinations)),
        )
    elif due <= now_ms:
        return False
    elif to_ms(alert.due_at) < due:  # a full alert does not wait for the end of its window
        due = to_ms(alert.due_at)
        connection.execute("UPDATE alert SET due = ? WHERE id = ?", (due, alert.id))
        connection.execute("UPDATE outbox SET due = ? WHERE alert = ? AND state = 'pending'", (due, alert.id))
    held = rows(connection, "SELECT mention, version, ord FROM evidence WHERE alert = ?", alert.id)
    known = {(mention, version) for mention, version, _ in held}
    position = max((number for *_, number in held), default=-1)
    for evidence in alert.evidence:
        key = (bytes.fromhex(evidence.mention_id), evidence.version)
        if key in known:
            continue
        known.add(key)
        position += 1
        connection.execute(
            "INSERT INTO evidence(alert, ord, mention, version, at, data) VALUES (?,?,?,?,?,?)",
            (alert.id, position, *key, to_ms(evidence.matched_at), dumps(dict(evidence.data))),
        )
    if known:  # a gathering alert emptied by an erasure lost its outbox rows: new evidence brings them back
        connection.executemany(
            "INSERT OR IGNORE INTO outbox(alert, destination, state, due) VALUES (?,?,'pending',?)",
            [(alert.id, destination, due) for destination in alert.destinations],
        )
    return stored is None


def _alert(
    connection: apsw.Connection, key: str, subscription: str, group: str, created: int, due: int, destinations: str
) -> Alert:
    found = rows(connection, "SELECT mention, version, at, data FROM evidence WHERE alert = ? ORDER BY ord", key)
    evidence = tuple(Evidence(item.hex(), version, from_ms(at), json.loads(data)) for item, version, at, data in found)
    return Alert(
        key, subscription, group, from_ms(created), from_ms(due), evidence, tuple(json.loads(destinations))
    )  # fmt: skip


def _pack(subscription: Subscription) -> str:
    plain = {name: getattr(subscription, name) for name in Subscription.__dataclass_fields__ if name != "id"}
    return dumps(
        {
            **plain,
            "created_at": subscription.created_at.isoformat(),
            "cooldown": subscription.cooldown.total_seconds(),
        }
    )


def _unpack(key: str, data: str) -> Subscription:
    plain = json.loads(data)
    known = {name: value for name, value in plain.items() if name in Subscription.__dataclass_fields__}
    return replace(
        Subscription(**{**known, "id": key}),
        created_at=parse_time(plain["created_at"]),
        cooldown=timedelta(seconds=plain["cooldown"]),
        destinations=tuple(plain["destinations"]),
    )
