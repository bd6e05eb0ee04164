"""What happens to every picture: the options of ``convert_batch`` as one value, and Pillow for formats Rust lacks."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgfrs._errors import IngestError
from pgfrs._pgfrs import ConvertedImage, convert_batch, prepare_image

_ENCODING = ("format", "quality", "max_bytes", "payload", "bare", "levels", "roi")


@dataclass(frozen=True)
class Recipe:
    """Options of :func:`pgfrs.corpus.convert_batch`, with its defaults; checked when first used."""

    format: str = "pgf"
    quality: int = 0
    max_bytes: int | None = None
    payload: str = "packed"
    bare: bool = False
    levels: int | None = None
    roi: bool = False
    size: int | None = None
    resize: str = "shortest"
    enlarge: bool = False
    filter: str = "bicubic"
    min_side: int | None = None
    max_side: int | None = None
    max_aspect: float | None = None
    max_pixels: int = 1 << 28
    channels: str = "source"
    alpha: str = "keep"
    depth: int = 8
    icc: str = "srgb"

    @classmethod
    def for_models(cls, **options: Any) -> Recipe:
        """The defaults for training byte-level language models, :data:`FOR_MODELS`, with ``options`` instead.

        A square of 256 pixels in at most 4096 bytes, one byte an event: see ``docs/bytelm.md`` for why.
        """
        return cls(**FOR_MODELS | options)

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments for :func:`pgfrs.corpus.convert_batch`."""
        return asdict(self)

    def check(self) -> None:
        """Raise ``ValueError`` or ``UnsupportedError`` for an option that does not fit."""
        convert_batch([], **self.arguments())

    def prepare(self, row: Any) -> NDArray[Any]:
        """Return the pixels that would be encoded; raises :class:`pgfrs.IngestError`."""
        arguments = {name: value for name, value in self.arguments().items() if name not in _ENCODING}
        try:
            return prepare_image(row, **arguments)
        except IngestError as error:
            if not _for_pillow(error):
                raise
            pixels = _open_with_pillow(_bytes_of(row), error, self.max_pixels)
            return prepare_image(pixels, **arguments)


#: What ``pgfrs convert --for-models`` means. Colour at half size costs nothing here and spares flat pictures bytes;
#: a bare stream is what small models learn best.
FOR_MODELS: dict[str, Any] = {
    "format": "pgfr",
    "payload": "tokens",
    "bare": True,
    "quality": 4,
    "max_bytes": 4096,
    "size": 256,
    "resize": "crop",
    "channels": "rgb",
    "alpha": "white",
}


@dataclass(frozen=True)
class Picture:
    """A converted picture, whoever decoded its source; names as of :class:`pgfrs.corpus.ConvertedImage`."""

    data: bytes
    width: int
    height: int
    mode: str
    source_width: int
    source_height: int
    source_format: str
    source_bytes: int
    psnr: float | None
    digest: bytes | None


def convert_rows(
    rows: Sequence[Any], recipe: Recipe, *, digest: bool = False, measure: Sequence[bool] = (), num_threads: int = 1
) -> list[ConvertedImage | Picture | IngestError]:
    """Convert a batch as :func:`pgfrs.corpus.convert_batch` does; formats that Rust lacks are opened by Pillow.

    Returns, row by row, the picture or the error that stands in its way.
    """
    results: list[Any] = convert_batch(
        rows, **recipe.arguments(), digest=digest, measure=list(measure), num_threads=num_threads
    )
    for index, result in enumerate(results):
        if isinstance(result, IngestError) and _for_pillow(result) and not isinstance(rows[index], np.ndarray):
            wanted = index < len(measure) and measure[index]
            results[index] = _with_pillow(rows[index], result, recipe, digest=digest, measure=wanted)
    return results


def _for_pillow(error: IngestError) -> bool:
    return error.kind in ("unknown_format", "unsupported")


def _bytes_of(row: Any) -> bytes:
    if isinstance(row, tuple):
        path, offset, length = row
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(length)
    if isinstance(row, (str, Path)):
        return Path(row).read_bytes()
    return bytes(row)


def _with_pillow(row: Any, error: IngestError, recipe: Recipe, *, digest: bool, measure: bool) -> Picture | IngestError:
    try:
        data = _bytes_of(row)
        pixels = _open_with_pillow(data, error, recipe.max_pixels)
    except IngestError as refused:
        return refused
    except OSError as refused:
        return IngestError("unreadable", str(refused))
    result: Any = convert_batch([pixels], **recipe.arguments(), measure=[measure])[0]
    if isinstance(result, IngestError):
        return result
    return Picture(
        result.data,
        result.width,
        result.height,
        result.mode,
        result.source_width,
        result.source_height,
        "pillow",
        len(data),
        result.psnr,
        hashlib.sha256(data).digest() if digest else None,
    )


def _open_with_pillow(data: bytes, error: IngestError, max_pixels: int) -> NDArray[Any]:
    """Decode with Pillow to gray, RGB or RGBA, upright; raises :class:`pgfrs.IngestError`."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ModuleNotFoundError:
        raise IngestError(error.kind, f"{error.message}; Pillow, which may know it, is not installed") from None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > max_pixels:
                size = f"{picture.width}x{picture.height}"
                raise IngestError("limits", f"{size} pixels are over max_pixels {max_pixels}")
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                return np.asarray(upright, np.uint16)
            if upright.mode not in ("L", "RGB", "RGBA"):
                see_through = "A" in upright.mode or "transparency" in upright.info
                gray = upright.mode in ("1", "I", "F")
                upright = upright.convert("RGBA" if see_through else "L" if gray else "RGB")
            return np.asarray(upright)
    except UnidentifiedImageError:
        raise IngestError(error.kind, f"{error.message}, nor one that Pillow knows") from None
    except IngestError:
        raise
    except Exception as refused:  # Pillow's decoders raise whatever their formats suggest
        raise IngestError("corrupt", f"pillow: {refused}") from refused
