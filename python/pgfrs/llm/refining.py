"""Going back: what a stream that is already shown lacks most, for a model that refines it while people look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pgfrs._pgfrs import wanted_segments

__all__ = ["Prompt", "what_next"]


@dataclass(frozen=True)
class Prompt:
    """A segment that a stream lacks, as the beginning of what a model is to write.

    Attributes:
        prompt: the stream, and marker and address of the segment: the model goes on from here to the next marker.
        head: marker and address alone.
        group: the channel group: 0 the first channel, 1 the colour differences, 2 the fourth.
        index: the block in its group.
        levels: (coarsest, finest) level of the block; 1 is the finest of all.
        plane: the plane, 0 the lowest.
        first: whether it is the first of its block; the plane is then a guess from other blocks.
        region: (left, top, right, bottom) of the pixels that it bears on.
        gain: expected fall of the squared error, summed over all samples.
        size: expected bytes, marker and address included.
    """

    prompt: bytes
    head: bytes
    group: int
    index: int
    levels: tuple[int, int]
    plane: int
    first: bool
    region: tuple[int, int, int, int]
    gain: float
    size: int


def what_next(data: Any, budget: int) -> list[Prompt]:
    """The segments that would help a stream most, one plane each, the best first.

    The picture itself is not known here; what a plane gains is expected from the planes that are there, and valued as
    the writer's order of segments values it: squared error in the pixels per byte.

    Args:
        data: any beginning of a stream, or what a model wrote. A last segment that is cut is left out of the prompts
            and asked for again.
        budget: bytes to spend, marker and addresses included; as many segments are named as are expected to fit.

    Returns:
        Of one block, planes come in the order in which they must follow each other. A segment that is written to the
        end can be appended to ``data`` (without its cut end) in any order of blocks.

    Raises:
        TruncatedError: no header is there.
        ValueError: a negative budget.
    """
    if budget < 0:
        raise ValueError(f"budget={budget}: 0 is the least")
    found, whole = wanted_segments(data, budget)
    stream = bytes(memoryview(data)[:whole])
    return [
        Prompt(
            stream + wanted.head,
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
