"""Window hashes: equal windows and no others."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from makar.core.windows import code_points, mix, windows


@given(st.text("ab", max_size=60), st.integers(1, 8))
def test_hashes_agree_where_windows_do(text: str, width: int) -> None:
    found = windows(code_points(text), width).tolist()
    said = [text[i : i + width] for i in range(len(text) - width + 1)]
    assert len(found) == len(said)
    assert len(set(found)) == len(set(said))
    assert len(set(zip(found, said, strict=True))) == len(set(said))


def test_hashes_are_the_same_for_ever() -> None:
    """They are stored, so a change would make every stored index useless."""
    assert mix(np.array([1], dtype=np.uint64)).tolist() == [0x5692161D100B05E5]
    assert windows(code_points("abc"), 2).tolist() == windows(code_points("xabc"), 2).tolist()[1:]


def test_low_bits_sample_evenly() -> None:
    hashes = windows(np.arange(20_000), 5)
    share = float((hashes % np.uint64(8) == 0).mean())
    assert abs(share - 1 / 8) < 0.01
