"""Where pictures come from: a folder, a list, tar shards, parquet files, JSONL and CSV manifests.

Planning reads a source once, in a fixed order, and writes one line per row to ``manifest.jsonl`` (parquet files: one
range of rows per shard), so that nothing of a large source stays in memory. Converting then reads the manifest, shard
by shard, and never lists the source again.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pgfrs.corpus.files import fsspec_of, is_remote, open_anywhere
from pgfrs.corpus.rows import Remote, Row, to_json

#: Names of files that are taken from folders and tars.
EXTENSIONS = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "pgf", "heic", "heif"}
    | {"avif", "jp2", "j2k", "jpx", "jxl", "ppm", "pgm", "pbm", "pnm", "tga", "ico", "pcx", "sgi", "psd", "xbm", "xpm"}
    | {"dds", "qoi"}
)
KINDS = ("folder", "list", "tar", "parquet", "jsonl", "csv")
_IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "url", "path", "image_path", "file_name", "filename")
_KEY_COLUMNS = ("__key__", "key", "id", "image_id")
_BATCH = 64


class SourceError(ValueError):
    """A source that cannot be read as what it is said to be."""


@dataclass(frozen=True)
class Source:
    """A source, told apart and ready to be planned.

    Attributes:
        kind: one of :data:`KINDS`.
        paths: the folder, the list, or the tar, parquet, JSONL or CSV files in order; absolute or addresses.
        image_column, key_column: columns of parquet, JSONL and CSV; ``None`` finds the usual names.
        all_files: take files of every name, not only those whose extension is a picture's.
    """

    kind: str
    paths: list[str]
    image_column: str | None = None
    key_column: str | None = None
    all_files: bool = False

    def describe(self) -> dict[str, Any]:
        """What identifies the source, for the plan."""
        return asdict(self)


def find_source(
    source: str,
    kind: str | None = None,
    *,
    image_column: str | None = None,
    key_column: str | None = None,
    all_files: bool = False,
) -> Source:
    """Tell what a source is by its name and what is there.

    A folder with tar files is a folder of tar shards, one with parquet files a parquet data set; ``{000..123}`` in a
    name counts up, ``*`` stands for anything. Raises :class:`SourceError` with what was found.
    """
    if kind is not None and kind not in KINDS:
        raise SourceError(f"source kind {kind!r}: {', '.join(KINDS)} are possible")
    paths = _expand(source)
    if kind is None:
        kind = _kind_of(source, paths)
    if kind == "folder":
        if len(paths) != 1 or not (is_remote(paths[0]) or os.path.isdir(paths[0])):
            raise SourceError(f"{source}: one folder is needed")
    elif len(paths) == 1 and not is_remote(paths[0]) and os.path.isdir(paths[0]):
        paths = _inside(paths[0], kind)
    if kind in ("list",) and len(paths) != 1:
        raise SourceError(f"{source}: one {kind} is needed, there are {len(paths)}")
    if not paths:
        raise SourceError(f"{source}: nothing there")
    for path in paths:
        if not is_remote(path) and not os.path.exists(path):
            raise SourceError(f"{path}: not found")
    return Source(kind, paths, image_column, key_column, all_files)


def _expand(source: str) -> list[str]:
    match = re.search(r"\{(\d+)\.\.(\d+)\}", source)
    if match:
        first, last = match.groups()
        if int(last) < int(first):
            raise SourceError(f"{source}: {{{first}..{last}}} counts down")
        head, tail = source[: match.start()], source[match.end() :]
        numbers = range(int(first), int(last) + 1)
        return [path for n in numbers for path in _expand(f"{head}{n:0{len(first)}}{tail}")]
    if "*" in source or "?" in source.rpartition("?")[0]:
        if is_remote(source):
            system, inside = fsspec_of(source)
            return [system.unstrip_protocol(found) for found in sorted(system.glob(inside))]
        found = sorted(glob.glob(source, recursive=True))
        if not found:
            raise SourceError(f"{source}: no file has such a name")
        return [os.path.abspath(path) for path in found]
    return [source if is_remote(source) else os.path.abspath(source)]


def _kind_of(source: str, paths: list[str]) -> str:
    name = paths[0].partition("?")[0].lower()
    for kind, endings in _ENDINGS.items():
        if name.endswith(endings):
            return kind
    if is_remote(paths[0]):
        return "folder"
    if not os.path.exists(paths[0]):
        raise SourceError(f"{source}: not found")
    if not os.path.isdir(paths[0]):
        raise SourceError(f"{source}: neither a folder nor a file of {_known_endings()}; name its kind")
    with os.scandir(paths[0]) as entries:
        for entry in entries:
            for kind in ("tar", "parquet"):
                if entry.name.lower().endswith(_ENDINGS[kind]):
                    return kind
    return "folder"


_ENDINGS: dict[str, tuple[str, ...]] = {
    "tar": (".tar", ".tar.gz", ".tgz"),
    "parquet": (".parquet", ".parq"),
    "jsonl": (".jsonl", ".ndjson"),
    "csv": (".csv", ".tsv"),
    "list": (".txt", ".lst", ".list"),
}


def _known_endings() -> str:
    return ", ".join(ending for endings in _ENDINGS.values() for ending in endings)


def _inside(folder: str, kind: str) -> list[str]:
    with os.scandir(folder) as entries:
        found = sorted(entry.path for entry in entries if entry.name.lower().endswith(_ENDINGS[kind]))
    if not found:
        raise SourceError(f"{folder}: no {' or '.join(_ENDINGS[kind])} file in it")
    return found


def is_picture_name(name: str) -> bool:
    """Whether a file's extension is one of :data:`EXTENSIONS`."""
    return name.rpartition(".")[2].lower() in EXTENSIONS


