"""Peak memory of encoding and decoding one large picture, each in a process of its own (Linux)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "astronaut.png"

# The peak of this program alone: ru_maxrss would begin with that of the process that started it.
_PEAK = """
import sys

def peak():
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
"""
# The picture is the sample repeated, so that it codes like a photograph; rows are filled one by one, so that making
# it leaves no peak of its own. Peaks are counted over what the process held before there was any picture.
_ENCODE = """
import numpy as np
import pgfrs
from PIL import Image

width, height, quality = map(int, sys.argv[3:])
sample = np.asarray(Image.open(sys.argv[1]))
row = np.empty((width, 3), np.uint8)
base = peak()
image = np.empty((height, width, 3), np.uint8)
for y in range(height):
    line = sample[y % len(sample)]
    for x in range(0, width, len(line)):
        part = image[y, x : x + len(line)]
        part[:] = line[: len(part)]
data = pgfrs.encode(image, quality=quality)
print(peak() - base, len(data))
open(sys.argv[2], "wb").write(data)
"""
_DECODE = """
import numpy as np
import pgfrs

data = open(sys.argv[2], "rb").read()
base = peak()
image = pgfrs.decode(data, strict=True)
print(peak() - base, image.nbytes)
"""


@dataclass(frozen=True)
class Peaks:
    """Bytes by which a process grew at its peak: with the picture and the file for encoding, with the picture for
    decoding."""

    raw: int
    file: int
    decoded: int
    encode: int
    decode: int


def peaks(width: int, height: int, quality: int) -> Peaks:
    """Encodes and decodes an 8-bit RGB picture of that size once."""
    with tempfile.NamedTemporaryFile(suffix=".pgf") as file:
        sides = []
        for script in (_ENCODE, _DECODE):
            numbers = [str(number) for number in (width, height, quality)]
            command = [sys.executable, "-c", _PEAK + script, str(SAMPLE), file.name, *numbers]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            grown, made = map(int, done.stdout.split())
            sides.append((grown, made))
    (encode, size), (decode, decoded) = sides
    return Peaks(3 * width * height, size, decoded, encode, decode)
