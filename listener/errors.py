"""Errors, named by what the caller does next.

    ListenerError
    ├── ConfigError      fix the settings: path, value, allowed values
    ├── QueryError       fix the query: column, what was expected
    ├── InputError       fix the record, file or argument that was given
    ├── NotFoundError    there is no such record
    ├── ConflictError    read the record again, then decide again
    ├── LockedError      another process holds the store: stop it or wait for it
    ├── DeadlineError    the read took longer than its limit: narrow the query
    ├── TemporaryError   wait (`retry_after` seconds where known), then try again
    │   └── Overloaded   the classifier's or the inbox's queue is full
    └── PermanentError   the source or destination waits for a person

Third-party exceptions never leave the adapter that met them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class ListenerError(Exception):
    """Base of every error this service raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in the settings: where, what stands there, what may stand there."""

    path: str
    message: str
    value: object = None
    allowed: tuple[str, ...] = ()
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: {self.path}" if self.line else self.path
        allowed = f" (allowed: {', '.join(self.allowed)})" if self.allowed else ""
        return f"{where}: {self.message}{allowed}"


class ConfigError(ListenerError):
    """The settings are wrong; `problems` lists every one found."""

    def __init__(self, problems: str | Problem | Sequence[Problem], path: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem(path, problems) if path else Problem("settings", problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class QueryError(ListenerError):
    """A query cannot be understood; `column` is the 0-based offset of the fault."""

    def __init__(self, message: str, column: int | None = None, expected: str | None = None) -> None:
        self.message, self.column, self.expected = message, column, expected
        where = f"column {column + 1}: " if column is not None else ""
        super().__init__(f"{where}{message}" + (f" (expected {expected})" if expected else ""))


class InputError(ListenerError):
    """A record, file or argument cannot be used; the message says which, why and what to do."""


class NotFoundError(ListenerError):
    """There is no record under that id."""


class ConflictError(ListenerError):
    """Somebody else changed the record meanwhile; `current` is its version now."""

    def __init__(self, message: str, current: int | None = None) -> None:
        self.current = current
        super().__init__(message)


class LockedError(ListenerError):
    """Another process holds what only one may hold."""


class DeadlineError(ListenerError):
    """A read was stopped at its time limit."""


class TemporaryError(ListenerError):
    """Worth another try after `retry_after` seconds (None: the caller's back-off decides)."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class Overloaded(TemporaryError):
    """A bounded queue is full."""


class PermanentError(ListenerError):
    """Trying again changes nothing until a person acts."""


_TEMPORARY = frozenset({408, 409, 421, 423, 425, 429})


def error_of_status(status: int, message: str, headers: Mapping[str, str] | None = None) -> ListenerError:
    """The error an HTTP status stands for: 408, 409, 425, 429 and 5xx temporary, other 4xx permanent."""
    if status in _TEMPORARY or status >= 500:
        return TemporaryError(f"{message} (HTTP {status})", retry_after_of(headers or {}))
    return PermanentError(f"{message} (HTTP {status})")


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds asked for by a Retry-After header given in seconds or as an HTTP date."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    if not value:
        return None
    if value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
