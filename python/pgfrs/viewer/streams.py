"""Streams byte by byte: the picture of any beginning of a ``.pgfr`` file, damaged at will, also while it grows."""

from __future__ import annotations

import base64
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pgfrs
from pgfrs.viewer.server import Answer, NotThere, Query, Viewer
from pgfrs.viewer.tiles import to_png

__all__ = ["Streams"]

MOST_PIXELS = 1 << 20
"""Larger pictures are shown at a coarser level."""

_SHOWN_MODES = {"gray", "rgb", "rgba"}
_DAMAGED = 0x5A
"""What a click changes in a byte."""


class Streams:
    """Files that the page goes along byte by byte, numbered as the pictures of the page are.

    ``streams/N?from=K`` is the bytes from K on, ``streams/N/segments`` what they are,
    ``streams/N/state?bytes=K&damage=A.B`` the picture of the first K bytes with bytes A and B changed, as JSON with
    the picture as PNG, the segment that ends there and the confidence map.

    Args:
        addresses: of all pictures of the page; those elsewhere or in another format have no bytes here.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._paths = [Path(address) for address in addresses]
        self._kept: tuple[tuple[int, int, int], bytes] | None = None

    def add_to(self, viewer: Viewer) -> None:
        """Make these a part of a page; before the part that shows everything else."""
        viewer.route(r"/streams/(\d+)", self._bytes)
        viewer.route(r"/streams/(\d+)/segments", self._segments)
        viewer.route(r"/streams/(\d+)/state", self._state)
        viewer.script("streams.js")

    def _read(self, groups: Sequence[str]) -> bytes:
        number = int(groups[0])
        if number >= len(self._paths) or not self._paths[number].is_file():
            raise NotThere(f"stream {number}")
        # A file that is being written changes.
        status = os.stat(self._paths[number])
        key = (number, status.st_size, status.st_mtime_ns)
        if self._kept is None or self._kept[0] != key:
            self._kept = (key, self._paths[number].read_bytes())
        return self._kept[1]

    def _bytes(self, groups: Sequence[str], query: Query) -> Answer:
        start = int(query.get("from", "0"))
        if start < 0:
            raise ValueError(f"from={start}: 0 is the least")
        return Answer(self._read(groups)[start:], "application/octet-stream")

    def _segments(self, groups: Sequence[str], _: Query) -> Answer:
        data = self._read(groups)
        try:
            found = pgfrs.segments(data)
        except pgfrs.TruncatedError:
            found = []
        return Answer.of_json([[s.start, s.end, s.kind, s.group, s.levels[1] if s.levels else None] for s in found])

    def _state(self, groups: Sequence[str], query: Query) -> Answer:
        data = self._read(groups)
        count = min(int(query.get("bytes", len(data))), len(data))
        if count < 0:
            raise ValueError(f"bytes={count}: 0 is the least")
        shown = bytearray(data[:count])
        for place in filter(None, query.get("damage", "").split(".")):
            if int(place) < 0:
                raise ValueError(f"damage={place}: 0 is the first byte")
            if int(place) < count:
                shown[int(place)] ^= _DAMAGED
        return Answer.of_json({"bytes": count, **_describe(bytes(shown))})


def _describe(data: bytes) -> dict[str, Any]:
    try:
        info = pgfrs.read_info(data)
    except pgfrs.PgfError:
        return {"picture": None, "words": "no header in these bytes"}
    level = 0
    while info.width * info.height >> 2 * level > MOST_PIXELS and level < info.levels:
        level += 1
    mode = None if info.mode in _SHOWN_MODES else "gray" if info.channels == 1 and info.mode != "indexed" else "rgb"
    with warnings.catch_warnings():
        # What damage leaves is shown; the page is no place for warnings.
        warnings.simplefilter("ignore", pgfrs.DamageWarning)
        if info.mode == "bitmap":
            pixels, report = pgfrs.decode_with_report(data, level=level)
            pixels = pixels.astype(np.uint8) * 255
        else:
            pixels, report = pgfrs.decode_with_report(data, level=level, mode=mode)
        found = pgfrs.segments(data)
    segment = found[-1] if found else None
    return {
        "picture": base64.b64encode(to_png(pixels)).decode(),
        "width": info.width,
        "height": info.height,
        "segment": segment and _segment(segment),
        "fates": report.segments,
        "damage": [[span.start, span.end, span.message] for span in report.damage],
        "confidence": _confidence(report.confidence).tolist(),
    }


def _segment(segment: pgfrs.Segment) -> dict[str, Any]:
    out: dict[str, Any] = {"start": segment.start, "end": segment.end, "kind": segment.kind, "group": segment.group}
    if segment.kind == "planes":
        assert segment.plane is not None and segment.count is not None
        out |= {
            "index": segment.index,
            "levels": segment.levels,
            "planes": [segment.plane, segment.plane + 1 - segment.count],
            "first": segment.first,
            "region": segment.region,
            "fate": segment.fate,
        }
    return out


def _confidence(missing: NDArray[np.uint8] | None) -> NDArray[np.float64]:
    """How much is known of every tile, 0 to 1, shape (rows, columns).

    The mean over the levels, a missing plane being an eighth.
    """
    if missing is None or not len(missing):
        return np.ones((1, 1))
    known: NDArray[np.float64] = 1 - np.minimum(missing, 8).mean(axis=0) / 8
    return known.round(3)
