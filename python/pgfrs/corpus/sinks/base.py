"""What all sinks share: a shard is some files, written under other names and published together."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pgfrs.corpus.files import WholeFile
from pgfrs.corpus.rows import Record, plain_text


@dataclass(frozen=True)
class Layout:
    """What sinks need to know about a conversion.

    Attributes:
        extension: of the payload, ``"pgf"`` or ``"pgfr"``.
        caption: the column that holds captions, if any.
        schema: Arrow schema of the source's own columns, base64, for parquet sources.
        id_offset: added to every byte of a payload to make its id.
        begin_id, end_id: ids before and after every payload, if any.
    """

    extension: str
    caption: str | None = None
    schema: str | None = None
    id_offset: int = 0
    begin_id: int | None = None
    end_id: int | None = None


class Shard(ABC):
    """A shard that is being written."""

    def __init__(self, *files: WholeFile) -> None:
        self._files = files

    @abstractmethod
    def add(self, record: Record) -> None:
        """Append a row; those without a picture leave a trace only where the layout has a place for it."""

    def close(self) -> None:
        """Write what comes last and bring everything to the disk, still under other names."""
        self._finish()
        for file in self._files:
            file.seal()

    def _finish(self) -> None:  # noqa: B027 - most layouts have nothing to add
        """Write what comes last."""

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Length and SHA-256 of each file, by name."""
        return {file.path.name: file.facts for file in self._files}

    def publish(self) -> None:
        """Give the files their names."""
        for file in self._files:
            file.publish()

    def discard(self) -> None:
        """Remove everything."""
        for file in self._files:
            file.discard()


class Sink(ABC):
    """A layout of shards."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @abstractmethod
    def open(self, folder: Path, name: str) -> Shard:
        """Begin a shard."""

    @abstractmethod
    def read(self, folder: Path, name: str) -> Iterator[Record]:
        """Yield the pictures of a published shard in order: key, data and facts; ``row`` counts pictures only."""

    def finish(self, folder: Path, shards: Iterator[dict[str, Any]]) -> None:  # noqa: B027 - as above
        """Write what belongs to all shards together, from their statistics in order."""


#: Most bytes of a part of a name, on all usual file systems 255, less what :func:`distinct` and an extension add.
_LONGEST_PART = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def file_name(key: str, row: int) -> str:
    """A key from outside as a relative name of a file in UTF-8: out of no folder, without control characters.

    Parts that are too long for file systems are cut; a row whose key has nothing left is called by its number.
    """
    text = _CONTROL.sub("_", plain_text(key).replace("\\", "/"))
    parts = [_shortened(part) for part in PurePosixPath(text).parts if part not in ("/", "//", "..", ".")]
    return "/".join(parts) or str(row)


def _shortened(part: str) -> str:
    data = part.encode()
    return part if len(data) <= _LONGEST_PART else data[:_LONGEST_PART].decode("utf-8", "ignore")


def distinct(key: str, taken: set[str], row: int) -> str:
    """A key that no other row of the shard has."""
    unique = key if key not in taken else f"{key}-{row}"
    while unique in taken:
        unique += "_"
    taken.add(unique)
    return unique
