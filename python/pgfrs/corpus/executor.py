"""The local executor: rows in order through a pool of threads, shards in order onto the disk.

The coding threads spend their time in Rust, without the interpreter's lock. The caller's thread reads the plan ahead
and writes shards; it keeps a bounded number of batches between the two, and makes batches smaller where pictures are
large, so memory does not grow with the corpus. A batch that is not written yet holds back those after it.
"""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgfrs._errors import IngestError
from pgfrs.corpus import stats as statistics
from pgfrs.corpus.fetch import fetch, is_slow
from pgfrs.corpus.files import sync_folder, write_file
from pgfrs.corpus.plan import Plan, ShardPlan
from pgfrs.corpus.progress import Progress
from pgfrs.corpus.recipe import convert_rows
from pgfrs.corpus.rows import FACTS, Record, Row
from pgfrs.corpus.sinks.base import Shard, Sink

_LARGEST_BATCH = 32
#: Batches are kept to about so many bytes of sources and results.
_BYTES_PER_BATCH = 4 << 20
#: Batches under way for each thread: one being coded, two waiting for their turn before or after.
_BATCHES_PER_THREAD = 3
#: Rows fetched over a network at a time.
_FETCHERS = 32
#: One row in so many is read back and compared.
MEASURED = 50
_DIGEST_BYTES = 16


@dataclass
class _Batch:
    """Some rows of one shard; ``numbers`` are their places in it."""

    shard: ShardPlan
    numbers: list[int]
    rows: list[Row]
    images: list[Any]
    results: list[Any]
    seconds: float = 0.0


