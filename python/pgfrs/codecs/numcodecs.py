"""PGF for numcodecs, and so for arrays in version 2 of the Zarr format."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ndarray_copy

from pgfrs.codecs._chunks import CODEC_ID, ChunkOptions

__all__ = ["Pgf"]


class Pgf(Codec):  # type: ignore[misc]
    """Codec of chunks of shape (..., H, W) or (..., H, W, C), by the name ``"pgfrs"``.

    Chunks are ``uint8``, ``uint16``, ``bool``, ``uint32`` (31-bit gray) or ``int32`` (planes), in native byte order and
    C order. Options are those of :class:`pgfrs.codecs._chunks.ChunkOptions`.
    """

    codec_id: ClassVar[str] = CODEC_ID

    def __init__(
        self,
        *,
        quality: int = 0,
        levels: int | None = None,
        mode: str | None = None,
        roi: bool = False,
        max_bytes: int | None = None,
        strict: bool = True,
        format: str = "pgf",
        payload: str = "packed",
    ) -> None:
        self.options = ChunkOptions(quality, levels, mode, roi, max_bytes, strict, format, payload)

    def encode(self, buf: Any) -> bytes:
        """Encode a chunk.

        Raises:
            ValueError: a shape, type, byte order or memory order that does not fit.
        """
        chunk = np.asarray(buf)
        # The caller will take the decoded bytes for its own type and order; neither is kept in the file.
        if not chunk.dtype.isnative:
            raise ValueError(f"chunk of dtype {chunk.dtype.str}: native byte order is needed")
        if not chunk.flags.c_contiguous and chunk.flags.f_contiguous:
            raise ValueError("chunk in order F: order C is needed")
        return self.options.encode(chunk)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode a chunk; ``out`` may have any shape of as many samples."""
        return ndarray_copy(self.options.decode(buf), out)

    def get_config(self) -> dict[str, Any]:
        """The codec's name and the options that are not the default."""
        return {"id": self.codec_id, **self.options.changed()}

    def __repr__(self) -> str:
        """The call that makes the codec."""
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.changed().items())
        return f"Pgf({options})"
