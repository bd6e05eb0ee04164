"""Convert photographs to .pgf, lossless and to about one bit per pixel, and show what came out.

Prints a table and leaves the .pgf files, the table and a contact sheet (originals beside what was decoded) in the
output folder. Uses the public interface only; scripts/demo sets everything up and runs it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

import pgfrs
from pgfrs.raster import Raster, preview, psnr, read_raster
from pgfrs.render import Tile, contact_sheet, decibels

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = (".png", ".jpg", ".jpeg")
REPEATS = 3

Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """One photograph at one setting."""

    name: str
    mode: str
    width: int
    height: int
    setting: str
    bytes: int
    psnr_db: float
    encode_ms: float
    decode_ms: float

    @property
    def bits_per_pixel(self) -> float:
        return 8 * self.bytes / (self.width * self.height)

    def cells(self) -> tuple[str, ...]:
        return (
            self.name,
            self.mode,
            f"{self.width} x {self.height}",
            self.setting,
            f"{self.bytes:,}",
            f"{self.bits_per_pixel:.2f}",
            "exact" if np.isinf(self.psnr_db) else f"{self.psnr_db:.1f} dB",
            f"{self.encode_ms:.1f}",
            f"{self.decode_ms:.1f}",
        )


HEADINGS = ("picture", "mode", "size", "setting", "bytes", "bits/pixel", "PSNR", "encode ms", "decode ms")


def fastest(action: Callable[[], Result]) -> tuple[Result, float]:
    """The action's result and the milliseconds of its fastest run out of REPEATS."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = action()
        best = min(best, time.perf_counter() - start)
    return result, best * 1000


def convert(path: Path, raster: Raster, max_bytes: int | None, target: Path) -> tuple[Row, Raster]:
    """Encode one picture (max_bytes None: lossless), write it, read it back, and measure."""
    image = raster.pixels
    data, encode_ms = fastest(lambda: pgfrs.encode(image, mode=raster.mode, max_bytes=max_bytes))
    target.write_bytes(data)
    decoded, decode_ms = fastest(lambda: pgfrs.decode(data, strict=True))
    height, width = image.shape[:2]
    setting = "lossless" if max_bytes is None else f"<= {max_bytes:,} bytes"
    row = Row(
        path.name,
        raster.mode,
        width,
        height,
        setting,
        len(data),
        psnr(image, decoded),
        encode_ms,
        decode_ms,
    )
    return row, Raster(decoded, raster.mode)


def table(rows: Sequence[Row]) -> str:
    """The rows as text, names to the left and numbers to the right."""
    cells = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    text = []
    for line in cells:
        parts = [
            cell.ljust(width) if column < 4 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(parts).rstrip())
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert the pictures named on the command line (all of samples/ by default)."""
    parser = argparse.ArgumentParser(description="Convert photographs to .pgf and show what came out.")
    parser.add_argument("pictures", nargs="*", type=Path, help="PNG or JPEG files (default: samples/)")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "demo-output", help="default: demo-output/")
    parser.add_argument("--bits", type=float, default=1.0, help="bits per pixel of the small files (default: 1)")
    options = parser.parse_args(arguments)
    if options.bits <= 0:
        parser.error(f"--bits is {options.bits}; it must be greater than 0")

    pictures: list[Path] = options.pictures or sorted(
        path for path in (REPOSITORY / "samples").iterdir() if path.suffix in PICTURES
    )
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)

    rows, tiles = [], []
    for path in pictures:
        raster = read_raster(path.read_bytes())
        height, width = raster.pixels.shape[:2]
        budget = round(height * width * options.bits / 8)
        exact, _ = convert(path, raster, None, output / f"{path.stem}.pgf")
        small, decoded = convert(path, raster, budget, output / f"{path.stem}-small.pgf")
        rows += [exact, small]
        tiles += [
            Tile(preview(raster), (f"{path.name}, original", f"lossless .pgf: {exact.bytes:,} bytes", "")),
            Tile(
                preview(decoded),
                (
                    f"{small.bits_per_pixel:.2f} bits per pixel, {decibels(small.psnr_db)}",
                    f"{small.bytes:,} bytes, {exact.bytes / small.bytes:.1f} times smaller than lossless",
                ),
            ),
        ]

    text = table(rows)
    print(text)
    (output / "table.txt").write_text(text + "\n")
    sheet = output / "contact-sheet.png"
    contact_sheet(
        tiles, title=f"originals, and .pgf at about {options.bits:g} bit per pixel", columns=4, width=420
    ).save(sheet)
    print(f"\nmilliseconds: one thread, fastest of {REPEATS}; the search for a number of bytes is part of encoding")
    print(f"{2 * len(pictures)} .pgf files, table.txt and contact-sheet.png are in {output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
