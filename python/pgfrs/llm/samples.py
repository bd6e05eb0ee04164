"""Training samples out of one stream, without encoding again; every function is pure and its choices follow a seed.

A sample is a row of parts: marks, and bytes that are given or to be learned. Marks become ids of the model
(:meth:`Sample.ids`) or, for models that have none to spare, bytes (:meth:`Sample.in_band`): ``FF FF`` and a letter,
which no `.pgfr` stream and no text in UTF-8 contains.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

import pgfrs
from pgfrs.damage import damage
from pgfrs.llm.ids import Ids, numbers_of

#: The letter of each mark in band, behind ``FF FF``.
IN_BAND = {
    "caption": b"C",
    "picture": b"I",
    "prefix": b"P",
    "suffix": b"S",
    "middle": b"M",
    "address": b"A",
    "damaged": b"D",
    "clean": b"R",
}
_MARK = re.compile(b"\xff\xff([" + b"".join(IN_BAND.values()) + b"])")
_NAMES = {letter: name for name, letter in IN_BAND.items()}
Order = Literal["psm", "spm"]


class Part(NamedTuple):
    """A mark (``str``, its name) or content (``bytes``), and whether the model is to predict it."""

    content: str | bytes
    learned: bool = True


@dataclass(frozen=True)
class Sample:
    """A training sample.

    Attributes:
        parts: in the order in which the model sees them; two contents never stand side by side.
    """

    parts: tuple[Part, ...]

    def ids(self, ids: Ids) -> NDArray[Any]:
        """All ids, ``bos`` and ``eos`` around where ``ids`` has them: array of shape (n,).

        Raises:
            KeyError: ``ids`` has no sentinel for a mark; :meth:`in_band` needs none.
        """
        return np.concatenate([values for values, _ in self._pieces(ids)])

    def learned(self, ids: Ids) -> NDArray[np.bool_]:
        """For every id whether its prediction counts: bool array of shape (n,). ``eos`` counts, ``bos`` does not."""
        return np.concatenate([np.full(len(values), counts) for values, counts in self._pieces(ids)])

    def _pieces(self, ids: Ids) -> list[tuple[NDArray[Any], bool]]:
        pieces = [
            (ids.mark(content) if isinstance(content, str) else ids.of_bytes(content), learned)
            for content, learned in self.parts
        ]
        if ids.bos is not None:
            pieces.insert(0, (ids.mark("bos"), False))
        if ids.eos is not None:
            pieces.append((ids.mark("eos"), True))
        return pieces or [(np.zeros(0, ids.dtype), False)]

    def in_band(self) -> bytes:
        """The sample with its marks in band.

        Raises:
            ValueError: a content holds what reads as a mark; no `.pgfr` stream does.
        """
        for content, _ in self.parts:
            if isinstance(content, bytes) and _MARK.search(content):
                raise ValueError("the bytes hold a mark; give the marks ids of their own")
        return b"".join(
            b"\xff\xff" + IN_BAND[content] if isinstance(content, str) else content for content, _ in self.parts
        )

    @classmethod
    def from_ids(cls, ids: Any, how: Ids) -> Sample:
        """What a model wrote, as parts; never raises.

        Anything that :func:`pgfrs.llm.from_ids` takes. Other ids than bytes and sentinels are left out.
        """
        values = numbers_of(ids)
        names = {number: name for name, number in how.sentinels.items() if name in IN_BAND}
        parts: list[Part] = []
        held = bytearray()
        for value in values.tolist():
            if value in names:
                parts += [Part(bytes(held)), Part(names[value])]
                held.clear()
            elif how.offset <= value < how.offset + 256:
                held.append(value - how.offset)
        parts.append(Part(bytes(held)))
        return cls(tuple(part for part in parts if part.content))

    @classmethod
    def from_bytes(cls, data: Any) -> Sample:
        """What a model wrote with marks in band, any buffer of bytes; no content is refused."""
        pieces = _MARK.split(bytes(memoryview(data)))
        parts = [Part(_NAMES[piece] if number % 2 else piece) for number, piece in enumerate(pieces)]
        return cls(tuple(part for part in parts if part.content))

    def section(self, name: str | None) -> bytes:
        """The content behind the mark of a name, or before all marks for ``None``; empty where there is none."""
        last: str | None = None
        for content, _ in self.parts:
            if isinstance(content, str):
                last = content
            elif last == name:
                return content
        return b""

    @property
    def caption(self) -> str:
        """The caption; bytes that are no UTF-8 become U+FFFD."""
        return self.section("caption").decode("utf-8", "replace")

    def stream(self) -> bytes:
        """The stream that the sample tells: middles put back between prefix and suffix, detail behind what was coarse,
        the clean one of two."""
        marks = {content for content, _ in self.parts if isinstance(content, str)}
        if "clean" in marks:
            return self.section("clean")
        if "address" in marks:
            return self.section("prefix") + self.section("middle")
        if "middle" in marks:
            return self.section("prefix") + self.section("middle") + self.section("suffix")
        if "prefix" in marks:
            return self.section("prefix") + self.section("suffix")
        return self.section("picture") if "picture" in marks else self.section(None)


def _sample(*parts: Part) -> Sample:
    return Sample(tuple(part for part in parts if part.content))


def full(stream: Any, *, caption: str | None = None, caption_first: bool = True) -> Sample:
    """The whole stream; with a caption before it (text to picture) or after it (picture to text). Both are learned.

    Args:
        stream: any buffer of bytes, here and in all functions of this module.
        caption, caption_first: the caption, if any, and whether it comes before the stream.
    """
    stream = bytes(memoryview(stream))
    if caption is None:
        return _sample(Part(stream))
    words = (Part("caption"), Part(caption.encode("utf-8", "replace")))
    picture = (Part("picture"), Part(stream))
    return _sample(*words, *picture) if caption_first else _sample(*picture, *words)


def cut(
    stream: Any, budget: int, *, whole: bool = True, caption: str | None = None, caption_first: bool = True
) -> Sample:
    """The first ``budget`` bytes; with ``whole``, up to the end of the last segment that fits (a `.pgfr` stream).

    ``caption`` and ``caption_first`` are those of :func:`full`.

    Raises:
        ValueError: ``budget`` is negative.
        FormatError: with ``whole``, the data are no `.pgfr` stream.
    """
    if budget < 0:
        raise ValueError(f"budget={budget}: 0 is the least")
    stream = bytes(memoryview(stream))
    if whole and budget < len(stream):
        budget = max((segment.end for segment in pgfrs.segments(stream) if segment.end <= budget), default=0)
    return full(stream[:budget], caption=caption, caption_first=caption_first)


def prefix_to_rest(stream: Any, seed: int) -> Sample:
    """A prefix that ends with a segment, given; the rest, learned. :meth:`Sample.stream` gives back the stream.

    Raises:
        ValueError: a negative seed.
        FormatError: the data are no `.pgfr` stream.
    """
    stream = bytes(memoryview(stream))
    ends = [segment.end for segment in pgfrs.segments(stream)][:-1]
    end = ends[_drawn(seed, len(ends))] if ends else 0
    return _sample(Part("prefix", False), Part(stream[:end], False), Part("suffix", False), Part(stream[end:]))


def fill_in_the_middle(stream: Any, seed: int, *, order: Order = "psm", least: int = 1) -> Sample:
    """A run of whole segments is to be told from what is before and after it.

    Args:
        stream: a `.pgfr` stream.
        seed: which run.
        order: ``"psm"`` (prefix, suffix, middle) or ``"spm"``.
        least: fewest segments of the middle, as far as the stream has so many.

    Returns:
        The sample; only the middle is learned. :meth:`Sample.stream` gives back the stream.

    Raises:
        ValueError: a negative seed, ``least`` below 1, or an unknown order.
        FormatError: the data are no `.pgfr` stream.
    """
    if least < 1:
        raise ValueError(f"least={least}: 1 is the least")
    stream = bytes(memoryview(stream))
    segments = [segment for segment in pgfrs.segments(stream) if segment.kind == "planes"]
    if not segments:
        return _ordered(order, stream, b"", b"")
    rng = _generator(seed)
    count = int(rng.integers(min(least, len(segments)), len(segments) + 1))
    first = int(rng.integers(0, len(segments) - count + 1))
    start, stop = segments[first].start, segments[first + count - 1].end
    return _ordered(order, stream[:start], stream[start:stop], stream[stop:])


def infill(stream: Any, seed: int, *, order: Order = "psm", block: tuple[int, int] | None = None) -> Sample:
    """All segments of one block are to be told from everything else: the detail of a tile that was removed.

    Args:
        stream: a `.pgfr` stream.
        seed: which block, among those that do not belong to the coarsest levels.
        order: ``"psm"`` or ``"spm"``.
        block: group and index of a block instead.

    Returns:
        The sample. :meth:`Sample.stream` gives a stream of the same segments, those of the block together; advisory
        checks behind its first, which would contradict, are left out.

    Raises:
        ValueError: a negative seed, an unknown order, or a block that the stream has nothing of.
        FormatError: the data are no `.pgfr` stream.
    """
    stream = bytes(memoryview(stream))
    chosen = _block(stream, seed, block)
    segments = pgfrs.segments(stream)
    inside = [segment for segment in segments if chosen is not None and _address(segment) == chosen]
    if not inside:
        return _ordered(order, stream, b"", b"")
    start = inside[0].start
    rest = b"".join(
        stream[segment.start : segment.end]
        for segment in segments
        if segment.start > start and _address(segment) != chosen and segment.kind != "check"
    )
    return _ordered(order, stream[:start], _joined(stream, inside), rest)


def zoom(stream: Any, seed: int, *, block: tuple[int, int] | None = None) -> Sample:
    """Everything coarser and the address of a tile, given; the detail there, learned.

    Args:
        stream: a `.pgfr` stream.
        seed: which block, among those that do not belong to the coarsest levels.
        block: its group and index instead.

    Returns:
        The sample; the address is the marker of the block's first segment. :meth:`Sample.stream` gives the stream of
        what is coarser with this one tile sharp, without advisory checks, which would contradict.

    Raises:
        ValueError: a negative seed, or a block that the stream has nothing of.
        FormatError: the data are no `.pgfr` stream.
    """
    stream = bytes(memoryview(stream))
    chosen = _block(stream, seed, block)
    segments = pgfrs.segments(stream)
    inside = [segment for segment in segments if chosen is not None and _address(segment) == chosen]
    level = max((_levels(segment)[0] for segment in inside), default=0)
    coarse = [s for s in segments if s.kind != "check" and (s.kind != "planes" or _levels(s)[1] > level > 0)]
    address = _marker(stream, inside[0], segments) if inside else b""
    return _sample(
        Part("prefix", False),
        Part(_joined(stream, coarse), False),
        Part("address", False),
        Part(address, False),
        Part("middle", False),
        Part(_joined(stream, inside)),
    )


def repair(stream: Any, seed: int, *, edits: int = 3, protect: int = 0) -> Sample:
    """A stream with ``edits`` wrong, lost or extra bytes behind the first ``protect``, given; the clean one, learned.

    Raises:
        ValueError: a negative seed, or the stream is shorter than what is protected and damaged.
    """
    rng = _generator(seed)
    hurt = stream = bytes(memoryview(stream))
    for _ in range(100):
        hurt = damage(stream, seed=int(rng.integers(2**31)), kind="mixed", edits=edits, protect=protect)
        if not _MARK.search(hurt):
            break
    return _sample(Part("damaged", False), Part(hurt, False), Part("clean", False), Part(stream))


def _ordered(order: Order, prefix: bytes, middle: bytes, suffix: bytes) -> Sample:
    before = (Part("prefix", False), Part(prefix, False))
    after = (Part("suffix", False), Part(suffix, False))
    if order not in ("psm", "spm"):
        raise ValueError(f"order {order!r}: 'psm' and 'spm' are possible")
    given = (*before, *after) if order == "psm" else (*after, *before)
    return _sample(*given, Part("middle", False), Part(middle))


def _generator(seed: int) -> np.random.Generator:
    seed = operator.index(seed)
    if seed < 0:
        raise ValueError(f"seed={seed}: 0 is the least")
    return np.random.default_rng(seed)


def _drawn(seed: int, count: int) -> int:
    return int(_generator(seed).integers(count))


def _address(segment: pgfrs.Segment) -> tuple[int, int] | None:
    if segment.group is None or segment.index is None:
        return None
    return segment.group, segment.index


def _levels(segment: pgfrs.Segment) -> tuple[int, int]:
    """(coarsest, finest) level, (0, 0) of what holds no planes."""
    return segment.levels or (0, 0)


def _block(stream: bytes, seed: int, named: tuple[int, int] | None) -> tuple[int, int] | None:
    levels = {
        address: _levels(segment)[0] for segment in pgfrs.segments(stream) if (address := _address(segment)) is not None
    }
    if named is not None:
        if named not in levels:
            raise ValueError(f"block={named}: the stream has nothing of it, but of {len(levels)} others")
        return named
    coarsest = max(levels.values(), default=0)
    blocks = sorted({address for address, level in levels.items() if level < coarsest} or levels)
    return blocks[_drawn(seed, len(blocks))] if blocks else None


def _joined(stream: bytes, segments: Iterable[pgfrs.Segment]) -> bytes:
    return b"".join(stream[segment.start : segment.end] for segment in segments)


def _marker(stream: bytes, segment: pgfrs.Segment, segments: Sequence[pgfrs.Segment]) -> bytes:
    """The marker, address and index of a segment of planes, sections 3 and 6 of the format."""
    planes = [other for other in segments if other.kind == "planes"]
    header = next((other.start for other in segments if other.kind == "picture"), 0)
    deep = stream[header + 2] >> 4 & 1
    for digits in (1, 2, 3):
        ends = 2 + deep + digits
        if all(_number(stream[s.start + 2 + deep : s.start + ends]) == s.index for s in planes):
            break
    return stream[segment.start : segment.start + ends]


def _number(digits: bytes) -> int:
    """A number written in base 255, the highest digit first."""
    value = 0
    for digit in digits:
        value = 255 * value + digit
    return value
