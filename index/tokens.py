"""The one text analysis of every engine: the same tokens when a mention is stored and when it is asked for.

Each token has a position (its place in the list) and two forms. `exact` is folded: case, accents, width,
Arabic letter forms, digits. The stem is what Snowball makes of the word in the mention's language, marked with
that language (`deliveri¦en`), so that stems of two languages never meet by chance. No stop words.

Scripts without spaces (Han, kana, Hangul; Thai, Lao, Myanmar, Khmer) become pairs of neighbouring letters, and
the last letter of a run stands alone as well: a single letter is then found as the start of a token. Emoji,
#hashtags and @handles are whole; an elided article is a token (l'appli: l, appli), other apostrophes vanish
(don't: dont); hyphens and slashes separate; `3,5` is one token; of a link the words are kept, not `https://www.`.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import Stemmer  # type: ignore[import-not-found]  # PyStemmer is a compiled module without types

from index.scripts import APOSTROPHES, CLUSTER, IS_EMOJI, IS_RUN, JOINERS, SCHEME, SURFACE

MARK = "\u00a6"
LONGEST = 100  # characters of a token; Lucene's whitespace tokenizer would cut at 255
VERSION = f"1 snowball-{Stemmer.version()} unicode-{unicodedata.unidata_version}"

_SNOWBALL = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish",
    "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian",
    "it": "italian", "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pl": "polish",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "st": "sesotho", "sv": "swedish",
    "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
_SAME_LANGUAGE = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "ji": "yi", "mo": "ro"}
_ELIDED = frozenset([
    "l", "d", "j", "m", "t", "s", "c", "n", "qu", "jusqu", "lorsqu", "puisqu", "quoiqu",  # French, Catalan
    "un", "all", "dall", "dell", "nell", "sull", "coll", "quell", "quest", "quant", "bell",  # Italian
])  # fmt: skip
_LETTERS = str.maketrans(
    {
        **{"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"},
        **{"ǥ": "g", "ŋ": "n", "ƿ": "w", "ς": "σ"},
        **dict.fromkeys("أإآٱ", "ا"), **dict.fromkeys("ىیې", "ي"), "ة": "ه", "ک": "ك", **dict.fromkeys("ہھە", "ه"),
        **dict.fromkeys((chr(point) for point in (*range(0x64B, 0x660), 0x640, 0x670, *range(0x6D6, 0x6EE))), ""),
        **dict.fromkeys(JOINERS, ""), **dict.fromkeys(APOSTROPHES, "'"),
    }
)  # fmt: skip
_DROPPED = frozenset(
    chr(point)
    for block in ((0x300, 0x370), (0x483, 0x488), (0x591, 0x5C8), (0x1AB0, 0x1B00), (0x1DC0, 0x1E00), (0xFE00, 0xFE10))
    for point in range(*block)
)
_KEPT = {"и\u0306", "у\u0306", "і\u0308"}  # й, ў and ї are letters of their own
_KEPT_SIGNS = frozenset("#@_.,-٫٬")
_PLAIN_RUN = re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fff\uac00-\ud7a3]+")
_PLAIN = str.maketrans({**dict.fromkeys(APOSTROPHES, "'"), "\u00ad": "", "\u2060": ""})
_stemmers = threading.local()


@dataclass(frozen=True, slots=True)
class Token:
    """A word at `text[start:end]`: its folded form, and the lower-cased `word` that is stemmed."""

    exact: str
    start: int
    end: int
    word: str


def fold(text: str) -> str:
    """A keyword without differences of case, accents, width and outer spaces."""
    return " ".join((text.lower() if text.isascii() else _fold(text)).split())


@lru_cache(maxsize=16384)
def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_LETTERS)
    if folded.isascii():
        return folded
    decomposed = unicodedata.normalize("NFD", folded)
    if not _DROPPED.isdisjoint(decomposed):
        decomposed = _unaccented(decomposed)
    if not decomposed.isalpha():
        decomposed = "".join([str(unicodedata.decimal(char, char)) for char in decomposed])
    return _thai(unicodedata.normalize("NFC", decomposed).translate(_LETTERS))  # again: ǣ is now æ


def _unaccented(decomposed: str) -> str:
    kept: list[str] = []
    base = ""
    for char in decomposed:
        if char not in _DROPPED:
            base = char
        elif base + char not in _KEPT:
            continue
        kept.append(char)
    return "".join(kept)


def _thai(text: str) -> str:
    """Vowels typed in two ways written in one: SARA E twice, NIKHAHIT before or after the tone mark."""
    if "\u0e4d" in text:
        for tone in "\u0e48\u0e49\u0e4a\u0e4b":
            text = text.replace("\u0e4d" + tone, tone + "\u0e4d")
    return text.replace("\u0e40\u0e40", "\u0e41")


@lru_cache(maxsize=32768)
def exact(surface: str) -> str:
    """The folded form of one token's surface; empty where nothing of it is searchable."""
    if surface.isascii() and surface.isalnum():
        return surface.lower()[:LONGEST]
    if IS_EMOJI.match(surface):
        return surface.replace("\ufe0f", "")[:LONGEST]
    folded = _fold(surface)
    if folded.isalnum():
        return folded[:LONGEST]
    clean = "".join(
        char for char in folded if char.isalnum() or char in _KEPT_SIGNS or unicodedata.category(char)[0] == "M"
    )
    return clean[:LONGEST]


