"""JPEG as byte models are trained on it today, to compare with: tables left out, a restart marker after every MCU.

Quality 25, chroma halved in both directions, Huffman and quantization tables stripped because they are the same in
every file, and restart markers so that a wrong byte ends with its MCU. Needs Pillow.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Of libjpeg.
_LARGEST_SIDE = 65500
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"


def encode(
    image: NDArray[np.uint8], *, quality: int = 25, subsampling: str = "4:2:0", restart: int = 1, tables: bool = False
) -> bytes:
    """Encode as a baseline JPEG.

    Args:
        image: ``uint8`` of shape (H, W) or (H, W, 3).
        quality: libjpeg's, 1 to 95.
        subsampling: ``"4:4:4"``, ``"4:2:2"`` or ``"4:2:0"``.
        restart: MCUs between restart markers; 0 for none.
        tables: keep the tables.

    Returns:
        The file; without its tables unless ``tables``.

    Raises:
        ValueError: an array or an option that does not fit.
    """
    from PIL import Image

    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"{image.dtype} of shape {image.shape}: uint8 of shape (H, W) or (H, W, 3) is needed")
    if subsampling not in ("4:4:4", "4:2:2", "4:2:0"):
        raise ValueError(f"subsampling {subsampling!r}: '4:4:4', '4:2:2' and '4:2:0' are possible")
    if not 1 <= quality <= 95:
        raise ValueError(f"quality={quality}: 1 to 95 are possible")
    if not 0 <= restart <= 65535:
        raise ValueError(f"restart={restart}: 0 to 65535 are possible")
    if not (0 < min(image.shape[:2]) and max(image.shape[:2]) <= _LARGEST_SIDE):
        raise ValueError(f"shape {image.shape}: sides of 1 to {_LARGEST_SIDE} pixels are possible")
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(
        out,
        "JPEG",
        quality=quality,
        subsampling=subsampling,
        restart_marker_blocks=restart,
        streamtype=0 if tables else 2,
    )
    return out.getvalue()


@functools.lru_cache(16)
def fixed_tables(quality: int = 25) -> bytes:
    """The marker segments (DQT, DHT) that :func:`encode` leaves out at this quality."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", quality=quality, streamtype=1)
    return out.getvalue()[len(_SOI) : -len(_EOI)]


def restore(data: bytes, *, quality: int = 25) -> bytes:
    """Put the tables back, and what a cut file lacks at its end: what every JPEG decoder reads.

    Raises:
        ValueError: the data do not begin as a JPEG file does.
    """
    if data[:2] != _SOI:
        raise ValueError(f"the data begin with {data[:2].hex(' ') or 'nothing'}, a JPEG file with ff d8")
    whole = _SOI + fixed_tables(quality) + data[2:]
    if whole.endswith(b"\xff"):
        whole = whole[:-1]
    return whole if whole.endswith(_EOI) else whole + _EOI


def decode(data: bytes, *, quality: int = 25) -> NDArray[np.uint8]:
    """Decode a whole, cut or damaged file without tables; MCUs that are missing are gray.

    Returns:
        ``uint8`` of shape (H, W) or (H, W, 3).

    Raises:
        ValueError: no picture can be made of the data.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(restore(bytes(data), quality=quality))) as picture:
            picture.load()
            pixels: Any = np.asarray(picture if picture.mode in ("L", "RGB") else picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # whatever Pillow makes of noise
        raise ValueError(f"no JPEG picture: {error}") from None
    return np.array(pixels)
