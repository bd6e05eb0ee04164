"""Pixels as libPGF hands them over, and as this package does.

libPGF's buffers are tight rows, top row first, samples little-endian, channels in the order B, G, R[, A];
section 4 of docs/format-pgf.md. This package returns arrays with channels in R, G, B, A order. The two functions here
convert between them for every mode that has pixels; planes (multichannel, duotone) are plain int32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mode:
    """One image mode: its number in the header, bits a pixel in libPGF's buffer, channels, and our dtype."""

    number: int
    bits_per_pixel: int
    channels: int
    dtype: str


MODES = {
    "bitmap": Mode(0, 1, 1, "bool"),
    "gray": Mode(1, 8, 1, "uint8"),
    "indexed": Mode(2, 8, 1, "uint8"),
    "rgb": Mode(3, 24, 3, "uint8"),
    "cmyk": Mode(4, 32, 4, "uint8"),
    "hsl": Mode(5, 24, 3, "uint8"),
    "hsb": Mode(6, 24, 3, "uint8"),
    "lab": Mode(9, 24, 3, "uint8"),
    "gray16": Mode(10, 16, 1, "uint16"),
    "rgb48": Mode(11, 48, 3, "uint16"),
    "lab48": Mode(12, 48, 3, "uint16"),
    "cmyk64": Mode(13, 64, 4, "uint16"),
    "rgba": Mode(17, 32, 4, "uint8"),
    "gray31": Mode(18, 32, 1, "uint32"),
    "rgb12": Mode(19, 12, 3, "uint8"),
    "rgb16": Mode(20, 16, 3, "uint8"),
}
PLANE_MODES = {"multichannel": 7, "duotone": 8, "deepmultichannel": 14, "duotone16": 15}
NAMES = {mode.number: name for name, mode in MODES.items()} | {n: name for name, n in PLANE_MODES.items()}

# our channel i is the buffer's channel ORDER[mode][i]; the other modes keep the buffer's order
ORDER = {"rgb": (2, 1, 0), "rgba": (2, 1, 0, 3), "rgb48": (2, 1, 0), "rgb12": (2, 1, 0)}
# modes whose chroma is halved from quality 4 on (section 6)
SUBSAMPLED = {"rgb", "cmyk", "lab", "rgb48", "lab48", "cmyk64", "rgba"}
# modes whose samples have more than 8 bits, so that used_bits matters (section 3.2)
DEEP = {"gray16", "rgb48", "lab48", "cmyk64", "gray31"}


def shape_of(mode: str, width: int, height: int) -> tuple[int, ...]:
    """The shape of this package's array for an image of that mode and size."""
    channels = MODES[mode].channels
    return (height, width) if channels == 1 else (height, width, channels)


def to_native(image: NDArray[Any], mode: str) -> bytes:
    """The bytes libPGF imports for this array."""
    height, width = image.shape[:2]
    if mode == "bitmap":
        return np.packbits(image, axis=1).tobytes()
    if mode in ORDER:
        image = image[:, :, list(ORDER[mode])]
    if mode == "rgb12":
        nibbles = image.reshape(height, width * 3)
        if nibbles.shape[1] % 2:
            nibbles = np.pad(nibbles, ((0, 0), (0, 1)))
        return (nibbles[:, 0::2] | nibbles[:, 1::2] << 4).tobytes()
    if mode == "rgb16":
        red, green, blue = (image[:, :, c].astype(np.uint16) for c in range(3))
        return (red << 11 | green << 5 | blue).astype("<u2").tobytes()
    dtype = np.dtype(MODES[mode].dtype).newbyteorder("<")
    return np.ascontiguousarray(image, dtype=dtype).tobytes()


def from_native(raw: bytes, mode: str, width: int, height: int) -> NDArray[Any]:
    """This package's array for the bytes libPGF exports."""
    buffer = np.frombuffer(raw, np.uint8)
    shape = shape_of(mode, width, height)
    if mode == "bitmap":
        rows = buffer.reshape(height, (width + 7) // 8)
        return np.unpackbits(rows, axis=1, count=width).astype(bool)
    if mode == "rgb12":
        rows = buffer.reshape(height, (width * 12 + 7) // 8)
        nibbles = np.stack([rows & 15, rows >> 4], axis=2).reshape(height, -1)[:, : width * 3]
        return np.ascontiguousarray(nibbles.reshape(shape)[:, :, list(ORDER[mode])])
    if mode == "rgb16":
        word = buffer.view("<u2").reshape(height, width)
        return np.stack([word >> 11, word >> 5 & 63, word & 31], axis=2).astype(np.uint8)
    dtype = np.dtype(MODES[mode].dtype)
    image = buffer.view(dtype.newbyteorder("<")).reshape(shape).astype(dtype)
    return np.ascontiguousarray(image[:, :, list(ORDER[mode])]) if mode in ORDER else image


def level_size(size: int, level: int) -> int:
    """ceil(size / 2**level)."""
    return -(-size >> level)


def crop_at_level(image: NDArray[Any], region: tuple[int, int, int, int], level: int) -> NDArray[Any]:
    """The part of a level's image that a region given in full-size pixels names (section 13.4)."""
    left, top, right, bottom = (level_size(edge, level) for edge in region)
    return image[top:bottom, left:right]


def planes_from_native(raw: bytes, sizes: list[tuple[int, int]]) -> list[NDArray[np.int32]]:
    """The int32 planes that the oracle's planes verb writes, one array (height, width) for each (width, height)."""
    values = np.frombuffer(raw, "<i4").astype(np.int32)
    planes, position = [], 0
    for width, height in sizes:
        planes.append(values[position : position + width * height].reshape(height, width))
        position += width * height
    return planes
