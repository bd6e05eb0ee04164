"""Parquet: every row of the source is a row, those without a picture say why."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pgfrs.corpus.files import WholeFile
from pgfrs.corpus.rows import FACTS, Record, plain_text, take_caption, to_json
from pgfrs.corpus.sinks.base import Layout, Shard, Sink

#: Rows that are held before they are written, and rows of a row group.
_GROUP = 256
_OWN = pa.schema(
    [
        ("key", pa.string()),
        ("payload", pa.binary()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("nbytes", pa.int32()),
        ("caption", pa.string()),
        ("status", pa.string()),
        ("error_kind", pa.string()),
        ("error", pa.string()),
        ("mode", pa.string()),
        ("source_width", pa.int32()),
        ("source_height", pa.int32()),
        ("source_format", pa.string()),
        ("source_bytes", pa.int64()),
    ]
)


def _schema(layout: Layout) -> tuple[pa.Schema, list[str]]:
    """The columns, and those that are the source's own with their types; other sources give one of JSON."""
    if layout.schema is None:
        return _OWN.append(pa.field("metadata", pa.string())), []
    source = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(layout.schema)))
    schema, own = _OWN, []
    for field in source:
        # A caption that is no text stays as it is beside what was made text of it.
        if field.name != layout.caption or not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
            taken = field.name in schema.names
            schema = schema.append(pa.field(f"source_{field.name}" if taken else field.name, field.type))
            own.append(field.name)
    return schema, own


class _File:
    """A WholeFile as pyarrow wants files."""

    closed = False

    def __init__(self, file: WholeFile) -> None:
        self.write, self.tell, self.flush = file.write, file.tell, file.flush

    def close(self) -> None:
        self.closed = True


class _ParquetShard(Shard):
    def __init__(self, path: Path, layout: Layout) -> None:
        file = WholeFile(path)
        super().__init__(file)
        self._caption = layout.caption
        self._schema, self._own = _schema(layout)
        # Payloads are compressed already.
        squeezed = {name: "zstd" for name in self._schema.names if name != "payload"}
        self._writer = pq.ParquetWriter(
            _File(file), self._schema, compression=squeezed | {"payload": "none"}, use_dictionary=["mode", "status"]
        )
        self._rows: list[list[Any]] = []

    def add(self, record: Record) -> None:
        fields = dict(record.fields)
        described = fields.pop("json", None)
        caption = take_caption(fields, self._caption)
        data, facts = record.data, record.facts
        own = [
            plain_text(record.key),
            data,
            facts.get("width"),
            facts.get("height"),
            None if data is None else len(data),
        ]
        own += [None if caption is None else plain_text(caption), record.status, record.kind or None]
        own += [
            plain_text(record.message) or None,
            *(facts.get(name) for name in FACTS if name not in ("width", "height")),
        ]
        if self._own:
            own += [fields.get(name) for name in self._own]
        elif self._schema.names[-1] == "metadata":
            described = fields | described if isinstance(described, dict) else fields
            own.append(to_json(described) if described else None)
        self._rows.append(own)
        if len(self._rows) == _GROUP:
            self._write()

    def _write(self) -> None:
        columns = [pa.array([row[index] for row in self._rows], field.type) for index, field in enumerate(self._schema)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema), row_group_size=_GROUP)
        self._rows = []

    def _finish(self) -> None:
        if self._rows:
            self._write()
        self._writer.close()

    def discard(self) -> None:
        # The writer ends its file when it is collected; that must not happen to a file that is gone.
        self._writer.is_open = False
        super().discard()


class ParquetSink(Sink):
    """Shards as ``NAME.parquet``."""

    def open(self, folder: Path, name: str) -> Shard:
        return _ParquetShard(folder / f"{name}.parquet", self.layout)

    def read(self, folder: Path, name: str) -> Iterator[Record]:
        columns = ["key", "payload", *FACTS]
        number = 0
        with pq.ParquetFile(folder / f"{name}.parquet") as table:
            for batch in table.iter_batches(batch_size=_GROUP, columns=columns):
                for row in batch.to_pylist():
                    if row["payload"] is not None:
                        facts = {name: row[name] for name in FACTS}
                        yield Record(number, row["key"], "ok", row["payload"], facts)
                        number += 1
