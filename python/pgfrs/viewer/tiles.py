"""Pictures as tiles of levels, for pan and zoom."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pgfrs
from pgfrs.lazy import LazyImage
from pgfrs.viewer.server import Answer, NotThere, Query, Viewer

__all__ = ["TILE", "TiledPictures", "is_local", "to_png"]

TILE = 256
"""Pixels of a tile's side, at its level."""

_AS_THEY_ARE = {"gray", "rgb", "rgba"}


def is_local(address: str) -> bool:
    """Whether an address is a file of this machine, as :func:`pgfrs.open` sees it."""
    return "://" not in address and "::" not in address


class TiledPictures:
    """Opened pictures and the routes by which the page gets them.

    ``pictures`` is a list of them, ``pictures/N/tile?level=K&column=X&row=Y`` a tile as PNG.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self.pictures = [pgfrs.open(address) for address in addresses]
        self._names = list(addresses)

    def add_to(self, viewer: Viewer) -> None:
        """Make these a part of a page."""
        viewer.route("/pictures", self._list)
        viewer.route(r"/pictures/(\d+)/tile", self._tile)
        viewer.script("tiles.js")

    def _list(self, _: Sequence[str], __: Query) -> Answer:
        return Answer.of_json({"tile": TILE, "pictures": [self._describe(i) for i in range(len(self.pictures))]})

    def _describe(self, number: int) -> dict[str, Any]:
        picture = self.pictures[number]
        info = picture.info
        return {
            "name": self._names[number],
            "format": info.format,
            "mode": info.mode,
            "quality": info.quality,
            "roi": info.roi,
            "bytes": picture.size,
            "levels": picture.levels,
        }

    def _tile(self, groups: tuple[str, ...], query: Query) -> Answer:
        number = int(groups[0])
        if number >= len(self.pictures):
            raise NotThere(f"picture {number}")
        picture = self.pictures[number]
        level, column, row = (int(query[name]) for name in ("level", "column", "row"))
        if not 0 <= level < len(picture.levels):
            raise ValueError(f"level={level}: the picture has levels 0 to {len(picture.levels) - 1}")
        side = TILE << level
        left, top = column * side, row * side
        width, height = picture.levels[0]
        if not (0 <= left < width and 0 <= top < height):
            raise ValueError(f"column={column}, row={row}: no tile of level {level} is there")
        region = (left, top, min(left + side, width), min(top + side, height))
        return Answer(to_png(_displayable(picture, level, region)), "image/png")


def _displayable(picture: LazyImage, level: int, region: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Pixels that a browser can show: uint8 of shape (H, W), (H, W, 3) or (H, W, 4)."""
    mode = picture.info.mode
    with warnings.catch_warnings():
        # What damage leaves is shown; the page is no place for warnings.
        warnings.simplefilter("ignore", pgfrs.DamageWarning)
        if mode == "bitmap":
            return picture.read(level=level, region=region).astype(np.uint8) * 255
        wanted = None if mode in _AS_THEY_ARE else "gray" if picture.info.channels == 1 and mode != "indexed" else "rgb"
        return picture.read(level=level, region=region, mode=wanted)


def to_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of uint8 pixels of shape (H, W), (H, W, 3) or (H, W, 4), compressed in haste."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    kind = {1: 0, 3: 2, 4: 6}[channels]
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # every row begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    packed = zlib.compress(rows.tobytes(), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
