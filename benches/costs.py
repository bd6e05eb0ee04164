"""What parts of a picture, second threads and memory cost: figures of pgfrs alone."""

from __future__ import annotations

import hashlib
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pgfrs
from peak_memory import peaks
from peers import PGF, nearest
from photographs import Photograph, Pixels, crops
from turns import timed

MEMORY_SIZES = (6000, 4000)
REGION_SIDES = (2, 4, 8)
"""A region is the middle part of a picture, its sides divided by this."""

CROP_REPEATS = 4
"""A batch of crops has each so many times, for a call that takes a while."""
SCALING_ROUNDS = 5
"""Rounds of threads for each round of other measurements."""
HASHED = bytes(16 << 20)

Json = dict[str, Any]


def _median_sums(actions: Sequence[Sequence[Callable[[], object]]], rounds: int) -> list[float]:
    """For each row of actions, one an item: the median over the rounds of the processor time of all of them."""
    spent: list[list[float]] = [[] for _ in actions]
    for number in range(-1, rounds):
        for row, times in zip(actions, spent, strict=True):
            cpu = sum(timed(action)[1] for action in row)
            if number >= 0:
                times.append(cpu)
    return [statistics.median(times) for times in spent]


def _near_one_bit(image: Pixels) -> int:
    return int(nearest(PGF, image, lambda data: math.log(len(data)), math.log(image.nbytes / 3 / 8)))


def level_costs(pictures: Sequence[Photograph], rounds: int) -> Json:
    """Decoding down to a level only, as a share of decoding everything."""
    result: Json = {}
    for title, quality in (("lossless", lambda _: 0), ("about 1 bit per pixel", _near_one_bit)):
        files = [pgfrs.encode(picture.pixels, quality=quality(picture.pixels)) for picture in pictures]
        levels = range(min(pgfrs.read_info(data).levels for data in files) + 1)
        rows = [[partial(pgfrs.decode, data, level=level) for data in files] for level in levels]
        seconds = _median_sums(rows, rounds)
        result[title] = [
            {"level": level, "share": s / seconds[0], "pixels": 4.0**-level}
            for level, s in zip(levels, seconds, strict=True)
        ]
    return result


def region_costs(pictures: Sequence[Photograph], rounds: int) -> Json:
    """Decoding the middle of tiled pictures, as a share of decoding everything.

    ``read`` is the share of the macroblocks that the decoder reads for it: the region's tiles of all levels, and those
    next to them that the filters reach into.
    """
    result: Json = {}
    for title, quality in (("lossless", lambda _: 0), ("about 1 bit per pixel", _near_one_bit)):
        files = [pgfrs.encode(picture.pixels, quality=quality(picture.pixels), roi=True) for picture in pictures]
        whole = [partial(pgfrs.decode, data) for data in files]
        rows: list[Sequence[Callable[[], object]]] = [whole]
        shares = []
        for divisor in REGION_SIDES:
            row: list[Callable[[], object]] = []
            read, area = [], []
            for picture, data in zip(pictures, files, strict=True):
                height, width = picture.pixels.shape[:2]
                w, h = width // divisor, height // divisor
                left, top = (width - w) // 2, (height - h) // 2
                box = (left, top, left + w, top + h)
                row.append(partial(pgfrs.decode, data, region=box))
                blocks = [pgfrs.decode_with_report(data, region=part)[1].macroblocks for part in (box, None)]
                read.append(blocks[0] / blocks[1])
                area.append(w * h / (width * height))
            rows.append(row)
            shares.append((statistics.mean(area), statistics.mean(read)))
        seconds = _median_sums(rows, rounds)
        result[title] = [
            {"sides": f"1/{divisor}", "area": area, "read": read, "share": s / seconds[0]}
            for divisor, (area, read), s in zip(REGION_SIDES, shares, seconds[1:], strict=True)
        ]
    return result


def _hash_twice(threads: int) -> None:
    """Work that scales as far as the machine lets it: two hashes of a large buffer."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(hashlib.sha256, (HASHED, HASHED)))


def thread_scaling(pictures: Sequence[Photograph], rounds: int) -> Json:
    """Times on the clock with one and with two threads, in turn: batches of crops and of photographs, one picture.

    The fastest of many rounds counts: what else runs on the machine can only lengthen them.
    """
    if len(os.sched_getaffinity(0)) < 2:
        return {"measured": False, "why": "one processor only"}
    small, large = CROP_REPEATS * list(crops(list(pictures))), [picture.pixels for picture in pictures]
    quality = round(statistics.median(_near_one_bit(image) for image in large))
    small_files, large_files = ([pgfrs.encode(i, quality=quality) for i in images] for images in (small, large))
    one = max(large, key=lambda image: image.size)
    one_file = pgfrs.encode(one, quality=0)
    one_stream, coarse_stream = (pgfrs.encode(one, quality=q, format="pgfr") for q in (0, quality))
    jobs: dict[str, Callable[[int], object]] = {
        "SHA-256, two buffers": _hash_twice,
        "encode_batch, 256x256 crops": lambda n: pgfrs.encode_batch(small, quality=quality, num_threads=n),
        "decode_batch, 256x256 crops": lambda n: pgfrs.decode_batch(small_files, num_threads=n),
        "encode_batch, photographs": lambda n: pgfrs.encode_batch(large, quality=quality, num_threads=n),
        "decode_batch, photographs": lambda n: pgfrs.decode_batch(large_files, num_threads=n),
        "encode, one photograph, lossless": lambda n: pgfrs.encode(one, quality=0, num_threads=n),
        "decode, one photograph, lossless": lambda n: pgfrs.decode(one_file, num_threads=n),
        "encode, one `.pgfr`, lossless": lambda n: pgfrs.encode(one, quality=0, format="pgfr", num_threads=n),
        "decode, one `.pgfr`, lossless": lambda n: pgfrs.decode(one_stream, num_threads=n),
        f"encode, one `.pgfr`, quality {quality}": lambda n: pgfrs.encode(
            one, quality=quality, format="pgfr", num_threads=n
        ),
        f"decode, one `.pgfr`, quality {quality}": lambda n: pgfrs.decode(coarse_stream, num_threads=n),
    }
    result = []
    for name, job in jobs.items():
        clock: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(SCALING_ROUNDS * rounds):
            for threads, times in clock.items():
                start = time.perf_counter()
                job(threads)
                times.append(time.perf_counter() - start)
        single, double = (min(clock[n]) for n in (1, 2))
        result.append({"job": name, "one": single, "two": double, "scaling": single / double})
    return {"measured": True, "quality": quality, "jobs": result}


def memory() -> Json:
    """Peaks over what the process held before, as multiples of the raw picture."""
    width, height = MEMORY_SIZES
    rows = []
    for quality in (0, 5):
        peak = peaks(width, height, quality)
        rows.append(
            {
                "quality": quality,
                "encode": peak.encode / peak.raw,
                "file": peak.file / peak.raw,
                "decode": peak.decode / peak.raw,
            }
        )
    return {"width": width, "height": height, "rows": rows}