def safe_key(name: str) -> str:
    """A name as WebDataset wants keys: without extension, no further dots in its last part."""
    folder, _, last = name.replace(os.sep, "/").rpartition("/")
    stem = last.rpartition(".")[0] or last
    return f"{folder}/{stem.replace('.', '_')}" if folder else stem.replace(".", "_")


# --- planning: one pass over the source -------------------------------------------------------------------------


@dataclass
class Listing:
    """What planning found: the source's own columns as an Arrow schema (base64, parquet only), and what was left."""

    schema: str | None = None
    caption: str | None = None
    ignored: int = 0
    columns: list[str] = field(default_factory=list)


def list_rows(source: Source, listing: Listing) -> Iterator[str]:
    """Yield the manifest, line by line; not for parquet, whose rows :func:`parquet_shards` divides."""
    lister: Callable[[Source, Listing], Iterator[dict[str, Any]]] = {
        "folder": _list_folder,
        "list": _list_list,
        "tar": _list_tars,
        "jsonl": _list_table,
        "csv": _list_table,
    }[source.kind]
    for row in lister(source, listing):
        yield to_json(row)


def _list_folder(source: Source, listing: Listing) -> Iterator[dict[str, Any]]:
    root = source.paths[0]
    names = _walk_remote(root) if is_remote(root) else _walk(root)
    for path, relative in names:
        if source.all_files or is_picture_name(relative):
            yield {"k": safe_key(relative), "i": path}
        else:
            listing.ignored += 1


def _walk(root: str) -> Iterator[tuple[str, str]]:
    """All files under a folder, sorted folder by folder; only the names of one folder at a time are in memory.

    What conversions have written beneath is left out, and of one that is the source itself the contact sheet: they are
    no pictures of the corpus.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        files, below = [], []
        converted = os.path.exists(os.path.join(root, folder, "plan", "plan.json"))
        if converted and folder:
            continue
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                if entry.is_dir():
                    # A link may lead back up; the same pictures again would be coded twice.
                    if not entry.is_symlink():
                        below.append(os.path.join(folder, entry.name))
                # A pipe has no end that could be waited for.
                # Links that lead nowhere are rows that fail; a pipe would be waited for without end.
                elif not entry.name.startswith(".") and (entry.is_file() or not os.path.exists(entry.path)):
                    files.append(os.path.join(folder, entry.name))
        if converted:
            files = []
        for name in sorted(files):
            yield os.path.join(root, name), name
        folders.extend(sorted(below, reverse=True))


def _walk_remote(root: str) -> Iterator[tuple[str, str]]:
    system, inside = fsspec_of(root)
    for folder, below, files in system.walk(inside):
        below.sort()
        for name in sorted(files):
            path = f"{folder}/{name}"
            yield system.unstrip_protocol(path), path.removeprefix(inside).lstrip("/")


def _beside(table: str, path: str) -> str:
    """A path in a table, which may be relative to the table's folder."""
    if is_remote(path):
        return path
    if is_remote(table):
        return path if path.startswith("/") else f"{table.rpartition('/')[0]}/{path}"
    return os.path.abspath(os.path.join(os.path.dirname(table), path))


