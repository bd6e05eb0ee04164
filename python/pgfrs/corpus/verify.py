"""Reading shards back: decode a sample and compare it with its sources."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import pgfrs
from pgfrs.corpus import stats as statistics
from pgfrs.corpus.fetch import fetch
from pgfrs.corpus.plan import Plan
from pgfrs.corpus.rows import Record, Row


def spread(plan: Plan, folder: Path, count: int) -> Iterator[tuple[Row, Record, int]]:
    """Yield about ``count`` pictures evenly over all shards: source row, what the shard holds, number in the corpus."""
    step = max(1, plan.rows // count)
    for shard in plan:
        # The rows of this shard that are multiples of the step.
        wanted = set(range(-(-shard.first_row // step) * step - shard.first_row, shard.rows, step))
        if not wanted:
            continue
        stats = statistics.load(folder, shard.name)
        if stats is None:
            continue
        missing = {row["row"] for row in stats["missing"]}
        kept = plan.sink().read(folder, shard.name)
        for number, row in enumerate(plan.read(shard)):
            if number in missing:
                continue
            record = next(kept)
            if number in wanted:
                yield row, record, shard.first_row + number


def verify_rows(plan: Plan, folder: Path, count: int) -> dict[str, Any]:
    """Decode about ``count`` pictures out of the shards and compare them with their sources.

    Returns counts, the mean and the least PSNR in dB (of those that differ), and a list of what is wrong.
    """
    checked, exact, values, wrong = 0, 0, [], []
    for row, record, number in spread(plan, folder, count):
        checked += 1
        try:
            decoded = pgfrs.decode(record.data or b"", strict=True)
            image = fetch(row)
            if isinstance(image, pgfrs.IngestError):
                raise image
            source = plan.recipe.prepare(image)
        except pgfrs.PgfError as error:
            wrong.append({"row": number, "key": record.key, "message": str(error)})
            continue
        if decoded.shape != source.shape or decoded.dtype != source.dtype:
            message = f"{decoded.shape} {decoded.dtype} where {source.shape} {source.dtype} was encoded"
            wrong.append({"row": number, "key": record.key, "message": message})
            continue
        noise = float(np.mean((decoded.astype(np.float64) - source) ** 2))
        if noise == 0:
            exact += 1
        else:
            values.append(10 * math.log10(np.iinfo(source.dtype).max ** 2 / noise))
    return {
        "checked": checked,
        "exact": exact,
        "psnr_mean": round(sum(values) / len(values), 3) if values else None,
        "psnr_least": round(min(values), 3) if values else None,
        "wrong": wrong,
    }
