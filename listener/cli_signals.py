"""Ctrl-C and SIGTERM: the first asks for a graceful stop, the second ends at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def stopping(stop: Callable[[int], None]) -> Iterator[None]:
    """Within the block the first SIGINT or SIGTERM calls `stop(number)` on the event loop, a second one exits.

    Ending at once is safe: whatever is stored is stored whole, as after kill -9.
    """
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def caught(number: int) -> None:
        seen.append(number)
        if len(seen) > 1:
            os._exit(128 + number)
        stop(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread: nobody sends any
            loop.add_signal_handler(number, caught, number)
    try:
        yield
    finally:
        for number in numbers:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)
