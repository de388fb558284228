"""What every notifier must do, ours and third parties' alike."""

import asyncio
import hashlib
import hmac
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import pytest
from aiohttp import web
from pydantic import ValidationError

from listener import notifiers
from listener.errors import ConfigError, PermanentError, TemporaryError
from listener.notifiers import Message, Notifier
from listener.notify_apprise import AppriseConfig, AppriseNotifier
from listener.notify_webhook import WebhookConfig, WebhookNotifier

SECRET = "a-secret-of-the-tests"
MESSAGE = Message("0123abcd" * 4, "late delivery: 2 mentions", "line one\nline two", {"id": "0123abcd" * 4, "n": 2})
NASTY = replace(
    MESSAGE,
    title="مرحبا 🧑‍🚀 \x1b[2J\ud800",
    text="遅い配達\x00\x1b]0;owned\x07 ไม่ดี \udfff 👍🏽\r\n",
    json={"id": MESSAGE.alert, "text": "遅い\x00\udfff"},
)
NAMES = ("console", "webhook", "apprise", "example")


@dataclass
class Receiver:
    """A real HTTP server that answers as told and keeps what it got."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        if self.hang:
            await self.release.wait()
        return web.Response(status=self.status, headers=self.headers, text="line one, echoed")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    receiver.release.set()
    await runner.cleanup()


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example as pip would have installed it: a module on the path and its metadata beside it."""
    installed = tmp_path / "installed"
    metadata = installed / "example_notifier-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: example-notifier\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[listener.notifiers]\nexample = example_notifier:ExampleNotifier\n"
        "broken = no_such_module_here:Nothing\nempty = json:dumps\nconsole = json:dumps\n"
    )
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield
    sys.modules.pop("example_notifier", None)


