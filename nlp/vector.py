"""Unit vectors as 384 signed bytes: the same bytes in every engine."""

import numpy as np
import numpy.typing as npt

from listener.model import VECTOR_SIZE

Floats = npt.NDArray[np.float32]


def quantise(vector: npt.ArrayLike) -> bytes:
    """A vector of 384 floats of any length as 384 signed bytes, the largest component at 127; zeros stay zeros."""
    values = np.asarray(vector, dtype=np.float32)
    if values.shape != (VECTOR_SIZE,):
        raise ValueError(f"a vector has {VECTOR_SIZE} components, not shape {values.shape}")
    peak = float(np.abs(values).max())
    if peak == 0.0 or not np.isfinite(peak):
        return bytes(VECTOR_SIZE)
    return bytes(np.rint(values * (127.0 / peak)).astype(np.int8).tobytes())


def unit(data: bytes) -> Floats:
    """The stored bytes as a float32 array of length 384 and norm 1 (zeros where the bytes are zeros)."""
    values = np.frombuffer(data, dtype=np.int8).astype(np.float32)
    norm = float(np.linalg.norm(values))
    return values / norm if norm else values
