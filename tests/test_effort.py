"""Work grows no faster than the data, sound or hostile: four times the data take about four times as long."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest

import pgfrs

#: Of four times the data; what grows with the square takes sixteen times as long.
MOST_TIMES = 9


def seconds(work: Callable[[], object]) -> float:
    """The least of five runs: what others do on the machine only adds."""
    found = []
    for _ in range(5):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def opening() -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    stream = pgfrs.encode(image, format="pgfr")
    return stream[: min(s.start for s in pgfrs.segments(stream) if s.kind == "planes")]


def segment(first: bool, plane: int, content: bytes) -> bytes:
    """A segment of block 0 of :func:`opening`, of one plane."""
    return bytes([0xFF, 0x0F + 48 * first + plane, 0]) + content


def thin(count: int) -> bytes:
    """A picture of four columns, whose base is a quarter of its samples."""
    return pgfrs.encode(np.random.default_rng(1).integers(0, 256, (count, 4), dtype=np.uint8), format="pgfr")


def beginnings(count: int) -> bytes:
    """A block with many beginnings that nothing goes on from, and as many segments that go on from none."""
    return opening() + count * segment(True, 9, b"\0") + count * segment(False, 3, b"\0")


def damaged_beginnings(count: int) -> bytes:
    return opening() + count * segment(True, 9, b"\5\7") + count * segment(False, 3, b"\5\7")


def headers(count: int) -> bytes:
    """Many headers of different pictures."""
    whole = opening()[:12]
    found = set()
    out = bytearray()
    for number in range(count):
        piece = bytearray(whole)
        # Width and height, of which the lower seven bits come last.
        piece[5], piece[6], piece[7] = 8 + number % 100, number // 10000, 8 + number // 100 % 100
        piece[-1] = sum(piece[2:-1]) & 127
        found.add(bytes(piece))
        out += piece
    assert len(found) == count and all(pgfrs.read_info(header).height >= 8 for header in list(found)[:50])
    return bytes(out)


def look(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pgfrs.DamageWarning)
        try:
            pgfrs.decode_with_report(data)
        except pgfrs.PgfError:
            pgfrs.check(data)


def feed(data: bytes) -> None:
    decoder = pgfrs.ProgressiveDecoder()
    for start in range(0, len(data), 64):
        decoder.feed(data[start : start + 64])


@pytest.mark.parametrize(
    ("make", "work", "count"),
    [
        (thin, look, 40000),
        (beginnings, look, 4000),
        (damaged_beginnings, look, 4000),
        (headers, look, 8000),
        (thin, feed, 200000),
        (lambda count: b"\xff" * count, feed, 200000),
    ],
    ids=["thin", "beginnings", "damaged beginnings", "headers", "feed", "feed without a header"],
)
def test_four_times_the_data(make: Callable[[int], bytes], work: Callable[[bytes], None], count: int) -> None:
    once, four = make(count), make(4 * count)
    assert 3.5 * len(once) < len(four) < 4.5 * len(once)
    work(once)  # what is done once in a process is not part of it
    short = seconds(lambda: work(once))
    long = seconds(lambda: work(four))
    print(f"{len(once):,} bytes {short:.4f} s, {len(four):,} bytes {long:.4f} s: {long / short:.1f} times")
    assert long < MOST_TIMES * max(short, 0.001)


def test_a_claim_of_few_bytes_takes_no_memory_before_it_is_refused() -> None:
    """A picture of one column has a base as large as itself."""

    def header(height: int) -> bytes:
        number = [height >> shift & 127 for shift in (28, 21, 14, 7, 0)]
        fields = [1 | 8, 1, 0, 0, 0, 0, 1, *number, 0, 0, 0x7F]
        return bytes([0xFF, 1, *fields, sum(fields) & 127])

    data = header(4_000_000)
    assert pgfrs.read_info(data).height == 4_000_000
    with pytest.raises(pgfrs.LimitsError, match=r"bytes: \d+ is over the limit of 1048576"):
        pgfrs.decode(data, limits=pgfrs.Limits(max_bytes=1 << 20))
