"""A notifier as somebody else would write it: alerts appended to a file, one JSON object a line.

Installed beside the service, it is found by its entry point:

    [project.entry-points."listener.notifiers"]
    example = "example_notifier:ExampleNotifier"
"""

import json
from typing import ClassVar

from pydantic import Field

from listener.errors import PermanentError, TemporaryError
from listener.notifiers import BlockingNotifier, Message, NotifierConfig


class ExampleConfig(NotifierConfig):
    """Which file."""

    path: str = Field(description="file that takes the alerts")


class ExampleNotifier(BlockingNotifier):
    """Appends; a folder that is missing may yet be mounted, a path that is a folder needs a person."""

    Config: ClassVar[type[NotifierConfig]] = ExampleConfig

    def deliver_blocking(self, message: Message) -> None:
        line = json.dumps({"alert": message.alert, "title": message.title, "text": message.text})
        try:
            with open(self.config.path, "a", encoding="ascii") as file:
                file.write(line + "\n")
        except IsADirectoryError as error:
            raise PermanentError("the path is a folder") from error
        except OSError as error:
            raise TemporaryError(f"cannot write ({type(error).__name__})") from error
