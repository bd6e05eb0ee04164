"""Change a picture's mode before it is encoded, or turn it upright."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from pgfrs.raster._model import Pixels, Raster, RasterError

_PILLOW = {"bitmap": "1", "gray": "L", "rgb": "RGB", "rgba": "RGBA", "cmyk": "CMYK"}
_NARROWED = {"gray16": "gray", "rgb48": "rgb", "cmyk64": "cmyk"}
_WIDENED = {"gray16": "gray", "rgb48": "rgb"}
# What pixels of a file format without mode names may also stand for.
_SAME_LAYOUT = (
    {"gray", "indexed"},
    {"rgb", "hsl", "hsb", "lab", "rgb12", "rgb16"},
    {"rgba", "cmyk"},
    {"rgb48", "lab48"},
    {"multichannel", "duotone", "deepmultichannel", "duotone16"},
)


def convert(raster: Raster, mode: str) -> Raster:
    """Return ``raster`` in another PGF mode.

    Converts between bitmap, gray, rgb, rgba and cmyk as Pillow does, from indexed to these, between 8 and 16 bits
    per channel (x 257 one way, the upper 8 bits the other), and to rgb12 and rgb16 (the upper bits). Raises
    :class:`RasterError` for every other pair.
    """
    if raster.mode == mode:
        return raster
    if _family(raster.mode) != _family(mode):
        # A colour profile describes one kind of colour space and would be wrong for another.
        raster = replace(raster, metadata=replace(raster.metadata, icc_profile=None))
    if mode in ("rgb12", "rgb16"):
        shifts = np.array([4, 4, 4] if mode == "rgb12" else [3, 2, 3], np.uint8)
        return replace(raster, pixels=convert(raster, "rgb").pixels >> shifts, mode=mode, palette=None)
    if mode in _WIDENED:
        return _widen(raster, mode)
    if raster.mode in _NARROWED:
        narrow = replace(raster, pixels=(raster.pixels >> 8).astype(np.uint8), mode=_NARROWED[raster.mode])
        return convert(narrow, mode)
    if mode not in _PILLOW or raster.mode not in {*_PILLOW, "indexed"}:
        raise RasterError(f"no conversion from {raster.mode} to {mode}")
    image = to_pillow(raster).convert(_PILLOW[mode])
    return replace(raster, pixels=np.asarray(image), mode=mode, palette=None)


def _family(mode: str) -> str:
    if mode.startswith(("gray", "bitmap")):
        return "gray"
    return "cmyk" if mode.startswith("cmyk") else "rgb"


def _widen(raster: Raster, mode: str) -> Raster:
    if raster.mode == "gray16" and mode == "rgb48":
        return replace(raster, pixels=np.repeat(raster.pixels[..., None], 3, axis=2), mode=mode)
    if raster.mode in _NARROWED:
        raise RasterError(f"no conversion from {raster.mode} to {mode}")
    eight = convert(raster, _WIDENED[mode]).pixels
    return replace(raster, pixels=eight.astype(np.uint16) * np.uint16(257), mode=mode, palette=None)


def relabel(raster: Raster, mode: str) -> Raster:
    """Say that pixels from a file without mode names (``.npy``) are of ``mode``, where the layout is the same."""
    if any({raster.mode, mode} <= layout for layout in _SAME_LAYOUT):
        return replace(raster, mode=mode)
    return convert(raster, mode)


def to_pillow(raster: Raster) -> Image.Image:
    """Return the picture as a Pillow image; the mode must be one that Pillow has."""
    pixels = np.ascontiguousarray(raster.pixels)
    if raster.mode == "bitmap":
        return Image.fromarray(pixels.astype(np.uint8) * np.uint8(255)).convert("1", dither=Image.Dither.NONE)
    image = Image.fromarray(pixels)
    if raster.mode == "cmyk":
        image = Image.frombytes("CMYK", image.size, pixels.tobytes())
    elif raster.mode == "indexed":
        if raster.palette is None:
            raise RasterError("an indexed picture without a palette has no colours")
        image = Image.frombytes("P", image.size, pixels.tobytes())
        image.putpalette(np.ascontiguousarray(raster.palette[:, :3]).tobytes(), "RGB")
    return image


def upright(raster: Raster) -> Raster:
    """Return the picture turned and mirrored so that its EXIF orientation is 1."""
    return replace(raster, pixels=_turned(raster.pixels, raster.orientation), orientation=1)


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    match orientation:
        case 2:
            return pixels[:, ::-1]
        case 3:
            return pixels[::-1, ::-1]
        case 4:
            return pixels[::-1]
        case 5:
            return pixels.swapaxes(0, 1)
        case 6:
            return pixels.swapaxes(0, 1)[:, ::-1]
        case 7:
            return pixels.swapaxes(0, 1)[::-1, ::-1]
        case 8:
            return pixels.swapaxes(0, 1)[::-1]
        case _:
            return pixels
