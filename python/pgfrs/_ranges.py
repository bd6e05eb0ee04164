"""Byte ranges of a file at any fsspec address: fetched once, near ones together, kept in memory."""

from __future__ import annotations

import bisect
import os
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import pgfrs

__all__ = ["RangeReader"]

Range = tuple[int, int]

NEAR = 4096
"""Ranges with fewer bytes between them are fetched as one: a request costs more than these bytes."""

BLOCK = 1 << 15
"""Bytes that one request to a server is worth: what is fetched at least where the next position is not known."""


class RangeReader:
    """Reads parts of one file and keeps them.

    Attributes:
        size: bytes of the file.
        bytes_read: bytes that were fetched, whether they were asked for or not.
        requests: how often something was fetched.
        local: whether seeking is as cheap as reading.
    """

    def __init__(
        self, address: str | os.PathLike[str], storage_options: dict[str, Any] | None, cache_bytes: int
    ) -> None:
        text = os.fspath(address)
        self.address = text
        self.local = "://" not in text and "::" not in text
        self.bytes_read = 0
        self.requests = 0
        self._lock = threading.RLock()
        self._cache_bytes = cache_bytes
        self._starts: list[int] = []
        self._pieces: dict[int, bytes] = {}
        self._kept = 0
        self._whole: bytes | None = None
        self._file = open(text, "rb") if self.local else None  # noqa: SIM115
        if not self.local:
            import fsspec

            options = dict(storage_options or {})
            if text.startswith(("http://", "https://")):
                # Compressed answers would have neither the offsets nor the size of the file.
                options["headers"] = {"Accept-Encoding": "identity"} | options.get("headers", {})
            self._fs, self._path = fsspec.core.url_to_fs(text, **options)
        size = os.fstat(self._file.fileno()).st_size if self._file else self._fs.info(self._path).get("size")
        if size is None:
            self._take_whole(self._fs.cat_file(self._path), "does not tell its size")
            size = len(self._whole or b"")
        self.size: int = size

    def close(self) -> None:
        """Close the file; what was read stays."""
        if self._file:
            self._file.close()

    def whole(self) -> bytes:
        """All bytes of the file."""
        with self._lock:
            if self._whole is None:
                data = self.read([(0, self.size)])[0]
                self._whole = self._whole or data
                self._starts.clear()
                self._pieces.clear()
                self._kept = 0
            return self._whole

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of some ranges, inside the file and ascending."""
        with self._lock:
            if self._whole is None:
                missing = self._merged([gap for start, end in ranges for gap in self._gaps(start, end)])
                fetched = self._fetch(missing)
                if self._whole is None:
                    for (start, _), piece in zip(missing, fetched, strict=True):
                        self._keep(start, piece)
            found = [self._cached(start, end) for start, end in ranges]
            self._evict()
            return found

    def glance(self, start: int, end: int) -> bytes:
        """The bytes of one range, fetched and not kept."""
        with self._lock:
            return self._fetch([(start, end)])[0] if self._whole is None else self._whole[start:end]

    def peek(self, offset: int, count: int) -> bytes:
        """What is in memory from ``offset`` on, at most ``count`` bytes; nothing is fetched."""
        with self._lock:
            if self._whole is not None:
                return self._whole[offset : offset + count]
            at = bisect.bisect_right(self._starts, offset) - 1
            if at < 0:
                return b""
            start = self._starts[at]
            return self._pieces[start][offset - start : offset - start + count]

    @staticmethod
    def _merged(gaps: list[Range]) -> list[Range]:
        merged: list[Range] = []
        for start, end in sorted(gaps):
            if merged and start - merged[-1][1] < NEAR:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def _fetch(self, ranges: list[Range]) -> list[bytes]:
        if not ranges:
            return []
        self.requests += len(ranges)
        if self._file:
            pieces = [os.pread(self._file.fileno(), end - start, start) for start, end in ranges]
        elif len(ranges) == 1:
            pieces = [self._fs.cat_file(self._path, start=ranges[0][0], end=ranges[0][1])]
        else:
            # The transports of fsspec run these at the same time.
            starts, ends = zip(*ranges, strict=True)
            pieces = self._fs.cat_ranges([self._path] * len(ranges), list(starts), list(ends), on_error="raise")
        self.bytes_read += sum(map(len, pieces))
        for (start, end), piece in zip(ranges, pieces, strict=True):
            if len(piece) == end - start:
                continue
            if len(piece) == self.size:
                self._take_whole(piece, "does not support byte ranges", counted=True)
                return [piece[a:b] for a, b in ranges]
            raise OSError(
                f"{self.address}: bytes {start} to {end} of {self.size} were asked for, {len(piece)} bytes came"
            )
        return pieces

    def _take_whole(self, data: bytes, why: str, *, counted: bool = False) -> None:
        warnings.warn(f"{self.address} {why}: all {len(data)} bytes were read", pgfrs.WholeFileWarning, stacklevel=6)
        self._whole = data
        if not counted:
            self.bytes_read += len(data)
            self.requests += 1

    def _gaps(self, start: int, end: int) -> list[Range]:
        """What of a range is not in memory."""
        gaps = []
        at = max(bisect.bisect_right(self._starts, start) - 1, 0)
        for piece_start in self._starts[at : bisect.bisect_left(self._starts, end)]:
            piece_end = piece_start + len(self._pieces[piece_start])
            if piece_end <= start:
                continue
            if start < piece_start:
                gaps.append((start, piece_start))
            start = max(start, piece_end)
        if start < end:
            gaps.append((start, end))
        return gaps

    def _keep(self, start: int, piece: bytes) -> None:
        """Remember what lies in no other piece."""
        for gap_start, gap_end in self._gaps(start, start + len(piece)):
            bisect.insort(self._starts, gap_start)
            self._pieces[gap_start] = piece[gap_start - start : gap_end - start]
            self._kept += gap_end - gap_start

    def _evict(self) -> None:
        """Make room: the pieces read first go first."""
        for start in list(self._pieces) if self._kept > self._cache_bytes else ():
            if self._kept <= self._cache_bytes:
                break
            self._kept -= len(self._pieces.pop(start))
            self._starts.remove(start)

    def _cached(self, start: int, end: int) -> bytes:
        if self._whole is not None:
            return self._whole[start:end]
        parts = []
        at = max(bisect.bisect_right(self._starts, start) - 1, 0)
        for piece_start in self._starts[at:]:
            if start >= end:
                break
            piece = self._pieces[piece_start]
            part = piece[start - piece_start : end - piece_start]
            parts.append(part)
            start += len(part)
        return b"".join(parts)
