"""Delivery at least once, in order, without one destination holding up another."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from index.contract import Alert, Delivery, Evidence, Outgoing
from listener.delivery import Deliverer, Retry
from listener.errors import PermanentError, TemporaryError
from listener.notifiers import Message, Notifier, NotifierConfig
from listener.notify_webhook import WebhookConfig, WebhookNotifier

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUICK = Retry(first=timedelta(milliseconds=20), longest=timedelta(milliseconds=40), rest=timedelta(milliseconds=40))


@dataclass
class Entry:
    outgoing: Outgoing
    next_try_at: datetime | None


@dataclass
class MemoryOutbox:
    """The engine's outbox in memory: the same two methods, the same promises."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    log: list[tuple[Delivery, datetime | None]] = field(default_factory=list)
    refusals: int = 0  # how many times `delivered` is away
    reads: int = 0

    def add(self, *alerts: Alert) -> None:
        for alert in alerts:
            for name in alert.destinations:
                self.entries[alert.id, name] = Entry(Outgoing(alert, name, 0), alert.due_at)

    async def outgoing(self, limit: int, now: datetime, skip: Sequence[str] = ()) -> Sequence[Outgoing]:
        self.reads += 1
        due = [entry for entry in self.entries.values() if entry.next_try_at and entry.next_try_at <= now]
        due = [entry for entry in due if entry.outgoing.destination not in skip]
        due.sort(key=lambda entry: entry.next_try_at or now)
        return [entry.outgoing for entry in due[:limit]]

    async def delivered(self, delivery: Delivery, next_try_at: datetime | None) -> None:
        if self.refusals:
            self.refusals -= 1
            raise TemporaryError("the store is away")
        entry = self.entries[delivery.alert, delivery.destination]
        entry.outgoing = replace(entry.outgoing, attempts=entry.outgoing.attempts + 1)
        entry.next_try_at = next_try_at
        self.log.append((delivery, next_try_at))

    def done(self) -> bool:
        return all(entry.next_try_at is None for entry in self.entries.values())

    def of(self, destination: str) -> list[Delivery]:
        return [delivery for delivery, _ in self.log if delivery.destination == destination]


class Recorder:
    """A destination in memory that does as told, alert by alert."""

    Config: ClassVar[type[NotifierConfig]] = NotifierConfig

    def __init__(self, act: Callable[[str], Awaitable[None]] | None = None) -> None:
        self.got: list[str] = []
        self._act = act

    async def send(self, message: Message) -> None:
        self.got.append(message.alert)
        if self._act:
            await self._act(message.alert)

    async def close(self) -> None:
        pass


def alert(number: int, *destinations: str, evidence: bool = True, due_at: datetime | None = None) -> Alert:
    at = due_at or datetime.now(UTC) - timedelta(minutes=10) + timedelta(milliseconds=number)
    data = {"name": "late", "query": "late", "channel": "x", "text": f"late again {number}"}
    seen = (Evidence(f"m{number}", 1, at, data),) if evidence else ()
    return Alert(f"a{number:05}", "s", "", at, at, seen, destinations or ("hook",))


async def until(done: Callable[[], bool], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.005)


async def deliver(outbox: MemoryOutbox, destinations: dict[str, Any], done: Callable[[], bool], **options: Any) -> None:
    deliverer = Deliverer(outbox, destinations, **{"poll": 0.05, "retry": QUICK, **options})
    task = asyncio.create_task(deliverer.run())
    try:
        await until(done)
    finally:
        deliverer.stop()
        await task


# --- against a real receiver ----------------------------------------------------------------------


