"""What flows through a conversion: rows of a source on the way in, records of a shard on the way out."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

#: Facts about a picture that sinks keep beside it.
FACTS = ("width", "height", "mode", "source_width", "source_height", "source_format", "source_bytes")


@dataclass(slots=True)
class Row:
    """One picture of a source.

    Attributes:
        key: its name, as the source has it.
        image: the file as ``bytes``, a local path, a part of a local file as ``(path, offset, length)``, or a
            :class:`Remote`.
        fields: what else the source says: column or member name to value.
        parts: members of a tar file that become ``fields`` when read: name to ``(offset, length)``.
        tar: path or address of that tar file.
    """

    key: str
    image: Any
    fields: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, list[int]] = field(default_factory=dict)
    tar: str = ""

    @property
    def source(self) -> str:
        """Where the picture is, for people; empty for one that came with the row."""
        if isinstance(self.image, tuple):
            return f"{self.image[0]} at byte {self.image[1]}"
        if isinstance(self.image, Remote):
            return self.image.address
        return self.image if isinstance(self.image, str) else ""


@dataclass(frozen=True, slots=True)
class Remote:
    """Something that fsspec opens: an address, and a part of it unless ``length`` is None."""

    address: str
    offset: int = 0
    length: int | None = None


@dataclass(slots=True)
class Record:
    """One row of a shard.

    Attributes:
        row: its number inside the shard, from 0.
        key: its name.
        status: ``"ok"``, ``"failed"``, ``"skipped"`` (by the selection) or ``"duplicate"``.
        data: the encoded picture, ``None`` unless ok.
        facts: the values of :data:`FACTS`, for ok.
        kind, message: why there is no picture.
        fields: what else the source says.
        psnr: in dB, where it was measured.
        digest: of the source, where it was asked for.
        source: where a picture is that could not be had.
    """

    row: int
    key: str
    status: str
    data: bytes | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    kind: str = ""
    message: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    psnr: float | None = None
    digest: bytes | None = None
    source: str = ""


def caption_text(value: Any) -> str | None:
    """A caption as text: of several the first, of a number its digits; None for what is no text."""
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def take_caption(fields: dict[str, Any], column: str | None) -> str | None:
    """The caption among fields as text; it leaves them unless it says more than the text."""
    value = fields.get(column) if column is not None else None
    text = caption_text(value)
    if column is not None and text == value:
        fields.pop(column, None)
    return text


def plain_text(text: str) -> str:
    """Text that has a place in UTF-8: names of files that are no UTF-8 come with surrogates, which become U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


def to_json(value: Any) -> str:
    """Return one line of JSON; bytes as ``{"base64": ...}``, what else JSON lacks as text. Keys keep their order.

    The line is UTF-8 whatever it holds: surrogates, as in names that are no UTF-8, are escaped and come back.
    """
    line = _ENCODER.encode(value)
    return line if line.isascii() or not _SURROGATES.search(line) else _ASCII_ENCODER.encode(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


_SURROGATES = re.compile("[\ud800-\udfff]")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)
_ASCII_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_plain)
