"""Text to pieces of the pruned vocabulary, with exact offsets into the original text.

Normalisation (NFKC, blanks for controls) happens here character by character, not in the library, so that
every piece knows which original characters it came from whatever was composed, expanded or replaced.
"""

import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from nlp.edges import clean

BOS, PAD, EOS, UNK = 0, 1, 2, 3
Ints = npt.NDArray[np.int32]
# Where the base encoder's character map departs from NFKC: format characters become blanks, two stay as they are.
_BLANKS = "\u1680\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u2581\ufeff\ufffd"
_KEPT = "\uff5e\u32ff"


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of one text: ids, and for each the original characters [start, end) it stands for."""

    ids: Ints
    starts: Ints
    ends: Ints


@cache
def _table() -> tuple[dict[int, str], re.Pattern[str]]:
    """Code point -> replacement of one character, and a pattern of the characters that become more or fewer."""
    single: dict[int, str] = {}
    longer: list[str] = []
    for point in range(0x80, sys.maxunicode + 1):
        if 0xD800 <= point < 0xE000 or 0x20000 <= point < 0x2F800:  # surrogates are cleaned; ideographs stay
            continue
        char = chr(point)
        if unicodedata.is_normalized("NFKC", char):
            continue
        normal = unicodedata.normalize("NFKC", char)
        if len(normal) == 1:
            single[point] = normal
        else:
            longer.append(char)
    for char in _BLANKS:
        single[ord(char)] = " "
    for char in _KEPT:
        single.pop(ord(char), None)
    kept = [char for char in longer if char not in _KEPT]
    return single, re.compile("[" + re.escape("".join(kept)) + "]")


def normalise(text: str) -> tuple[str, list[tuple[int, int]] | None]:
    """The text as the vocabulary knows it, and the original (start, end) of each of its characters.

    None in place of the offsets says that they are the same.
    """
    text = clean(text)
    if text.isascii():
        return text, None
    single, longer = _table()
    if longer.search(text) is None and unicodedata.is_normalized("NFC", text):
        return text.translate(single), None
    out: list[str] = []
    offsets: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        end = at + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        cluster = text[at:end].translate(single)
        normal = cluster if cluster in _KEPT else unicodedata.normalize("NFKC", cluster)
        out.append(normal)
        offsets.extend([(at, end)] * len(normal))
        at = end
    return "".join(out), offsets


class PieceTokenizer:
    """The vocabulary of the model files; special pieces are added by the caller."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "PieceTokenizer":
        """Around a tokenizer in memory, as training builds it."""
        made = cls.__new__(cls)
        made._tokenizer = tokenizer
        return made

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """The pieces of each text, any length."""
        normal = [normalise(text) for text in texts]
        encodings = self._tokenizer.encode_batch([text for text, _ in normal], add_special_tokens=False)
        return [_pieces(encoding, offsets) for encoding, (_, offsets) in zip(encodings, normal, strict=True)]


def _pieces(encoding: Encoding, offsets: list[tuple[int, int]] | None) -> Pieces:
    ids = np.array(encoding.ids, dtype=np.int32)
    spans = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    starts, ends = spans[:, 0], spans[:, 1]
    if offsets is not None and len(ids):
        original = np.array(offsets, dtype=np.int32)
        starts, ends = (
            original[np.minimum(starts, len(original) - 1), 0],
            original[np.clip(ends - 1, 0, len(original) - 1), 1],
        )
    return Pieces(ids, starts, np.maximum(starts, ends))
