"""The token payload of gray `.pgfr` streams read in Python: which coefficient becomes significant in which plane.

Slow and for looking on only; the names and rules are those of sections 1, 2 and 6 of docs/format-pgfr.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import pgfrs

BANDS = ("HL", "LH", "HH")
#: The mode of gray pictures in PGF.
GRAY = 1


@dataclass
class Part:
    """The rectangle of a band that a block covers; ``weight`` is that of its bit 0."""

    band: str
    level: int
    top: int
    left: int
    height: int
    width: int
    weight: int


@dataclass
class Block:
    """A block and what the stream tells of it.

    Attributes:
        parts: its parts, in the order of the format.
        found: for every coefficient, part after part, the plane in which it becomes significant, -1 for never; int8.
        planes: the planes that the stream holds, from the highest down.
        starts: for each of them where its segment begins in the stream.
        refined: how many refinement bits each of them holds.
    """

    parts: list[Part]
    found: NDArray[np.int8]
    planes: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    refined: list[int] = field(default_factory=list)

    @property
    def least(self) -> int:
        """The weight of plane 0."""
        return min(part.weight for part in self.parts)


def blocks(stream: bytes) -> list[Block]:
    """The blocks of a gray stream with token payload, by their index.

    Raises:
        ValueError: the picture is not gray, deep or large, or a segment does not fit its planes.
    """
    kind, mode, *sides, a, b = stream[2:10]
    if kind & 0x38 != 0x20 or mode & 31 != GRAY:
        raise ValueError("small gray pictures with token payload only")
    width, height = sides[0] << 7 | sides[1], sides[2] << 7 | sides[3]
    found = _layout(width, height, 1 + (mode >> 5), a >> 2, (a & 3) << 3 | b >> 4, bare=bool(kind & 0x40))
    for segment in pgfrs.segments(stream):
        if segment.kind == "planes":
            kind, highest = divmod(stream[segment.start + 1] - 0x0F, 48)
            count = (1, 1, 2, 3, 2)[kind]
            block = found[stream[segment.start + 2]]
            content, at = stream[segment.start + 3 : segment.end], 0
            for plane in range(highest, highest - count, -1):
                at = _plane(block, plane, content, at)
                block.planes.append(plane)
                block.starts.append(segment.start)
            if at != len(content):
                raise ValueError(f"{len(content) - at} bytes too many at {segment.start}")
    return found


def _layout(width: int, height: int, exponent: int, levels: int, quality: int, *, bare: bool) -> list[Block]:
    deepest = levels
    while (10 if bare else 5) * 2**deepest <= min(width, height):
        deepest += 1
    sizes = [(height, width)]
    for _ in range(deepest):
        sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))

    def side(level: int) -> int:
        return min(32, 2 ** (exponent + deepest - level))

    def shift(band: str, level: int) -> int:
        if levels == 0:
            return 0
        less = {"LL": 1, "HL": 0, "LH": 0, "HH": -1}[band]
        return max(0, quality - (level + less)) if level <= levels else max(0, quality - (levels + 1))

    def part(band: str, level: int, row: int, column: int) -> Part:
        rows, columns = sizes[level - 1] if band != "LL" else sizes[level]
        if band != "LL":
            rows = rows // 2 if band in ("LH", "HH") else (rows + 1) // 2
            columns = columns // 2 if band in ("HL", "HH") else (columns + 1) // 2
        top, left = row * side(level), column * side(level)
        weight = {"LL": deepest + 2, "HL": level + 1, "LH": level + 1, "HH": level}[band] + shift(band, level)
        return Part(band, level, top, left, min(side(level), rows - top), min(side(level), columns - left), weight)

    merged = deepest
    while merged >= 2 and deepest - merged < (1 if bare else 2) and side(merged - 1) < 32:
        merged -= 1
    found = []
    for first, last in [(deepest, max(merged, 1)), *((level, level) for level in range(merged - 1, 0, -1))]:
        rows, columns = (-(-length // side(first)) for length in sizes[first])
        for row in range(rows):
            for column in range(columns):
                parts = [part("LL", first, row, column)] if first == deepest else []
                parts += [part(b, level, row, column) for level in range(first, last - 1, -1) for b in BANDS]
                size = sum(max(0, p.height) * max(0, p.width) for p in parts)
                found.append(Block(parts, np.full(size, -1, np.int8)))
    return found


def _plane(block: Block, plane: int, content: bytes, at: int) -> int:
    """Read one plane; returns where the next begins."""
    active = np.concatenate(
        [np.full(max(0, p.height) * max(0, p.width), p.weight - block.least <= plane) for p in block.parts]
    )
    open_places = np.flatnonzero(active & (block.found < 0))
    before = int((active & (block.found >= 0)).sum())
    place = 0
    while True:
        if at >= len(content):
            raise ValueError("a plane ends early")
        byte = content[at]
        at += 1
        if byte >= 0xF9:
            break
        if byte == 0xF8:
            place += 88
        elif byte < 0xB0:
            place += byte >> 1
            block.found[open_places[place]] = plane
            place += 1
        elif byte < 0xF8:
            zeros, between = divmod(byte - 0xB0 >> 2, 3)
            place += zeros
            block.found[open_places[place]] = plane
            place += 1 + between
            block.found[open_places[place]] = plane
            place += 1
        else:
            raise ValueError(f"byte {byte:02X}")
    block.refined.append(before)
    return at + -(-before // 7)
