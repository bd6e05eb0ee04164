"""See a file arrive: the picture that each prefix of it gives, and all of them on one contact sheet."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import pgfrs
from pgfrs.raster import Pixels, Raster, peak_of, preview, psnr

_PAPER = (250, 250, 248)
_INK = (28, 28, 30)
_FAINT = (105, 105, 110)
_FRAME = (205, 205, 208)
_MARGIN = 24
_GAP = 16
_CAPTION_SIZE = 15
_LINE = 20
_TITLE_SIZE = 22
_COMPARED_BY_COLOUR = frozenset({"indexed", "rgb12", "rgb16"})


@dataclass(frozen=True, slots=True)
class Step:
    """The picture that the first ``bytes`` bytes of a file give."""

    bytes: int
    picture: NDArray[np.uint8]
    """As it looks: uint8, shaped (H, W, 3)."""
    psnr: float
    """Against the reference, in dB; ``inf`` where both are the same."""
    level: int | None
    """The finest level that is complete in these bytes; None while none is."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a contact sheet and the lines under it; the first line is printed strongest."""

    picture: NDArray[np.uint8]
    caption: tuple[str, ...]


def even_steps(data: bytes, every: int, /) -> list[int]:
    """Return prefix sizes ``every`` bytes apart, from the first that holds picture data to the whole file."""
    if every < 1:
        raise ValueError(f"every is {every}; it must be at least 1 byte")
    first = pgfrs.read_info(data).data_offset + 1
    start = math.ceil(first / every) * every
    return [*range(start, len(data), every), len(data)]


