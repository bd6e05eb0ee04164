"""WebDataset: a tar of ``key.pgf``, ``key.json`` and the other members that the source's samples have.

``key.json`` holds the source's columns and, under ``"pgfrs"``, the facts about the picture. A caption is ``key.txt``, a
class ``key.cls``. Times, owners and modes are fixed, so the same rows give the same bytes.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pgfrs.corpus.files import WholeFile
from pgfrs.corpus.rows import Record, caption_text, plain_text, to_json
from pgfrs.corpus.sinks.base import Layout, Shard, Sink, distinct, file_name

_BLOCK = 512
_RECORD = 20 * _BLOCK
_CLASSES = ("cls", "label")


class _TarShard(Shard):
    def __init__(self, path: Path, layout: Layout) -> None:
        self._file = WholeFile(path)
        self._layout = layout
        self._keys: set[str] = set()
        super().__init__(self._file)

    def add(self, record: Record) -> None:
        if record.data is None:
            return
        folder, slash, name = file_name(record.key, record.row).rpartition("/")
        # WebDataset takes what is behind the first dot for the name of a field.
        key = distinct(f"{folder}{slash}{name.replace('.', '_')}", self._keys, record.row)
        texts, described = _split(record.fields, self._layout.caption)
        described["pgfrs"] = record.facts if key == record.key else record.facts | {"key": record.key}
        self._member(f"{key}.{self._layout.extension}", record.data)
        self._member(f"{key}.json", to_json(described).encode())
        for extension, data in texts.items():
            self._member(f"{key}.{extension}", data)

    def _member(self, name: str, data: bytes) -> None:
        self._file.write(header(name, len(data)))
        self._file.write(data)
        self._file.write(bytes(-len(data) % _BLOCK))

    def _finish(self) -> None:
        self._file.write(bytes(2 * _BLOCK))
        self._file.write(bytes(-self._file.bytes % _RECORD))


def _made_by_tarfile(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


#: A header without name and size, where size and sum of bytes stand, and that sum: its own field counts as blanks.
_PLAIN = _made_by_tarfile("", 0)
_SIZE, _SUM = slice(124, 136), slice(148, 156)
_PLAIN_SUM = sum(_PLAIN) - sum(_PLAIN[_SIZE]) - sum(_PLAIN[_SUM]) + 8 * 0x20


def header(name: str, size: int) -> bytes:
    """Return the header of a member as :mod:`tarfile` makes it.

    It takes :mod:`tarfile` a tenth of the time of a small picture, so that all but unusual names are put into a header
    that it made once.
    """
    if not name.isascii() or not 0 < len(name) <= 100 or name.endswith("/") or size >= 8**11:
        return _made_by_tarfile(name, size)
    octal, text = b"%011o\0" % size, name.encode()
    checked = b"%06o\0 " % (_PLAIN_SUM + sum(text) + sum(octal))
    before, between, after = _PLAIN[100:124], _PLAIN[136:148], _PLAIN[156:]
    return b"".join((text.ljust(100, b"\0"), before, octal, between, checked, after))


def _split(fields: dict[str, Any], caption: str | None) -> tuple[dict[str, bytes], dict[str, Any]]:
    """What becomes members of their own, and what goes into the JSON."""
    members: dict[str, bytes] = {}
    described: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "json" and isinstance(value, dict):
            described |= value
        elif name == caption and (text := caption_text(value)) is not None:
            members["txt"] = plain_text(text).encode()
            if text != value:
                described[name] = value
        elif name in _CLASSES and isinstance(value, int):
            members["cls"] = str(value).encode()
        elif isinstance(value, bytes):
            members[file_name(name, 0).replace("/", "_")] = value
        else:
            described[name] = value
    return members, described


class TarSink(Sink):
    """Shards as ``NAME.tar``."""

    def open(self, folder: Path, name: str) -> Shard:
        return _TarShard(folder / f"{name}.tar", self.layout)

    def read(self, folder: Path, name: str) -> Iterator[Record]:
        with tarfile.open(folder / f"{name}.tar", "r:") as archive:
            key, data, number = "", b"", 0
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]
                file = archive.extractfile(member)
                content = file.read() if file else b""
                stem, _, extension = member.name.rpartition(".")
                if extension == self.layout.extension and stem != key:
                    key, data = stem, content
                elif extension == "json" and stem == key:
                    yield Record(number, key, "ok", data, json.loads(content)["pgfrs"])
                    number += 1