@dataclass
class Receiver:
    """A real HTTP server: answers from a script, then 200; "hang" answers too late."""

    url: str = ""
    script: deque[int | str] = field(default_factory=deque)
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, int]] = field(default_factory=list)  # alert id, status

    async def handle(self, request: web.Request) -> web.Response:
        await request.read()
        answer = self.script.popleft() if self.script else 200
        if answer == "hang":
            self.got.append((request.headers["X-Listener-Alert"], 0))
            await asyncio.sleep(0.6)
            answer = 200
        else:
            self.got.append((request.headers["X-Listener-Alert"], int(answer)))
        return web.Response(status=int(answer), headers=self.headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def hook(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Notifier]:
    monkeypatch.setenv("HOOK_SECRET", "hush")
    config = WebhookConfig(
        type="webhook", url=receiver.url, secret="env:HOOK_SECRET", timeout=timedelta(milliseconds=300)
    )
    notifier = WebhookNotifier(config)
    yield notifier
    await notifier.close()


async def test_a_due_alert_arrives_once_and_is_logged(receiver: Receiver, hook: Notifier) -> None:
    outbox = MemoryOutbox()
    outbox.add(alert(1))
    await deliver(outbox, {"hook": hook}, outbox.done)
    assert receiver.got == [("a00001", 200)]
    assert [(d.alert, d.destination, d.ok, next_try) for d, next_try in outbox.log] == [("a00001", "hook", True, None)]


async def test_an_alert_that_is_not_due_stays(receiver: Receiver, hook: Notifier) -> None:
    outbox = MemoryOutbox()
    outbox.add(alert(1), alert(2, due_at=datetime.now(UTC) + timedelta(hours=1)))
    await deliver(outbox, {"hook": hook}, lambda: len(outbox.log) == 1 and outbox.reads > 3)
    assert receiver.got == [("a00001", 200)]


@pytest.mark.parametrize("failure", [500, 502, 503, 429, 408, "hang"])
async def test_a_temporary_failure_is_tried_again_under_the_same_id(
    receiver: Receiver, hook: Notifier, failure: int | str
) -> None:
    receiver.script.extend([failure, failure])
    outbox = MemoryOutbox()
    outbox.add(alert(1))
    await deliver(outbox, {"hook": hook}, outbox.done)
    assert [name for name, _ in receiver.got] == ["a00001"] * 3
    assert [delivery.ok for delivery in outbox.of("hook")] == [False, False, True]
    assert ("within 0.3 s" if failure == "hang" else f"HTTP {failure}") in outbox.of("hook")[0].detail


@pytest.mark.parametrize("status", [400, 404, 410, 301])
async def test_a_permanent_failure_is_given_up_at_once_and_says_so(
    receiver: Receiver, hook: Notifier, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.script.append(status)
    outbox = MemoryOutbox()
    outbox.add(alert(1), alert(2))
    await deliver(outbox, {"hook": hook}, outbox.done)
    assert receiver.got == [("a00001", status), ("a00002", 200)]
    first, next_try_at = outbox.log[0]
    assert (first.ok, next_try_at) == (False, None)
    assert first.detail.startswith("given up")
    assert str(status) in first.detail
    assert "a00001" in caplog.text


async def test_retry_after_is_honoured_by_the_whole_destination(receiver: Receiver, hook: Notifier) -> None:
    receiver.script.append(429)
    receiver.headers = {"Retry-After": "1"}
    outbox = MemoryOutbox()
    outbox.add(alert(1), alert(2))
    began = asyncio.get_running_loop().time()
    await deliver(outbox, {"hook": hook}, outbox.done)
    assert asyncio.get_running_loop().time() - began >= 1.0
    assert [name for name, _ in receiver.got] == ["a00001", "a00001", "a00002"]
    failed, next_try_at = outbox.log[0]
    assert next_try_at is not None
    assert next_try_at - failed.at >= timedelta(seconds=1)


async def test_order_is_kept_through_a_short_outage(receiver: Receiver, hook: Notifier) -> None:
    receiver.script.extend([200, 500, 500, 503])
    outbox = MemoryOutbox()
    outbox.add(*(alert(number) for number in range(30)))
    await deliver(outbox, {"hook": hook}, outbox.done, chance=lambda: 1.0)
    arrived = [name for name, status in receiver.got if status == 200]
    assert arrived == [f"a{number:05}" for number in range(30)]


async def test_after_a_success_the_waits_begin_small_again(receiver: Receiver, hook: Notifier) -> None:
    receiver.script.extend([500, 500, 500, 200, 500])
    outbox = MemoryOutbox()
    outbox.add(alert(1), alert(2))
    retry = replace(QUICK, longest=timedelta(minutes=1), rest=timedelta(minutes=1))
    await deliver(outbox, {"hook": hook}, outbox.done, retry=retry, chance=lambda: 1.0)
    waits = [(delivery.alert, next_try - delivery.at) for delivery, next_try in outbox.log if next_try]
    short = QUICK.first
    assert waits == [("a00001", short), ("a00001", 2 * short), ("a00001", 4 * short), ("a00002", short)]


# --- lanes ----------------------------------------------------------------------------------------


async def test_a_slow_destination_with_a_backlog_holds_up_nobody() -> None:
    held = asyncio.Event()

    async def hang(alert: str) -> None:
        await held.wait()

    slow, quick = Recorder(hang), Recorder()
    outbox = MemoryOutbox()
    outbox.add(*(alert(number, "slow") for number in range(400)))
    outbox.add(*(alert(number, "quick") for number in range(400, 410)))
    deliverer = Deliverer(outbox, {"slow": slow, "quick": quick}, poll=0.05)
    task = asyncio.create_task(deliverer.run())
    await until(lambda: len(outbox.of("quick")) == 10)
    assert slow.got == ["a00000"]
    held.set()
    deliverer.stop()
    await task


async def test_a_destination_gets_one_alert_at_a_time() -> None:
    most = running = 0

    async def count(alert: str) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1

    place = Recorder(count)
    outbox = MemoryOutbox()
    outbox.add(*(alert(number) for number in range(60)))
    await deliver(outbox, {"hook": place}, outbox.done)
    assert most == 1
    assert place.got == sorted(place.got)
    assert len(place.got) == 60


async def test_an_alert_its_destination_cannot_digest_is_overtaken() -> None:
    async def refuse(alert: str) -> None:
        if alert == "a00000":
            raise TemporaryError("cannot digest that")

    outbox = MemoryOutbox()
    outbox.add(*(alert(number) for number in range(5)))
    retry = replace(QUICK, first=timedelta(milliseconds=30), longest=timedelta(hours=1))
    others = [f"a{number:05}" for number in range(1, 5)]
    await deliver(
        outbox, {"hook": Recorder(refuse)}, lambda: [d.alert for d in outbox.of("hook") if d.ok] == others,
        retry=retry, chance=lambda: 1.0,
    )  # fmt: skip
    assert not outbox.done()  # it is still being tried


async def test_a_notifier_that_breaks_does_not_end_its_lane() -> None:
    async def crash(alert: str) -> None:
        if len(place.got) == 1:
            raise KeyError("the customer's own words")

    place = Recorder(crash)
    outbox = MemoryOutbox()
    outbox.add(alert(1))
    await deliver(outbox, {"hook": place}, outbox.done)
    assert [delivery.ok for delivery in outbox.of("hook")] == [False, True]
    assert "KeyError" in outbox.of("hook")[0].detail
    assert "customer" not in outbox.of("hook")[0].detail


async def test_an_unknown_destination_is_given_up_with_the_known_ones_named() -> None:
    outbox = MemoryOutbox()
    outbox.add(alert(1, "pager", "hook"))
    await deliver(outbox, {"hook": Recorder()}, outbox.done)
    assert [delivery.ok for delivery in outbox.of("hook")] == [True]
    [failed] = outbox.of("pager")
    assert "no destination 'pager'" in failed.detail
    assert "hook" in failed.detail


async def test_an_alert_whose_mentions_were_erased_is_not_sent() -> None:
    place, outbox = Recorder(), MemoryOutbox()
    outbox.add(alert(1, evidence=False))
    await deliver(outbox, {"hook": place}, outbox.done)
    assert place.got == []
    assert "erased" in outbox.of("hook")[0].detail


# --- waking, stopping, crashing -------------------------------------------------------------------


async def test_stored_alerts_are_sent_at_once_when_the_pipeline_wakes_it() -> None:
    outbox = MemoryOutbox()
    deliverer = Deliverer(outbox, {"hook": Recorder()}, poll=60)
    task = asyncio.create_task(deliverer.run())
    await until(lambda: outbox.reads > 0)
    outbox.add(alert(1))
    await asyncio.sleep(0.1)
    assert not outbox.done()
    deliverer.wake.set()
    await until(outbox.done, 1.0)
    deliverer.stop()
    await task


async def test_alerts_of_another_process_are_found_without_being_woken() -> None:
    outbox = MemoryOutbox()
    deliverer = Deliverer(outbox, {"hook": Recorder()}, poll=0.05)
    task = asyncio.create_task(deliverer.run())
    await until(lambda: outbox.reads > 0)
    outbox.add(alert(1))
    await until(outbox.done, 1.0)
    deliverer.stop()
    await task


async def test_stopping_finishes_the_send_in_hand_and_takes_no_more() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def wait(alert: str) -> None:
        started.set()
        await release.wait()

    place, outbox = Recorder(wait), MemoryOutbox()
    outbox.add(alert(1), alert(2))
    deliverer = Deliverer(outbox, {"hook": place}, poll=0.05)
    task = asyncio.create_task(deliverer.run())
    await started.wait()
    deliverer.stop()
    await asyncio.sleep(0.05)
    assert not task.done()
    release.set()
    await asyncio.wait_for(task, 1)
    assert place.got == ["a00001"]
    assert [delivery.ok for delivery in outbox.of("hook")] == [True]


async def test_a_crash_between_send_and_log_repeats_the_same_id() -> None:
    sent = asyncio.Event()

    async def hang(alert: str) -> None:
        sent.set()
        await asyncio.sleep(60)

    outbox = MemoryOutbox()
    outbox.add(alert(1))
    first, second = Recorder(hang), Recorder()
    task = asyncio.create_task(Deliverer(outbox, {"hook": first}, poll=0.05).run())
    await sent.wait()
    for _ in range(2):  # the first lets sends finish, the second is the end
        task.cancel()
        await asyncio.sleep(0.02)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not outbox.done()
    await deliver(outbox, {"hook": second}, outbox.done)
    assert first.got == second.got == ["a00001"]


async def test_a_store_that_is_away_after_the_send_does_not_send_twice() -> None:
    place, outbox = Recorder(), MemoryOutbox(refusals=3)
    outbox.add(alert(1))
    await deliver(outbox, {"hook": place}, outbox.done)
    assert place.got == ["a00001"]


async def test_a_dead_destination_is_tried_ever_less_often_and_given_up_after_a_day() -> None:
    clock = NOON

    async def refuse(alert: str) -> None:
        raise TemporaryError("down")

    outbox = MemoryOutbox()
    outbox.add(alert(1, due_at=NOON))

    def skip() -> bool:  # every look at it takes four minutes, so that a day passes in seconds
        nonlocal clock
        clock += timedelta(minutes=4)
        return outbox.done()

    await deliver(
        outbox, {"hook": Recorder(refuse)}, skip, now=lambda: clock, retry=Retry(), chance=lambda: 1.0, poll=0.01
    )
    last, next_try_at = outbox.log[-1]
    assert next_try_at is None
    assert last.detail.startswith("given up")
    assert timedelta(hours=24) < last.at - NOON < timedelta(hours=26)
    waits = [next_try - delivery.at for delivery, next_try in outbox.log if next_try]
    assert waits[:4] == [timedelta(seconds=seconds) for seconds in (1, 2, 4, 8)]
    assert waits[-1] == timedelta(minutes=15)


# --- the waiting times ----------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.none() | st.floats(0, 1e300), st.floats(0, 1))
def test_a_wait_is_never_shorter_than_asked_nor_longer_than_the_limits(
    failures: int, asked: float | None, chance: float
) -> None:
    retry = Retry()
    delay = retry.delay(failures, asked, chance)
    assert delay >= timedelta(seconds=min(asked or 0, 86400))
    assert delay <= max(retry.longest, retry.asked(asked))
    assert delay <= max(timedelta(seconds=2 ** min(failures, 40)), retry.asked(asked))


def test_an_alert_of_before_an_outage_of_ours_still_gets_its_tries() -> None:
    retry, old = Retry(), alert(1, due_at=NOON - timedelta(days=3))
    gave_up = [retry.exhausted(Outgoing(old, "hook", attempts), NOON) for attempts in range(6)]
    assert gave_up == [False, False, False, False, True, True]


async def test_permanent_means_no_further_try_even_for_a_young_alert() -> None:
    async def refuse(alert: str) -> None:
        raise PermanentError("gone")

    place, outbox = Recorder(refuse), MemoryOutbox()
    outbox.add(alert(1))
    await deliver(outbox, {"hook": place}, outbox.done)
    assert place.got == ["a00001"]
