"""Pictures as tiles of levels, for pan and zoom."""

from __future__ import annotations

import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pgfrs
from pgfrs.lazy import LazyImage
from pgfrs.viewer.server import Answer, Changed, NotThere, Query, Viewer

__all__ = ["TILE", "TiledPictures", "is_local", "to_png", "version_of"]

TILE = 256
"""Pixels of a tile's side, at its level."""

_AS_THEY_ARE = {"gray", "rgb", "rgba"}


def is_local(address: str) -> bool:
    """Whether an address is a file of this machine, as :func:`pgfrs.open` sees it."""
    return "://" not in address and "::" not in address


def version_of(path: str | os.PathLike[str]) -> str:
    """What changes whenever a file does.

    Raises:
        OSError: it is not there.
    """
    status = os.stat(path)
    return f"{status.st_dev:x}.{status.st_ino:x}.{status.st_size:x}.{status.st_mtime_ns:x}.{status.st_ctime_ns:x}"


class TiledPictures:
    """Opened pictures and the routes by which the page gets them.

    ``pictures`` is a list of them, ``pictures/N/tile?level=K&column=X&row=Y`` a tile as PNG. A file that has changed is
    opened again; the header ``Pgfrs-Version`` of a tile is that of the list which describes the picture it is of.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._sources = [_Source(address) for address in addresses]

    @property
    def pictures(self) -> list[LazyImage]:
        """The pictures as they were last opened."""
        return [source.opened.picture for source in self._sources]

    def add_to(self, viewer: Viewer) -> None:
        """Make these a part of a page."""
        viewer.route("/pictures", self._list)
        viewer.route(r"/pictures/(\d+)/tile", self._tile)
        viewer.script("tiles.js")

    def _list(self, _: Sequence[str], __: Query) -> Answer:
        return Answer.of_json({"tile": TILE, "pictures": [self._describe(source) for source in self._sources]})

    def _describe(self, source: _Source) -> dict[str, Any]:
        # Where a file has no header any more, what it was is still known, and tiles say what is wrong.
        with source.use(or_what_it_was=True) as opened:
            picture = opened.picture
            info = picture.info
            return {
                "name": source.address,
                "local": is_local(source.address),
                "version": opened.version,
                "format": info.format,
                "mode": info.mode,
                "quality": info.quality,
                "roi": info.roi,
                "bytes": picture.size,
                "levels": picture.levels,
            }

    def _tile(self, groups: tuple[str, ...], query: Query) -> Answer:
        number = int(groups[0])
        if number >= len(self._sources):
            raise NotThere(f"picture {number}")
        level, column, row = (int(query[name]) for name in ("level", "column", "row"))
        with self._sources[number].use() as opened:
            picture = opened.picture
            if not 0 <= level < len(picture.levels):
                raise ValueError(f"level={level}: the picture has levels 0 to {len(picture.levels) - 1}")
            side = TILE << level
            left, top = column * side, row * side
            width, height = picture.levels[0]
            if not (0 <= left < width and 0 <= top < height):
                raise ValueError(f"column={column}, row={row}: no tile of level {level} is there")
            region = (left, top, min(left + side, width), min(top + side, height))
            png = to_png(_displayable(picture, level, region))
            return Answer(png, "image/png", {"Pgfrs-Version": opened.version})


@dataclass
class _Opened:
    picture: LazyImage
    version: str
    users: int = 0


class _Source:
    """A picture that is opened again when its file has changed."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._lock = threading.Lock()
        self.opened = self._open(self._version())

    @contextmanager
    def use(self, *, or_what_it_was: bool = False) -> Iterator[_Opened]:
        """The picture as its file is now; it stays open meanwhile.

        A file that is gone is still there for who has opened it.

        Raises:
            Changed: the file is another one and cannot be opened, unless ``or_what_it_was`` is wanted then.
        """
        with self._lock:
            try:
                self._renew()
            except (pgfrs.PgfError, OSError) as error:
                if not or_what_it_was:
                    raise Changed(f"{self.address} has changed: {error}") from error
            opened = self.opened
            opened.users += 1
        try:
            yield opened
        finally:
            with self._lock:
                opened.users -= 1
                self._close_unless_needed(opened)

    def _version(self) -> str:
        return version_of(self.address) if is_local(self.address) else ""

    def _open(self, version: str) -> _Opened:
        return _Opened(pgfrs.open(self.address), version)

    def _renew(self) -> None:
        try:
            version = self._version()
        except FileNotFoundError:
            return
        if version != self.opened.version:
            before, self.opened = self.opened, self._open(version)
            self._close_unless_needed(before)

    def _close_unless_needed(self, opened: _Opened) -> None:
        if opened is not self.opened and not opened.users:
            opened.picture.close()


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