def _list_list(source: Source, _: Listing) -> Iterator[dict[str, Any]]:
    table = source.paths[0]
    with open_anywhere(table) as file, io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            name = line.rstrip("\r\n")
            if name:
                # Absolute paths make long keys; their names are enough, and shards keep equal ones apart.
                key = safe_key(PurePosixPath(name).name if name.startswith("/") or is_remote(name) else name)
                yield {"k": key, "i": _beside(table, name)}


def _list_table(source: Source, listing: Listing) -> Iterator[dict[str, Any]]:
    number = 0
    for table in source.paths:
        newline = "" if source.kind == "csv" else None
        with open_anywhere(table) as file, io.TextIOWrapper(file, encoding="utf-8", newline=newline) as lines:
            for where, row in _table_rows(table, lines, source.kind):
                if not listing.columns:
                    listing.columns = list(row)
                    listing.caption = _caption_column(row)
                column = source.image_column or next((name for name in _IMAGE_COLUMNS if name in row), None)
                if column is None or column not in row:
                    wanted = repr(column) if column else "such as " + ", ".join(map(repr, _IMAGE_COLUMNS))
                    raise SourceError(f"{where}: no column {wanted}; there are {', '.join(map(repr, row))}")
                image = row.pop(column)
                if not isinstance(image, str) or not image:
                    # An empty place is a failure of its row, not of the table.
                    image = ""
                key_column = source.key_column or next((name for name in _KEY_COLUMNS if name in row), None)
                key = str(row[key_column]) if key_column in row else f"{number:09}"
                yield {"k": key, "i": _beside(table, image) if image else "", "f": row}
                number += 1


