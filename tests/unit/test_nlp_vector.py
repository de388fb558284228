"""Vectors as signed bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.vector import quantise, unit


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_bytes_keep_the_direction_whatever_the_length(seed: int, size: float) -> None:
    vector = np.random.default_rng(seed).standard_normal(384).astype(np.float32)
    stored = quantise(vector * np.float32(size))
    assert len(stored) == 384
    assert float(unit(stored) @ (vector / np.linalg.norm(vector))) > 0.999
    assert np.abs(np.frombuffer(stored, dtype=np.int8)).max() == 127


def test_a_unit_vector_has_norm_one_and_zeros_stay_zeros() -> None:
    assert np.isclose(np.linalg.norm(unit(quantise(np.arange(384)))), 1)
    assert quantise(np.zeros(384)) == bytes(384)
    assert not unit(bytes(384)).any()


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="384"):
        quantise(np.zeros(383))
