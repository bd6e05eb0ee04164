"""The encodings that are compared, at equal PSNR: that of JPEG at quality 25, picture by picture.

``packed`` and ``tokens`` are the very same coefficients in both payloads of `.pgfr`. ``flat``, ``chunks`` and
``levels`` are changes to ``tokens`` that a model might find easier. ``pnm`` is a smaller picture, for scale only.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pgfrs
from pgfrs.llm import jpeg

ENCODINGS = ("jpeg", "pgf", "packed", "tokens", "pnm")
CHANGES = ("levels", "flat", "chunks")
QUALITIES = range(3, 11)
SMALL = 8
#: Ends the name of an encoding whose model is told where its bytes stand (where.py).
TOLD = "-told"
#: Damaged headers may claim anything.
LIMITS = pgfrs.Limits(max_pixels=1 << 16)
Pixels = NDArray[np.uint8]


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over all samples; 99 for equal pictures."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def _nearest(candidates: list[tuple[int, float, bytes]], target: float) -> bytes:
    """Of streams with (bytes, PSNR), of those that no other beats in both, the one nearest to the target."""
    efficient, best = [], -np.inf
    for size, quality, stream in sorted(candidates, key=lambda c: (c[0], -c[1])):
        if quality > best:
            best = quality
            efficient.append((abs(quality - target), size, stream))
    return min(efficient)[2]


def _pgf(pixels: Pixels, target: float) -> bytes:
    candidates = []
    for quality in QUALITIES:
        stream = pgfrs.encode(pixels, quality=quality)
        candidates.append((len(stream), psnr(pgfrs.decode(stream), pixels), stream))
    for quality in (4,):
        low, high = 60, 1500
        while low < high:
            middle = (low + high) // 2
            stream = pgfrs.encode(pixels, quality=quality, max_bytes=middle)
            reached = psnr(pgfrs.decode(stream), pixels)
            candidates.append((len(stream), reached, stream))
            low, high = (low, middle) if reached >= target else (middle + 1, high)
    return _nearest(candidates, target)


def pgfr(
    pixels: Pixels, target: float | None = None, order: str = "best", qualities: Iterable[int] = QUALITIES
) -> bytes:
    """A packed stream that ends with the segment at which its PSNR is nearest to the target in dB, that of JPEG.

    Bare, as ``pgfrs convert --for-models`` writes streams.
    """
    if target is None:
        target = psnr(jpeg.decode(jpeg.encode(pixels)), pixels)
    candidates = []
    for quality in qualities:
        stream = pgfrs.encode(pixels, format="pgfr", quality=quality, order=order, bare=True)
        segments = pgfrs.segments(stream)
        for segment, after in itertools.zip_longest(segments, segments[1:]):
            if segment.kind == "planes" or after is None:
                part = stream[: segment.end]
                candidates.append((len(part), psnr(pgfrs.decode(part), pixels), part))
    return _nearest(candidates, target)


def encode(pixels: Pixels) -> dict[str, bytes]:
    """The picture in every encoding."""
    reference = jpeg.encode(pixels)
    target = psnr(jpeg.decode(reference), pixels)
    packed = pgfr(pixels, target)
    tokens = pgfrs.transcode(packed, "pgfr", payload="tokens")
    levels = pgfr(pixels, target, "levels")
    small = np.asarray(Image.fromarray(pixels).resize((SMALL, SMALL), Image.Resampling.BOX))
    return {
        "jpeg": reference,
        "pgf": _pgf(pixels, target),
        "packed": packed,
        "tokens": tokens,
        "pnm": (b"P5" if small.ndim == 2 else b"P6") + b"\n%d %d\n255\n" % (SMALL, SMALL) + small.tobytes(),
        "levels": pgfrs.transcode(levels, "pgfr", payload="tokens"),
        "flat": flatten(tokens),
        "chunks": within_chunks(tokens),
    }


def decode(name: str, stream: bytes, shape: tuple[int, ...]) -> Pixels:
    """Pixels of the given shape of whole, cut and damaged streams; raises ValueError where there is no such picture."""
    name = name.removesuffix(TOLD)
    if name == "jpeg":
        pixels = jpeg.decode(stream)
    elif name == "pnm":
        try:
            with Image.open(io.BytesIO(stream + bytes(3 * SMALL * SMALL))) as small:
                if small.size != (SMALL, SMALL):
                    raise ValueError(f"a picture of {small.size} where {SMALL} x {SMALL} was due")
                pixels = np.asarray(small.resize(shape[1::-1], Image.Resampling.BICUBIC))
        except OSError as error:
            raise ValueError(str(error)) from error
    else:
        try:
            pixels = pgfrs.decode_with_report(undone(name, stream), limits=LIMITS)[0]
        except pgfrs.PgfError as error:
            raise ValueError(str(error)) from error
    if pixels.shape != shape:
        raise ValueError(f"a picture of shape {pixels.shape} where {shape} was due")
    return pixels


def undone(name: str, stream: bytes) -> bytes:
    """The `.pgfr` stream of one that may be changed."""
    if name == "flat":
        return unflatten(stream)
    return from_chunks(stream) if name == "chunks" else stream


# The change "flat": the base in one piece a plane, row by row, each value as what its neighbours do not predict; the
# header once, no checks. Shorter and smoother, but a lost byte now harms all of the base.


def _places(height: int, width: int) -> list[tuple[int, int]]:
    """Row and column of the base values of a plane in the stream's order, section 5 of the format."""
    phases = ((0, 0), (1, 1), (0, 1), (1, 0))
    return [(y, x) for dy, dx in phases for y in range(dy, height, 2) for x in range(dx, width, 2)]


