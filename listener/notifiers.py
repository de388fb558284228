"""The seam of a notifier: its settings, the message it brings, and how it says what went wrong.

A notifier raises TemporaryError (tried again, after its retry_after) or PermanentError (a person must act);
queues, retries and the log are the deliverer's. Built-ins stand in one table, others come by the entry point
group `listener.notifiers`.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Protocol

import aiohttp
from pydantic import BaseModel, ConfigDict, Field

from connectors.base import Duration
from listener.errors import ConfigError, PermanentError, Problem, TemporaryError, error_of_status

GROUP = "listener.notifiers"
NOTIFIERS = {
    "console": "listener.notify_console:ConsoleNotifier",
    "webhook": "listener.notify_webhook:WebhookNotifier",
    "apprise": "listener.notify_apprise:AppriseNotifier",
}


@dataclass(frozen=True, slots=True)
class Message:
    """An alert as people and programs read it; `alert` is its id, the same at every attempt."""

    alert: str
    title: str  # one line
    text: str  # plain text, several lines
    json: Mapping[str, Any]  # has the alert's id, by which receivers tell a repeat
    link: str | None = None  # the first mention's permalink


class NotifierConfig(BaseModel):
    """What every destination may set; a notifier adds its own keys. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(description="which notifier delivers there")
    timeout: Duration = Field(timedelta(seconds=10), gt=timedelta(0), description="longest wait for one delivery")


class Notifier(Protocol):
    """A destination at work. Built as `Class(config)`; `Config` is declared on the class."""

    Config: ClassVar[type[NotifierConfig]]

    def __init__(self, config: Any) -> None: ...

    async def send(self, message: Message) -> None:
        """Deliver once. Raises TemporaryError(retry_after) or PermanentError."""

    async def close(self) -> None:
        """Let go of connections and threads."""


class BaseNotifier:
    """Gives every notifier its time limit: a subclass writes `deliver`, the base turns a hang into an error."""

    Config: ClassVar[type[NotifierConfig]] = NotifierConfig

    def __init__(self, config: Any) -> None:
        self.config = config

    async def deliver(self, message: Message) -> None:
        """Bring the message there; written by the subclass."""
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        """Deliver once, within `config.timeout`."""
        limit: timedelta = self.config.timeout
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self.deliver(message)
        except TimeoutError as error:
            raise TemporaryError(f"no answer within {limit.total_seconds():g} s") from error

    async def close(self) -> None:
        """Nothing to let go of, unless the subclass says so."""


class BlockingNotifier(BaseNotifier):
    """For libraries that block: `deliver_blocking` runs in a thread of the destination's own.

    One thread each, so that a hanging destination never takes the threads that others need. A send given up
    at its time limit may still arrive: deliveries are at least once.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="notifier")

    def deliver_blocking(self, message: Message) -> None:
        """Bring the message there, blocking; written by the subclass."""
        raise NotImplementedError

    async def deliver(self, message: Message) -> None:
        """Hand the message to the thread and wait for it."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.deliver_blocking, message)

    async def close(self) -> None:
        """Take no more; a send in its thread ends on its own."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class HttpNotifier(BaseNotifier):
    """For HTTP: one session, no redirects, and the status read from the table of errors."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """POST once; 2xx is delivered, a redirect and other 4xx permanent, 408, 429 and 5xx temporary.

        The answer's body is neither read nor kept: it may repeat words that must stay erasable.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.post(url, data=body, headers=dict(headers), allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    redirect = 300 <= answer.status < 400
                    message = "redirects are not followed, set the new address" if redirect else "refused"
                    raise error_of_status(answer.status, message, answer.headers)
        except aiohttp.InvalidURL as error:
            raise PermanentError("its address cannot be called") from error
        except (aiohttp.ClientError, OSError) as error:
            # The kind of the fault alone: its text may carry the address, and an address may be a secret.
            raise TemporaryError(f"cannot reach the destination ({type(error).__name__})") from error

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def known() -> list[str]:
    """The names of all notifiers: built in, then installed beside us."""
    return [*NOTIFIERS, *sorted(set(_entry_points()) - set(NOTIFIERS))]


def load(name: str) -> type[Notifier]:
    """The class of a notifier. Raises ConfigError naming the known ones, or saying what cannot be imported."""
    if name in NOTIFIERS:
        module, _, attribute = NOTIFIERS[name].partition(":")
        built_in: type[Notifier] = getattr(import_module(module), attribute)
        return built_in
    point = _entry_points().get(name)
    if point is None:
        raise ConfigError(Problem("destinations", f"there is no notifier {name!r}", name, tuple(known())))
    try:
        loaded: Any = point.load()
    except Exception as error:  # a plug-in may fail in any way; the settings' reader must learn which one
        raise ConfigError(f"notifier {name!r} cannot be imported: {error}", path="destinations") from error
    missing = [part for part in ("Config", "send", "close") if not hasattr(loaded, part)]
    if missing:
        raise ConfigError(f"notifier {name!r} has no {', '.join(missing)}", path="destinations")
    found: type[Notifier] = loaded
    return found
