"""Nearest neighbours: a scan over sign bits proposes, the stored int8 vectors decide.

48 bytes a mention stay in memory, read on first use and kept up by reading what was appended since. A mention
that was removed or written anew finds no vector any more and drops out.
"""

import threading
from itertools import islice
from typing import cast

import apsw
import numpy as np
import numpy.typing as npt

from index.embedded.database import rows
from listener.model import VECTOR_SIZE

_WORDS = VECTOR_SIZE // 64
_FEW = 4_000  # up to so many allowed mentions every vector is compared exactly
_CANDIDATES = 60  # bit candidates read per neighbour wanted
_LEAST = 1_500


class VectorScan:
    """The sign bits of all vectors of one store, shared by its reader threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._count = 0
        self._ids = np.empty(0, np.int64)
        self._mentions = np.empty(0, np.int64)
        self._bits = np.empty((0, _WORDS), np.uint64)

    def refresh(self, connection: apsw.Connection) -> int:
        """Read what was appended since the last time; gives how many vectors are held."""
        with self._lock:
            cursor = connection.execute("SELECT id, mention, value FROM vector WHERE id > ? ORDER BY id", (self._last,))
            while chunk := list(islice(cursor, 10_000)):
                ids, mentions, values = cast("tuple[list[int], list[int], list[bytes]]", zip(*chunk, strict=True))
                signs = np.frombuffer(b"".join(values), np.int8).reshape(-1, VECTOR_SIZE) > 0
                self._append(np.array(ids), np.array(mentions), np.packbits(signs, axis=1).view(np.uint64))
                self._last = ids[-1]
            return self._count

    @property
    def count(self) -> int:
        """How many vectors are held."""
        return self._count

    def _append(
        self, ids: npt.NDArray[np.int64], mentions: npt.NDArray[np.int64], bits: npt.NDArray[np.uint64]
    ) -> None:
        need = self._count + len(ids)
        if need > len(self._ids):
            size = max(need, len(self._ids) * 5 // 4, 1024)
            self._ids, self._mentions = np.resize(self._ids, size), np.resize(self._mentions, size)
            grown = np.zeros((size, _WORDS), np.uint64)
            grown[: self._count] = self._bits[: self._count]
            self._bits = grown
        span = slice(self._count, need)
        self._ids[span], self._mentions[span], self._bits[span] = ids, mentions, bits
        self._count = need

    def nearest(
        self, connection: apsw.Connection, vector: bytes, size: int, allowed: npt.NDArray[np.int64] | None = None
    ) -> list[tuple[int, float]]:
        """The (rowid, cosine) of the `size` nearest mentions, nearest first; ties by rowid, newest first.

        Of what `refresh` has read: it is called before, since the first time takes longer than a read may.
        """
        if allowed is not None and len(allowed) <= _FEW:
            return self._exact(connection, vector, size, allowed)
        with self._lock:  # a snapshot: arrays are only replaced or written beyond the count
            count, ids, mentions, bits = self._count, self._ids, self._mentions, self._bits
        if not count:
            return []
        wanted = min(count, max(_LEAST, size * _CANDIDATES))
        query = np.packbits(np.frombuffer(vector, np.int8) > 0).view(np.uint64)
        distance = np.zeros(count, np.uint16)
        for word in range(_WORDS):
            distance += np.bitwise_count(bits[:count, word] ^ query[word])
        if allowed is not None:
            distance[~np.isin(mentions[:count], allowed)] = VECTOR_SIZE + 1
        nearest = np.argpartition(distance, wanted - 1)[:wanted] if wanted < count else np.arange(count)
        nearest = nearest[distance[nearest] <= VECTOR_SIZE]
        keys = ",".join(str(i) for i in np.sort(ids[nearest]).tolist())
        found = rows(connection, f"SELECT mention, value FROM vector WHERE id IN ({keys})")
        return _ranked(found, vector, size)

    def _exact(
        self, connection: apsw.Connection, vector: bytes, size: int, allowed: npt.NDArray[np.int64]
    ) -> list[tuple[int, float]]:
        keys = ",".join(str(key) for key in allowed.tolist())
        found = rows(
            connection,
            f"SELECT m.rowid, v.value FROM mention m JOIN vector v ON v.id = m.vector WHERE m.rowid IN ({keys})",
        )
        return _ranked(found, vector, size)


def _ranked(found: list[tuple[int, bytes]], vector: bytes, size: int) -> list[tuple[int, float]]:
    if not found:
        return []
    keys = np.array([key for key, _ in found], np.int64)
    matrix = np.frombuffer(b"".join(value for _, value in found), np.int8).reshape(-1, VECTOR_SIZE).astype(np.float32)
    query = np.frombuffer(vector, np.int8).astype(np.float32)
    norms = np.linalg.norm(matrix, axis=1) * (np.linalg.norm(query) or 1.0)
    cosine = (matrix @ query) / np.where(norms == 0, 1.0, norms)
    order = np.lexsort((-keys, -cosine))[:size]
    return [(int(keys[i]), float(cosine[i])) for i in order]
