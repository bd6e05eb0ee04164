"""Corpus conversion on Ray Data: the plan of :mod:`pgfrs.corpus` over a cluster, and a function for any pipeline.

:func:`convert` gives every shard of the plan to one task, a plain function of ``map_batches``. Shards are the bytes
that one machine would write and appear whole or not at all, each saying itself that it is done, so a run that was
killed goes on with the shards that are missing: every row exactly once. The destination must be a folder that all
nodes see.

:class:`BatchFunction` fits into any pipeline of Ray Data; for resuming such a pipeline see Ray's own checkpoints
(docs/recipes/corpus.md).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from pgfrs._errors import IngestError
from pgfrs.corpus import stats as statistics
from pgfrs.corpus.api import alone_in, finish, settle, write_report
from pgfrs.corpus.executor import Executor
from pgfrs.corpus.files import remove_leftovers
from pgfrs.corpus.plan import Plan, Settings, load_or_make_plan
from pgfrs.corpus.progress import Silent
from pgfrs.corpus.recipe import Recipe, convert_rows
from pgfrs.corpus.sources import Source, find_source


def convert(
    source: str | os.PathLike[str] | Source,
    dest: str | os.PathLike[str],
    *,
    recipe: Recipe | None = None,
    sink: str = "tar",
    shard_size: int = 1000,
    id_offset: int = 0,
    verify: int = 0,
    report: bool = True,
    num_cpus: float = 1,
    **options: Any,
) -> dict[str, Any]:
    """Convert a corpus on the Ray cluster that is connected (or a local one), or go on with a conversion.

    Arguments and result are those of :func:`pgfrs.corpus.convert`; a conversion may be begun by one and gone on with by
    the other. ``num_cpus`` is what each task asks Ray for. ``dest`` and local sources must be visible to all nodes.

    Raises:
        ModuleNotFoundError: Ray is not installed: ``pip install 'pgfrs[ray]'``.
        ValueError, OSError: as :func:`pgfrs.corpus.convert`.
    """
    try:
        import ray
        import ray.data
    except ModuleNotFoundError:
        raise ModuleNotFoundError("pgfrs.ray needs Ray Data: pip install 'pgfrs[ray]'") from None
    if not isinstance(source, Source):
        source = find_source(os.fspath(source))
    settings = Settings(source, replace(recipe or Recipe(), **options), sink, shard_size, id_offset=id_offset)
    settings.check()
    folder = Path(dest).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        # Tasks of a run that was killed may still be writing; their shards are published whole in any case.
        remove_leftovers(folder, older_than=600)
        plan = load_or_make_plan(folder, settings)
        todo = [{"shard": shard.number} for shard in plan if statistics.load(folder, shard.name) is None]
        rows = sum(shard.rows for shard in plan if statistics.load(folder, shard.name) is None)
        seconds = 0.0
        if todo:
            data = ray.data.from_items(todo, override_num_blocks=len(todo))
            made = data.map_batches(
                convert_shards, batch_size=1, fn_args=(str(folder),), num_cpus=num_cpus, zero_copy_batch=False
            )
            seconds = sum(row["seconds"] for row in made.take_all())
        result = finish(plan, folder)
        result["run"] = {"seconds": round(seconds, 3), "rows": rows, "num_threads": 1}
        settle(plan, folder, result, verify)
        write_report(folder, plan, result, html=report)
    return result


def convert_shards(batch: dict[str, Any], folder: str) -> dict[str, Any]:
    """Convert the shards whose numbers are in a batch; what :func:`convert` gives to ``map_batches``."""
    import time

    plan = Plan(Path(folder))
    wanted = {int(number) for number in batch["shard"]}
    start = time.perf_counter()
    executor = Executor(plan, Path(folder), num_threads=1, progress=Silent())
    shards = [shard for shard in plan if shard.number in wanted]
    executor.run((shard, None) for shard in shards if statistics.load(Path(folder), shard.name) is None)
    each = (time.perf_counter() - start) / max(len(shards), 1)
    return {"shard": [shard.number for shard in shards], "seconds": [each] * len(shards)}


class BatchFunction:
    """A function over batches of columns for ``ray.data.Dataset.map_batches``, ``datasets.map`` and the like.

    Called with a dictionary of columns, it returns them without the picture's and with ``payload`` (bytes or None),
    ``width``, ``height``, ``nbytes``, ``status`` (``"ok"``, ``"failed"`` or ``"skipped"``) and ``error``. It keeps no
    state: give it to tasks, not to actors.

    Args:
        recipe: what happens to every picture.
        column: the column with pictures: bytes, ``{"bytes": ..., "path": ...}`` or local paths.
        num_threads: threads within a call.
    """

    def __init__(self, recipe: Recipe | None = None, *, column: str = "bytes", num_threads: int = 1) -> None:
        self.recipe, self.column, self.num_threads = recipe or Recipe(), column, num_threads

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Convert one batch."""
        results = convert_rows(
            [_image(value) for value in batch[self.column]], self.recipe, num_threads=self.num_threads
        )
        rows: list[tuple[Any, ...]] = []
        for result in results:
            if isinstance(result, IngestError):
                rows.append((None, 0, 0, 0, "skipped" if result.skipped else "failed", str(result)))
            else:
                rows.append((result.data, result.width, result.height, len(result.data), "ok", ""))
        names = ("payload", "width", "height", "nbytes", "status", "error")
        others = {name: values for name, values in batch.items() if name != self.column}
        return others | {name: [row[index] for row in rows] for index, name in enumerate(names)}


def _image(value: Any) -> Any:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    return b"" if value is None else value
