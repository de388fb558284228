"""Frozen features of texts and gold segments, cached in chunks so that a stopped run goes on where it was.

Used in training only.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlp.encoder import Encoder, span_mean
from nlp.tokenizer import Pieces, PieceTokenizer
from nlp.vector import Floats

CHUNK = 2000
MOST_PIECES = 256  # longer training texts are cut: the first pieces carry the verdict


def _cut(pieces: Pieces, most: int) -> Pieces:
    return Pieces(pieces.ids[:most], pieces.starts[:most], pieces.ends[:most])


class Features:
    """Computes and caches; a cache belongs to one encoder file."""

    def __init__(self, tokenizer: PieceTokenizer, encoder: Encoder, cache: Path) -> None:
        self._tokenizer, self._encoder, self._cache = tokenizer, encoder, cache
        cache.mkdir(parents=True, exist_ok=True)

    def texts(self, texts: Sequence[str]) -> Floats:
        """The mean state of each text, [texts, hidden]."""
        parts = []
        for start in range(0, len(texts), CHUNK):
            chunk = list(texts[start : start + CHUNK])
            path = self._cache / f"texts-{_digest(chunk)}.npy"
            if not path.exists():
                pieces = [_cut(p, MOST_PIECES) for p in self._tokenizer.encode(chunk)]
                means = np.stack([encoded.mean for encoded in self._encoder.encode(pieces)])
                np.save(path, means.astype(np.float16))
                print(f"texts {start + len(chunk)}/{len(texts)}", file=sys.stderr, flush=True)
            parts.append(np.load(path).astype(np.float32))
        return np.concatenate(parts)

    def segments(self, verbatims: Sequence[dict[str, Any]]) -> Floats:
        """[mean of the span; mean of the text] of every gold segment in order, [segments, 2 * hidden]."""
        parts = []
        for start in range(0, len(verbatims), CHUNK // 2):
            chunk = verbatims[start : start + CHUNK // 2]
            path = self._cache / f"segments-{_digest([v['text'] for v in chunk])}.npy"
            if not path.exists():
                pieces = self._tokenizer.encode([v["text"] for v in chunk])
                encoded = self._encoder.encode(pieces)
                rows = [
                    np.concatenate([span_mean(e, p, s["start"], s["end"]), e.mean])
                    for v, e, p in zip(chunk, encoded, pieces, strict=True)
                    for s in v["segments"]
                ]
                np.save(path, np.stack(rows).astype(np.float16))
                print(f"verbatims {start + len(chunk)}/{len(verbatims)}", file=sys.stderr, flush=True)
            parts.append(np.load(path).astype(np.float32))
        return np.concatenate(parts)


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf8", "replace") + b"\x00")
    return digest.hexdigest()[:16]
