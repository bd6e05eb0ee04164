"""Binary portable bitmaps, graymaps and pixmaps (P4, P5, P6) at their full depth.

Pillow reduces 16-bit pixmaps to 8 bits, so these formats are read and written here.
"""

from __future__ import annotations

import re

import numpy as np

from pgfrs.raster._model import Pixels, Raster, RasterError

_SPACE = rb"(?:[ \t\r\n]|#[^\n]*\n)+"
_HEADERS = {
    kind: re.compile(magic + _SPACE + _SPACE.join([rb"(\d+)"] * fields) + rb"[ \t\r\n]")
    for kind, magic, fields in (("bitmap", b"P4", 2), ("gray", b"P5", 3), ("rgb", b"P6", 3))
}


def is_pnm(data: bytes) -> bool:
    """Whether ``data`` starts like a binary portable bitmap, graymap or pixmap."""
    return data[:2] in (b"P4", b"P5", b"P6")


def read_pnm(data: bytes) -> Raster:
    """Read a P4, P5 or P6 file; samples are scaled to the whole range of 8 or 16 bits."""
    for kind, header in _HEADERS.items():
        if match := header.match(data):
            numbers = [int(group) for group in match.groups()]
            return _read_body(kind, numbers, memoryview(data)[match.end() :])
    raise RasterError("the header of this portable pixmap is damaged")


def _read_body(kind: str, numbers: list[int], body: memoryview) -> Raster:
    width, height, *rest = numbers
    if kind == "bitmap":
        packed = _samples(body, np.dtype(np.uint8), (height, (width + 7) // 8))
        # In a portable bitmap 1 is black; everywhere else in this package True is white.
        return Raster(np.unpackbits(packed, axis=1)[:, :width] == 0, "bitmap")
    (maxval,) = rest
    if not 1 <= maxval <= 65535:
        raise RasterError(f"maxval is {maxval}; it must be 1 to 65535")
    shape = (height, width) if kind == "gray" else (height, width, 3)
    deep = maxval > 255
    top = 65535 if deep else 255
    samples = _samples(body, np.dtype(">u2" if deep else "u1"), shape)
    if samples.size and int(samples.max()) > maxval:
        raise RasterError(f"a sample is {samples.max()}, above maxval {maxval}")
    if maxval != top:
        samples = (samples.astype(np.uint32) * top + maxval // 2) // maxval
    mode = {("gray", True): "gray16", ("rgb", True): "rgb48"}.get((kind, deep), kind)
    return Raster(samples.astype(np.uint16 if deep else np.uint8), mode)


def _samples(body: memoryview, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> Pixels:
    count = int(np.prod(shape, dtype=np.int64))
    if len(body) < count * dtype.itemsize:
        raise RasterError(f"the pixels need {count * dtype.itemsize} bytes, but only {len(body)} are there")
    return np.frombuffer(body, dtype, count).reshape(shape)


def write_pnm(raster: Raster) -> bytes:
    """Write a bitmap as P4, gray and gray16 as P5, rgb and rgb48 as P6."""
    height, width = raster.pixels.shape[:2]
    if raster.mode == "bitmap":
        return b"P4\n%d %d\n" % (width, height) + np.packbits(~raster.pixels.astype(bool), axis=1).tobytes()
    magic = b"P5" if raster.mode in ("gray", "gray16") else b"P6"
    maxval = 65535 if raster.pixels.dtype == np.uint16 else 255
    body = raster.pixels.astype(">u2" if maxval == 65535 else "u1").tobytes()
    return b"%s\n%d %d\n%d\n" % (magic, width, height, maxval) + body
