"""What a picture is between two file formats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pgfrs.metadata import Metadata

Pixels: TypeAlias = NDArray[Any]
"""Samples shaped (H, W) or (H, W, C) in the layout that :func:`pgfrs.encode` documents for the mode."""


class RasterError(ValueError):
    """A picture file that cannot be read, or a format that cannot hold a picture."""


@dataclass(frozen=True, slots=True)
class Raster:
    """Pixels, the PGF mode they stand for, and what belongs to them."""

    pixels: Pixels
    mode: str
    palette: NDArray[np.uint8] | None = None
    """Colours of an ``indexed`` picture, shaped (n, 3) or (n, 4) in R, G, B[, reserved]."""
    metadata: Metadata = field(default_factory=Metadata)
    user_data: bytes = b""
    """User data of a ``.pgf`` file, where the picture comes from one."""
    unnamed: bool = False
    """Whether the mode is only a guess from shape and dtype (``.npy``)."""
    orientation: int = 1
    """EXIF orientation, 1 to 8; 1 where the pixels stand upright."""
    note: str = ""
    """What the reader had to leave out, for a person to read; empty if nothing."""
