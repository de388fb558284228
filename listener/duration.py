"""Durations as people write them in settings: `90s`, `20m`, `4h`, `7d`, `1h30m`."""

import re
from datetime import timedelta

PATTERN = r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_duration(text: str) -> timedelta:
    """The length of time that `text` names. Raises ValueError with the accepted forms."""
    if not re.fullmatch(PATTERN, text.strip()):
        raise ValueError(f"{text!r} is not a duration: write 90s, 20m, 4h, 7d or 1h30m")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", text)
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


def format_duration(length: timedelta) -> str:
    """The shortest way `parse_duration` reads back, in whole units where it can be."""
    seconds = length.total_seconds()
    for unit in ("w", "d", "h", "m", "s"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"
