"""Files: a folder per shard with one ``.pgf`` or ``.pgfr`` per picture, and ``rows.jsonl`` with their facts."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pgfrs.corpus.files import sync_folder
from pgfrs.corpus.rows import FACTS, Record, to_json
from pgfrs.corpus.sinks.base import Layout, Shard, Sink, distinct, file_name

_ROWS = "rows.jsonl"


class _FolderShard(Shard):
    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__()
        self._path = path
        self._extension = layout.extension
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        self._temporary.mkdir()
        self._rows: list[str] = []
        self._keys: set[str] = set()
        self._bytes = 0
        self._hash = hashlib.sha256()

    def add(self, record: Record) -> None:
        if record.data is None:
            return
        key = distinct(file_name(record.key, record.row), self._keys, record.row)
        name = f"{key}.{self._extension}"
        line = {"file": name, "key": record.key, **record.facts, "fields": record.fields}
        self._rows.append(to_json(line) + "\n")
        self._write(name, record.data)

    def _write(self, name: str, data: bytes) -> None:
        path = self._temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._bytes += len(data)
        self._hash.update(data)

    def close(self) -> None:
        self._write(_ROWS, "".join(self._rows).encode())
        sync_folder(self._temporary)

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        return {f"{self._path.name}/": {"bytes": self._bytes, "sha256": self._hash.hexdigest()}}

    def publish(self) -> None:
        if self._path.exists():
            old = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}.tmp")
            self._path.rename(old)
            self._temporary.rename(self._path)
            shutil.rmtree(old)
        else:
            self._temporary.rename(self._path)

    def discard(self) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)


class FolderSink(Sink):
    """Shards as folders ``NAME/``."""

    def open(self, folder: Path, name: str) -> Shard:
        return _FolderShard(folder / name, self.layout)

    def read(self, folder: Path, name: str) -> Iterator[Record]:
        with (folder / name / _ROWS).open("rb") as file:
            for number, line in enumerate(file):
                row = json.loads(line)
                data = (folder / name / row["file"]).read_bytes()
                yield Record(number, row["key"], "ok", data, {fact: row[fact] for fact in FACTS})