def _predict(grid: NDArray[np.int64], y: int, x: int) -> int:
    """The median of left, upper and left + upper - upper left."""
    if y == 0:
        return int(grid[0, x - 1]) if x else 128
    if x == 0:
        return int(grid[y - 1, 0])
    left, upper, corner = int(grid[y, x - 1]), int(grid[y - 1, x]), int(grid[y - 1, x - 1])
    return sorted((left, upper, max(0, min(254, left + upper - corner))))[1]


def flatten(stream: bytes) -> bytes:
    """A whole `.pgfr` stream of a square picture in the form above."""
    header, rest, values = b"", b"", {}
    for segment in pgfrs.segments(stream):
        piece = stream[segment.start : segment.end]
        if segment.kind == "picture":
            header = header or piece
        elif segment.kind == "base":
            values.setdefault(piece[1], {})[piece[2]] = piece[3:]
        else:
            rest += piece
    flat = header
    for code, chunks in sorted(values.items()):
        ordered = b"".join(chunks[number] for number in sorted(chunks))
        side = round(len(ordered) ** 0.5)
        grid = np.zeros((side, side), np.int64)
        for (y, x), value in zip(_places(side, side), ordered, strict=True):
            grid[y, x] = value
        residuals = [(int(grid[y, x]) - _predict(grid, y, x) + 127) % 255 for y in range(side) for x in range(side)]
        flat += bytes([0xFF, code, *residuals])
    return flat + rest


def unflatten(flat: bytes) -> bytes:
    """The `.pgfr` stream of a flat one, without repeats; of anything else, what can be made of it."""
    out, pieces = b"", flat.split(b"\xff")
    for piece in pieces[1:]:
        if piece and 2 <= piece[0] <= 9 and len(piece) > 1:
            residuals = piece[1:]
            side = max(1, int(len(residuals) ** 0.5 + 0.5))
            grid = np.full((side, side), 128, np.int64)
            for number, value in enumerate(residuals[: side * side]):
                y, x = divmod(number, side)
                grid[y, x] = (value + _predict(grid, y, x) - 127) % 255
            ordered = bytes(int(grid[y, x]) for y, x in _places(side, side))
            for start in range(0, len(ordered), 16):
                chunk = ordered[start : start + 16]
                out += bytes([0xFF, piece[0], start // 16]) + chunk
        else:
            out += b"\xff" + piece
    return out


# The change "chunks": each value of the base as the difference from the value of its own chunk that lies nearest, of
# those before it. A chunk still stands alone, but a wrong value makes those wrong that are told from it.


def _nearest_before(side: int, number: int, count: int) -> list[list[int]]:
    """For every value of a chunk the one or two earlier ones of the chunk that lie nearest; none for the first."""
    places = _places(side, side)[16 * number : 16 * number + count]
    found: list[list[int]] = []
    for place, (y, x) in enumerate(places):
        distances = [(y - v) ** 2 + (x - u) ** 2 for v, u in places[:place]]
        found.append([n for n, distance in enumerate(distances) if distance == min(distances)][:2])
    # Places beyond the picture, in damaged chunks: the value before.
    return found + [[n - 1] if n else [] for n in range(len(places), count)]


def _sides(stream: bytes) -> tuple[int, int]:
    """Base values a side of the first and of the other planes, by the header; 3 and 2 if damaged."""
    if len(stream) < 10 or stream[6] > 1 or not 20 <= (side := stream[6] << 7 | stream[7]) <= 255:
        return 3, 2
    quality, levels = (stream[8] & 3) << 3 | stream[9] >> 4, 0
    while 5 * 2**levels <= side:
        levels += 1
    return -(-side // 2**levels), -(-side // 2 ** (levels + (quality > 3)))


def _chunks(stream: bytes, change: Callable[[bytes, list[list[int]]], bytes]) -> bytes:
    """A stream with the values of all base chunks changed."""
    luma, chroma = _sides(stream)
    pieces = stream.split(b"\xff")
    for place, piece in enumerate(pieces[1:], 1):
        if len(piece) > 2 and 2 <= piece[0] <= 9:
            values = piece[2:]
            before = _nearest_before(luma if piece[0] == 2 else chroma, piece[1], len(values))
            pieces[place] = piece[:2] + change(values, before)
    return b"\xff".join(pieces)


def within_chunks(stream: bytes) -> bytes:
    """A `.pgfr` stream of a square picture with the base in the form above."""

    def change(values: bytes, before: list[list[int]]) -> bytes:
        return bytes((v - _told(values, b) + 127) % 255 for v, b in zip(values, before, strict=True))

    return _chunks(stream, change)


def from_chunks(stream: bytes) -> bytes:
    """The `.pgfr` stream of one whose base is told within chunks; of anything else, what can be made of it."""

    def change(values: bytes, before: list[list[int]]) -> bytes:
        out = bytearray()
        for value, nearest in zip(values, before, strict=True):
            out.append((value + _told(out, nearest) - 127) % 255)
        return bytes(out)

    return _chunks(stream, change)


def _told(values: bytes | bytearray, nearest: list[int]) -> int:
    return sum(values[n] for n in nearest) // len(nearest) if nearest else 128
