"""Delivery: alerts from the outbox to their destinations, at least once, with retries and a log.

Every destination has a lane: one send at a time, oldest alert first, so that a slow or dead destination holds
up nobody else. A temporary failure rests the lane as long as the alert itself waits, up to a minute: a
destination that is down keeps its order, one alert that it cannot digest is overtaken in the end.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from index.contract import Delivery, Outgoing
from listener.errors import ListenerError, PermanentError, TemporaryError
from listener.notifiers import Notifier, utc_now
from listener.render import render

log = logging.getLogger(__name__)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Outbox(Protocol):
    """The part of the engine that delivery needs."""

    async def outgoing(self, limit: int, now: datetime, skip: Sequence[str] = ()) -> Sequence[Outgoing]:
        """Alerts due for a delivery, oldest first, but those to the destinations of `skip`."""

    async def delivered(self, delivery: Delivery, next_try_at: datetime | None) -> None:
        """Log an attempt; a failed one is tried again at `next_try_at`, or given up where None."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to wait after a failure, and when to give up."""

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=15)
    rest: timedelta = timedelta(minutes=1)  # the longest a lane waits for one alert
    give_up: timedelta = timedelta(hours=24)  # after the alert was due
    tries: int = 5  # at least, however old: an alert of last night, when the service was down, gets its chance
    most: int = 500  # attempts at one alert: above what fits into a day, so that time decides

    def delay(self, failures: int, asked: float | None, chance: float) -> timedelta:
        """Full jitter: between nothing and the doubled limit, never sooner than asked (in seconds)."""
        ceiling = min(self.longest, self.first * (1 << min(failures, 30)))
        return max(ceiling * chance, self.asked(asked))

    def asked(self, seconds: float | None) -> timedelta:
        """What the destination asked for, within the time after which we give up."""
        return timedelta(seconds=min(seconds or 0.0, self.give_up.total_seconds()))

    def exhausted(self, outgoing: Outgoing, at: datetime) -> bool:
        """Whether the attempt just failed was the last."""
        attempts = outgoing.attempts + 1
        return attempts >= self.most or (attempts >= self.tries and at - outgoing.alert.due_at > self.give_up)


@dataclass(slots=True)
class _Lane:
    waiting: deque[Outgoing] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    failures: int = 0  # in a row, whatever the alert
    rests_until: datetime = _LONG_AGO


