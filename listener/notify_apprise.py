"""Alerts to whatever `apprise` speaks to: mail, Slack, Teams, ntfy and some hundred others."""

from typing import Any, ClassVar

from pydantic import Field

from connectors.base import SecretReference
from listener.errors import ConfigError, TemporaryError
from listener.notifiers import BlockingNotifier, Message, NotifierConfig
from listener.secret import reveal


class AppriseConfig(NotifierConfig):
    """An apprise address holds passwords, so it stands in the settings by reference only."""

    url: SecretReference = Field(description="env:NAME or file:PATH that holds the apprise address (mailto://...)")


class AppriseNotifier(BlockingNotifier):
    """Hands title and text to apprise, which says yes or no and nothing more: a no is tried again."""

    Config: ClassVar[type[NotifierConfig]] = AppriseConfig

    def __init__(self, config: AppriseConfig) -> None:
        super().__init__(config)
        import apprise  # slow to import, and most installations never use it

        self._apprise: Any = apprise.Apprise()
        if not self._apprise.add(reveal(config.url)):
            raise ConfigError("holds no address that apprise understands", path=config.url)

    def deliver_blocking(self, message: Message) -> None:
        """Notify, in the thread of this destination."""
        text = f"{message.text}\n\nalert {message.alert}"
        try:
            delivered = self._apprise.notify(body=text, title=message.title, body_format="text")
        except Exception as error:  # a hundred services, each with libraries of its own
            raise TemporaryError(f"apprise failed ({type(error).__name__})") from error
        if not delivered:
            raise TemporaryError("apprise could not deliver")
