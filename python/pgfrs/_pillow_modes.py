"""Which Pillow mode each PGF mode becomes, which PGF mode each Pillow mode becomes, and the samples between them.

Arrays are those of :func:`pgfrs.decode` and :func:`pgfrs.encode`: rows first, channels last, channels in the
order R, G, B, A. Everything here is a pure function of samples; files are the business of
:mod:`pgfrs.pillow`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["READINGS", "WRITINGS", "Reading", "Writing", "unwritable_reason"]

Array: TypeAlias = NDArray[Any]

# Pillow's raw LAB bytes hold a and b as signed numbers, its memory and PGF hold them with 128 added.
_LAB_SIGN: Final = np.array([0, 128, 128], dtype=np.uint8)
_INT32_MAX: Final = 2**31 - 1


@dataclass(frozen=True)
class Reading:
    """How decoded samples become a Pillow image.

    ``mode`` is the Pillow mode, ``rawmode`` the layout of the bytes that ``samples`` (from a decoded array
    to the array to hand over) produces. ``reducible`` says whether a lower level is a smaller version of
    the picture: it is not where samples are indices, single bits or angles, which have no meaningful mean.
    """

    mode: str
    rawmode: str
    samples: Callable[[Array], Array]
    reducible: bool = True


@dataclass(frozen=True)
class Writing:
    """How a Pillow image becomes samples: ``mode`` is the PGF mode, ``lossy`` whether it may be quantised."""

    mode: str
    samples: Callable[[Image.Image], Array]
    lossy: bool = True


# --- from PGF ---------------------------------------------------------------------------------------


def _same(samples: Array) -> Array:
    return samples


def _bits(samples: Array) -> Array:
    return np.packbits(samples, axis=-1)


def _lab(samples: Array) -> Array:
    return samples ^ _LAB_SIGN


def _high_byte(samples: Array) -> Array:
    return (samples >> 8).astype(np.uint8)


def _lab48(samples: Array) -> Array:
    return _lab(_high_byte(samples))


def _little_endian_16(samples: Array) -> Array:
    return samples.astype("<u2", copy=False)


def _int32(samples: Array) -> Array:
    return samples.astype(np.int32)


def _rgb12(samples: Array) -> Array:
    """Samples 0..15 to 0..255."""
    return samples * np.uint8(17)


def _rgb16(samples: Array) -> Array:
    """Samples 0..31, 0..63, 0..31 to 0..255: the high bits are repeated below, so that full stays full."""
    red, green, blue = samples[..., 0], samples[..., 1], samples[..., 2]
    wide = [(red << 3) | (red >> 2), (green << 2) | (green >> 4), (blue << 3) | (blue >> 2)]
    return np.stack(wide, axis=-1).astype(np.uint8)


def _hsl(samples: Array) -> Array:
    """Hue (255 is a whole turn, as in Pillow's HSV), saturation and lightness (0..255) to R, G, B."""
    hue = samples[..., 0].astype(np.float32) * np.float32(6 / 255)
    saturation = samples[..., 1].astype(np.float32) / np.float32(255)
    lightness = samples[..., 2].astype(np.float32) / np.float32(255)
    amplitude = saturation * np.minimum(lightness, 1 - lightness)
    rgb = np.empty_like(samples)
    for channel, offset in enumerate((0.0, 4.0, 2.0)):
        # distance around the colour circle from where this primary is weakest, in sixths of a turn
        phase = (hue + np.float32(offset)) % 6
        slope = np.clip(np.abs(phase - 3) - 1, 0, 1) * 2 - 1
        rgb[..., channel] = np.rint(255 * (lightness + amplitude * slope)).astype(np.uint8)
    return rgb


READINGS: Final[dict[str, Reading]] = {
    "bitmap": Reading("1", "1", _bits, reducible=False),
    "gray": Reading("L", "L", _same),
    "indexed": Reading("P", "P", _same, reducible=False),
    "rgb": Reading("RGB", "RGB", _same),
    "rgba": Reading("RGBA", "RGBA", _same),
    "cmyk": Reading("CMYK", "CMYK", _same),
    "hsl": Reading("RGB", "RGB", _hsl, reducible=False),
    "hsb": Reading("HSV", "HSV", _same, reducible=False),
    "lab": Reading("LAB", "LAB", _lab),
    "gray16": Reading("I;16", "I;16", _little_endian_16),
    "rgb48": Reading("RGB", "RGB", _high_byte),
    "lab48": Reading("LAB", "LAB", _lab48),
    "cmyk64": Reading("CMYK", "CMYK", _high_byte),
    "gray31": Reading("I", "I", _int32),
    "rgb12": Reading("RGB", "RGB", _rgb12),
    "rgb16": Reading("RGB", "RGB", _rgb16),
}
"""PGF mode to Pillow mode. Not here: the raw planes of multichannel, duotone and their deep forms."""


# --- from Pillow ------------------------------------------------------------------------------------


def _from_channels(image: Image.Image) -> Array:
    shape = (image.height, image.width, len(image.getbands()))
    return np.frombuffer(image.tobytes(), dtype=np.uint8).reshape(shape)


def _from_gray(image: Image.Image) -> Array:
    return np.frombuffer(image.tobytes(), dtype=np.uint8).reshape(image.height, image.width)


def _from_bits(image: Image.Image) -> Array:
    packed = np.frombuffer(image.tobytes(), dtype=np.uint8).reshape(image.height, -1)
    return np.unpackbits(packed, axis=-1, count=image.width).view(np.bool_)


def _from_lab(image: Image.Image) -> Array:
    return _from_channels(image) ^ _LAB_SIGN


def _from_16(image: Image.Image) -> Array:
    big = image.mode == "I;16B" or (image.mode == "I;16N" and sys.byteorder == "big")
    samples = np.frombuffer(image.tobytes(), dtype=">u2" if big else "<u2")
    return samples.reshape(image.height, image.width).astype(np.uint16, copy=False)


def _from_32(image: Image.Image) -> Array:
    samples = np.frombuffer(image.tobytes(), dtype=np.int32).reshape(image.height, image.width)
    lowest = int(samples.min())
    if lowest < 0:
        raise ValueError(f"mode I: the lowest sample is {lowest}; PGF stores 0 to {_INT32_MAX}")
    return samples.view(np.uint32)


WRITINGS: Final[dict[str, Writing]] = {
    "1": Writing("bitmap", _from_bits, lossy=False),
    "L": Writing("gray", _from_gray),
    "P": Writing("indexed", _from_gray, lossy=False),
    "RGB": Writing("rgb", _from_channels),
    "RGBA": Writing("rgba", _from_channels),
    "CMYK": Writing("cmyk", _from_channels),
    "LAB": Writing("lab", _from_lab),
    "HSV": Writing("hsb", _from_channels),
    "I;16": Writing("gray16", _from_16),
    "I;16L": Writing("gray16", _from_16),
    "I;16B": Writing("gray16", _from_16),
    "I;16N": Writing("gray16", _from_16),
    "I": Writing("gray31", _from_32),
}

_CONVERT_TO: Final = {
    "LA": 'convert("RGBA")',
    "La": 'convert("LA").convert("RGBA")',
    "PA": 'convert("RGBA")',
    "RGBa": 'convert("RGBA")',
    "RGBX": 'convert("RGB")',
    "YCbCr": 'convert("RGB")',
    "F": 'convert("I")',
}


def unwritable_reason(mode: str) -> str:
    """Why a Pillow mode without a PGF mode cannot be saved, and what to do instead."""
    how = _CONVERT_TO.get(mode)
    if how is None:
        return f"PGF has no mode for Pillow's {mode}; these can be saved: {', '.join(WRITINGS)}"
    return f"PGF has no mode for Pillow's {mode}: save image.{how} instead"
