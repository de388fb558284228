"""Single values as people write them in files: text, numbers, ratings, dates.

Every function raises ValueError with a reason a person can act on.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from email.utils import parsedate_to_datetime

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NUMBER = re.compile(r"([-+]?\d+(?:[.,]\d+)?)")
_OUT_OF = re.compile(r"([-+]?\d+(?:[.,]\d+)?)\s*(?:/|out of|sur|von|su|de|из|z)\s*(\d+(?:[.,]\d+)?)", re.IGNORECASE)
_WITH_WORD = re.compile(r"([-+]?\d+(?:[.,]\d+)?)\s*(%|[^\W\d][^\d]{0,15}|[★⭐])?")
_CLOCK = re.compile(
    r"(\d{1,2})[:h.](\d{2})(?:[:.](\d{2})(?:[.,](\d{1,6})\d*)?)?\s*([ap])?\.?m?\.?\s*(z|utc|gmt|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_NUMERIC_DAY = re.compile(r"(\d{1,4})\s?([./-])\s?(\d{1,2})\s?[./-]\s?(\d{1,4})\.?(?:(?:[ T,]|um|à|at)+(.+))?")
_HAN_DAY = re.compile(r"(\d{4})[年년]\s*(\d{1,2})[月월]\s*(\d{1,2})[日일]?\s*(.*)")
_NAMED_DAY = re.compile(
    r"(?:[^\W\d]+\.?,?\s+)?(\d{1,2})(?:er|st|nd|rd|th|\.|º)?\s*(?:de\s+|-)?([^\W\d]+)\.?,?\s*(?:de\s+|-)?(\d{4})(?:[,\s]+(.+))?",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(r"([^\W\d]+)\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})(?:[,\s]+(.+))?", re.IGNORECASE)
_MONTHS = (
    "jan january janvier janv januar enero ene gennaio gen janeiro",
    "feb february février fevrier févr fevr februar febrero febbraio fevereiro fev",
    "mar march mars märz maerz mrz marzo março marco maart",
    "apr april avril avr abril abr aprile",
    "may mai mayo maggio mag maio mei",
    "jun june juin juni junio giugno giu junho",
    "jul july juillet juil juli julio luglio lug julho",
    "aug august août aout agosto ago augustus",
    "sep sept september septembre septiembre settembre set setembro",
    "oct october octobre oktober okt octubre ottobre ott outubro out",
    "nov november novembre noviembre novembro",
    "dec december décembre decembre déc dezember dez diciembre dic dicembre dezembro",
)
_MONTH = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}


def clean(text: str) -> str:
    """The same text with what no store can hold (NUL, lone surrogates) replaced one for one by U+FFFD."""
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\ufffd", text)


def as_text(value: object) -> str:
    """A cell as stripped text; whole floats lose their `.0`, as ids read from a sheet need."""
    if isinstance(value, str):
        return clean(value.strip())
    if value is None or isinstance(value, (list, dict)):
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else str(int(value)) if value.is_integer() else repr(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_number(value: object) -> float:
    """A finite number from 4, "4.5", "4,5" or "1 234"."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
    else:
        text = re.sub(r"[\s\u00a0\u202f]", "", as_text(value))
        if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
            text = text.replace(",", "")
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"{as_text(value)[:40]!r} is not a number")
        number = float(text.replace(",", "."))
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def as_rating(value: object) -> tuple[float, tuple[float, float] | None]:
    """A rating and the scale that it names itself: `4/5`, `80 %`, `★★★☆☆`; None where it names none."""
    if not isinstance(value, str):
        return as_number(value), None
    text = value.strip()
    if stars := sum(text.count(star) for star in "★⭐"):
        match = _NUMBER.match(text)
        return (as_number(match.group(1)) if match else float(stars)), (1.0, 5.0)
    if match := _OUT_OF.fullmatch(text):
        top = as_number(match.group(2))
        return as_number(match.group(1)), (1.0 if top <= 5 else 0.0, top)
    if match := _WITH_WORD.fullmatch(text):
        return as_number(match.group(1)), (0.0, 100.0) if match.group(2) == "%" else None
    raise ValueError(f"{text[:40]!r} is not a rating")


def as_flag(value: object) -> bool | None:
    """True, false, or None where the value says neither."""
    text = as_text(value).casefold()
    if text in ("true", "1", "yes", "oui", "ja", "si", "sí", "sim", "vrai", "y", "x"):
        return True
    return False if text in ("false", "0", "no", "non", "nein", "não", "faux", "n") else None


