"""Which characters make a word, a run without spaces, an emoji: the regular expressions of index.tokens."""

import re
import unicodedata

CJK = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"  # Han
    "\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc"  # Hangul
)
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai
    "\u0e81-\u0ece\u0edc-\u0edf"  # Lao
    "\u1000-\u103f\u1050-\u108f\u109a-\u109d\uaa60-\uaa7f\ua9e0-\ua9ef\ua9fa-\ua9fe"  # Myanmar
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
)
APOSTROPHES = "'’ʼ＇‘׳״"
JOINERS = "\u00ad\u200c\u200d\u2060"


def _word_classes() -> tuple[str, str]:
    """Letters, numbers and marks of every script written with spaces, as character class bodies: planes 0 and 1."""
    spaced = "".join(map(chr, range(0x20000)))
    letters = re.findall(f"[^\\W_{CJK}{UNSPACED}]+", spaced)
    marks = [
        char for char in re.findall(f"[^\\w{CJK}{UNSPACED}]", spaced)
        if unicodedata.category(char)[0] == "M" and not "\ufe00" <= char <= "\ufe0f" and char != "\u20e3"
    ]  # fmt: skip
    ranges = [f"{run[0]}-{run[-1]}" for run in letters] + marks
    return "".join(r for r in ranges if r < "\U00010000"), "".join(r for r in ranges if r >= "\U00010000")


_LOW, _HIGH = _word_classes()
WORD = _LOW + _HIGH
# Plane 0 alone is one table look-up; the ranges of plane 1 are walked one by one, for its own characters only.
_WORDS = f"(?:[{_LOW}]++|(?=[\U00010000-\U0001ffff])[{_HIGH}]++)++"
_EMOJI = (
    "\u203c\u2049\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa\u24c2\u25aa\u25ab"
    "\u25b6\u25c0\u25fb-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff"
)
_MODIFIED = f"[{_EMOJI}][\ufe0f\U0001f3fb-\U0001f3ff]*[\U000e0020-\U000e007f]*"
_KEYCAP = "[0-9#*]\ufe0f?\u20e3"
_PICTURE = (
    f"{_MODIFIED}(?:\u200d{_MODIFIED})*|[\U0001f1e6-\U0001f1ff]{{2}}|[\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff]"
)
_INNER = f"[{APOSTROPHES}{JOINERS}](?=[{WORD}])"
_PART = f"{_WORDS}(?:(?:{_INNER}|(?<=\\d)[.,٫٬](?=\\d)){_WORDS})*"
_TAG = f"[{WORD}{CJK}{UNSPACED}_](?:[{WORD}{CJK}{UNSPACED}{JOINERS}_]*[{WORD}{CJK}{UNSPACED}_])?"
_HANDLE = f"[{WORD}{CJK}{UNSPACED}_](?:[{WORD}{CJK}{UNSPACED}_.\\-]*[{WORD}{CJK}{UNSPACED}_])?"
_SCHEME = r"(?:https?|ftp)://(?:www\.)?|\bwww\."
_BOUND = f"[{WORD}{CJK}{UNSPACED}_&]"

SURFACE = re.compile(
    '(?![\\s,.;:!?()"-])(?:'  # the commonest characters that begin nothing, so that they are passed over at once
    f"{_KEYCAP}|{_PART}|[{CJK}]+|[{UNSPACED}][{UNSPACED}\u200c\u200d]*|{_PICTURE}"
    f"|[#＃](?<!{_BOUND}.){_TAG}|[@＠](?<!{_BOUND}.){_HANDLE})"
)
"""One stretch of text: an emoji, a word, a run without spaces, a hashtag or a handle."""

SCHEME = re.compile(_SCHEME, re.IGNORECASE)
"""What stands before the words of a link."""

_MARKS = "".join(
    char for char in re.findall(f"[{CJK}{UNSPACED}]", "".join(map(chr, range(0xB000))))
    if unicodedata.category(char)[0] == "M"
)  # fmt: skip
CLUSTER = re.compile(
    "[\u1100-\u115f\ua960-\ua97f][\u1160-\u11a7]*[\u11a8-\u11ff]*"  # Hangul in letters
    "|เเ[่-๋]?"  # SARA E typed twice for SARA AE
    f"|.(?:[\u17d2\u1039].|\u0e4d[่-๋]?\u0e32|[่-๋]\u0e4d\u0e32|[\u0e33\u0eb3{_MARKS}\uff9e\uff9f\ufe00-\ufe0f\u200c\u200d])*",
    re.DOTALL,
)
"""One letter with what is written above, below and after it, inside a run without spaces."""

IS_RUN = re.compile(f"[{CJK}{UNSPACED}]")
IS_EMOJI = re.compile(f"{_KEYCAP}|{_PICTURE}")