def log_steps(data: bytes, count: int, /) -> list[int]:
    """Return at most ``count`` prefix sizes, each larger than the one before by about the same factor.

    The smallest holds the header and the first 1/1000 of the coded data (at least 64 bytes), the largest is the
    whole file. Sizes that coincide in a small file are given once.
    """
    if count < 2:
        raise ValueError(f"count is {count}; it must be at least 2")
    offset = pgfrs.read_info(data).data_offset
    coded = max(1, len(data) - offset)
    least = min(coded, max(64, coded // 1000))
    sizes = np.geomspace(least, coded, count)
    return sorted({min(len(data), offset + round(float(size))) for size in sizes})


def render_steps(data: bytes, sizes: Sequence[int], /, *, reference: Pixels | None = None) -> Iterator[Step]:
    """Decode each prefix of ``data`` and compare it with ``reference`` (None: with what the whole file gives).

    ``sizes`` are prefix lengths in bytes. The pictures come at full size, one at a time, so that a long series
    needs no more memory than two of them.

    Raises :class:`pgfrs.PgfError` for data without a usable header, :class:`pgfrs.raster.RasterError` for modes
    that cannot be shown, and ``ValueError`` for a reference of another shape.
    """
    info = pgfrs.read_info(data)
    if reference is None:
        reference = _decode(data)[0].pixels
    for size in sizes:
        raster, report = _decode(data[:size])
        raster = replace(raster, palette=info.palette)
        yield Step(size, preview(raster), _psnr(raster, reference), report.finest_complete_level)


def _decode(data: bytes) -> tuple[Raster, pgfrs.DecodeReport]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pgfrs.DamageWarning)  # prefixes are the point
        pixels, report = pgfrs.decode_with_report(data)
    info = pgfrs.read_info(data)
    return Raster(pixels, info.mode, info.palette), report


def _psnr(raster: Raster, reference: Pixels) -> float:
    if raster.mode in _COMPARED_BY_COLOUR:
        # Indices say nothing about how far colours are apart, and short samples have different peaks.
        return psnr(preview(raster), preview(replace(raster, pixels=reference)))
    return psnr(raster.pixels, reference, peak=peak_of(raster.mode, raster.pixels))


def step_tile(step: Step, total: int, /, *, largest: int | None = None) -> Tile:
    """Return a step with its caption: bytes, share of the file, PSNR, finest complete level.

    With ``largest`` the picture is reduced to so many pixels on its larger side, so that many tiles fit in memory.
    """
    share = 100 * step.bytes / max(1, total)
    percent = f"{math.floor(10 * share) / 10:g}" if share > 99 else f"{share:.0f}" if share >= 10 else f"{share:.2g}"
    level = "no level complete" if step.level is None else f"level {step.level} complete"
    picture = step.picture if largest is None else np.asarray(_reduced(Image.fromarray(step.picture), largest))
    return Tile(picture, (f"{step.bytes:,} bytes ({percent} %)", decibels(step.psnr), level))


def decibels(value: float, /) -> str:
    """Return a PSNR for people: ``31.4 dB``, or ``identical``."""
    return "identical" if math.isinf(value) else f"{value:.1f} dB"


def contact_sheet(
    tiles: Sequence[Tile], /, *, title: str = "", columns: int | None = None, width: int = 320
) -> Image.Image:
    """Lay pictures out in rows with their captions under them, on one RGB image.

    ``width`` is the largest width and height of a picture on the sheet, in pixels; larger ones are reduced, much
    smaller ones enlarged by a whole factor. ``columns=None`` makes the sheet about as wide as it is high. Captions
    that are wider than their cell are set smaller, and cut if that is not enough. Raises ``ValueError`` for no
    tiles.
    """
    if not tiles:
        raise ValueError("a contact sheet needs at least one picture")
    columns = columns or _pleasant_columns(len(tiles))
    columns = min(columns, len(tiles))
    thumbs = [_fit(tile.picture, width) for tile in tiles]
    cell_width = max(180, *(thumb.width for thumb in thumbs))
    rows = [range(start, min(start + columns, len(tiles))) for start in range(0, len(tiles), columns)]
    heights = [
        (max(thumbs[i].height for i in row), 8 + _LINE * max(len(tiles[i].caption) for i in row)) for row in rows
    ]
    head = _MARGIN + (_TITLE_SIZE + 18 if title else 0)
    sheet_width = 2 * _MARGIN + columns * cell_width + (columns - 1) * _GAP
    sheet_height = head + sum(a + b + _GAP for a, b in heights) - _GAP + _MARGIN
    sheet = Image.new("RGB", (sheet_width, sheet_height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        _text(draw, (_MARGIN, _MARGIN - 4), title, _TITLE_SIZE, _INK, sheet_width - 2 * _MARGIN)
    top = head
    for row, (picture_height, caption_height) in zip(rows, heights, strict=True):
        for place, i in enumerate(row):
            left = _MARGIN + place * (cell_width + _GAP)
            _place(sheet, draw, thumbs[i], tiles[i].caption, left, top, cell_width, picture_height)
        top += picture_height + caption_height + _GAP
    return sheet


def _pleasant_columns(count: int) -> int:
    return min(count, max(3, math.ceil(math.sqrt(count)))) if count > 3 else count


def _fit(picture: NDArray[np.uint8], size: int) -> Image.Image:
    image = _reduced(Image.fromarray(picture), size)
    factor = size // max(image.size)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _reduced(image: Image.Image, size: int) -> Image.Image:
    largest = max(image.size)
    if largest <= size:
        return image
    scaled = (max(1, round(image.width * size / largest)), max(1, round(image.height * size / largest)))
    return image.resize(scaled, Image.Resampling.LANCZOS)


def _place(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    thumb: Image.Image,
    caption: Sequence[str],
    left: int,
    top: int,
    cell_width: int,
    picture_height: int,
) -> None:
    y = top + picture_height - thumb.height
    sheet.paste(thumb, (left, y))
    draw.rectangle((left - 1, y - 1, left + thumb.width, y + thumb.height), outline=_FRAME)
    for line, text in enumerate(caption):
        place = (left, top + picture_height + 8 + line * _LINE)
        _text(draw, place, text, _CAPTION_SIZE, _INK if line == 0 else _FAINT, cell_width)


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, colour: tuple[int, int, int], room: int
) -> None:
    # Names of files may hold anything; a line end cannot be drawn in one line.
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    font = ImageFont.load_default(size)
    while draw.textlength(text, font) > room and size > 11:
        size -= 1
        font = ImageFont.load_default(size)
    while len(text) > 1 and draw.textlength(text, font) > room:
        text = text[:-2] + "…"
    draw.text(at, text, colour, font)


def to_png(image: Image.Image, /) -> bytes:
    """Return an image as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
