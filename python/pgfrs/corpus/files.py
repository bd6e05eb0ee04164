"""Files that appear whole or not at all, and what is at other places than the local disk."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


class WholeFile:
    """A file that gets its name when it is complete: written under another, flushed to the disk, renamed.

    Counts and hashes what is written, in order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self._hash = hashlib.sha256()
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        self._file: IO[bytes] = self._temporary.open("xb")

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append ``data``."""
        self._file.write(data)
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.bytes

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.flush()

    @property
    def facts(self) -> dict[str, Any]:
        """Length and SHA-256."""
        return {"bytes": self.bytes, "sha256": self._hash.hexdigest()}

    def seal(self) -> None:
        """Bring everything to the disk and close; the name is still another."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def publish(self) -> None:
        """Give the sealed file its name."""
        self._temporary.replace(self.path)

    def discard(self) -> None:
        """Remove what was written."""
        # A full disk makes closing fail too: what is buffered does not fit.
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole, or not at all."""
    file = WholeFile(path)
    try:
        file.write(data)
        file.seal()
        file.publish()
    except BaseException:
        file.discard()
        raise


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, *, older_than: float = 0) -> int:
    """Remove what a killed run left half-written and did not touch for so many seconds; return how many files.

    Looks into the folder itself and into those of the plan, the only places that are written to.
    """
    count, before = 0, time.time() - older_than
    for place in (folder, folder / "plan", folder / "plan" / "digests"):
        if not place.is_dir():
            continue
        for entry in list(os.scandir(place)):
            if entry.name.startswith(".") and entry.name.endswith(".tmp") and entry.stat().st_mtime <= before:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
                count += 1
    return count


def is_remote(path: str) -> bool:
    """Whether a path is an address for fsspec."""
    return "://" in path


def fsspec_of(address: str) -> tuple[Any, str]:
    """The file system of an address and the path in it; says what is missing where fsspec is."""
    try:
        import fsspec
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{address}: addresses need fsspec: pip install 'pgfrs[corpus]'") from None
    system, path = fsspec.core.url_to_fs(address)
    return system, str(path)


@contextmanager
def open_anywhere(path: str) -> Iterator[IO[bytes]]:
    """Open a local path or an address for reading, with seeks."""
    if not is_remote(path):
        with open(path, "rb") as file:
            yield file
        return
    system, inside = fsspec_of(path)
    with system.open(inside, "rb") as file:
        yield file


def read_anywhere(path: str, offset: int = 0, length: int | None = None) -> bytes:
    """Read a file, or a part of it."""
    if not is_remote(path):
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(-1 if length is None else length)
    else:
        system, inside = fsspec_of(path)
        data = system.cat_file(inside, start=offset or None, end=None if length is None else offset + length)
    if length is not None and len(data) < length:
        raise OSError(f"{path}: {len(data)} bytes at {offset} where {length} are needed")
    return bytes(data)
