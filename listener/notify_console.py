"""Alerts on the terminal: one readable block each."""

import os
import sys
import unicodedata

from listener.errors import TemporaryError
from listener.notifiers import BlockingNotifier, Message

_BOLD, _PLAIN = "\x1b[1;31m", "\x1b[0m"


def printable(text: str) -> str:
    """The text without control characters: a mention must not be able to steer somebody's terminal."""
    return "".join(char if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs") else "�" for char in text)


class ConsoleNotifier(BlockingNotifier):
    """Prints to standard output, in colour only on a terminal (and not where NO_COLOR is set)."""

    def deliver_blocking(self, message: Message) -> None:
        """Print title and text, and an empty line behind them."""
        out = sys.stdout
        try:
            colour = out.isatty() and not os.environ.get("NO_COLOR")
            title = printable(message.title)
            block = f"{_BOLD}{title}{_PLAIN}" if colour else title
            block = f"{block}\n{printable(message.text)}\n\n"
            encoding = out.encoding or "utf-8"
            # A terminal that cannot show a letter shows a question mark, rather than losing the alert.
            out.write(block.encode(encoding, "replace").decode(encoding))
            out.flush()
        except (OSError, ValueError) as error:  # a closed pipe, a closed file
            raise TemporaryError(f"cannot write to standard output ({type(error).__name__})") from error
