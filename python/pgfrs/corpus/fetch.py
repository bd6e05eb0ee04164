"""Bring what a row needs into memory: members of tars, and pictures that only Python can reach."""

from __future__ import annotations

import json
from typing import Any

from pgfrs._errors import IngestError
from pgfrs.corpus.files import read_anywhere
from pgfrs.corpus.rows import Remote, Row


def is_slow(row: Row) -> bool:
    """Whether the row comes over a network, so that many should be fetched at a time."""
    return isinstance(row.image, Remote)


def fetch(row: Row) -> Any:
    """Fill in the row's fields and return its picture as ``convert_batch`` takes it, or an error of the row."""
    try:
        for name, (offset, length) in row.parts.items():
            row.fields[name] = _value(name, read_anywhere(row.tar, offset, length))
        row.parts = {}
        if isinstance(row.image, Remote):
            return read_anywhere(row.image.address, row.image.offset, row.image.length)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # each file system of fsspec raises its own
        return IngestError("unreadable", f"{type(error).__name__}: {error}")
    return row.image


def _value(name: str, data: bytes) -> Any:
    """A tar member by its extension: text, number, JSON, or bytes."""
    extension = name.rpartition(".")[2].lower()
    try:
        if extension == "json":
            return json.loads(data)
        if extension in ("txt", "text", "transcript", "caption"):
            return data.decode()
        if extension in ("cls", "cls2", "index", "inx", "id"):
            return int(data)
    except ValueError:
        pass
    return data