class Place:
    """A destination under test: working, failing or hanging, and what arrived there."""

    def __init__(self, name: str, receiver: Receiver, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self.receiver, self.monkeypatch = name, receiver, monkeypatch
        self.file = folder / "alerts.jsonl"
        self.memory = io.BytesIO()
        self.stdout: TextIO = io.TextIOWrapper(self.memory, encoding="utf-8")
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        monkeypatch.setenv("APPRISE_URL", receiver.url.replace("http", "json") + "?password=" + SECRET)
        self.own: dict[str, Any] = {
            "console": {},
            "webhook": {"url": receiver.url, "secret": "env:HOOK_SECRET"},
            "apprise": {"url": "env:APPRISE_URL"},
            "example": {"path": str(self.file)},
        }[name]

    def build(self, **settings: Any) -> Notifier:
        if self.name == "console":
            self.monkeypatch.setattr(sys, "stdout", self.stdout)
        kind = notifiers.load(self.name)
        return kind(kind.Config(**{"type": self.name, "timeout": "2s", **self.own, **settings}))

    def arrived(self) -> list[str]:
        if self.name == "console":
            self.stdout.flush()
            text = self.memory.getvalue().decode("utf-8")
            return [block for block in text.split("\n\n") if block]
        if self.name == "example":
            return self.file.read_text().splitlines()
        return [body.decode("utf-8") for _, body in self.receiver.got]

    def fail(self, folder: Path) -> None:
        self.receiver.status = 500
        self.own = {**self.own, **({"path": str(folder / "absent" / "x")} if self.name == "example" else {})}
        if self.name == "console":
            self.stdout.close()


@pytest.fixture(params=NAMES)
def place(
    request: pytest.FixtureRequest,
    receiver: Receiver,
    third_party: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    return Place(request.param, receiver, tmp_path, monkeypatch)


# --- every notifier -------------------------------------------------------------------------------


async def test_a_message_arrives_with_its_title(place: Place) -> None:
    notifier = place.build()
    await notifier.send(MESSAGE)
    await notifier.close()
    assert len(place.arrived()) == 1
    expected = '"n":2' if place.name == "webhook" else "late delivery: 2 mentions"
    assert expected in place.arrived()[0]


async def test_two_sends_are_two_arrivals_in_order(place: Place) -> None:
    notifier = place.build()
    await notifier.send(replace(MESSAGE, title="first one", json={"id": "first one"}))
    await notifier.send(replace(MESSAGE, title="second one", json={"id": "second one"}))
    await notifier.close()
    assert ["first one" in place.arrived()[0], "second one" in place.arrived()[1]] == [True, True]


async def test_any_text_a_mention_may_hold_is_delivered(place: Place) -> None:
    notifier = place.build()
    await notifier.send(NASTY)
    await notifier.close()
    assert len(place.arrived()) >= 1


async def test_a_failing_destination_is_a_temporary_error(place: Place, tmp_path: Path) -> None:
    place.fail(tmp_path)
    notifier = place.build()
    with pytest.raises(TemporaryError) as failure:
        await notifier.send(MESSAGE)
    await notifier.close()
    assert SECRET not in str(failure.value)
    assert "echoed" not in str(failure.value)  # what the destination says stays out of the delivery log


async def test_unknown_settings_are_refused(place: Place) -> None:
    with pytest.raises(ValidationError, match="colour"):
        place.build(colour="red")


async def test_a_time_limit_of_nothing_is_refused(place: Place) -> None:
    with pytest.raises(ValidationError, match="timeout"):
        place.build(timeout="0s")


async def test_every_setting_is_described(place: Place) -> None:
    fields = notifiers.load(place.name).Config.model_fields
    assert fields
    assert all(info.description for info in fields.values())


async def test_closing_twice_is_harmless(place: Place) -> None:
    notifier = place.build()
    await notifier.send(MESSAGE)
    await notifier.close()
    await notifier.close()


@pytest.mark.parametrize("name", ["webhook", "apprise"])
async def test_a_hanging_destination_is_given_up_at_the_time_limit(
    name: str, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.hang = True
    notifier = Place(name, receiver, tmp_path, monkeypatch).build(timeout="300ms")
    began = asyncio.get_running_loop().time()
    with pytest.raises(TemporaryError, match="within"):
        await notifier.send(MESSAGE)
    assert asyncio.get_running_loop().time() - began < 1.5
    receiver.release.set()
    await notifier.close()


async def test_a_terminal_that_takes_nothing_holds_up_nobody(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    place = Place("console", receiver, tmp_path, monkeypatch)
    place.stdout = os.fdopen(writing, "w", encoding="utf-8")  # a pipe nobody reads
    notifier = place.build(timeout="300ms")
    with pytest.raises(TemporaryError, match="within"):
        await notifier.send(replace(MESSAGE, text="x" * 1_000_000))
    os.close(reading)  # the writing thread meets a broken pipe and ends
    await notifier.close()


# --- webhook --------------------------------------------------------------------------------------


@pytest.fixture
def hook(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Notifier]:
    return Place("webhook", receiver, tmp_path, monkeypatch).build


async def test_a_webhook_is_signed_over_time_and_body(hook: Callable[..., Notifier], receiver: Receiver) -> None:
    notifier = hook()
    await notifier.send(MESSAGE)
    await notifier.close()
    headers, body = receiver.got[0]
    stamp, _, given = headers["X-Listener-Signature"].partition(",v1=")
    seconds = stamp.removeprefix("t=")
    expected = hmac.new(SECRET.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert given == expected
    assert abs(int(seconds) - datetime.now(UTC).timestamp()) < 60
    assert json.loads(body) == MESSAGE.json


async def test_a_repeat_carries_the_same_id_and_a_fresh_signature(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    times = iter([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)])
    config = WebhookConfig(type="webhook", url=receiver.url, secret="env:HOOK_SECRET")
    notifier = WebhookNotifier(config, now=lambda: next(times))
    await notifier.send(MESSAGE)
    await notifier.send(MESSAGE)
    await notifier.close()
    first, second = (headers for headers, _ in receiver.got)
    assert first["X-Listener-Alert"] == second["X-Listener-Alert"] == MESSAGE.alert
    assert first["Idempotency-Key"] == second["Idempotency-Key"] == MESSAGE.alert
    assert first["X-Listener-Signature"] != second["X-Listener-Signature"]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_every_2xx_is_delivered(hook: Callable[..., Notifier], receiver: Receiver, status: int) -> None:
    receiver.status = status
    notifier = hook()
    await notifier.send(MESSAGE)
    await notifier.close()
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, PermanentError), (401, PermanentError), (404, PermanentError), (410, PermanentError),
     (408, TemporaryError), (429, TemporaryError), (500, TemporaryError), (503, TemporaryError)],
)  # fmt: skip
async def test_a_status_says_whether_trying_again_helps(
    hook: Callable[..., Notifier], receiver: Receiver, status: int, error: type[Exception]
) -> None:
    receiver.status = status
    notifier = hook()
    with pytest.raises(error, match=str(status)):
        await notifier.send(MESSAGE)
    await notifier.close()


async def test_retry_after_is_handed_on(hook: Callable[..., Notifier], receiver: Receiver) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": "77"}
    notifier = hook()
    with pytest.raises(TemporaryError) as failure:
        await notifier.send(MESSAGE)
    await notifier.close()
    assert failure.value.retry_after == 77


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(hook: Callable[..., Notifier], receiver: Receiver, status: int) -> None:
    receiver.status, receiver.headers = status, {"Location": receiver.url + "/elsewhere"}
    notifier = hook()
    with pytest.raises(PermanentError, match="redirect"):
        await notifier.send(MESSAGE)
    await notifier.close()
    assert len(receiver.got) == 1


async def test_a_refused_connection_is_temporary_and_keeps_the_address_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:1/{SECRET}")
    config = WebhookConfig(type="webhook", url="env:HOOK_URL", secret="env:HOOK_SECRET")
    notifier = WebhookNotifier(config)
    with pytest.raises(TemporaryError) as failure:
        await notifier.send(MESSAGE)
    await notifier.close()
    assert SECRET not in str(failure.value)


@pytest.mark.parametrize("url", ["ftp://x/y", "localhost:80", "http:///x", ""])
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        WebhookConfig(type="webhook", url=url, secret="env:HOOK_SECRET")


def test_a_literal_secret_is_refused() -> None:
    with pytest.raises(ValidationError, match="secret"):
        WebhookConfig(type="webhook", url="http://x/", secret="hunter2")


# --- console --------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_a_mention_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    await _console(NASTY)
    shown = terminal.getvalue()
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "遅い配達" in shown


async def test_colour_is_for_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    seen = []
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        await _console(MESSAGE)
        seen.append("\x1b[" in stream.getvalue())
    assert seen == [True, False]


async def _console(message: Message) -> None:
    kind = notifiers.load("console")
    notifier = kind(kind.Config(type="console", timeout=timedelta(seconds=5)))
    await notifier.send(message)
    await notifier.close()


# --- apprise --------------------------------------------------------------------------------------


def test_an_address_apprise_does_not_know_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRISE_URL", f"nonsense://{SECRET}")
    with pytest.raises(ConfigError) as failure:
        AppriseNotifier(AppriseConfig(type="apprise", url="env:APPRISE_URL"))
    assert SECRET not in str(failure.value)


async def test_apprise_names_the_alert_so_that_people_tell_a_repeat(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = Place("apprise", receiver, tmp_path, monkeypatch).build()
    await notifier.send(MESSAGE)
    await notifier.close()
    assert MESSAGE.alert in json.loads(receiver.got[0][1])["message"]


# --- the table ------------------------------------------------------------------------------------


def test_an_unknown_notifier_is_refused_with_the_known_ones(third_party: None) -> None:
    with pytest.raises(ConfigError) as failure:
        notifiers.load("pigeon")
    assert "pigeon" in str(failure.value)
    assert set(NAMES) <= set(failure.value.problems[0].allowed)


@pytest.mark.parametrize("name", ["broken", "empty"])
def test_a_plug_in_that_cannot_work_is_named(third_party: None, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        notifiers.load(name)


def test_a_plug_in_cannot_take_the_name_of_a_built_in(third_party: None) -> None:
    assert notifiers.load("console").__module__ == "listener.notify_console"
    assert notifiers.known().count("console") == 1


def test_a_notifier_that_is_not_installed_is_not_known() -> None:
    assert "example" not in notifiers.known()
