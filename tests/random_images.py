"""Random images for property tests: every mode, tiny and odd sizes, six kinds of content, all settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from native import DEEP, MODES, shape_of

KINDS = ("noise", "smooth", "texture", "sparse", "constant", "extremes")
# The colour table of indexed images: without one libPGF writes whatever its memory holds.
PALETTE = np.random.default_rng(0).integers(0, 256, (256, 4)).astype(np.uint8)
# With more used bits than these, noise in the 31-bit mode makes macroblocks that the format cannot hold (section 12.5).
MOST_BITS_OF_GRAY31 = 28


@dataclass(frozen=True)
class Case:
    """One image and the settings it is encoded with."""

    mode: str
    width: int
    height: int
    kind: str
    seed: int
    quality: int
    levels: int | None
    roi: bool
    used_bits: int | None

    @property
    def image(self) -> NDArray[Any]:
        return random_image(self.mode, self.width, self.height, self.kind, self.seed)

    @property
    def tiled(self) -> bool:
        """Whether an ROI file results: an image without wavelet levels is written without the flag."""
        return self.roi and min(self.width, self.height) >= 10

    def options(self) -> dict[str, Any]:
        """The arguments of pgfrs.encode."""
        return {
            "mode": self.mode,
            "quality": self.quality,
            "levels": self.levels,
            "roi": self.roi,
            "used_bits": self.used_bits,
            "palette": PALETTE if self.mode == "indexed" else None,
        }

    def libpgf_options(self) -> dict[str, Any]:
        """The same settings for the oracle."""
        mode = MODES[self.mode]
        return {
            "mode": mode.number,
            "width": self.width,
            "height": self.height,
            "bpp": mode.bits_per_pixel,
            "channels": mode.channels,
            "quality": self.quality,
            "levels": self.levels or 0,
            "roi": self.tiled,
            "used": self.used_bits or 0,
            "clut": PALETTE[:, [2, 1, 0, 3]].tobytes() if self.mode == "indexed" else None,
        }


def sample_bounds(mode: str) -> NDArray[np.uint64]:
    """One past the greatest sample of each channel."""
    if mode == "rgb16":
        return np.array([32, 64, 32], np.uint64)
    greatest = {"bitmap": 1, "rgb12": 15, "gray31": 2**31 - 1}
    bits = 16 if MODES[mode].dtype == "uint16" else 8
    return np.array([greatest.get(mode, 2**bits - 1) + 1] * MODES[mode].channels, np.uint64)


def random_image(mode: str, width: int, height: int, kind: str, seed: int) -> NDArray[Any]:
    """An image of that mode in this package's layout; equal arguments give equal images."""
    rng = np.random.default_rng(seed)
    bounds = sample_bounds(mode)
    shape = (height, width, len(bounds))
    y, x = np.mgrid[0:height, 0:width][:, :, :, None]
    unit: NDArray[Any]
    if kind == "noise":
        unit = rng.random(shape)
    elif kind in ("smooth", "texture"):
        phase, fx, fy = rng.random((3, len(bounds)))
        unit = 0.5 + 0.5 * np.sin(6.28 * (phase + fx * x / 37 + fy * y / 29))
        if kind == "texture":
            unit += rng.normal(0, 0.06, shape)
    elif kind == "sparse":
        unit = np.where(rng.random(shape) < 0.02, rng.random(shape), rng.random(len(bounds)))
    elif kind == "constant":
        unit = np.broadcast_to(rng.random(len(bounds)), shape)
    else:
        unit = (rng.random(shape) < 0.5) * 1.0
    unit = np.clip(unit, 0, np.nextafter(1, 0))  # so that unit * bound stays below the bound
    samples = np.minimum((unit * bounds).astype(np.uint64), bounds - np.uint64(1))
    return np.ascontiguousarray(samples.reshape(shape_of(mode, width, height)), dtype=MODES[mode].dtype)


_side = st.one_of(st.integers(1, 12), st.integers(10, 70), st.integers(70, 330))


@st.composite
def cases(draw: st.DrawFn, most_pixels: int = 40_000) -> Case:
    """Cases over all modes with pixels; simplest (gray, 1 x 1, lossless) first."""
    mode = draw(st.sampled_from(sorted(MODES)))
    width, height = draw(st.tuples(_side, _side).filter(lambda size: size[0] * size[1] <= most_pixels))
    used_bits = None
    if mode == "gray31":
        used_bits = draw(st.integers(1, MOST_BITS_OF_GRAY31))
    elif mode in DEEP:
        used_bits = draw(st.none() | st.integers(1, 16))
    return Case(
        mode=mode,
        width=width,
        height=height,
        kind=draw(st.sampled_from(KINDS)),
        seed=draw(st.integers(0, 2**32 - 1)),
        quality=draw(st.one_of(st.just(0), st.integers(0, 8), st.integers(0, 30))),
        levels=draw(st.none() | st.integers(1, 8) | st.integers(1, 28)),
        roi=draw(st.booleans()),
        used_bits=used_bits,
    )
