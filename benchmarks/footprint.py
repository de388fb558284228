"""What the service takes: `python -m benchmarks.footprint [--store FILE] [--no-environment]`.

Prints the resident memory of `listener serve` with the bundled sample stored and analysed by it (and with a given
store, opened in place), the seconds from its start until /readyz says so, the size of a fresh environment of
`pip install .` (no extras), and how long `listener version` takes.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.latency import free_port
from benchmarks.service import Running, asked, listener, load, serving
from connectors import sample

_SETTINGS = """
[index]
path = "{store}"
[serve]
port = {port}
[sources.sample]
connector = "sample"
speed = 100.0
enabled = {sample}
"""


async def with_sample(folder: Path) -> None:
    """The service while it analyses the sample, and after it."""
    settings, port = await _prepared(folder, folder / "listener.db", True)
    wanted = len({row["native_id"] for row in sample.rows()})
    async with aiohttp.ClientSession() as session:
        async with serving(settings, session, port) as running:
            print(f"start to ready, new store: {running.ready_after:.2f} s (target 5)   ({load()})")
            start = time.perf_counter()
            async with asyncio.timeout(600):
                while await _total(settings, "-is:unanalysed") < wanted:  # noqa: ASYNC110 - another process works
                    await asyncio.sleep(1)
            print(f"the sample is stored and analysed after {time.perf_counter() - start:.0f} s")
            _say("with the sample", running)
        async with serving(settings, session, port) as running:
            print(f"start to ready, sample stored: {running.ready_after:.2f} s   ({load()})")
            await asyncio.sleep(2)
            _say("opened again", running)


async def with_store(folder: Path, store: Path, megabytes: float) -> None:
    """The service over a store that is there."""
    settings, port = await _prepared(folder, store, False)
    async with aiohttp.ClientSession() as session, serving(settings, session, port) as running:
        print(f"start to ready, {megabytes:,.0f} MB store: {running.ready_after:.2f} s   ({load()})")
        await asyncio.sleep(2)
        _say("with the given store", running)


async def _prepared(folder: Path, store: Path, with_sample: bool) -> tuple[Path, int]:
    settings, port = folder / "listener.toml", free_port()
    await listener("init", str(folder))
    settings.write_text(_SETTINGS.format(store=store, port=port, sample=str(with_sample).lower()), "utf8")
    return settings, port


async def _total(settings: Path, query: str) -> int:
    found: int = (await asked(settings, "search", query, "--size", "1"))["total"]
    return found


def _say(name: str, running: Running) -> None:
    print(
        f"resident memory {name}: {running.resident():,.0f} MB, at most {running.peak():,.0f} MB (target 600)",
        flush=True,
    )


def environment(folder: Path) -> None:
    """A fresh environment of the product alone, and how large it is; then the start of a command in it."""
    root = Path(__file__).resolve().parent.parent
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    before = _size(folder)
    start = time.perf_counter()
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(root)]
    subprocess.run(install, check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    print(
        f"pip install: {time.perf_counter() - start:.0f} s; site-packages {_size(packages) / 1e6:,.0f} MB (target 450)"
    )
    print(f"   of it {before / 1e6:,.0f} MB were there before (pip)")
    sizes = sorted(((_size(path), path.name) for path in packages.iterdir() if path.is_dir()), reverse=True)
    print("   largest:", ", ".join(f"{name} {size / 1e6:.0f}" for size, name in sizes[:10]))
    commands(python, folder)


def commands(python: Path, folder: Path) -> None:
    """How long commands take that load nothing heavy."""
    for arguments in (["version"], ["--help"]):
        times = []
        for _ in range(8):
            start = time.perf_counter()
            command = [str(python), "-m", "listener.cli", *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
            times.append(time.perf_counter() - start)
        print(f"listener {arguments[0]}: {statistics.median(times):.2f} s, best {min(times):.2f} s   ({load()})")


def _size(folder: Path) -> int:
    return sum(os.lstat(Path(where) / name).st_size for where, _, names in os.walk(folder) for name in names)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, help="a store to open too; nothing is collected into it")
    parser.add_argument("--no-environment", action="store_true", help="install nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        asyncio.run(with_sample(folder / "sample"))
        if given.store:
            store = given.store.absolute()
            asyncio.run(with_store(folder / "given", store, store.stat().st_size / 1e6))
        if given.no_environment:
            commands(Path(sys.executable), Path.cwd())
        else:
            environment(folder / "environment")


if __name__ == "__main__":
    main()
