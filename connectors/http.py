"""One small HTTP client for every polling connector: timeouts, a size limit, redirects told, errors by recovery."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from listener.errors import PermanentError, TemporaryError, error_of_status, retry_after_of

USER_AGENT = "listener/0.1 (social listening; polite reader)"
MAX_BYTES = 5_000_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_HOPS = 10


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of 2xx or 304; `moved` is the new address where every redirect on the way was permanent."""

    status: int
    headers: Mapping[str, str]  # looked up whatever the case
    body: bytes
    url: str
    moved: str | None = None


class Http:
    """A lazily opened session; every failure leaves as TemporaryError or PermanentError."""

    def __init__(self, timeout: timedelta = timedelta(seconds=30), max_bytes: int = MAX_BYTES) -> None:
        self._timeout, self._max_bytes = aiohttp.ClientTimeout(total=timeout.total_seconds()), max_bytes
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self, url: str, headers: Mapping[str, str] | None = None, temporary: Collection[int] = ()
    ) -> Response:
        """GET `url`, redirects followed; 304 is an answer, every other 3xx, 4xx, 5xx an error.

        `temporary` names further statuses that this place answers only for a while.
        """
        target, permanent, sent = url, True, dict(headers or {})
        for _ in range(_MOST_HOPS):
            try:
                async with self._open().get(target, headers=sent, allow_redirects=False) as answer:
                    if answer.status in _REDIRECTS and "Location" in answer.headers:
                        permanent = permanent and answer.status in (301, 308)
                        target, sent = self._next(answer, sent)
                        continue
                    if answer.status in temporary:
                        message = f"GET {shown(target)} (HTTP {answer.status})"
                        raise TemporaryError(message, retry_after_of(answer.headers))
                    if answer.status >= 300 and answer.status != 304:
                        raise error_of_status(answer.status, f"GET {shown(target)}", answer.headers)
                    body = b"" if answer.status == 304 else await self._read(answer)
                    moved = target if permanent and target != url else None
                    return Response(answer.status, _frozen(answer.headers), body, target, moved)
            except (aiohttp.InvalidURL, ValueError) as error:
                raise PermanentError(f"GET {shown(target)}: not an address that can be asked") from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = str(error) or type(error).__name__
                raise TemporaryError(f"GET {shown(target)}: {reason}") from error
        raise PermanentError(f"GET {shown(url)}: more than {_MOST_HOPS} redirects")

    async def close(self) -> None:
        """Close the session; the client may be used again afterwards."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, headers={"User-Agent": USER_AGENT}, trust_env=True
            )
        return self._session

    def _next(self, answer: aiohttp.ClientResponse, sent: dict[str, str]) -> tuple[str, dict[str, str]]:
        target = answer.url.join(URL(answer.headers["Location"]))
        if target.scheme not in ("http", "https"):
            raise PermanentError(f"GET {shown(str(answer.url))}: sent on to a {target.scheme or 'nameless'} address")
        if target.origin() != answer.url.origin():  # what was meant for one host is not shown to another
            sent = {name: value for name, value in sent.items() if name.lower() not in ("authorization", "cookie")}
        return str(target), sent

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        async for part in answer.content.iter_chunked(65536):
            size += len(part)
            if size > self._max_bytes:
                raise PermanentError(f"GET {shown(str(answer.url))}: longer than {self._max_bytes:,} bytes")
            parts.append(part)
        return b"".join(parts)


def shown(url: str) -> str:
    """An address fit for a message: without user, password, query and fragment, which may hold secrets."""
    try:
        return str(URL(url).with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return url.partition("?")[0][:200]


def _frozen(headers: Any) -> Mapping[str, str]:
    return CIMultiDictProxy(CIMultiDict(headers))
