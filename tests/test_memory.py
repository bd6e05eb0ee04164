"""A 100-megapixel photograph: the peak of memory, in a process of its own."""

from __future__ import annotations

import pytest

from peak_memory import peaks

WIDTH, HEIGHT = 12_500, 8_000
RAW = WIDTH * HEIGHT * 3
FIXED = 4 << 20
"""What does not grow with the picture: tables, rows, what the interpreter adds meanwhile."""


@pytest.mark.slow
@pytest.mark.parametrize("quality", [0, 5])
def test_a_hundred_megapixels(quality: int) -> None:
    """Peaks of at most 3 times the raw size plus the output; the picture itself is counted."""
    peak = peaks(WIDTH, HEIGHT, quality)
    shares = [f"{size / RAW:.2f}" for size in (peak.encode, peak.file, peak.decode)]
    print(f"quality {quality}: encode, file, decode in multiples of the raw size: {', '.join(shares)}")
    assert peak.decoded == RAW
    assert peak.encode <= 3 * RAW + peak.file + FIXED
    assert peak.decode <= 3 * RAW + peak.decoded + FIXED
