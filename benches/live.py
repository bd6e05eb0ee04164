"""Pictures a second while a stream arrives, and the time of legal bytes: python benches/live.py

Both in processor time of one thread, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pgfrs
from pgfrs.llm import legal, live

PHOTOGRAPHS = Path(__file__).resolve().parent.parent / "samples"


def photograph(name: str, side: int) -> NDArray[np.uint8]:
    """The middle of a sample photograph, side x side pixels."""
    with Image.open(PHOTOGRAPHS / name) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]


def renders_a_second(stream: bytes, every: int) -> float:
    """Renders a second of processor time, of a stream that arrives as ids, one by one."""
    numbers = np.frombuffer(stream, np.uint8)
    start = time.process_time()
    count = sum(1 for _ in live.pictures(iter(numbers), every=every))
    return count / (time.process_time() - start)


def microseconds_a_byte(stream: bytes, rows: int) -> float:
    """Processor time of :func:`pgfrs.llm.legal.mask` and ``advance`` for a batch, a byte of a row."""
    states = [legal.start() for _ in range(rows)]
    start = time.process_time()
    for byte in stream:
        legal.mask(states)
        legal.advance(states, [byte] * rows)
    return (time.process_time() - start) / len(stream) / rows * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=256, metavar="N", help="side of the picture in pixels")
    parser.add_argument("--max-bytes", type=int, default=5000, metavar="N", help="length of the stream")
    options = parser.parse_args()
    image = photograph("chelsea.png", options.side)
    for payload in ("packed", "tokens"):
        stream = pgfrs.encode(image, format="pgfr", payload=payload, max_bytes=options.max_bytes)
        speed = statistics.median(renders_a_second(stream, 16) for _ in range(5))
        cost = {rows: statistics.median(microseconds_a_byte(stream, rows) for _ in range(3)) for rows in (1, 16)}
        legal_times = ", ".join(f"{c:.1f} us a byte in a batch of {rows}" for rows, c in cost.items())
        print(f"{options.side}x{options.side}, {payload}, {len(stream)} bytes: {speed:.0f} renders/s; {legal_times}")


if __name__ == "__main__":
    main()
