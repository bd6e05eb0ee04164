"""The codecs that are compared: how each is called, and which of its settings gives a wanted size or error.

All of them run on one thread. Peers come from the packages imagecodecs and Pillow, with the settings that make them
fast where they offer a choice, and the same pixels in and out: uint8 (H, W, 3), R, G, B.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

import pgfrs
from photographs import Pixels

OURS = "pgfrs"
LIBPGF = "libPGF"


@dataclass(frozen=True)
class Codec:
    """A codec with one parameter; ``parameters`` run from the smallest to the largest file."""

    name: str
    setting: str
    encode: Callable[[Pixels, float], bytes]
    decode: Callable[[bytes], Pixels]
    parameters: Sequence[float]
    wraps: bool = False
    """Whether decoded samples outside of 0 to 255 come back modulo 256, which is undone for the error."""

    def psnr(self, data: bytes, image: Pixels) -> float:
        """Decibels of a file, over all samples of the picture; infinite where nothing differs."""
        error = self.decode(data).astype(np.float64) - image
        if self.wraps:
            # Errors beyond half the range are such samples: white that came back black, or the other way round.
            error = np.where(error < -128, 255.0 - image, np.where(error > 128, -1.0 * image, error))
        mean = float(np.mean(error**2))
        return math.inf if mean == 0 else 10 * math.log10(255**2 / mean)


def _geometric(first: float, last: float, count: int) -> list[float]:
    return [round(float(v), 6) for v in np.geomspace(first, last, count)]


def _htj2k(image: Pixels, step: float) -> bytes:
    if step == 0:
        return bytes(imagecodecs.htj2k_encode(image, reversible=True))
    return bytes(imagecodecs.htj2k_encode(image, step, reversible=False))


def _jpeg2k(image: Pixels, decibels: float) -> bytes:
    lossless = decibels == 0
    # Fractions of a decibel are taken, whatever the types say.
    level: Any = decibels
    return bytes(imagecodecs.jpeg2k_encode(image, level, codecformat="j2k", reversible=lossless, numthreads=1))


def _jpeg(image: Pixels, quality: float) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(image, int(quality), subsampling="420"))


def _webp(image: Pixels, quality: float) -> bytes:
    # Behind 100 stands lossless, at the effort that is fastest.
    lossless = quality > 100
    level = 0 if lossless else quality
    return bytes(imagecodecs.webp_encode(image, level, lossless=lossless, method=0, numthreads=1))


def _jxl(image: Pixels, distance: float) -> bytes:
    if distance == 0:
        return bytes(imagecodecs.jpegxl_encode(image, lossless=True, effort=1, numthreads=1))
    return bytes(imagecodecs.jpegxl_encode(image, distance=distance, effort=1, numthreads=1))


def _png(image: Pixels, level: float) -> bytes:
    target = io.BytesIO()
    Image.fromarray(image).save(target, "PNG", compress_level=int(level))
    return target.getvalue()


def _read_png(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture, np.uint8)


def _pgf(image: Pixels, quality: float) -> bytes:
    return pgfrs.encode(image, quality=int(quality))


def _pgf_decode(data: bytes) -> Pixels:
    return np.asarray(pgfrs.decode(data), np.uint8)


PGF = Codec(OURS, "", _pgf, _pgf_decode, range(30, -1, -1))
HTJ2K = Codec("OpenJPH", "HTJ2K", _htj2k, imagecodecs.htj2k_decode, _geometric(0.5, 0.002, 160), wraps=True)
JPEG2K = Codec(
    "OpenJPEG",
    "JPEG 2000",
    _jpeg2k,
    lambda data: imagecodecs.jpeg2k_decode(data, numthreads=1),
    [20 + v / 4 for v in range(121)],
)
JPEG = Codec("libjpeg-turbo", "4:2:0", _jpeg, imagecodecs.jpeg8_decode, range(1, 101))
WEBP = Codec("libwebp", "method 0", _webp, imagecodecs.webp_decode, range(101))
JXL = Codec(
    "libjxl",
    "effort 1",
    _jxl,
    lambda data: imagecodecs.jpegxl_decode(data, numthreads=1),
    _geometric(20, 0.1, 160),
)
QOI = Codec("QOI", "", lambda image, _: bytes(imagecodecs.qoi_encode(image)), imagecodecs.qoi_decode, ())
PNG = Codec("PNG", "Pillow, level 6", _png, _read_png, ())

LOSSLESS: tuple[tuple[Codec, float], ...] = (
    (PGF, 0),
    (HTJ2K, 0),
    (JPEG2K, 0),
    (WEBP, 101),
    (JXL, 0),
    (QOI, 0),
    (PNG, 6),
)
"""Who codes losslessly, and the parameter that says so."""
LOSSY = (PGF, HTJ2K, JPEG2K, JPEG, WEBP, JXL)


def nearest(codec: Codec, image: Pixels, measure: Callable[[bytes], float], wanted: float) -> float:
    """The parameter whose file comes nearest to ``wanted`` in a measure that grows with the parameters' order."""
    found: dict[int, float] = {}

    def distance(index: int) -> float:
        if index not in found:
            found[index] = measure(codec.encode(image, codec.parameters[index])) - wanted
        return found[index]

    low, high = 0, len(codec.parameters) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if distance(middle) < 0:
            low = middle
        else:
            high = middle
    return codec.parameters[min((low, high), key=lambda index: abs(distance(index)))]
