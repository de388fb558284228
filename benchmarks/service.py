"""The service as a process of its own, as people run it: for the benchmarks that measure it from outside."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

_PATIENCE = 120.0


async def listener(*arguments: str) -> str:
    """Run a command of the command line to its end; gives what it printed. Raises RuntimeError where it fails."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "listener.cli", *arguments, stdout=PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"listener {' '.join(arguments)} ended with {process.returncode}")
    return out.decode()


async def asked(settings: Path, *arguments: str) -> Any:
    """What a command prints with --json."""
    return json.loads(await listener("--config", str(settings), *arguments, "--json"))


@dataclass(frozen=True, slots=True)
class Running:
    """A service that is ready: where it listens, its process, seconds from its start until /readyz said so."""

    address: str
    pid: int
    ready_after: float

    def resident(self) -> float:
        """Resident memory in MB, now."""
        return _status(self.pid, "VmRSS")

    def peak(self) -> float:
        """The most resident memory so far, in MB."""
        return _status(self.pid, "VmHWM")


@contextlib.asynccontextmanager
async def serving(settings: Path, session: aiohttp.ClientSession, port: int) -> AsyncIterator[Running]:
    """`listener serve` until the block ends; SIGTERM then, as an operator does."""
    start = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "listener.cli", "--config", str(settings), "serve", stdout=asyncio.subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        while not await _ready(session, address):
            if process.returncode is not None or time.perf_counter() - start > _PATIENCE:
                raise RuntimeError("the service does not get ready")
            await asyncio.sleep(0.02)
        yield Running(address, process.pid, time.perf_counter() - start)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _ready(session: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with session.get(f"{address}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def _status(pid: int, key: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("utf8").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {key} is told of process {pid}")


def load() -> str:
    """How busy the machine is with other things, for the line beside a figure."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
