"""Pictures that are read in parts, from any address that fsspec knows.

``pgfrs.open`` reads the header of a file and nothing else; every later call fetches the bytes that it needs. Of a tiled
file (``roi=True``) these are the tiles of a region at every level, of any other ``.pgf`` file the levels down to the
one that is wanted; of a stream (``.pgfr``) with an index the segments that bear on it, of one without all of it.

A PGF file has no table of its parts: each says only how long it is. On a disk they are found by looking at each; over
a network that would be a request for every one, so everything from the start of the level is read instead. A stream
says nowhere what lies where. An index at the end of the file, made once by :func:`add_index` or ``pgfrs index``, makes
all of this unnecessary; decoders ignore it.
"""

from __future__ import annotations

import math
import os
import struct
import threading
import warnings
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import pgfrs
from pgfrs._pgfrs import ByteMap, StreamMap, index_stream
from pgfrs._ranges import BLOCK, RangeReader

__all__ = ["LazyImage", "Region", "add_index"]

Region = tuple[int, int, int, int]

_HEAD = 1 << 14
"""Bytes that are read first: headers without metadata have at most a hundred."""

_STREAM_BYTES_PER_PIXEL = 6
"""What a thumbnail of a stream reads: 33 dB and more of what the whole stream gives at that level."""

_FOOTER = struct.Struct("<8sII")
_MAGIC = b"pgfrsIDX"
_FEW = 64
"""Macroblocks that may as well be looked for."""


def add_index(data: bytes | bytearray | memoryview, /, *, by_place: bool = False) -> bytes:
    """A file with an index behind its last byte, where decoders do not look; one that it has is replaced.

    In a ``.pgf`` file the index holds the lengths of all macroblocks in words, 16 bits each, little-endian, compressed
    by zlib; behind it stand ``pgfrsIDX``, its length and its CRC-32, 32 bits each. In a stream (``.pgfr``) it holds
    place and length of all segments, as section 11 of the format says.

    Args:
        data: the file.
        by_place: only of streams: put coarse levels before fine ones, and what is near in the picture near in the
            file. The picture is the same, and a region takes few requests; but a prefix is no longer the best picture
            that so many bytes can give. Segments of planes change places, advisory checks are left out.

    Raises:
        FormatError: the file is damaged; :func:`pgfrs.repair` it first.
        TruncatedError: the file is cut.
        UnsupportedError: a picture without wavelet levels, which has no macroblocks; a stream whose header, base or
            palette come behind its first segment (:func:`pgfrs.repair` puts them in front).
        ValueError: ``by_place`` for a ``.pgf`` file.
    """
    data = bytes(data)
    if pgfrs.read_info(data).format == "pgfr":
        return index_stream(data, by_place=by_place)
    if by_place:
        raise ValueError("by_place=True: only of streams (.pgfr); a .pgf file has its order")
    byte_map = ByteMap(data, len(data))
    lengths = byte_map.word_lengths(lambda offset, _: data[offset : offset + BLOCK])
    end = byte_map.ranges(0, None, lambda offset, _: data[offset : offset + BLOCK])[-1][1]
    packed = zlib.compress(lengths, 9)
    return data[:end] + packed + _FOOTER.pack(_MAGIC, len(packed), zlib.crc32(packed))


