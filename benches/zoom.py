"""What windows and small versions of a large picture take of its file over a network: share of the bytes, requests.

The picture repeats the sample photographs. Files lie in fsspec's memory, which is read as a server is. Every reading is
compared with decoding the whole file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import fsspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pgfrs
from pgfrs.lazy import add_index

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
SIDE = 512
"""Pixels of a window's side."""


def mosaic(megapixels: float) -> NDArray[np.uint8]:
    """Sample photographs over and over, mirrored, uint8 (H, W, 3), about 10 to 7."""
    parts = [
        np.asarray(Image.open(SAMPLES / name).convert("RGB"))[:300, :400] for name in ("chelsea.png", "coffee.png")
    ]
    tile = np.concatenate(parts, axis=1)
    tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
    tile = np.concatenate([tile, tile[::-1]], axis=0)
    width = round((megapixels * 1e6 / 0.7) ** 0.5)
    height = round(megapixels * 1e6 / width)
    times = (-(-height // tile.shape[0]), -(-width // tile.shape[1]), 1)
    return np.ascontiguousarray(np.tile(tile, times)[:height, :width])


def files(image: NDArray[np.uint8], quality: int) -> dict[str, bytes]:
    """The picture in every form that is read in parts."""
    tiled = pgfrs.encode(image, roi=True, quality=quality, num_threads=2)
    stream = pgfrs.encode(image, format="pgfr", quality=quality)
    return {
        ".pgf": tiled,
        ".pgf, index": add_index(tiled),
        ".pgfr, index": add_index(stream),
        ".pgfr, index, by place": add_index(stream, by_place=True),
    }


def measured(data: bytes) -> list[str]:
    """Cells of a row: a window in the middle, a level of at most 256 pixels, the thumbnail."""
    system = fsspec.filesystem("memory")
    system.pipe("/zoom/picture", data)
    cells = []
    info = pgfrs.read_info(data)
    level = next(k for k in range(info.levels + 1) if max(info.level_size(k)) <= 256)
    left, top = 7 * info.width // 12, 7 * info.height // 12
    region = (left, top, left + SIDE, top + SIDE)
    with pgfrs.open("memory://zoom/picture") as picture:
        assert np.array_equal(picture.read(region=region), pgfrs.decode(data, region=region))
        cells.append(f"{100 * picture.bytes_read / len(data):.2f} %, {picture.requests}")
    with pgfrs.open("memory://zoom/picture") as picture:
        assert np.array_equal(picture.read(level=level), pgfrs.decode(data, level=level))
        cells.append(f"{100 * picture.bytes_read / len(data):.2f} %, {picture.requests}")
    with pgfrs.open("memory://zoom/picture") as picture:
        picture.thumbnail(256)
        cells.append(f"{100 * picture.bytes_read / len(data):.2f} %, {picture.requests}")
    return cells


def main() -> None:
    """Print a table for a lossless and a lossy picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=100, help="size of the picture (default 100)")
    image = mosaic(parser.parse_args().megapixels)
    print(f"{image.shape[1]} x {image.shape[0]} pixels; share of the bytes, requests\n")
    print(f"| quality | file | bytes | window of {SIDE} x {SIDE} | level of at most 256 | thumbnail |")
    print("| ---: | :--- | ---: | ---: | ---: | ---: |")
    for quality in (0, 5):
        for name, data in files(image, quality).items():
            print(f"| {quality} | {name} | {len(data):,} | {' | '.join(measured(data))} |", flush=True)


if __name__ == "__main__":
    main()
