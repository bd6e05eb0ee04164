"""Statistics of shards, which also say that a shard is done, and what they add up to."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from pgfrs.corpus.files import write_file
from pgfrs.corpus.rows import Record

#: Histograms have this many bins for every doubling: bin k holds values from 2^(k/4) up.
BINS_PER_OCTAVE = 4
#: A report names so many of the rows that failed.
NAMED = 100
_COUNTS = ("rows", "ok", "failed", "skipped", "duplicates", "bytes_in", "bytes_out", "pixels_in", "pixels_out")
_COUNTERS = ("failures", "formats", "modes")
_HISTOGRAMS = ("nbytes", "bits_per_pixel", "pixels")


def empty() -> dict[str, Any]:
    """Statistics of nothing."""
    stats: dict[str, Any] = dict.fromkeys(_COUNTS, 0)
    stats |= {name: {} for name in _COUNTERS}
    stats["histograms"] = {name: {} for name in _HISTOGRAMS}
    stats["psnr"] = {"exact": 0, "values": []}
    stats["missing"] = []
    stats["seconds"] = 0.0
    return stats


def add(stats: dict[str, Any], record: Record) -> None:
    """Count one row."""
    stats["rows"] += 1
    if record.status != "ok" or record.data is None:
        stats["duplicates" if record.status == "duplicate" else record.status] += 1
        _count(stats["failures"], record.kind)
        row = {"row": record.row, "key": record.key, "status": record.status}
        row |= {"kind": record.kind, "message": record.message}
        stats["missing"].append(row | ({"source": record.source} if record.source else {}))
        return
    facts, nbytes = record.facts, len(record.data)
    pixels = facts["width"] * facts["height"]
    stats["ok"] += 1
    stats["bytes_in"] += facts["source_bytes"]
    stats["bytes_out"] += nbytes
    stats["pixels_in"] += facts["source_width"] * facts["source_height"]
    stats["pixels_out"] += pixels
    _count(stats["formats"], facts["source_format"])
    _count(stats["modes"], facts["mode"])
    for name, value in (("nbytes", nbytes), ("bits_per_pixel", 8 * nbytes / pixels), ("pixels", pixels)):
        _count(stats["histograms"][name], str(math.floor(BINS_PER_OCTAVE * math.log2(value))))
    if record.psnr is not None:
        if math.isinf(record.psnr):
            stats["psnr"]["exact"] += 1
        else:
            stats["psnr"]["values"].append(round(record.psnr, 3))


def _count(counter: dict[str, int], name: str, times: int = 1) -> None:
    counter[name] = counter.get(name, 0) + times


def without_missing(stats: dict[str, Any], rows: Iterable[int]) -> dict[str, Any]:
    """The statistics without some of the rows that have no picture."""
    gone = set(rows)
    stats = json.loads(json.dumps(stats))
    for row in stats["missing"]:
        if row["row"] in gone:
            stats["rows"] -= 1
            stats["duplicates" if row["status"] == "duplicate" else row["status"]] -= 1
            stats["failures"][row["kind"]] -= 1
    stats["failures"] = {kind: count for kind, count in stats["failures"].items() if count}
    stats["missing"] = [row for row in stats["missing"] if row["row"] not in gone]
    return dict(stats)


def merge(shards: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What statistics add up to; of the rows that failed the first :data:`NAMED`, the shards name the others."""
    total = empty()
    total["missing"] = []
    total["shards"] = 0
    counters = {name: Counter[str]() for name in _COUNTERS}
    histograms = {name: Counter[str]() for name in _HISTOGRAMS}
    total["by_shard"] = []
    for stats in shards:
        total["shards"] += 1
        for name in _COUNTS:
            total[name] += stats[name]
        total["seconds"] += stats["seconds"]
        failed = (row for row in stats["missing"] if row["status"] == "failed")
        total["missing"] += [{"shard": stats["name"]} | row for row in islice(failed, NAMED - len(total["missing"]))]
        for name, counter in counters.items():
            counter.update(stats[name])
        for name, histogram in histograms.items():
            histogram.update(stats["histograms"][name])
        total["psnr"]["exact"] += stats["psnr"]["exact"]
        total["psnr"]["values"] += stats["psnr"]["values"]
        total["by_shard"].append([stats["name"], stats["ok"], stats["failed"], round(stats["seconds"], 3)])
    total |= {name: dict(sorted(counter.items())) for name, counter in counters.items()}
    total["histograms"] = {
        name: dict(sorted(histogram.items(), key=lambda entry: int(entry[0]))) for name, histogram in histograms.items()
    }
    total["seconds"] = round(total["seconds"], 3)
    return total


def path_of(folder: Path, name: str) -> Path:
    """Where the statistics of a shard are."""
    return folder / f"{name}.stats.json"


def write(folder: Path, stats: dict[str, Any]) -> None:
    """Say that a shard is done: the last thing that is written of it."""
    stats["missing"].sort(key=lambda row: row["row"])
    for name in _COUNTERS:
        stats[name] = dict(sorted(stats[name].items()))
    write_file(path_of(folder, stats["name"]), json.dumps(stats, indent=1).encode())


def load(folder: Path, name: str) -> dict[str, Any] | None:
    """The statistics of a shard, if it is done and its files are as long as they should be; else None."""
    try:
        stats: dict[str, Any] = json.loads(path_of(folder, name).read_bytes())
        for file, facts in stats["files"].items():
            path = folder / file
            if (_size_of_folder(path) if file.endswith("/") else path.stat().st_size) != facts["bytes"]:
                return None
    except (OSError, ValueError, KeyError):
        return None
    return stats


def _size_of_folder(folder: Path) -> int:
    return sum(os.path.getsize(os.path.join(here, file)) for here, _, files in os.walk(folder) for file in files)