@dataclass(frozen=True, slots=True)
class Dates:
    """How dates are written: `order` day, month or auto, or a strptime `pattern`; `zone` where none is named."""

    order: str = "auto"
    pattern: str | None = None
    zone: tzinfo = UTC

    def __call__(self, value: object) -> datetime:
        """The aware UTC datetime of a date, an epoch in s, ms or µs, or a text. Raises ValueError."""
        try:
            at = self._read(value)
            return (at if at.tzinfo else at.replace(tzinfo=self.zone)).astimezone(UTC)
        except (OverflowError, TypeError, IndexError) as error:
            raise ValueError(f"{as_text(value)[:60]!r} is not a date") from error

    def _read(self, value: object) -> datetime:
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _epoch(float(value))
        text = as_text(value)
        if self.pattern:
            return datetime.strptime(text, self.pattern)
        if len(text) >= 10 and text[4] == text[7] == "-":
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                pass
        return self._written(text)

    def _written(self, text: str) -> datetime:
        digits = text.replace(".", "", 1)
        if digits.isascii() and digits.isdigit() and (len(digits) >= 8):
            return _digits(text)
        if match := _NUMERIC_DAY.fullmatch(text):
            year, month, day = self._numeric(match[1], match[3], match[4], match[2])
            return _with_clock(year, month, day, match[5])
        if match := _HAN_DAY.fullmatch(text):
            return _with_clock(int(match[1]), int(match[2]), int(match[3]), match[4])
        if match := _NAMED_DAY.fullmatch(text):
            if month := _MONTH.get(match[2].casefold(), 0):
                return _with_clock(int(match[3]), month, int(match[1]), match[4])
        elif (match := _MONTH_FIRST.fullmatch(text)) and (month := _MONTH.get(match[1].casefold(), 0)):
            return _with_clock(int(match[3]), month, int(match[2]), match[4])
        try:
            return parsedate_to_datetime(text)
        except ValueError:
            raise ValueError(f"{text[:60]!r} is not a date") from None

    def _numeric(self, first: str, second: str, third: str, mark: str) -> tuple[int, int, int]:
        if len(first) > 2:
            return int(first), int(second), int(third)
        if len(third) not in (2, 4):
            raise ValueError(f"{first}{mark}{second}{mark}{third} is not a date")
        a, b, year = int(first), int(second), int(third)
        if len(third) == 2:
            year += 1900 if year >= 70 else 2000
        order = self.order
        if order == "auto":
            if a <= 12 and b <= 12 and a != b and mark != ".":
                raise ValueError(f"{first}{mark}{second}{mark}{third} can be two dates: set `dates` to day or month")
            order = "month" if b > 12 else "day"
        return (year, a, b) if order == "month" else (year, b, a)


def day_order(texts: list[str]) -> str | None:
    """`day` or `month` as dates like 03/04/2026 in these texts decide; `either` when none does; None without any."""
    pairs = [(int(m[1]), int(m[3])) for text in texts if (m := _NUMERIC_DAY.fullmatch(text)) and len(m[1]) <= 2]
    if not pairs:
        return None
    if any(first > 12 for first, _ in pairs):
        return "day"
    return "month" if any(second > 12 for _, second in pairs) else "either"


def _epoch(number: float) -> datetime:
    for top, unit in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6)):
        if number < top:
            if number / unit < 1e8:
                break
            return datetime.fromtimestamp(number / unit, UTC)
    raise ValueError(f"{as_text(number)} is not a date")


def _digits(text: str) -> datetime:
    if len(text) in (8, 12, 14) and text[:2] in ("19", "20") and text.isdigit():
        return datetime.strptime(text, {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}[len(text)])
    return _epoch(float(text))


def _with_clock(year: int, month: int, day: int, clock: str | None) -> datetime:
    if not clock or not clock.strip():
        return datetime(year, month, day)
    match = _CLOCK.fullmatch(clock.strip())
    if match is None:
        raise ValueError(f"{clock.strip()[:30]!r} is not a time of day")
    hour, half, zone = int(match[1]), (match[5] or "").lower(), match[6]
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    micro = int((match[4] or "0").ljust(6, "0"))
    at = datetime(year, month, day, hour, int(match[2]), int(match[3] or 0), micro)
    if zone is None:
        return at
    return at.replace(tzinfo=UTC) if zone.isalpha() else datetime.fromisoformat(at.isoformat() + zone)
