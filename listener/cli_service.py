"""`listener run` and `listener serve`: the service until a signal stops it."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from listener.app import Service, opened
from listener.cli import DONE, INTERRUPTED, settings_of
from listener.cli_output import note, say
from listener.cli_signals import stopping
from listener.settings import Settings


def run(args: argparse.Namespace) -> int:
    """Collect, analyse, watch and deliver until SIGTERM (exit code 0) or Ctrl-C (130)."""
    return asyncio.run(_service(settings_of(args), http=False))


def serve(args: argparse.Namespace) -> int:
    """The same as `run`, with the HTTP server beside it."""
    return asyncio.run(_service(settings_of(args), http=True))


async def _service(settings: Settings, *, http: bool) -> int:
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def stop(number: int) -> None:
        note("stopping: what is in hand is finished (again ends at once)")
        if not stopped.done():
            stopped.set_result(number)

    with stopping(stop):
        async with opened(settings, service=True) as app, contextlib.AsyncExitStack() as stack:
            service = Service(app)
            stack.push_async_callback(service.stop)
            if http:
                from listener import web

                runner, address = await web.start(service)  # answers /readyz with 503 until the service is ready
                stack.push_async_callback(runner.cleanup)
            if not await _unless(stopped, service.start()):
                return _code(stopped)
            count = len(service.sources)
            watched = f"{count} {'source' if count == 1 else 'sources'}"
            say(f"serving on {address}, {watched}" if http else f"running, {watched}")
            sys.stdout.flush()
            await _unless(stopped, service.wait())
    return _code(stopped)


async def _unless(stopped: "asyncio.Future[int]", work: Coroutine[Any, Any, None]) -> bool:
    """Do the work unless it is to stop; gives whether the work was done, and raises its error."""
    task = asyncio.ensure_future(work)
    waiting: set[asyncio.Future[Any]] = {task, stopped}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


def _code(stopped: "asyncio.Future[int]") -> int:
    return INTERRUPTED if stopped.done() and stopped.result() == signal.SIGINT else DONE
