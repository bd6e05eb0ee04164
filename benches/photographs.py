"""The photographs that benchmarks run on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgfrs.raster import convert, read_raster

REPOSITORY = Path(__file__).resolve().parents[1]
CROP = 256
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Photograph:
    """An RGB picture, uint8 (H, W, 3), and where it came from."""

    name: str
    path: Path
    pixels: Pixels


def photographs() -> tuple[str, list[Photograph]]:
    """What they are, and the 8-bit RGB pictures: the Kodak pictures of the optional shared folder, else samples/."""
    shared = Path(os.environ.get("PGFRS_SHARED") or REPOSITORY.parent / "shared") / "images" / "kodak"
    folder, title = (shared, "Kodak") if shared.is_dir() else (REPOSITORY / "samples", "sample")
    found = []
    for path in sorted(folder.glob("*.png")):
        raster = read_raster(path.read_bytes())
        if raster.mode == "rgb":
            pixels = np.ascontiguousarray(convert(raster, "rgb").pixels, np.uint8)
            found.append(Photograph(path.stem, path, pixels))
    return f"{len(found)} {title} photographs", found


def crops(pictures: list[Photograph], size: int = CROP) -> Iterator[Pixels]:
    """Squares that cover each picture as far as whole ones fit, row by row."""
    for picture in pictures:
        height, width = picture.pixels.shape[:2]
        for top in range(0, height - size + 1, size):
            for left in range(0, width - size + 1, size):
                yield np.ascontiguousarray(picture.pixels[top : top + size, left : left + size])
