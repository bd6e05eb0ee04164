"""Look at a picture of any mode, and measure how far two are apart."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pgfrs.raster._convert import to_pillow
from pgfrs.raster._model import Pixels, Raster, RasterError

_PEAKS = {"bitmap": 1, "rgb12": 15, "gray31": 2**31 - 1}


def preview(raster: Raster) -> NDArray[np.uint8]:
    """Return the picture as it should look on a screen: uint8, shaped (H, W, 3).

    Deep samples show their upper 8 bits; alpha is laid over white. Raises :class:`RasterError` for the modes that
    say nothing about colour (multichannel and duotone planes) and for those without a defined conversion (lab, hsl).
    """
    pixels = raster.pixels
    match raster.mode:
        case "gray16" | "rgb48" | "cmyk64":
            eight = {"gray16": "gray", "rgb48": "rgb", "cmyk64": "cmyk"}[raster.mode]
            return preview(Raster((pixels >> 8).astype(np.uint8), eight))
        case "gray31":
            return preview(Raster((pixels >> 23).astype(np.uint8), "gray"))
        case "rgb12":
            return np.asarray(pixels * np.uint8(17), np.uint8)
        case "rgb16":
            scale = np.array([255 / 31, 255 / 63, 255 / 31])
            return np.asarray(np.rint(pixels * scale), np.uint8)
        case "rgb":
            return np.ascontiguousarray(pixels, np.uint8)
        case "rgba":
            white = Image.new("RGBA", (pixels.shape[1], pixels.shape[0]), "white")
            return np.asarray(Image.alpha_composite(white, to_pillow(raster)).convert("RGB"))
        case "hsb":
            hsb = Image.frombytes("HSV", (pixels.shape[1], pixels.shape[0]), np.ascontiguousarray(pixels).tobytes())
            return np.asarray(hsb.convert("RGB"))
        case "bitmap" | "gray" | "indexed" | "cmyk":
            return np.asarray(to_pillow(raster).convert("RGB"))
        case _:
            raise RasterError(f"{raster.mode} pictures cannot be shown: the mode has no conversion to rgb here")


def peak_of(mode: str, pixels: Pixels) -> int:
    """Return the largest sample value of a mode, as PSNR needs it."""
    if mode in _PEAKS:
        return _PEAKS[mode]
    return int(np.iinfo(pixels.dtype).max)


def psnr(a: Pixels, b: Pixels, /, *, peak: int = 255) -> float:
    """Return the peak signal-to-noise ratio of two equal-sized pictures in dB; ``inf`` where they are the same.

    All samples of all channels count alike. Raises ``ValueError`` where the shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of shape {a.shape} and {b.shape} cannot be compared")
    difference = a.astype(np.float64) - b.astype(np.float64)
    error = float(np.mean(difference * difference)) if difference.size else 0.0
    return math.inf if error == 0 else 10 * math.log10(peak * peak / error)
