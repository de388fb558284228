"""One SQLite file: a writer thread, reader threads with a deadline, a lock for the service.

Writes are `BEGIN IMMEDIATE` transactions on one connection in one thread, so that they never wait for
each other inside the process; other processes may write beside it. Reads see a snapshot each.
"""

import asyncio
import contextlib
import fcntl
import os
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import apsw

from listener.errors import (
    DeadlineError,
    InputError,
    ListenerError,
    LockedError,
    Overloaded,
    PermanentError,
    TemporaryError,
)

Result = TypeVar("Result")
Setup = Callable[[apsw.Connection], None]
_BUSY_MS = 30_000
_STEPS_BETWEEN_LOOKS = 5_000  # virtual machine steps between two looks at the clock: well under 1 ms


class Database:
    """A file opened for one process; `setup` prepares every connection (functions, temp tables).

    `on_rollback` is called in the writer thread whenever a write was taken back, also where nobody waits for it any
    more: what was remembered of it must be forgotten before the next one.
    """

    def __init__(
        self, path: Path, readers: int = 2, setup: Setup | None = None, on_rollback: Callable[[], None] | None = None
    ) -> None:
        self.path = path
        self._setup, self._on_rollback = setup, on_rollback
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="store-read")
        self._write_connection: apsw.Connection | None = None
        self._idle: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        self._lock: IO[str] | None = None

    def connect(self, *, readonly: bool = False) -> apsw.Connection:
        """A new connection with our settings."""
        flags = apsw.SQLITE_OPEN_READWRITE if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        connection = apsw.Connection(str(self.path), flags=flags, statementcachesize=200)
        connection.set_busy_timeout(_BUSY_MS)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", 2)  # FULL: what was answered for is there after a power cut
        connection.pragma("wal_autocheckpoint", 16_000)  # 64 MB: pages written again and again go to the file once
        connection.pragma("foreign_keys", True)
        connection.pragma("secure_delete", True)  # erased words leave no bytes behind
        connection.pragma("cache_size", -64_000 if not readonly else -32_000)
        connection.pragma("temp_store", 2)
        connection.pragma("mmap_size", 1 << 30)
        if self._setup:
            self._setup(connection)
        if readonly:
            connection.pragma("query_only", True)
        return connection

    def lock(self) -> None:
        """Be the one service of this store. Raises LockedError naming the process that is."""
        path = self.path.with_name(self.path.name + ".lock")
        handle = open(path, "a+", encoding="utf8")  # noqa: SIM115 - held while the service lives
        try:
            _take_lock(handle)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            handle.close()
            raise LockedError(
                f"another service (process {holder}) runs on {self.path}: stop it, or give this one its own store"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        self._lock = handle

    def locked_by_other(self) -> bool:
        """Whether a service of another process runs on this store."""
        path = self.path.with_name(self.path.name + ".lock")
        if self._lock is not None or not path.exists():
            return False
        with open(path, encoding="utf8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    async def write(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """Run `work` in one transaction in the writer thread; an error rolls all of it back."""
        return await asyncio.wrap_future(self._writer.submit(self.write_now, work))

    def write_now(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """The same, in the calling thread: for the writer thread itself, and for opening."""
        with translated():
            connection = self._writing()
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return result

    def _writing(self) -> apsw.Connection:
        if self._write_connection is None:
            self._write_connection = self.connect()
            self._write_connection.set_rollback_hook(self._on_rollback)
        return self._write_connection

    async def outside(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """Run `work` in the writer thread without a transaction: checkpoints, vacuum, backup."""

        def run() -> Result:
            with translated():
                return work(self._writing())

        return await asyncio.wrap_future(self._writer.submit(run))

    async def read(self, work: Callable[[apsw.Connection], Result], seconds: float | None = 2.0) -> Result:
        """Run `work` on a reader connection in one snapshot; DeadlineError after `seconds` (None: no limit).

        Overloaded where it found no free connection for so long: what waits is dropped then, so that reads which
        nobody awaits any more never pile up. Cancelling the caller stops the statement too.
        """
        stop = [False]
        future = self._readers.submit(self._read, work, seconds, stop, time.monotonic())
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            stop[0] = True
            raise

    def _read(
        self, work: Callable[[apsw.Connection], Result], seconds: float | None, stop: list[bool], asked: float
    ) -> Result:
        if seconds is not None and time.monotonic() - asked > seconds:
            raise Overloaded(f"the store is busy with other reads for more than {seconds:g} s", retry_after=1.0)
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            with translated():
                connection = self.connect(readonly=True)
        end = time.monotonic() + seconds if seconds is not None else float("inf")

        def over() -> bool:
            return stop[0] or time.monotonic() > end

        connection.set_progress_handler(over, _STEPS_BETWEEN_LOOKS)
        try:
            with translated(seconds):
                connection.execute("BEGIN")
                try:
                    return work(connection)
                finally:
                    connection.set_progress_handler(None)
                    if connection.in_transaction:  # some errors end it by themselves
                        connection.execute("ROLLBACK")
        finally:
            connection.set_progress_handler(None)
            self._idle.put(connection)

    async def close(self) -> None:
        """Wait for work in hand, close every connection, give the lock back."""
        await asyncio.to_thread(self._readers.shutdown, True, cancel_futures=True)
        await asyncio.to_thread(self._writer.shutdown, True, cancel_futures=False)
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()
        if self._write_connection is not None:
            self._write_connection.close()
            self._write_connection = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _take_lock(handle: IO[str], tries: int = 5) -> None:
    """Lock the file; another command that only looks whether it is locked holds it for an instant."""
    for number in range(tries):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if number == tries - 1:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def translated(seconds: float | None = None) -> Iterator[None]:
    """apsw's errors as ours: what a caller does next decides the class."""
    try:
        yield
    except ListenerError:
        raise
    except apsw.InterruptError as error:
        limit = f" after {seconds:g} s" if seconds else ""
        raise DeadlineError(f"the read was stopped{limit}: narrow the query or its period") from error
    except (apsw.BusyError, apsw.LockedError) as error:
        raise TemporaryError(f"the store is busy: {error}", retry_after=1.0) from error
    except apsw.FullError as error:
        raise TemporaryError(f"the disk of the store is full: {error}", retry_after=30.0) from error
    except (apsw.TooBigError, apsw.MismatchError, apsw.ConstraintError) as error:
        raise InputError(f"the store does not take this: {error}") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise PermanentError(f"the store is damaged: {error}; restore a backup") from error
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.IOError, apsw.PermissionsError) as error:
        raise PermanentError(f"the store cannot be used: {error}") from error


def rows(connection: apsw.Connection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    return connection.execute(sql, values).fetchall()


def row(connection: apsw.Connection, sql: str, *values: Any) -> tuple[Any, ...] | None:
    """The first row of a statement."""
    return connection.execute(sql, values).fetchone()
