"""Chunks of arrays as pictures: what the codecs of numcodecs and zarr share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pgfrs

DTYPES = ("bool", "uint8", "uint16", "uint32", "int32")
CODEC_ID = "pgfrs"
#: The end mark of a stream (docs/format-pgfr.md section 3), with nothing behind it.
_END = b"\xff\x0e"


@dataclass(frozen=True)
class ChunkOptions:
    """How chunks are encoded; what is not the default goes into an array's metadata.

    Attributes:
        quality: 0 (lossless) to 30 (smallest).
        levels: wavelet levels, 1 to 30; ``None`` leaves it to the chunk's size.
        mode: image mode; ``None`` picks it by type and shape, ``"multichannel"`` for ``int32``.
        roi: cut every level in tiles.
        max_bytes: most bytes of a chunk.
        strict: refuse damaged and cut chunks; otherwise they decode as far as they go, with a ``DamageWarning``.
        format: ``"pgf"``, or ``"pgfr"`` for resilient streams.
        payload: of streams, ``"packed"`` or ``"tokens"``.
    """

    quality: int = 0
    levels: int | None = None
    mode: str | None = None
    roi: bool = False
    max_bytes: int | None = None
    strict: bool = True
    format: str = "pgf"
    payload: str = "packed"

    def __post_init__(self) -> None:
        if not 0 <= self.quality <= 30:
            raise ValueError(f"quality={self.quality}: between 0 and 30 is possible")

    def changed(self) -> dict[str, Any]:
        """The options that are not the default."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> ChunkOptions:
        """From an array's metadata.

        Raises:
            ValueError: an option that this version does not know.
        """
        unknown = sorted(set(configuration) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"unknown option {unknown[0]!r} of the codec {CODEC_ID!r}")
        return cls(**configuration)

    def check(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Refuse chunks that are no pictures, before there are any.

        Raises:
            ValueError: the type, the shape or the mode does not fit.
        """
        channels = picture_shape(shape)[2:]
        self.encode(np.zeros((16, 16, *channels), dtype.newbyteorder("=")))

    def encode(self, chunk: NDArray[Any]) -> bytes:
        """A chunk as a file.

        Raises:
            ValueError: a shape or type that no picture has.
        """
        options = asdict(self)
        del options["strict"]
        if self.mode is None and chunk.dtype == np.int32:
            options["mode"] = "multichannel"
        if self.format != "pgfr":
            return pgfrs.encode(as_picture(chunk), **options)
        if self.max_bytes is not None:
            options["max_bytes"] = self.max_bytes - len(_END)
        return pgfrs.encode(as_picture(chunk), **options) + _END

    def decode(self, data: Any) -> NDArray[Any]:
        """The picture of a file, of the shape that pictures have.

        Raises:
            PgfError: the data cannot be decoded, or with ``strict`` not completely.
        """
        view = memoryview(data).cast("B")
        # Any prefix of a stream is one; a chunk ends in an end mark.
        if self.strict and self.format == "pgfr" and view[-len(_END) :] != _END:
            raise pgfrs.TruncatedError(f"chunk of {len(view)} bytes: no end mark; strict=False takes what is there")
        return np.asarray(pgfrs.decode(data, strict=self.strict))


def picture_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a chunk as a picture's: leading axes of length 1 are left out.

    Raises:
        ValueError: no picture has this shape.
    """
    rest = shape
    while len(rest) > 3 and rest[0] == 1:
        rest = rest[1:]
    if len(rest) == 3 and rest[0] == 1 and rest[2] > 8:
        rest = rest[1:]
    if len(rest) == 2 or (len(rest) == 3 and 1 <= rest[2] <= 8):
        return rest
    raise ValueError(
        f"chunk of shape {shape}: (..., H, W) or (..., H, W, C) with C from 1 to 8 is needed, 1 in front of that"
    )


def as_picture(chunk: NDArray[Any]) -> NDArray[Any]:
    """A chunk as the array that :func:`pgfrs.encode` takes.

    Raises:
        ValueError: no picture has this shape or type.
    """
    if chunk.dtype.name not in DTYPES:
        raise ValueError(f"chunk of dtype {chunk.dtype}: {', '.join(DTYPES)} are possible")
    picture = chunk.reshape(picture_shape(chunk.shape))
    return picture[:, :, np.newaxis] if picture.dtype == np.int32 and picture.ndim == 2 else picture
