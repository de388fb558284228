"""The pruned vocabulary: which pieces of the base encoder stay, and the tokenizer file made of them.

Used in training only.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from nlp.base_encoder import BaseEncoder
from nlp.tokenizer import PieceTokenizer

META = "\u2581"
CHUNK = 2000


def build(base: BaseEncoder, kept: Sequence[int] | None = None) -> Tokenizer:
    """A Unigram tokenizer over the kept piece ids of the base (all when None), the four special pieces first."""
    ids = range(len(base.pieces)) if kept is None else kept
    vocabulary = [(base.pieces[i], float(base.scores[i])) for i in ids]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=base.special["unk"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=META, prepend_scheme="always")
    return tokenizer


def count(tokenizer: Tokenizer, texts: Iterable[tuple[str, str]]) -> tuple[dict[str, Counter[int]], Counter[str]]:
    """Of (language, text): how often each piece occurs per language, and in how many texts each script."""
    pieces = PieceTokenizer.of(tokenizer)
    counts: dict[str, Counter[int]] = {}
    scripts: Counter[str] = Counter()
    chunk: list[tuple[str, str]] = []

    def settle() -> None:
        for (language, text), encoded in zip(chunk, pieces.encode([text for _, text in chunk]), strict=True):
            counts.setdefault(language, Counter()).update(encoded.ids.tolist())
            scripts.update({script_of(char) for char in set(text)})
        chunk.clear()

    for item in texts:
        chunk.append(item)
        if len(chunk) == CHUNK:
            settle()
    settle()
    return counts, scripts


def script_of(char: str) -> str:
    """The first word of the character's Unicode name: LATIN, CJK, THAI, ... ; empty for unnamed ones."""
    return unicodedata.name(char, " ").split(" ")[0]


def choose(base: BaseEncoder, counts: dict[str, Counter[int]], scripts: Counter[str], size: int) -> list[int]:
    """`size` piece ids in the base's order: special ones, single characters of the scripts met in at least 100
    texts, symbols and digits, then by the sum over languages of the square root of their share, so that small
    languages keep their words."""
    met = {script for script, texts in scripts.items() if texts >= 100}
    kept = set(base.special.values())
    for number, piece in enumerate(base.pieces):
        char = piece.removeprefix(META) or META
        if len(char) == 1 and (script_of(char) in met or unicodedata.category(char)[0] in "NPSM"):
            kept.add(number)
    weight = np.zeros(len(base.pieces))
    for counter in counts.values():
        total = sum(counter.values())
        for number, times in counter.items():
            if times > 1:
                weight[number] += (times / total) ** 0.5
    for number in np.argsort(-weight, kind="stable"):
        if len(kept) >= size or weight[number] == 0:
            break
        kept.add(int(number))
    return sorted(kept)