class LazyImage:
    """A picture that is read in parts; see :func:`pgfrs.open`.

    May be used by several threads. Works as an array in slices: ``picture[100:200, 300:400]`` reads that part,
    ``numpy.asarray(picture)`` everything.
    """

    def __init__(
        self,
        address: str | os.PathLike[str],
        *,
        storage_options: dict[str, Any] | None = None,
        search: Literal["auto", "lengths", "blocks"] = "auto",
        cache_bytes: int = 1 << 28,
        limits: pgfrs.Limits | None = None,
    ) -> None:
        if search not in ("auto", "lengths", "blocks"):
            raise ValueError(f'search={search!r}: "auto", "lengths" or "blocks" is possible')
        self._limits = limits
        self._lock = threading.RLock()
        self._reader = RangeReader(address, storage_options, cache_bytes)
        self._by_lengths = search == "lengths" or (search == "auto" and self._reader.local)
        self._map: ByteMap | None = None
        try:
            head = self._read_head()
            if self.info.format == "pgf" and self.info.levels > 0:
                self._map = ByteMap(head, self._reader.size, limits=self._limits)
        except BaseException:
            self._reader.close()
            raise
        self._macroblocks = self._map.macroblocks if self._map else 0
        self._index_wanted = True
        self._head = head if self.info.format == "pgfr" else b""
        self._stream_map: StreamMap | None = None

    def _read_head(self) -> bytes:
        """The first bytes, all of the header among them."""
        size = self._reader.size
        length = min(_HEAD, size)
        while True:
            head = self._reader.read([(0, length)])[0]
            try:
                self.info = pgfrs.read_info(head)
                return head
            except pgfrs.TruncatedError:
                if length >= size:
                    raise
                length = min(8 * length, size)

    def __enter__(self) -> LazyImage:
        """The picture itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; what is in memory can still be read."""
        self._reader.close()

    def __repr__(self) -> str:
        """Address, size and what was read."""
        info = self.info
        return (
            f"<LazyImage {self._reader.address!r} {info.width}x{info.height} {info.mode}, "
            f"{self.bytes_read} of {self.size} bytes read>"
        )

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._reader.size

    @property
    def bytes_read(self) -> int:
        """Bytes that were fetched so far."""
        return self._reader.bytes_read

    @property
    def requests(self) -> int:
        """How often something was fetched so far."""
        return self._reader.requests

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole picture's array, (H, W) or (H, W, C)."""
        return self.info.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples."""
        return np.dtype(self.info.dtype)

    @property
    def ndim(self) -> int:
        """Axes of the whole picture's array."""
        return len(self.shape)

    @property
    def levels(self) -> tuple[tuple[int, int], ...]:
        """(width, height) of every level, full size first."""
        return tuple(self.info.level_size(level) for level in range(self.info.levels + 1))

    def read(
        self, *, level: int = 0, region: Region | None = None, mode: str | None = None, max_bytes: int | None = None
    ) -> NDArray[Any]:
        """The picture, or a part of it, at a level.

        Args:
            level: 0 is full size, level k has ceil(size / 2^k) pixels a side.
            region: (left, top, right, bottom) in full-size pixels; ``None`` means all.
            mode: convert to this mode, as in :func:`pgfrs.decode`.
            max_bytes: of a stream, the bytes of its beginning to be content with. What matters most comes first, unless
                the stream was made to begin with something else. ``None`` means what the level and the region need,
                found by the index; without one, all of it.

        Raises:
            ValueError: a level or region that the picture does not have; ``max_bytes`` for a ``.pgf`` file.
            LimitsError: the part is over the limits.
            OSError: the bytes could not be fetched.

        Warns:
            DamageWarning: the file is cut or damaged; all of it was read to make the best of it.
            WholeFileWarning: the server has no byte ranges; all of the file was read.
        """
        if max_bytes is None:
            if self.info.format == "pgfr":
                pixels = self._from_segments(level, region, mode)
                if pixels is not None:
                    return pixels
            data = self._bytes_for(level, region)
        elif self.info.format != "pgfr" or max_bytes < 1:
            raise ValueError(f"max_bytes={max_bytes}: 1 or more, and only of streams (.pgfr)")
        else:
            data = self._reader.read([(0, min(max_bytes, self.size))])[0]
        return np.asarray(pgfrs.decode(data, level=level, region=region, mode=mode, limits=self._limits))

    def thumbnail(self, max_side: int = 256) -> NDArray[Any]:
        """The largest level with no side above ``max_side`` pixels; its longer side has more than half of them.

        A picture whose smallest level is larger gives that level. Of a stream six bytes a pixel (at least 16,384) of
        its beginning are read, nearly what all of it gives, or by an index all that bears on the level, if that is no
        more.
        """
        if max_side < 1:
            raise ValueError(f"max_side={max_side}: at least 1 is needed")
        fitting = (level for level, size in enumerate(self.levels) if max(size) <= max_side)
        level = next(fitting, self.info.levels)
        width, height = self.levels[level]
        if self.info.format != "pgfr":
            return self.read(level=level)
        enough = max(_HEAD, _STREAM_BYTES_PER_PIXEL * width * height)
        exact = self._from_segments(level, None, None, most=enough)
        return self.read(level=level, max_bytes=enough) if exact is None else exact

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole picture."""
        if copy is False:
            raise ValueError("the picture has to be read: copy=False is not possible")
        pixels = self.read()
        return pixels if dtype is None else pixels.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        """Pixels as of a numpy array, by integers and slices; only the rectangle around them is read."""
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys = (*keys[:at], *[slice(None)] * (self.ndim - len(keys) + 1), *keys[at + 1 :])
        if len(keys) > self.ndim:
            raise IndexError(f"{len(keys)} indices for an image with {self.ndim} axes")
        keys = (*keys, *[slice(None)] * (self.ndim - len(keys)))
        spans, inner = zip(*(_span(k, n) for k, n in zip(keys[:2], self.shape[:2], strict=True)), strict=True)
        (top, bottom), (left, right) = spans
        if top >= bottom or left >= right:
            return np.empty((bottom - top, right - left, *self.shape[2:]), self.dtype)[(*inner, *keys[2:])]
        return self.read(region=(left, top, right, bottom))[(*inner, *keys[2:])]

    def _bytes_for(self, level: int, region: Region | None) -> bytes:
        """A file with at least what a level and a region need."""
        if self._map is None or not 0 <= level <= self.info.levels:
            return self._reader.whole()
        with self._lock:
            # A level has about a quarter of the macroblocks of the next finer one.
            if self._index_wanted and self._macroblocks * 0.25**level > _FEW:
                self._index_wanted = False
                self._take_index()
            try:
                ranges = self._map.ranges(level, region, self._search)
            except (pgfrs.FormatError, pgfrs.TruncatedError):
                # Damaged or cut: what can be saved is found in the whole.
                return self._reader.whole()
            return self._map.assemble(level, region, self._reader.read(ranges))

    def _from_segments(
        self, level: int, region: Region | None, mode: str | None, *, most: int | None = None
    ) -> NDArray[Any] | None:
        """Pixels from the segments of a stream that bear on them.

        ``None`` if there is no index that says which, or if the segments have more than ``most`` bytes.
        """
        if not 0 <= level <= self.info.levels:
            return None
        with self._lock:
            if self._index_wanted:
                self._index_wanted = False
                self._stream_map = self._take_stream_index()
            segments = self._stream_map
            if segments is None:
                return None
            try:
                pages = self._read_in_any_order(segments.pages(level, region))
                ranges = segments.ranges(level, region, pages)
                if most is not None and sum(end - start for start, end in ranges) > most:
                    return None
                pieces = self._reader.read(ranges)
                stream = segments.assemble(level, region, pages, pieces)
            except pgfrs.FormatError:
                # The index is not of these bytes, or they are damaged: what can be saved is found in the whole.
                self._stream_map = None
                return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pgfrs.DamageWarning)
            pixels, report = pgfrs.decode_with_report(
                stream, level=level, region=region, mode=mode, limits=self._limits
            )
        if report.damaged:
            self._stream_map = None
            return None
        return np.asarray(pixels)

    def _read_in_any_order(self, ranges: list[tuple[int, int]]) -> list[bytes]:
        order = sorted(ranges)
        found = dict(zip(order, self._reader.read(order), strict=True))
        return [found[span] for span in ranges]

    def _take_stream_index(self) -> StreamMap | None:
        """The index at the end of a stream, if there is one that is of this stream."""
        segments = StreamMap(self._head, self.size, limits=self._limits)
        try:
            if segments.directory is None:
                return None
            segments.use_directory(self._reader.read([segments.directory])[0])
            segments.use_opening(self._reader.read([segments.opening])[0])
        except pgfrs.FormatError:
            return None
        return segments

    def _take_index(self) -> None:
        """Use the index at the end of the file, if there is one."""
        assert self._map is not None
        size = self._reader.size
        if size < self.info.data_offset + _FOOTER.size:
            return
        magic, length, checksum = _FOOTER.unpack(self._reader.read([(size - _FOOTER.size, size)])[0])
        start = size - _FOOTER.size - length
        if magic != _MAGIC or start < self.info.data_offset:
            return
        packed = self._reader.read([(start, size - _FOOTER.size)])[0]
        if zlib.crc32(packed) != checksum:
            return
        most = 2 * self._macroblocks
        try:
            inflate = zlib.decompressobj()
            lengths = inflate.decompress(packed, most + 1)
            self._map.use_word_lengths(lengths)
        except (zlib.error, pgfrs.FormatError):
            return  # An index of another file: the search goes on without one.

    def _search(self, offset: int, macroblocks: int) -> bytes:
        """Bytes from ``offset`` on, where the length of a macroblock stands."""
        known = self._reader.peek(offset, BLOCK)
        if len(known) >= 4:
            return known
        end = self._reader.size
        if self._by_lengths:
            return self._reader.glance(offset, min(offset + 4, end))
        likely = math.ceil(macroblocks * end / self._macroblocks)
        end = min(offset + min(max(likely, BLOCK), 64 * BLOCK), end)
        return self._reader.read([(offset, end)])[0]


def _span(key: Any, length: int) -> tuple[tuple[int, int], Any]:
    """The stretch of an axis around an index or slice, and the index or slice in it."""
    if not isinstance(key, slice):
        try:
            index = key.__index__()
        except AttributeError:
            raise IndexError(f"{key!r}: integers and slices are possible") from None
        if not -length <= index < length:
            raise IndexError(f"index {index}: the axis has {length} pixels")
        index %= length
        return (index, index + 1), 0
    picked = range(*key.indices(length))
    if not picked:
        return (0, 0), slice(0, 0)
    low, high = min(picked[0], picked[-1]), max(picked[0], picked[-1])
    stop = picked[-1] - low + picked.step
    return (low, high + 1), slice(picked[0] - low, None if stop < 0 else stop, picked.step)
