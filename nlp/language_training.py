"""Training of the language model: softmax regression over hashed n-grams, Adagrad, pieces of 15 to 120 characters.

Used in training only.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlp.language import BUCKETS, grams
from nlp.training_data import Row, language_of

Floats = npt.NDArray[np.float32]
BATCH, RATE, EPOCHS, MOST_ROWS, LEAST_ROWS = 256, 0.1, 2, 4500, 3000


def languages(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Texts by language, at most MOST_ROWS each, drawn evenly over the files of the language; zh-ze left out."""
    by_file: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if not row.name.endswith(".zh-ze"):
            by_file[language_of(row.name)][row.folder, row.name].append(row.text)
    draw = random.Random(0)
    found = {}
    for language, files in sorted(by_file.items()):
        texts: list[str] = []
        share = MOST_ROWS // len(files) + 1
        spare: list[str] = []
        for _, members in sorted(files.items()):
            draw.shuffle(members)
            texts += members[:share]
            spare += members[share:]
        draw.shuffle(spare)
        chosen = (texts + spare)[:MOST_ROWS]
        # A language with few rows gives each more often, every time another piece of it.
        found[language] = chosen * max(1, LEAST_ROWS // max(1, len(chosen)))
    return found


def _crop(text: str, draw: random.Random) -> str:
    """A random piece, begun at a word where there are words: short texts must be learnt as such."""
    size = draw.randint(15, 120)
    if len(text) <= size:
        return text
    start = draw.randrange(len(text) - size)
    blank = text.find(" ", start, start + 15)
    return text[blank + 1 if blank >= 0 else start :][:size]


def train(texts: dict[str, list[str]], path: Path) -> None:
    """Fit and write the model; about two minutes for 60 languages."""
    names = sorted(texts)
    draw = random.Random(0)
    weights = np.zeros((BUCKETS, len(names)), dtype=np.float32)
    bias = np.zeros(len(names), dtype=np.float32)
    squares = np.full(BUCKETS, 1e-3, dtype=np.float32)
    pairs = [(label, text) for label, name in enumerate(names) for text in texts[name]]
    for epoch in range(EPOCHS):
        draw.shuffle(pairs)
        for start in range(0, len(pairs), BATCH):
            chosen = [(label, grams(_crop(text, draw))) for label, text in pairs[start : start + BATCH]]
            _step([item for item in chosen if len(item[1])], weights, bias, squares, RATE / (1 + epoch))
    scales = np.maximum(np.abs(weights).max(axis=0), 1e-6) / 127.0
    np.savez_compressed(
        path,
        languages=np.array(names), weights=np.rint(weights / scales).astype(np.int8),
        scales=scales.astype(np.float32), bias=bias,
    )  # fmt: skip


def _step(
    chosen: Sequence[tuple[int, npt.NDArray[np.int64]]], weights: Floats, bias: Floats, squares: Floats, rate: float
) -> None:
    sizes = np.array([len(buckets) for _, buckets in chosen])
    flat = np.concatenate([buckets for _, buckets in chosen])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    scale = (1 / np.sqrt(sizes)).astype(np.float32)
    logits = np.add.reduceat(weights[flat], starts, axis=0) * scale[:, None] + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = powers / powers.sum(axis=1, keepdims=True)
    error[np.arange(len(chosen)), [label for label, _ in chosen]] -= 1
    bias -= 0.1 * rate * error.mean(axis=0)
    order = np.argsort(flat, kind="stable")
    edges = np.flatnonzero(np.diff(flat[order], prepend=-1))
    rows = np.repeat(error * scale[:, None], sizes, axis=0)[order]
    gradient = np.add.reduceat(rows, edges, axis=0)
    touched = flat[order][edges]
    squares[touched] += (gradient**2).mean(axis=1)
    weights[touched] -= rate * gradient / np.sqrt(squares[touched])[:, None]
