"""Going back: what a stream that is already shown lacks most, for a model that refines it while people look."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

import pgfrs
from pgfrs._pgfrs import Grammar, wanted_segments

__all__ = ["Prompt", "what_next"]


@dataclass(frozen=True)
class Prompt:
    """What a stream lacks, as the beginning of what a model is to write.

    Attributes:
        kind: ``"planes"`` for a segment of one plane, ``"opening"`` for the rest of a base that is not whole.
        stream: what the segment follows: the stream without a last piece that is cut; shared by all prompts of a call.
        head: marker and address of the segment; empty for the opening, which goes on from any byte.
        group: the channel group: 0 the first channel, 1 the colour differences, 2 the fourth.
        index: the block in its group.
        levels: (coarsest, finest) level of the block; 1 is the finest of all.
        plane: the plane, 0 the lowest.
        first: whether it is the first of its block; the plane is then a guess from other blocks.
        region: (left, top, right, bottom) of the pixels that it bears on.
        gain: expected fall of the squared error, summed over all samples; infinite for the opening.
        size: expected bytes, marker and address included.
    """

    kind: Literal["planes", "opening"]
    stream: bytes = field(repr=False)
    head: bytes
    group: int
    index: int
    levels: tuple[int, int]
    plane: int
    first: bool
    region: tuple[int, int, int, int]
    gain: float
    size: int

    @property
    def prompt(self) -> bytes:
        """The stream, and marker and address of the segment: the model goes on from here to the next marker."""
        return self.stream + self.head


def what_next(data: Any, budget: int, *, limits: pgfrs.Limits | None = None) -> list[Prompt]:
    """The segments that would help a stream most, one plane each, the best first.

    The picture itself is not known here; what a plane gains is expected from the planes that are there, and valued as
    the writer's order of segments values it: squared error in the pixels per byte.

    Args:
        data: any beginning of a stream, or what a model wrote. A last segment that is cut is left out of the prompts
            and asked for again.
        budget: bytes to spend, markers and addresses included. Segments are named until their expected bytes reach it,
            so that the last may go beyond it; none for 0.
        limits: bounds of the picture that the header may claim.

    Returns:
        Of one block, planes come in the order in which they must follow each other. A segment that is written to the
        end can be appended to ``stream`` in any order of blocks. Of a stream that ends before its base does, one prompt
        of kind ``"opening"``: nothing else can be used before it.

    Raises:
        FormatError: the data are no `.pgfr` stream.
        TruncatedError: no header is there.
        LimitsError: the header claims a picture beyond ``limits``.
        ValueError: a negative budget.
    """
    if budget < 0:
        raise ValueError(f"budget={budget}: 0 is the least")
    found, whole = wanted_segments(data, budget, limits=limits)
    view = memoryview(data).cast("B")
    if not found:
        return []
    if not any(segment.kind == "planes" for segment in pgfrs.segments(view)):
        rest = _rest_of_opening(view, limits)
        if rest is not None:
            return [rest]
    stream = bytes(view[:whole])
    return [
        Prompt(
            "planes",
            stream,
            wanted.head,
            wanted.group,
            wanted.index,
            wanted.levels,
            wanted.plane,
            wanted.first,
            wanted.region,
            wanted.gain,
            wanted.size,
        )
        for wanted in found
    ]


def _rest_of_opening(data: memoryview, limits: pgfrs.Limits | None) -> Prompt | None:
    """The prompt of a stream that holds no planes, if its base, or the check of its last values, is still to come."""
    state = Grammar(limits=limits)
    state.advance(data)
    if state.lost:
        return None  # damaged: to go on would not bring what is missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pgfrs.DamageWarning)
        report = pgfrs.decode_with_report(data, limits=limits)[1]
    known, total = report.base or (0, 0)
    if known == total and state.may_end:
        return None
    info = pgfrs.read_info(data)
    around = 3 if info.bare else 5  # marker, number and check of a chunk of 16 values (docs/format-pgfr.md section 3)
    size = total - known + around * -(-(total - known) // 16)
    levels, region = (info.levels, 1), (0, 0, info.width, info.height)
    return Prompt("opening", bytes(data), b"", 0, 0, levels, 0, True, region, math.inf, size)
