"""The plan of a conversion: made once, kept with the shards, followed by every run that goes on with it.

``DEST/plan/plan.json`` says what is converted how, ``shards.jsonl`` which rows each shard holds, ``manifest.jsonl``
where the rows are. The folder appears whole; a run that finds it never looks at the source's listing again, so rows
keep their places whatever is added to the source meanwhile.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pgfrs.corpus.files import sync_folder, write_file
from pgfrs.corpus.recipe import Recipe
from pgfrs.corpus.rows import Row, to_json
from pgfrs.corpus.sinks import ID_SINKS, Layout, Sink, make_sink
from pgfrs.corpus.sources import Listing, Source, list_rows, parquet_shards, read_rows

_VERSION = 1


@dataclass(frozen=True)
class Settings:
    """What two runs must agree on to write the same shards."""

    source: Source
    recipe: Recipe
    sink: str = "tar"
    shard_size: int = 1000
    dedupe: bool = False
    id_offset: int = 0
    begin_id: int | None = None
    end_id: int | None = None

    def check(self) -> None:
        """Raise ``ValueError`` or ``UnsupportedError`` for a setting that does not fit."""
        if self.shard_size < 1:
            raise ValueError(f"shard_size={self.shard_size}: at least 1 is needed")
        if self.sink not in ID_SINKS:
            for name in ("id_offset", "begin_id", "end_id"):
                if getattr(self, name) not in (0, None):
                    raise ValueError(f"{name}={getattr(self, name)}: goes with the sinks {' and '.join(ID_SINKS)}")
        self.recipe.check()
        make_sink(self.sink, self.layout(Listing()))

    def layout(self, listing: Listing) -> Layout:
        """What the sink needs to know."""
        return Layout(self.recipe.format, listing.caption, listing.schema, self.id_offset, self.begin_id, self.end_id)


@dataclass(frozen=True)
class ShardPlan:
    """One shard: its number and name, how many rows it has, the first of them, and where they are."""

    number: int
    name: str
    rows: int
    first_row: int
    segments: list[dict[str, Any]]


class PlanError(ValueError):
    """A destination that cannot be gone on with."""


class Plan:
    """A plan on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "plan"
        try:
            stored: dict[str, Any] = json.loads((self.folder / "plan.json").read_bytes())
        except ValueError as error:
            raise PlanError(f"{self.folder / 'plan.json'}: {error}") from error
        if stored.get("version") != _VERSION:
            raise PlanError(f"{self.folder}: a plan of version {stored.get('version')}, this is version {_VERSION}")
        self.stored = stored
        self.source = Source(**stored["settings"].pop("source"))
        self.recipe = Recipe(**stored["settings"].pop("recipe"))
        self.settings = Settings(self.source, self.recipe, **stored["settings"])
        self.listing = Listing(**stored["listing"])
        self.rows: int = stored["rows"]
        self.shards: int = stored["shards"]

    def sink(self) -> Sink:
        """The sink that the plan names."""
        return make_sink(self.settings.sink, self.settings.layout(self.listing))

    def __iter__(self) -> Iterator[ShardPlan]:
        """Yield the shards in order."""
        first = 0
        with (self.folder / "shards.jsonl").open("rb") as file:
            for number, line in enumerate(file):
                shard = json.loads(line)
                yield ShardPlan(number, shard_name(number), shard["rows"], first, shard["segments"])
                first += shard["rows"]

    def read(self, shard: ShardPlan) -> Iterator[Row]:
        """Yield the rows of a shard; pictures of files and tars are not read yet."""
        return read_rows(self.source, shard.segments, self.folder / "manifest.jsonl")

    def agree(self, settings: Settings) -> None:
        """Raise :class:`PlanError` naming the first setting that differs from the plan's."""
        ours, theirs = asdict(self.settings), asdict(settings)
        for group in ("source", "recipe"):
            ours |= {f"{group}.{name}": value for name, value in ours.pop(group).items()}
            theirs |= {f"{group}.{name}": value for name, value in theirs.pop(group).items()}
        for name, value in ours.items():
            if theirs[name] != value:
                raise PlanError(
                    f"{self.folder.parent} holds a conversion with {name.rpartition('.')[2]}={value!r}, "
                    f"not {theirs[name]!r}; go on with the same settings or name another folder"
                )


def shard_name(number: int) -> str:
    """The name of a shard's files, without extension."""
    return f"shard-{number:06}"


def load_or_make_plan(folder: Path, settings: Settings) -> Plan:
    """The plan in a folder, checked against ``settings``; where there is none, a new one.

    Raises :class:`PlanError` if the folder's plan has other settings, :class:`~pgfrs.corpus.sources.SourceError` if
    the source cannot be listed or is empty.
    """
    if not (folder / "plan" / "plan.json").exists():
        settings.check()
        _refuse_foreign(folder)
        _make(folder, settings)
    plan = Plan(folder)
    plan.agree(settings)
    return plan


#: What a conversion writes beside its shards, whose names begin with ``shard-``.
REPORTS = ("report.json", "report.html", "contact-sheet.png", "index.json")


def _refuse_foreign(folder: Path) -> None:
    """Raise :class:`PlanError` if a new conversion would replace files that no conversion here has written."""
    if not folder.is_dir():
        return
    found = sorted(entry.name for entry in folder.iterdir())
    taken = [name for name in found if name in (*REPORTS, "plan") or name.startswith("shard-")]
    if taken:
        names = ", ".join(taken[:3]) + (f" and {len(taken) - 3} more" if len(taken) > 3 else "")
        raise PlanError(f"{folder} holds {names}, but no plan of a conversion to go on with; name another folder")


def _make(folder: Path, settings: Settings) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".plan.{secrets.token_hex(6)}.tmp"
    temporary.mkdir()
    try:
        listing, rows, shards = Listing(), 0, 0
        with (temporary / "shards.jsonl").open("w") as file:
            for shard in _shards(settings, listing, temporary / "manifest.jsonl"):
                file.write(to_json(shard) + "\n")
                rows, shards = rows + shard["rows"], shards + 1
        if rows == 0:
            left = f"; {listing.ignored} files or samples without a picture's name" if listing.ignored else ""
            raise PlanError(f"{', '.join(settings.source.paths[:3])}: no pictures{left}")
        # The source's listing may have told the schema that the sink needs.
        make_sink(settings.sink, settings.layout(listing))
        plan = {"version": _VERSION, "settings": asdict(settings), "rows": rows, "shards": shards}
        plan["listing"] = asdict(listing)
        write_file(temporary / "plan.json", json.dumps(plan, indent=1).encode())
        sync_folder(temporary)
        temporary.rename(folder / "plan")
        sync_folder(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _shards(settings: Settings, listing: Listing, manifest: Path) -> Iterator[dict[str, Any]]:
    if settings.source.kind == "parquet":
        yield from parquet_shards(settings.source, listing, settings.shard_size)
        return
    start, at, held = 0, 0, 0
    with manifest.open("wb") as file:
        for line in list_rows(settings.source, listing):
            at += file.write(line.encode() + b"\n")
            held += 1
            if held == settings.shard_size:
                yield {"rows": held, "segments": [{"manifest": [start, at]}]}
                start, held = at, 0
    if held:
        yield {"rows": held, "segments": [{"manifest": [start, at]}]}
