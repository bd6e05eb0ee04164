"""MosaicML's MDS: ``NAME.mds`` shards and one ``index.json``, read by ``streaming.StreamingDataset``."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pgfrs.corpus.files import WholeFile, write_file
from pgfrs.corpus.rows import FACTS, Record, plain_text, take_caption, to_json
from pgfrs.corpus.sinks.base import Layout, Shard, Sink

#: Columns in MDS's order (by name) with its names of their encodings and their sizes in bytes, None where they vary.
_COLUMNS: tuple[tuple[str, str, int | None], ...] = (
    ("caption", "str", None),
    ("height", "int", 8),
    ("key", "str", None),
    ("metadata", "str", None),
    ("payload", "bytes", None),
    ("width", "int", 8),
)
_MOST = 2**32 - 1


def _config() -> dict[str, Any]:
    names, encodings, sizes = zip(*_COLUMNS, strict=True)
    return {
        "column_encodings": list(encodings),
        "column_names": list(names),
        "column_sizes": list(sizes),
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": None,
        "version": 2,
    }


class _MdsShard(Shard):
    """Offsets come first in the file, so a shard's samples stay in memory until it is complete."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._file = WholeFile(path)
        self._caption = layout.caption
        self._samples: list[bytes] = []
        super().__init__(self._file)

    def add(self, record: Record) -> None:
        if record.data is None:
            return
        fields = dict(record.fields)
        caption = take_caption(fields, self._caption)
        described = fields.pop("json", None)
        fields |= described if isinstance(described, dict) else {}
        texts = [plain_text(caption or ""), plain_text(record.key), to_json(fields | {"pgfrs": record.facts})]
        text, key, metadata = (value.encode() for value in texts)
        sizes = struct.pack("<4I", len(text), len(key), len(metadata), len(record.data))
        height, width = (struct.pack("<q", record.facts[side]) for side in ("height", "width"))
        self._samples.append(sizes + text + height + key + metadata + record.data + width)

    def _finish(self) -> None:
        config = json.dumps(_config(), sort_keys=True).encode()
        count = len(self._samples)
        ends = np.cumsum([4 + 4 * (count + 1) + len(config), *map(len, self._samples)], dtype=np.int64)
        if ends[-1] > _MOST:
            raise ValueError(f"{self._file.path.name}: {ends[-1]} bytes; MDS holds {_MOST}: use a smaller --shard-size")
        self._file.write(struct.pack("<I", count))
        self._file.write(ends.astype("<u4").tobytes())
        self._file.write(config)
        for sample in self._samples:
            self._file.write(sample)


def captions(path: Path) -> Iterator[str]:
    """Yield the captions of a shard, empty where a picture has none."""
    shard = path.read_bytes()
    (count,) = struct.unpack_from("<I", shard)
    for at in np.frombuffer(shard, "<u4", count, 4).tolist():
        (length,) = struct.unpack_from("<I", shard, at)
        yield shard[at + 16 : at + 16 + length].decode()


class MdsSink(Sink):
    """Shards as ``NAME.mds``; ``index.json`` names them all."""

    def open(self, folder: Path, name: str) -> Shard:
        return _MdsShard(folder / f"{name}.mds", self.layout)

    def read(self, folder: Path, name: str) -> Iterator[Record]:
        shard = (folder / f"{name}.mds").read_bytes()
        (count,) = struct.unpack_from("<I", shard)
        ends = np.frombuffer(shard, "<u4", count + 1, 4).tolist()
        for number in range(count):
            at = ends[number]
            text, key, metadata, payload = struct.unpack_from("<4I", shard, at)
            at += 16 + text + 8
            name_of = shard[at : at + key].decode()
            at += key
            facts = json.loads(shard[at : at + metadata])["pgfrs"]
            at += metadata
            yield Record(number, name_of, "ok", shard[at : at + payload], {fact: facts[fact] for fact in FACTS})

    def finish(self, folder: Path, shards: Iterator[dict[str, Any]]) -> None:
        entries = []
        for stats in shards:
            name = f"{stats['name']}.mds"
            raw = {"basename": name, "bytes": stats["files"][name]["bytes"], "hashes": {}}
            if stats["ok"]:
                entries.append(_config() | {"raw_data": raw, "samples": stats["ok"], "zip_data": None})
        index = json.dumps({"shards": entries, "version": 2}, sort_keys=True)
        write_file(folder / "index.json", index.encode())
