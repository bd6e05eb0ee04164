"""PGF as array-to-bytes codec of version 3 of the Zarr format."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer

from pgfrs.codecs._chunks import CODEC_ID, ChunkOptions

__all__ = ["PgfCodec"]


@dataclass(frozen=True, init=False)
class PgfCodec(ArrayBytesCodec):
    """Codec of chunks of shape (..., H, W) or (..., H, W, C), by the name ``"pgfrs"``: give it as ``serializer``.

    Chunks are ``uint8``, ``uint16``, ``bool``, ``uint32`` (31-bit gray) or ``int32`` (planes). Options are those of
    :class:`pgfrs.codecs._chunks.ChunkOptions`.
    """

    options: ChunkOptions
    is_fixed_size = False

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
        object.__setattr__(
            self, "options", ChunkOptions(quality, levels, mode, roi, max_bytes, strict, format, payload)
        )

    @classmethod
    def from_dict(cls, data: Any) -> PgfCodec:
        """From an array's metadata."""
        if data["name"] != CODEC_ID:
            raise ValueError(f"codec name {data['name']!r}: {CODEC_ID!r} is needed")
        codec = cls()
        object.__setattr__(codec, "options", ChunkOptions.of(data.get("configuration") or {}))
        return codec

    def to_dict(self) -> dict[str, Any]:
        """For an array's metadata: the name and the options that are not the default."""
        changed = self.options.changed()
        return {"name": CODEC_ID, **({"configuration": changed} if changed else {})}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse an array whose chunks are no pictures.

        Raises:
            ValueError: the type or the chunk shape does not fit.
        """
        if hasattr(chunk_grid, "chunk_shape"):
            self.options.check(tuple(chunk_grid.chunk_shape), dtype.to_native_dtype())

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        chunk = chunk_array.as_numpy_array()
        native = np.ascontiguousarray(chunk, dtype=chunk.dtype.newbyteorder("="))
        return chunk_spec.prototype.buffer.from_bytes(self.options.encode(native))

    def _decode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        picture = self.options.decode(chunk_data.as_numpy_array())
        dtype = chunk_spec.dtype.to_native_dtype()
        if picture.dtype != dtype.newbyteorder("=") or picture.size != np.prod(chunk_spec.shape):
            raise ValueError(
                f"chunk holds {picture.dtype} of shape {picture.shape}: {dtype} of shape {chunk_spec.shape} is needed"
            )
        chunk = picture.reshape(chunk_spec.shape).astype(dtype, copy=False)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(chunk)

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._encode_sync, chunk_array, chunk_spec)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Not known before encoding."""
        raise NotImplementedError("the size of an encoded picture depends on the picture")
