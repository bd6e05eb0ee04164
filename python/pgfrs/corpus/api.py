"""``pgfrs.corpus.convert``: plan, convert what is not done, verify, report."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pgfrs.corpus import stats as statistics
from pgfrs.corpus.executor import Executor
from pgfrs.corpus.files import remove_leftovers, sync_folder
from pgfrs.corpus.plan import Plan, PlanError, Settings, ShardPlan, load_or_make_plan
from pgfrs.corpus.progress import Progress, Silent
from pgfrs.corpus.recipe import Recipe
from pgfrs.corpus.sources import Source, find_source


def convert(
    source: str | os.PathLike[str] | Source,
    dest: str | os.PathLike[str],
    *,
    recipe: Recipe | None = None,
    sink: str = "tar",
    shard_size: int = 1000,
    source_kind: str | None = None,
    image_column: str | None = None,
    key_column: str | None = None,
    all_files: bool = False,
    dedupe: bool = False,
    id_offset: int = 0,
    begin_id: int | None = None,
    end_id: int | None = None,
    num_threads: int | None = None,
    retry_failed: bool = False,
    verify: int = 0,
    report: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Convert a corpus into shards of ``.pgf`` or ``.pgfr`` pictures, or go on with a conversion that was stopped.

    Args:
        source: a folder, a list of files (``.txt``), tar shards, parquet, JSONL or CSV files; local, or an address
            that fsspec opens. ``{000..123}`` and ``*`` name many files.
        dest: folder for the shards, made if needed.
        recipe: what happens to every picture; further keyword arguments are its fields (``size=256, quality=5``).
        sink: ``"tar"`` (WebDataset), ``"parquet"``, ``"megatron"`` (.bin/.idx), ``"memmap"`` (uint16 and offsets),
            ``"mds"`` (MosaicML) or ``"files"``.
        shard_size: rows of a shard.
        source_kind: ``"folder"``, ``"list"``, ``"tar"``, ``"parquet"``, ``"jsonl"`` or ``"csv"``; ``None`` tells it
            by the name.
        image_column, key_column: columns with the picture (bytes, path or address) and its name.
        all_files: in folders, take files of every name.
        dedupe: of files with the same bytes keep the first; needs about 100 bytes of memory a picture.
        id_offset, begin_id, end_id: for ``"megatron"`` and ``"memmap"``: added to every byte; ids around a picture.
        num_threads: coding threads; ``None`` means one per CPU. The shards are the same for any number.
        retry_failed: try rows again that failed in shards that are done.
        verify: read back so many pictures, spread over all shards, decode them and compare them with their sources.
        report: write ``report.html`` with plots and a contact sheet beside ``report.json``.
        progress: is told what was done.

    Returns:
        The report, as in ``report.json``: counts, bytes, histograms, failures by kind, PSNR, seconds.

    Raises:
        ValueError: a source, an option or a setting that does not fit, or that differs from those that ``dest`` was
            begun with.
        OSError: ``dest`` cannot be written; shards that are finished stay.
    """
    recipe = replace(recipe or Recipe(), **options)
    if not isinstance(source, Source):
        source = find_source(
            os.fspath(source), source_kind, image_column=image_column, key_column=key_column, all_files=all_files
        )
    settings = Settings(source, recipe, sink, shard_size, dedupe, id_offset, begin_id, end_id)
    if num_threads is None:
        num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if num_threads < 1:
        raise ValueError(f"num_threads={num_threads}: at least 1 is needed")
    if verify < 0:
        raise ValueError(f"verify={verify}: at least 0 is needed")
    settings.check()
    folder = Path(dest)
    folder.mkdir(parents=True, exist_ok=True)
    progress = progress or Silent()
    start = time.time()
    with alone_in(folder):
        remove_leftovers(folder)
        plan = load_or_make_plan(folder, settings)
        executor = Executor(plan, folder, num_threads=num_threads, progress=progress)
        fresh = _run(plan, folder, executor, progress, retry_failed=retry_failed)
        result = finish(plan, folder)
        result["run"] = {"seconds": round(time.time() - start, 3), "rows": fresh, "num_threads": num_threads}
        settle(plan, folder, result, verify)
        write_report(folder, plan, result, html=report)
    return result


def _run(plan: Plan, folder: Path, executor: Executor, progress: Progress, *, retry_failed: bool) -> int:
    """Convert what is not done; return how many rows that were."""
    done, rows = 0, 0
    for shard in plan:
        old = statistics.load(folder, shard.name)
        if old is None:
            rows += shard.rows
        else:
            again = old["failed"] if retry_failed else 0
            done, rows = done + shard.rows - again, rows + again
            if plan.settings.dedupe:
                executor.remember(shard.name)
    progress.start(plan.rows, done)
    try:
        executor.run(_todo(plan, folder, retry_failed=retry_failed))
    finally:
        progress.close()
    return rows


def _todo(plan: Plan, folder: Path, *, retry_failed: bool) -> Iterator[tuple[ShardPlan, dict[str, Any] | None]]:
    for shard in plan:
        old = statistics.load(folder, shard.name)
        if old is None:
            yield shard, None
        elif retry_failed and old["failed"]:
            yield shard, old


def _stats(plan: Plan, folder: Path) -> Iterator[dict[str, Any]]:
    for shard in plan:
        stats = statistics.load(folder, shard.name)
        if stats is None:
            raise PlanError(f"{folder / shard.name}: changed while the conversion ran; run the same command again")
        yield stats


def finish(plan: Plan, folder: Path) -> dict[str, Any]:
    """Write what belongs to all shards together; return what their statistics add up to."""
    plan.sink().finish(folder, _stats(plan, folder))
    total = statistics.merge(_stats(plan, folder))
    total["ignored"] = plan.listing.ignored
    return total


def settle(plan: Plan, folder: Path, result: dict[str, Any], verify: int) -> None:
    """Read so many pictures back and add to the report what came of it."""
    if verify:
        from pgfrs.corpus.verify import verify_rows

        result["verify"] = verify_rows(plan, folder, verify)


def write_report(folder: Path, plan: Plan, result: dict[str, Any], *, html: bool) -> None:
    """Write ``report.json`` and, with ``html``, the page."""
    from pgfrs.corpus.files import write_file

    write_file(folder / "report.json", json.dumps(result, indent=1).encode())
    if html:
        from pgfrs.corpus.report import write_html

        write_html(folder, plan, result)
    sync_folder(folder)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the system lifts the lock however this run ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PlanError(f"{folder}: another conversion is writing there") from None
        yield
