"""Who may push: signatures over the raw body, in the schemes that senders use."""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from listener.errors import ListenerError

WINDOW = 300  # seconds a signed time may differ from ours, either way
HEADER = "X-Listener-Signature"


class SignatureError(ListenerError):
    """A push that is not, or wrongly, signed: answer 401."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one kind of sender signs: which header, over what, written how; `event` carries its event id."""

    header: str
    given: Callable[[Mapping[str, str], str], tuple[bytes, Sequence[str]]]  # -> signed prefix, signatures
    written: Callable[[bytes], str]
    event: str | None = None
    secret: Callable[[str], bytes] = lambda text: text.encode()
    timed: Callable[[Mapping[str, str], str], str] | None = None


def _fields(value: str) -> list[tuple[str, str]]:
    return [(name.strip(), rest.strip()) for name, _, rest in (part.partition("=") for part in value.split(","))]


def _own_time(_: Mapping[str, str], value: str) -> str:
    return next((rest for name, rest in _fields(value) if name == "t"), "")


def _own(headers: Mapping[str, str], value: str) -> tuple[bytes, Sequence[str]]:
    prefix = f"{_own_time(headers, value)}.".encode()
    return prefix, [rest for name, rest in _fields(value) if name == "v1"]


def _standard(headers: Mapping[str, str], value: str) -> tuple[bytes, Sequence[str]]:
    prefix = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode()
    return prefix, [part[3:] for part in value.split() if part.startswith("v1,")]


def _after_equals(_: Mapping[str, str], value: str) -> tuple[bytes, Sequence[str]]:
    return b"", [value.strip().removeprefix("sha256=")]


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _standard_secret(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise SignatureError("the secret of a standard webhook is base64 behind whsec_") from error


SCHEMES: Mapping[str, Scheme] = {
    "listener": Scheme(HEADER, _own, bytes.hex, "X-Listener-Event", timed=_own_time),
    "standard-webhooks": Scheme(
        "webhook-signature", _standard, _base64, "webhook-id", _standard_secret,
        lambda headers, _: headers.get("webhook-timestamp", ""),
    ),
    "github": Scheme("X-Hub-Signature-256", _after_equals, bytes.hex, "X-GitHub-Delivery"),
    "typeform": Scheme("Typeform-Signature", _after_equals, _base64),
    "sha256": Scheme("X-Signature", _after_equals, bytes.hex, "X-Event-Id"),
}  # fmt: skip


def check(name: str, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Pass when one of the secrets signed this body, recently where the scheme signs a time. Raises SignatureError."""
    scheme = SCHEMES[name]
    low = {key.lower(): value for key, value in headers.items()}
    value = low.get(scheme.header.lower())
    if not value:
        raise SignatureError(f"the header {scheme.header} is missing")
    if scheme.timed is not None:
        stamp = scheme.timed(low, value)
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
            raise SignatureError("the signature names no time")
        if abs(int(stamp) - now.timestamp()) > WINDOW:
            raise SignatureError(f"the signature's time differs from ours by more than {WINDOW} s")
    prefix, signatures = scheme.given(low, value)
    for secret in secrets:
        right = scheme.written(hmac.digest(scheme.secret(secret), prefix + body, sha256)).encode()
        if any(hmac.compare_digest(right, signature.encode()) for signature in signatures[:8]):
            return
    raise SignatureError("the signature does not fit the body")


def sign(secret: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers with which a sender signs a body in our own scheme."""
    stamp = int(now.timestamp())
    digest = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, sha256).hex()
    return {HEADER: f"t={stamp},v1={digest}"}
