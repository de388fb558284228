"""Alerts to a URL of yours, as signed JSON.

    POST <url>
    X-Listener-Alert: <alert id>
    Idempotency-Key: <alert id>
    X-Listener-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>" under the shared secret>

Receivers compare in constant time, refuse a `t` more than 300 s away, and skip an id they have seen:
deliveries are at least once. 410 Gone ends the deliveries of that alert.
"""

import hashlib
import hmac
import json
import re
from typing import ClassVar

from pydantic import Field

from connectors.base import SecretReference
from listener.errors import ConfigError
from listener.notifiers import Clock, HttpNotifier, Message, NotifierConfig, utc_now
from listener.secret import reveal

_SECRET = r"(env|file):\S.*"
_ADDRESS = r"https?://[^\s/]+\S*"


class WebhookConfig(NotifierConfig):
    """Where to post, and the secret both sides know."""

    url: str = Field(pattern=rf"^({_ADDRESS}|{_SECRET})$", description="http(s) address, or env:/file: holding it")
    secret: SecretReference = Field(description="signs every delivery: env:NAME or file:PATH")


def sign(secret: str, body: bytes, at: int) -> str:
    """The value of X-Listener-Signature for a body sent at that second."""
    digest = hmac.new(secret.encode("utf8"), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class WebhookNotifier(HttpNotifier):
    """Posts the alert as JSON; the secrets are read once, when the service starts."""

    Config: ClassVar[type[NotifierConfig]] = WebhookConfig

    def __init__(self, config: WebhookConfig, now: Clock = utc_now) -> None:
        super().__init__(config)
        self._now = now
        self._url = reveal(config.url) if re.match(_SECRET, config.url) else config.url
        self._secret = reveal(config.secret)
        if not re.fullmatch(_ADDRESS, self._url):
            raise ConfigError("holds no http(s) address", path=config.url)

    async def deliver(self, message: Message) -> None:
        """Post it once."""
        # ASCII with escapes: whatever a mention's text holds can be encoded.
        body = json.dumps(message.json, separators=(",", ":")).encode("ascii")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "listener",
            "X-Listener-Alert": message.alert,
            "Idempotency-Key": message.alert,
            "X-Listener-Signature": sign(self._secret, body, int(self._now().timestamp())),
        }
        await self.post(self._url, body, headers)