def _split(surface: str) -> Iterator[tuple[int, int]]:
    """Where the tokens of one surface lie: elided articles, pairs of a run, else the whole."""
    if surface.isalnum() and surface.isascii():
        yield 0, len(surface)
    elif IS_RUN.match(surface):
        ends = [match.end() for match in CLUSTER.finditer(surface)]
        starts = [0, *ends[:-1]]
        yield from zip(starts, ends[1:], strict=False)
        yield starts[-1], ends[-1]
    else:
        start = 0
        for place, char in enumerate(surface):
            if char in APOSTROPHES and surface[start:place].lower() in _ELIDED:
                yield start, place
                start = place + 1
        yield start, len(surface)


def _cut(surface: str) -> tuple[tuple[str, int, int, str], ...]:
    """The tokens of one surface as (exact, start, end, word), offsets within the surface."""
    if _PLAIN_RUN.fullmatch(surface):  # one letter each, already folded
        last = len(surface) - 1
        pairs = [(surface[at : at + 2], at, at + 2, surface[at : at + 2]) for at in range(last)]
        return (*pairs, (surface[last], last, last + 1, surface[last]))
    found = []
    for start, end in _split(surface):
        part = surface[start:end]
        folded = exact(part)
        if folded:
            found.append((folded, start, end, part.lower() if part.isascii() else _word(part)))
    return tuple(found)


_cached_cut = lru_cache(maxsize=32768)(_cut)


@lru_cache(maxsize=32768)
def _word(part: str) -> str:
    """A token's surface as stemmers want it: lower case, composed, plain apostrophes, no invisible hyphens."""
    lower = unicodedata.normalize("NFKC", part.lower()).translate(_PLAIN)
    return lower.replace("i\u0307", "i")  # what Python makes of a Turkish capital


def _recurs(surface: str) -> bool:
    """Whether a surface is a word that other texts have too, worth remembering; runs without spaces are sentences."""
    return len(surface) <= 32 and (surface.isascii() or not IS_RUN.match(surface))


def _readable(text: str) -> str:
    """The text with what stands before a link's words blanked, at equal length."""
    if "://" in text or "www." in text or "WWW." in text:
        return SCHEME.sub(lambda match: " " * len(match[0]), text)
    return text


def tokenize(text: str) -> list[Token]:
    """The tokens of a text in order; offsets are indices of the text as given."""
    found: list[Token] = []
    for match in SURFACE.finditer(_readable(text)):
        offset = match.start()
        surface = match[0]
        for folded, start, end, word in (_cached_cut if _recurs(surface) else _cut)(surface):
            found.append(Token(folded, offset + start, offset + end, word))
    return found


@lru_cache(maxsize=1024)
def base_language(code: str | None) -> str | None:
    """`pt` of `pt-BR` or `PT_br`; None for none and for "und"."""
    base = (code or "").strip().lower().replace("_", "-").partition("-")[0]
    return None if base in ("", "und", "unk", "zxx", "mul") else _SAME_LANGUAGE.get(base, base)


def stem_languages() -> tuple[str, ...]:
    """The ISO codes of the languages that have a stemmer here."""
    known = frozenset(Stemmer.algorithms())
    return tuple(code for code, name in _SNOWBALL.items() if name in known)


_STEMMED = frozenset(stem_languages())


@lru_cache(maxsize=65536)
def stem(word: str, language: str | None) -> str | None:
    """The folded stem of a token's `word`, marked with the language; None where the language has no stemmer."""
    code = base_language(language)
    return _stemmed(word, code) if code is not None and code in _STEMMED else None


def _stemmed(word: str, code: str) -> str:
    folded = ""
    if word[:1].isalpha() and not IS_RUN.match(word):
        with suppress(UnicodeEncodeError):  # a lone surrogate
            folded = exact(_stemmer(code).stemWord(word))
    return (folded or exact(word)) + MARK + code


def _stemmer(code: str) -> "Stemmer.Stemmer":
    """This thread's stemmer: they are not to be shared between threads."""
    cached = _stemmers.__dict__.get(code)
    if cached is None:
        cached = _stemmers.__dict__[code] = Stemmer.Stemmer(_SNOWBALL[code], 0)
    return cached


def _column_pair(surface: str, code: str | None) -> tuple[str, str]:
    """The tokens of one surface, joined, in both forms; `code` is of a language with a stemmer, or None."""
    pieces = _cut(surface)
    stems = [_stemmed(word, code) if code else "" for _, _, _, word in pieces]
    return " ".join([folded for folded, _, _, _ in pieces]), " ".join(stems)


_cached_pair = lru_cache(maxsize=65536)(_column_pair)


def indexed(text: str, language: str | None) -> tuple[str, str]:
    """What an engine stores of a text: exact tokens and stems, each joined by spaces, position by position.

    Without a stemmer for the language the second is empty.
    """
    code = base_language(language)
    stemmed = code if code in _STEMMED else None
    pairs = [
        (_cached_pair if _recurs(surface) else _column_pair)(surface, stemmed)
        for surface in SURFACE.findall(_readable(text))
    ]
    column = " ".join([pair[0] for pair in pairs if pair[0]])
    return column, " ".join([pair[1] for pair in pairs if pair[0]]) if stemmed else ""


def open_ended(tokens: list[Token], text: str) -> list[Token]:
    """A query's tokens: where the words end with a run of two letters or more, its lone last letter is left out.

    In a stored text the run may go on there: only its pairs are sure to stand.
    """
    if len(tokens) > 1 and IS_RUN.match(text[tokens[-1].start]) and tokens[-2].end == tokens[-1].end:
        return tokens[:-1]
    return tokens


def single_letter(token: Token) -> bool:
    """Whether the token is one letter of a script without spaces, to be asked for as the start of a token."""
    return bool(IS_RUN.match(token.exact)) and len(CLUSTER.findall(token.word)) == 1