class Deliverer:
    """Brings due alerts to their destinations until stopped.

    `wake` is set by the pipeline after it stored alerts; without it the outbox is looked at every `poll`
    seconds. `chance` gives a number between 0 and 1 for the jitter.
    """

    PAGE = 100  # alerts read at once
    LANE = 20  # alerts in memory per destination

    def __init__(
        self,
        engine: Outbox,
        destinations: Mapping[str, Notifier],
        now: Callable[[], datetime] = utc_now,
        *,
        language: str = "en",
        retry: Retry = Retry(),
        poll: float = 1.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.wake = asyncio.Event()
        self._engine, self._destinations, self._now = engine, destinations, now
        self._language, self._retry, self._poll, self._chance = language, retry, poll, chance
        self._lanes: dict[str, _Lane] = {}
        self._in_hand: set[tuple[str, str]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Deliver until `stop`; then finish the sends in hand."""
        try:
            while not self._stopping:
                self.wake.clear()
                try:
                    await self._fetch()
                except ListenerError as error:
                    log.warning("the outbox cannot be read, trying again: %s", error)
                await self._pause()
        finally:
            self._stopping = True  # also where the task was cancelled: the lanes end after their present send
            tasks = [lane.task for lane in self._lanes.values() if lane.task]
            await asyncio.gather(*tasks)

    def stop(self) -> None:
        """Take nothing more; `run` returns once the sends in hand are done and logged."""
        self._stopping = True
        self.wake.set()

    async def _pause(self) -> None:
        now = self._now()
        rests = [(lane.rests_until - now).total_seconds() for lane in self._lanes.values() if lane.rests_until > now]
        try:
            async with asyncio.timeout(max(0.005, min([self._poll, *rests]))):
                await self.wake.wait()
        except TimeoutError:
            pass

    async def _fetch(self) -> None:
        """Fill the lanes; a destination that is busy or resting is left out, so that it hides no other."""
        while not self._stopping:
            now = self._now()
            lanes = self._lanes.items()
            busy = [name for name, lane in lanes if len(lane.waiting) >= self.LANE or lane.rests_until > now]
            page = await self._engine.outgoing(self.PAGE, now, busy)
            if not self._take(page) or len(page) < self.PAGE:
                return

    def _take(self, page: Sequence[Outgoing]) -> int:
        taken = 0
        # By age, not by when the retry fell due: a failed alert goes before those that followed it.
        for item in sorted(page, key=lambda item: (item.alert.due_at, item.alert.created_at)):
            lane = self._lanes.setdefault(item.destination, _Lane())
            key = (item.alert.id, item.destination)
            if key in self._in_hand or len(lane.waiting) >= self.LANE or lane.rests_until > self._now():
                continue
            self._in_hand.add(key)
            lane.waiting.append(item)
            taken += 1
            if lane.task is None:
                lane.task = asyncio.create_task(self._run_lane(lane), name=f"deliver to {item.destination}")
        return taken

    async def _run_lane(self, lane: _Lane) -> None:
        try:
            while lane.waiting and not self._stopping and lane.rests_until <= self._now():
                item = lane.waiting.popleft()
                try:
                    await self._attempt(lane, item)
                finally:
                    self._in_hand.discard((item.alert.id, item.destination))
        finally:
            # What still waits stays in the outbox and is read again, the failed alert before it.
            self._in_hand.difference_update((item.alert.id, item.destination) for item in lane.waiting)
            lane.waiting.clear()
            lane.task = None
            self.wake.set()

    async def _attempt(self, lane: _Lane, item: Outgoing) -> None:
        failure = await self._send(item)
        at = self._now()
        if failure is None:
            lane.failures = 0
            await self._log(Delivery(item.alert.id, item.destination, at, True), None)
            return
        if isinstance(failure, TemporaryError) and not self._retry.exhausted(item, at):
            delay = self._retry.delay(max(item.attempts, lane.failures), failure.retry_after, self._chance())
            lane.failures += 1
            lane.rests_until = at + min(delay, max(self._retry.asked(failure.retry_after), self._retry.rest))
            await self._log(Delivery(item.alert.id, item.destination, at, False, str(failure)), at + delay)
            return
        # The destination answered, or the alert was too old to go on: neither says it is down.
        lane.failures = 0
        detail = f"given up at attempt {item.attempts + 1}: {failure}"
        log.error("alert %s to %s: %s", item.alert.id, item.destination, detail)
        await self._log(Delivery(item.alert.id, item.destination, at, False, detail), None)

    async def _send(self, item: Outgoing) -> TemporaryError | PermanentError | None:
        """What went wrong, or None."""
        notifier = self._destinations.get(item.destination)
        if notifier is None:
            known = ", ".join(self._destinations) or "none"
            return PermanentError(f"no destination {item.destination!r} in the settings (known: {known})")
        if not item.alert.evidence:
            return PermanentError("nothing left to deliver, its mentions were erased or deleted")
        try:
            await notifier.send(render(item.alert, self._language))
        except (TemporaryError, PermanentError) as error:
            return error
        except Exception as error:  # a notifier of somebody else's; the lane must live on
            # Without its text, which may hold a secret or a customer's words; the trace for those who ask for it.
            debug = log.isEnabledFor(logging.DEBUG)
            log.error("notifier of %s failed: %s", item.destination, type(error).__name__, exc_info=debug)
            return TemporaryError(f"unexpected {type(error).__name__} in the notifier")
        return None

    async def _log(self, delivery: Delivery, next_try_at: datetime | None) -> None:
        """Write the attempt; kept in hand until it is written, so that a sent alert is not sent again."""
        while True:
            try:
                return await self._engine.delivered(delivery, next_try_at)
            except ListenerError as error:
                log.warning("alert %s: the attempt cannot be logged: %s", delivery.alert, error)
                if self._stopping:  # it will be sent again after the restart: at least once
                    return None
                await asyncio.sleep(self._poll)