def _table_rows(table: str, lines: io.TextIOWrapper, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if kind == "csv":
        reader = csv.DictReader(lines, delimiter="\t" if ".tsv" in table.lower() else ",", restkey="_rest")
        for row in reader:
            yield f"{table}, line {reader.line_num}", row
        return
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SourceError(f"{table}, line {number}: not JSON: {error}") from error
            if not isinstance(row, dict):
                raise SourceError(f"{table}, line {number}: a JSON object is needed")
            yield f"{table}, line {number}", row


def _caption_column(row: Any) -> str | None:
    return next((name for name in ("caption", "text", "txt", "TEXT") if name in row), None)


def _list_tars(source: Source, listing: Listing) -> Iterator[dict[str, Any]]:
    listing.caption = "txt"
    for path in source.paths:
        if not path.lower().partition("?")[0].endswith(".tar"):
            raise SourceError(f"{path}: compressed tars cannot be read in parts; unpack to .tar first")
        try:
            with open_anywhere(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
                yield from _samples(path, archive, source, listing)
        except tarfile.TarError as error:
            raise SourceError(f"{path}: {error}") from error


def _samples(path: str, archive: tarfile.TarFile, source: Source, listing: Listing) -> Iterator[dict[str, Any]]:
    key: str | None = None
    image: list[Any] = []
    parts: dict[str, list[int]] = {}
    for member in archive:
        # The archive keeps every header it saw; a large one would fill the memory.
        archive.members = []  # type: ignore[attr-defined]
        if not member.isfile():
            continue
        folder, _, last = member.name.rpartition("/")
        stem, _, extension = last.partition(".")
        name = f"{folder}/{stem}" if folder else stem
        if name != key:
            if key is not None:
                yield from _sample(path, key, image, parts, listing)
            key, image, parts = name, [], {}
        place = [member.offset_data, member.size]
        if not image and extension.lower() in EXTENSIONS:
            image = place
        else:
            parts[extension] = place
    if key is not None:
        yield from _sample(path, key, image, parts, listing)


def _sample(
    path: str, key: str, image: list[Any], parts: dict[str, list[int]], listing: Listing
) -> Iterator[dict[str, Any]]:
    if not image:
        listing.ignored += 1
        return
    yield {"k": key, "t": path, "i": image, "p": parts}


def parquet_shards(source: Source, listing: Listing, shard_size: int) -> Iterator[dict[str, Any]]:
    """Yield shards as ranges of rows of parquet files, in order."""
    import base64

    parquet = _parquet()
    first, segments, held = 0, [], 0
    for path in source.paths:
        with open_anywhere(path) as file:
            table = parquet.ParquetFile(file)
            schema = table.schema_arrow
            column = source.image_column or next((name for name in _IMAGE_COLUMNS if name in schema.names), None)
            if column is None or column not in schema.names:
                wanted = repr(column) if column else "such as " + ", ".join(map(repr, _IMAGE_COLUMNS))
                raise SourceError(f"{path}: no column {wanted}; there are {', '.join(map(repr, schema.names))}")
            others = schema.remove(schema.get_field_index(column)).remove_metadata()
            text = base64.b64encode(others.serialize().to_pybytes()).decode()
            if listing.schema is None:
                listing.schema, listing.caption = text, _caption_column(schema.names)
                listing.columns = others.names
            elif listing.schema != text:
                raise SourceError(f"{path}: columns of other names or types than in {source.paths[0]}")
            rows, start = table.metadata.num_rows, 0
        while start < rows:
            stop = min(rows, start + shard_size - held)
            segments.append({"parquet": path, "column": column, "start": start, "stop": stop, "first": first})
            first, held, start = first + stop - start, held + stop - start, stop
            if held == shard_size:
                yield {"rows": held, "segments": segments}
                segments, held = [], 0
    if held:
        yield {"rows": held, "segments": segments}


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ModuleNotFoundError("parquet needs pyarrow: pip install 'pgfrs[corpus]'") from None
    return pyarrow.parquet


# --- reading: one shard of the plan ------------------------------------------------------------------------------


def read_rows(source: Source, segments: list[dict[str, Any]], manifest: Path) -> Iterator[Row]:
    """Yield the rows of one shard, pictures of files and tars not read yet."""
    for segment in segments:
        if "parquet" in segment:
            yield from _read_parquet(source, segment)
            continue
        start, stop = segment["manifest"]
        with manifest.open("rb") as file:
            file.seek(start)
            while file.tell() < stop:
                yield _row_of(json.loads(file.readline()))


def _row_of(line: dict[str, Any]) -> Row:
    if "t" in line:
        offset, length = line["i"]
        image: Any = Remote(line["t"], offset, length) if is_remote(line["t"]) else (line["t"], offset, length)
        return Row(line["k"], image, parts=line["p"], tar=line["t"])
    path = line["i"]
    image = b"" if not path else Remote(path) if is_remote(path) else path
    return Row(line["k"], image, line.get("f", {}))


def _read_parquet(source: Source, segment: dict[str, Any]) -> Iterator[Row]:
    parquet = _parquet()
    path, column, start, stop = segment["parquet"], segment["column"], segment["start"], segment["stop"]
    with open_anywhere(path) as file:
        table = parquet.ParquetFile(file)
        groups, at, before = [], 0, None
        for group in range(table.num_row_groups):
            rows = table.metadata.row_group(group).num_rows
            if at < stop and at + rows > start:
                groups.append(group)
                before = at if before is None else before
            at += rows
        at = before or 0
        for batch in table.iter_batches(batch_size=_BATCH, row_groups=groups):
            low, high = max(start - at, 0), min(stop - at, batch.num_rows)
            if low < high:
                number = segment["first"] + at + low - start
                for index, values in enumerate(batch.slice(low, high - low).to_pylist()):
                    yield _parquet_row(source, path, values, column, number + index)
            at += batch.num_rows


def _parquet_row(source: Source, path: str, values: dict[str, Any], column: str, number: int) -> Row:
    image = values.pop(column)
    if isinstance(image, dict):  # as the Hugging Face libraries store pictures
        image = image.get("bytes") or image.get("path")
    if isinstance(image, str):
        address = _beside(path, image)
        image = Remote(address) if is_remote(address) else address
    key_column = source.key_column or next((name for name in _KEY_COLUMNS if name in values), None)
    key = str(values[key_column]) if key_column in values else f"{number:09}"
    return Row(key, b"" if image is None else image, values)