class Executor:
    """Converts shards of a plan into its folder.

    Args:
        plan: what to do.
        folder: where the shards go.
        num_threads: coding threads.
        progress: told about every batch.
    """

    def __init__(self, plan: Plan, folder: Path, *, num_threads: int, progress: Progress) -> None:
        self._plan, self._folder, self._threads, self._progress = plan, folder, num_threads, progress
        self._sink: Sink = plan.sink()
        self._batch_rows = _LARGEST_BATCH
        self._seen: set[bytes] = set()

    def run(self, todo: Iterable[tuple[ShardPlan, dict[str, Any] | None]]) -> None:
        """Convert shards in order; of those that come with statistics, only the rows that failed.

        Raises ``OSError`` if a shard cannot be written. However it ends, no shard is left half-published.
        """
        current: _Open | None = None
        try:
            for batch in self._coded(todo):
                if current is None or current.plan.number != batch.shard.number:
                    current = self._open(batch.shard)
                self._write(current, batch)
                if current.wanted == 0:
                    self._close(current)
                    current = None
        except OSError as error:
            raise _explained(error, self._folder) from error
        finally:
            if current is not None:
                current.shard.discard()

    def remember(self, name: str) -> None:
        """Count a finished shard's pictures as seen, for ``dedupe``."""
        data = self._digests_of(name).read_bytes()
        for at in range(0, len(data), _DIGEST_BYTES):
            if any(digest := data[at : at + _DIGEST_BYTES]):
                self._seen.add(digest)

    # --- reading and coding -------------------------------------------------------------------------------------

    def _coded(self, todo: Iterable[tuple[ShardPlan, dict[str, Any] | None]]) -> Iterator[_Batch]:
        self._retried: dict[int, dict[str, Any]] = {}
        source = self._batches(todo)
        fetching: deque[Future[_Batch]] = deque()
        coding: deque[Future[_Batch]] = deque()
        most = _BATCHES_PER_THREAD * self._threads
        coders = ThreadPoolExecutor(self._threads, "pgfrs-code")
        fetchers = ThreadPoolExecutor(_FETCHERS, "pgfrs-fetch")
        ended = False
        try:
            while True:
                while not ended and len(fetching) + len(coding) < 2 * most:
                    batch = next(source, None)
                    if batch is None:
                        ended = True
                    elif any(is_slow(row) for row in batch.rows):
                        fetching.append(fetchers.submit(_fetch_one_by_one, batch, fetchers))
                    elif not fetching and len(coding) < most:
                        coding.append(coders.submit(self._code, batch))
                    else:
                        fetching.append(_done(batch))
                    if len(coding) >= most and not fetching:
                        break
                while fetching and len(coding) < most and (fetching[0].done() or not coding):
                    coding.append(coders.submit(self._code, fetching.popleft().result()))
                if not coding:
                    return
                yield coding.popleft().result()
        finally:
            for future in (*fetching, *coding):
                future.cancel()
            fetchers.shutdown(wait=True, cancel_futures=True)
            coders.shutdown(wait=True, cancel_futures=True)

    def _batches(self, todo: Iterable[tuple[ShardPlan, dict[str, Any] | None]]) -> Iterator[_Batch]:
        for shard, old in todo:
            only = None
            if old is not None:
                self._retried[shard.number] = old
                only = {row["row"] for row in old["missing"] if row["status"] == "failed"}
            numbers: list[int] = []
            rows: list[Row] = []
            for number, row in enumerate(self._plan.read(shard)):
                if only is not None and number not in only:
                    continue
                numbers.append(number)
                rows.append(row)
                if len(rows) >= self._batch_rows:
                    yield _Batch(shard, numbers, rows, [], [])
                    numbers, rows = [], []
            if rows:
                yield _Batch(shard, numbers, rows, [], [])

    def _code(self, batch: _Batch) -> _Batch:
        """Convert a batch, in a coding thread."""
        start = time.perf_counter()
        if not batch.images:
            batch.images = [fetch(row) for row in batch.rows]
        images = [b"" if isinstance(image, IngestError) else image for image in batch.images]
        first = batch.shard.first_row
        measure = [(first + number) % MEASURED == 0 for number in batch.numbers]
        dedupe = self._plan.settings.dedupe
        results = convert_rows(images, self._plan.recipe, digest=dedupe, measure=measure)
        batch.results = [
            image if isinstance(image, IngestError) else result
            for image, result in zip(batch.images, results, strict=True)
        ]
        batch.images = []
        batch.seconds = time.perf_counter() - start
        return batch

    # --- writing ------------------------------------------------------------------------------------------------

    def _open(self, plan: ShardPlan) -> _Open:
        old = self._retried.pop(plan.number, None)
        shard = self._sink.open(self._folder, plan.name)
        if old is None:
            return _Open(plan, shard, statistics.empty(), plan.rows)
        failed = [row["row"] for row in old["missing"] if row["status"] == "failed"]
        return _Open(plan, shard, statistics.without_missing(old, failed), len(failed), held=[], old=old)

    def _write(self, current: _Open, batch: _Batch) -> None:
        before = {name: current.stats[name] for name in ("failed", "bytes_in", "bytes_out")}
        for number, row, result in zip(batch.numbers, batch.rows, batch.results, strict=True):
            record = self._record(number, row, result)
            statistics.add(current.stats, record)
            current.digests[number] = record.digest or b""
            if current.held is None:
                current.shard.add(record)
            else:
                current.held.append(record)
        current.stats["seconds"] += batch.seconds
        current.wanted -= len(batch.rows)
        after = {name: current.stats[name] - value for name, value in before.items()}
        size = (after["bytes_in"] + after["bytes_out"]) / len(batch.rows)
        self._batch_rows = max(1, min(_LARGEST_BATCH, int(_BYTES_PER_BATCH / max(size, 1))))
        self._progress.update(len(batch.rows), after["failed"], after["bytes_in"], after["bytes_out"])

    def _record(self, number: int, row: Row, result: Any) -> Record:
        if isinstance(result, IngestError):
            status = "skipped" if result.skipped else "failed"
            why: dict[str, Any] = {"kind": result.kind, "message": result.message, "source": row.source}
            return Record(number, row.key, status, fields=row.fields, **why)
        digest = None
        if self._plan.settings.dedupe:
            digest = result.digest[:_DIGEST_BYTES]
            if digest in self._seen:
                why = {"kind": "duplicate", "message": "a row before it has the same bytes", "source": row.source}
                return Record(number, row.key, "duplicate", fields=row.fields, **why)
            self._seen.add(digest)
        facts = {name: getattr(result, name) for name in FACTS}
        return Record(number, row.key, "ok", result.data, facts, fields=row.fields, psnr=result.psnr, digest=digest)

    def _close(self, current: _Open) -> None:
        """Publish a shard: its data flushed and renamed, then its statistics."""
        if current.held is not None:
            self._merge(current)
        current.shard.close()
        stats: dict[str, Any] = {"shard": current.plan.number, "name": current.plan.name, **current.stats}
        stats["seconds"] = round(stats["seconds"], 3)
        stats["files"] = current.shard.facts
        if self._plan.settings.dedupe:
            digests = (current.digests.get(n, b"").ljust(_DIGEST_BYTES, b"\0") for n in range(current.plan.rows))
            self._digests_of(current.plan.name).parent.mkdir(exist_ok=True)
            write_file(self._digests_of(current.plan.name), b"".join(digests))
        current.shard.publish()
        sync_folder(self._folder)
        statistics.write(self._folder, stats)
        sync_folder(self._folder)

    def _merge(self, current: _Open) -> None:
        """Write a shard again: the pictures it had, and what came of the rows that had failed."""
        fresh = {record.row: record for record in current.held or []}
        old = current.old or {}
        missing = {row["row"]: row for row in old["missing"]}
        kept = self._sink.read(self._folder, current.plan.name)
        for number, row in enumerate(self._plan.read(current.plan)):
            record = fresh.get(number)
            if record is None:
                if row.parts:
                    fetch(Row(row.key, b"", row.fields, row.parts, row.tar))
                if number in missing:
                    why: dict[str, Any] = {
                        name: missing[number].get(name, "") for name in ("status", "kind", "message", "source")
                    }
                    record = Record(number, row.key, fields=row.fields, **why)
                else:
                    had = next(kept)
                    record = Record(number, row.key, "ok", had.data, had.facts, fields=row.fields)
            current.shard.add(record)
        if self._plan.settings.dedupe:
            data = self._digests_of(current.plan.name).read_bytes()
            for number in range(current.plan.rows):
                if number not in fresh:
                    digest = data[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES]
                    current.digests[number] = digest if any(digest) else b""

    def _digests_of(self, name: str) -> Path:
        return self._plan.folder / "digests" / name


class _Open:
    """A shard that is being written, and how many rows it still wants."""

    def __init__(
        self,
        plan: ShardPlan,
        shard: Shard,
        stats: dict[str, Any],
        wanted: int,
        held: list[Record] | None = None,
        old: dict[str, Any] | None = None,
    ) -> None:
        self.plan, self.shard, self.stats, self.wanted, self.held, self.old = plan, shard, stats, wanted, held, old
        self.digests: dict[int, bytes] = {}


def _done(batch: _Batch) -> Future[_Batch]:
    future: Future[_Batch] = Future()
    future.set_result(batch)
    return future


def _fetch_one_by_one(batch: _Batch, _: ThreadPoolExecutor) -> _Batch:
    batch.images = [fetch(row) for row in batch.rows]
    return batch


def _explained(error: OSError, folder: Path) -> OSError:
    """An error of writing with what a person can do about it."""
    hints = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the quota is used up",
        errno.EFBIG: "the file is larger than the system allows",
        errno.EACCES: "no permission to write",
        errno.EROFS: "the file system is read-only",
    }
    reason = hints.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))
    return OSError(error.errno, f"{folder}: {reason}; finished shards are whole, run the same command again to go on")
