"""Streams byte by byte: the picture of any beginning of a ``.pgfr`` file, damaged at will, also while it grows."""

from __future__ import annotations

import base64
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pgfrs
from pgfrs.viewer.server import Answer, Changed, NotThere, Query, Viewer
from pgfrs.viewer.tiles import is_local, to_png, version_of

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

    Files grow, and are written anew. All three take ``have=H``, where H is the header ``Pgfrs-Have`` of the answer with
    which the last bytes came: the length of what the page has and its CRC-32. If the file still begins with that, the
    bytes behind it are given, and segments and state of no more than it; if not, all bytes, and status 409 for the
    others. ``Pgfrs-From`` is where the bytes of an answer begin.

    Args:
        addresses: of all pictures of the page; those elsewhere or in another format have no bytes here.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._paths = [Path(address) if is_local(address) else None for address in addresses]
        self._kept: tuple[tuple[int, str], _Contents] | None = None

    def add_to(self, viewer: Viewer) -> None:
        """Make these a part of a page; before the part that shows everything else."""
        viewer.route(r"/streams/(\d+)", self._bytes)
        viewer.route(r"/streams/(\d+)/segments", self._segments)
        viewer.route(r"/streams/(\d+)/state", self._state)
        viewer.script("streams.js")

    def _read(self, groups: Sequence[str]) -> _Contents:
        number = int(groups[0])
        path = self._paths[number] if number < len(self._paths) else None
        if path is None:
            raise NotThere(f"stream {number}")
        try:
            # A file that is being written changes.
            key = (number, version_of(path))
            kept = self._kept
            if kept is None or kept[0] != key:
                kept = self._kept = (key, _Contents(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotThere(path) from None
        return kept[1]

    def _bytes(self, groups: Sequence[str], query: Query) -> Answer:
        start = int(query.get("from", "0"))
        if start < 0:
            raise ValueError(f"from={start}: 0 is the least")
        contents = self._read(groups)
        if "have" in query:
            start = contents.beginning(query["have"]) or 0
        headers = {"Pgfrs-From": str(start), "Pgfrs-Have": contents.name(len(contents.data))}
        return Answer(contents.data[start:], "application/octet-stream", headers)

    def _read_what_is_had(self, groups: Sequence[str], query: Query) -> bytes:
        contents = self._read(groups)
        if "have" not in query:
            return contents.data
        length = contents.beginning(query["have"])
        if length is None:
            raise Changed(f"stream {groups[0]} has been written anew")
        return contents.data[:length]

    def _segments(self, groups: Sequence[str], query: Query) -> Answer:
        data = self._read_what_is_had(groups, query)
        try:
            found = pgfrs.segments(data)
        except pgfrs.TruncatedError:
            found = []
        return Answer.of_json([[s.start, s.end, s.kind, s.group, s.levels[1] if s.levels else None] for s in found])

    def _state(self, groups: Sequence[str], query: Query) -> Answer:
        data = self._read_what_is_had(groups, query)
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


class _Contents:
    """The bytes of a file, and names for its beginnings."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._names: dict[int, str] = {}

    def name(self, length: int) -> str:
        """What a page says that has the first bytes."""
        if length not in self._names:
            self._names[length] = f"{length}.{zlib.crc32(memoryview(self.data)[:length]):x}"
        return self._names[length]

    def beginning(self, name: str) -> int | None:
        """The length of what a page has, ``None`` if this does not begin with it.

        Raises:
            ValueError: nothing is named like that.
        """
        match = re.fullmatch(r"([0-9]{1,18})\.[0-9a-f]{1,8}", name)
        if match is None:
            raise ValueError(f"have={name}: a length and a CRC-32 are needed")
        length = int(match[1])
        return length if length <= len(self.data) and name == self.name(length) else None


def _describe(data: bytes) -> dict[str, Any]:
    try:
        info = pgfrs.read_info(data)
    except pgfrs.PgfError:
        return {"picture": None, "words": "no header in these bytes"}
    if info.format != "pgfr":
        return {"picture": None, "words": f"these bytes are no stream: .{info.format}"}
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
