"""Ids for language models: every byte of a payload plus an offset, as Megatron's ``.bin``/``.idx`` or a flat array.

Beside each shard ``NAME.rows.jsonl`` names the picture of every sequence and keeps the source's columns.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgfrs.corpus.files import WholeFile
from pgfrs.corpus.rows import FACTS, Record, to_json
from pgfrs.corpus.sinks.base import Layout, Shard, Sink

_LARGEST_BYTE = 255
#: Megatron's index: magic, version, code of the type of ids.
_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_CODES = {np.dtype("<i4"): 4, np.dtype("<u2"): 8}


def id_type(layout: Layout) -> np.dtype[Any]:
    """``uint16`` where all ids fit, else ``int32``."""
    around = {"begin_id": layout.begin_id, "end_id": layout.end_id}
    for name, number in around.items():
        if number is not None and 0 <= number - layout.id_offset <= _LARGEST_BYTE:
            raise ValueError(f"{name}={number}: that is the id of byte {number - layout.id_offset}")
    named = [n for n in around.values() if n is not None]
    lowest, largest = min([layout.id_offset, *named]), max([layout.id_offset + _LARGEST_BYTE, *named])
    if lowest < 0 or largest > 2**31 - 1:
        raise ValueError(f"ids from {lowest} to {largest}: between 0 and {2**31 - 1} are possible")
    return np.dtype("<u2" if largest <= 65535 else "<i4")


def ids_of(data: bytes, layout: Layout) -> NDArray[Any]:
    """The ids of a payload."""
    kind = id_type(layout)
    ids = np.frombuffer(data, np.uint8).astype(kind) + kind.type(layout.id_offset)
    begin = [] if layout.begin_id is None else [layout.begin_id]
    end = [] if layout.end_id is None else [layout.end_id]
    return np.concatenate([np.array(begin, kind), ids, np.array(end, kind)])


def data_of(ids: NDArray[Any], layout: Layout) -> bytes:
    """The payload of ids."""
    first, last = int(layout.begin_id is not None), len(ids) - int(layout.end_id is not None)
    return (ids[first:last].astype(np.int64) - layout.id_offset).astype(np.uint8).tobytes()


class _IdShard(Shard):
    """Ids in one file, where each sequence ends in another, names in a third."""

    def __init__(self, stem: Path, ids: str, index: str, layout: Layout) -> None:
        self._ids, self._index, self._rows = (
            WholeFile(stem.with_name(f"{stem.name}.{suffix}")) for suffix in (ids, index, "rows.jsonl")
        )
        self._layout = layout
        self._lengths: list[int] = []
        super().__init__(self._ids, self._index, self._rows)

    def add(self, record: Record) -> None:
        if record.data is None:
            return
        ids = ids_of(record.data, self._layout)
        self._ids.write(ids.tobytes())
        self._lengths.append(len(ids))
        line = {"key": record.key, "nbytes": len(record.data), **record.facts, "fields": record.fields}
        self._rows.write((to_json(line) + "\n").encode())

    def _finish(self) -> None:
        self._index.write(self._index_of(np.array(self._lengths, np.int64)))

    def _index_of(self, lengths: NDArray[np.int64]) -> bytes:
        raise NotImplementedError


class _MegatronShard(_IdShard):
    def _index_of(self, lengths: NDArray[np.int64]) -> bytes:
        kind = id_type(self._layout)
        starts = (np.cumsum(lengths) - lengths) * kind.itemsize
        documents = np.arange(len(lengths) + 1, dtype="<i8")
        head = _MAGIC + struct.pack("<QBQQ", _VERSION, _CODES[kind], len(lengths), len(documents))
        return head + lengths.astype("<i4").tobytes() + starts.astype("<i8").tobytes() + documents.tobytes()


class _MemmapShard(_IdShard):
    def _index_of(self, lengths: NDArray[np.int64]) -> bytes:
        out = io.BytesIO()
        np.save(out, np.concatenate([[0], np.cumsum(lengths)]).astype("<i8"))
        return out.getvalue()


def _described(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    with (folder / f"{name}.rows.jsonl").open("rb") as file:
        for line in file:
            yield json.loads(line)


def _records(folder: Path, name: str, ids: NDArray[Any], lengths: NDArray[Any], layout: Layout) -> Iterator[Record]:
    start = 0
    for number, (row, length) in enumerate(zip(_described(folder, name), lengths.tolist(), strict=True)):
        data = data_of(ids[start : start + length], layout)
        yield Record(number, row["key"], "ok", data, {fact: row[fact] for fact in FACTS})
        start += length


class MegatronSink(Sink):
    """Shards as ``NAME.bin`` (ids), ``NAME.idx`` and ``NAME.rows.jsonl``; each picture is a sequence and a document."""

    def __init__(self, layout: Layout) -> None:
        id_type(layout)
        super().__init__(layout)

    def open(self, folder: Path, name: str) -> Shard:
        return _MegatronShard(folder / name, "bin", "idx", self.layout)

    def read(self, folder: Path, name: str) -> Iterator[Record]:
        index = (folder / f"{name}.idx").read_bytes()
        start = len(_MAGIC)
        _, _, count, _ = struct.unpack_from("<QBQQ", index, start)
        lengths = np.frombuffer(index, "<i4", count, start + struct.calcsize("<QBQQ"))
        ids = np.fromfile(folder / f"{name}.bin", id_type(self.layout))
        yield from _records(folder, name, ids, lengths, self.layout)


class MemmapSink(Sink):
    """Shards as ``NAME.ids`` (little-endian, for ``numpy.memmap``), ``NAME.offsets.npy`` and ``NAME.rows.jsonl``.

    Sequence i is ``ids[offsets[i]:offsets[i + 1]]``.
    """

    def __init__(self, layout: Layout) -> None:
        id_type(layout)
        super().__init__(layout)

    def open(self, folder: Path, name: str) -> Shard:
        return _MemmapShard(folder / name, "ids", "offsets.npy", self.layout)

    def read(self, folder: Path, name: str) -> Iterator[Record]:
        offsets = np.load(folder / f"{name}.offsets.npy")
        ids = np.fromfile(folder / f"{name}.ids", id_type(self.layout))
        yield from _records(folder, name, ids, np.diff(offsets), self.layout)
