"""The encoder at work: pieces to token states, in sub-batches sorted by length, long texts in windows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]  # the package ships no types

from nlp.tokenizer import BOS, EOS, PAD, Pieces
from nlp.vector import Floats

WINDOW, STRIDE = 510, 384  # content pieces of a window, and how far the next one begins
SUB_BATCH = 512  # padded pieces of one pass: measured fastest, larger ones leave the processor's cache


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoder says of one text: a state for each piece, and the mean with the special pieces."""

    states: Floats  # [pieces, hidden]
    mean: Floats  # [hidden]


class Encoder:
    """An ONNX session; the same pieces give the same states alone and in any batch."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # An arena keeps the peak of the largest batch for good; buffers are given back instead.
        options.enable_cpu_mem_arena = False
        # Threads that spin between passes take the processor from the rest of the service.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def encode(self, texts: Sequence[Pieces]) -> list[Encoded]:
        """One outcome per text, in order."""
        windows = [(number, start) for number, text in enumerate(texts) for start in window_starts(len(text.ids))]
        contents = [texts[number].ids[start : start + WINDOW] for number, start in windows]
        order = sorted(range(len(windows)), key=lambda at: (len(contents[at]), at))
        found: list[Floats] = [np.empty(0, dtype=np.float32)] * len(windows)
        for batch in _batches(order, contents):
            for at, states in zip(batch, self._run([contents[at] for at in batch]), strict=True):
                found[at] = states
        by_text: list[list[Floats]] = [[] for _ in texts]
        for (number, _), states in zip(windows, found, strict=True):
            by_text[number].append(states)
        return [_joined(parts) for parts in by_text]

    def _run(self, contents: Sequence[npt.NDArray[np.int32]]) -> list[Floats]:
        length = max(len(content) for content in contents) + 2
        ids = np.full((len(contents), length), PAD, dtype=np.int64)
        mask = np.zeros((len(contents), length), dtype=np.int32)
        for row, content in enumerate(contents):
            size = len(content) + 2
            ids[row, 0], ids[row, 1 : size - 1], ids[row, size - 1] = BOS, content, EOS
            mask[row, :size] = 1
        states = self._session.run(None, {"ids": ids, "mask": mask})[0]
        return [states[row, : len(content) + 2].copy() for row, content in enumerate(contents)]


def window_starts(pieces: int) -> list[int]:
    """Where the windows of a text of that many pieces begin."""
    starts = [0]
    while starts[-1] + WINDOW < pieces:
        starts.append(starts[-1] + STRIDE)
    return starts


def _batches(order: Sequence[int], contents: Sequence[npt.NDArray[np.int32]]) -> Iterator[list[int]]:
    batch: list[int] = []
    for at in order:  # ascending length: the newest member is the longest
        if batch and (len(batch) + 1) * (len(contents[at]) + 2) > SUB_BATCH:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def _joined(parts: Sequence[Floats]) -> Encoded:
    """Windows laid over each other: in the overlap each piece takes the window where it stands further inside."""
    everything = np.concatenate(parts) if len(parts) > 1 else parts[0]
    mean = everything.mean(axis=0)
    if len(parts) == 1:
        return Encoded(parts[0][1:-1], mean)
    margin = (WINDOW - STRIDE) // 2
    kept = []
    for number, part in enumerate(parts):
        content = part[1:-1]
        first = margin if number else 0
        last = STRIDE + margin if number < len(parts) - 1 else len(content)
        kept.append(content[first:last])
    return Encoded(np.concatenate(kept), mean)


def span_mean(encoded: Encoded, pieces: Pieces, start: int, end: int) -> Floats:
    """The mean state of the pieces whose last character lies in [start, end); the text's mean where there is none."""
    first, last = np.searchsorted(pieces.ends, (start, end), side="right")
    if first == last:  # the span lies inside one piece
        first, last = np.searchsorted(pieces.ends, start, "right"), np.searchsorted(pieces.starts, end, "left")
    return encoded.states[first:last].mean(axis=0) if first < last else encoded.mean
