"""A 100-megapixel photograph: the peak of memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from material import SAMPLES

WIDTH, HEIGHT = 12_500, 8_000
RAW = WIDTH * HEIGHT * 3

# The picture is the sample repeated, so that it codes like a photograph; rows are filled one by one, so that making
# it leaves no peak of its own. Peaks are counted over what the process held before there was any picture.
ENCODE = f"""
import resource, sys
import numpy as np
import pgfrs
from PIL import Image

sample = np.asarray(Image.open(sys.argv[1]))
row = np.empty(({WIDTH}, 3), np.uint8)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
image = np.empty(({HEIGHT}, {WIDTH}, 3), np.uint8)
for y in range({HEIGHT}):
    line = sample[y % len(sample)]
    for x in range(0, {WIDTH}, len(line)):
        part = image[y, x : x + len(line)]
        part[:] = line[: len(part)]
data = pgfrs.encode(image, quality=int(sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base, len(data))
open(sys.argv[2], "wb").write(data)
"""
DECODE = """
import resource, sys
import numpy as np
import pgfrs

data = open(sys.argv[2], "rb").read()
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
image = pgfrs.decode(data, strict=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base, image.nbytes)
"""


def peak(script: str, path: Path, quality: int) -> tuple[int, int]:
    """Bytes by which the script's process grew at its peak, and the size of what it made."""
    command = [sys.executable, "-c", script, str(SAMPLES / "astronaut.png"), str(path), str(quality)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    grown_kib, made = map(int, done.stdout.split())
    return grown_kib * 1024, made


@pytest.mark.slow
@pytest.mark.parametrize("quality", [0, 5])
def test_a_hundred_megapixels(tmp_path: Path, quality: int) -> None:
    """Peaks of at most 3 times the raw size plus the output; the picture itself is counted."""
    path = tmp_path / "large.pgf"
    encoding, file_size = peak(ENCODE, path, quality)
    decoding, image_size = peak(DECODE, path, quality)
    print(f"quality {quality}: encode {encoding / RAW:.2f} x raw, decode {decoding / RAW:.2f} x raw, {file_size} bytes")
    assert image_size == RAW
    assert encoding <= 3 * RAW + file_size
    assert decoding <= 3 * RAW + image_size
