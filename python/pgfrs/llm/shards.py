"""From the shards of a conversion to packed training sequences, with numpy alone.

:func:`pictures` reads what ``pgfrs convert`` wrote, in every layout; :func:`packed` makes sequences of one length of
it, divided among workers without overlap. :class:`pgfrs.llm.torch.PackedShards` is the same for PyTorch.
"""

from __future__ import annotations

import itertools
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from pgfrs.corpus.plan import Plan
from pgfrs.corpus.rows import caption_text
from pgfrs.corpus.sinks import mds
from pgfrs.llm.ids import BYTES, Ids
from pgfrs.llm.positions import of_sample
from pgfrs.llm.samples import Sample, full

#: Label of an id whose prediction does not count, as PyTorch's cross entropy has it.
IGNORED = -100


@dataclass(frozen=True)
class ShardPicture:
    """One picture of a shard.

    Attributes:
        shard, row: where it is: the shard's number, the picture's number in it.
        key: its name.
        data: the stream.
        caption: where the source has one, as :func:`pgfrs.corpus.rows.caption_text` makes text of it.
        facts: ``width``, ``height``, ``mode`` and those of the source.
    """

    shard: int
    row: int
    key: str
    data: bytes
    caption: str | None
    facts: dict[str, Any]


class Sequences(TypedDict):
    """A packed sequence: three arrays of shape (length,); ``positions``, if asked for, has shape (length, 7)."""

    input_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    documents: NDArray[np.int64]
    positions: NotRequired[NDArray[np.int64]]


MakeSample = Callable[[ShardPicture, int], Sample]


def whole_streams(picture: ShardPicture, seed: int) -> Sample:
    """The sample that :func:`packed` makes unless told otherwise: the stream alone."""
    return full(picture.data)


def captioned(picture: ShardPicture, seed: int) -> Sample:
    """The stream with its caption, where it has one: before it for even seeds, after it for odd ones."""
    return full(picture.data, caption=picture.caption, caption_first=seed % 2 == 0)


def shard_names(folder: str | os.PathLike[str]) -> list[str]:
    """The names of the shards of a conversion, in order.

    Raises:
        OSError, ValueError: the folder holds no conversion.
    """
    return [shard.name for shard in Plan(Path(folder))]


def pictures(folder: str | os.PathLike[str], names: Iterable[str] | None = None) -> Iterator[ShardPicture]:
    """Yield the pictures of a conversion, shard after shard; ``names`` may pick shards and their order.

    Raises:
        OSError: a shard is not there; the conversion may not be finished.
        ValueError: a name that the conversion does not have.
    """
    plan = Plan(Path(folder))
    numbers = {shard.name: shard.number for shard in plan}
    sink = plan.sink()
    for name in numbers if names is None else names:
        if name not in numbers:
            raise ValueError(f"{folder}: no shard {name!r} among {len(numbers)}")
        captions = _captions(Path(folder), name, plan)
        for record, caption in itertools.zip_longest(sink.read(Path(folder), name), captions):
            if record is None:
                break
            yield ShardPicture(numbers[name], record.row, record.key, record.data or b"", caption, record.facts)


def _captions(folder: Path, name: str, plan: Plan) -> Iterator[str | None]:
    """The captions of a shard's pictures; none where the layout keeps none."""
    column = plan.listing.caption
    if column is None:
        return
    match plan.settings.sink:
        case "parquet":
            import pyarrow.parquet as pq

            with pq.ParquetFile(folder / f"{name}.parquet") as table:
                for batch in table.iter_batches(columns=["status", "caption"]):
                    yield from (row["caption"] for row in batch.to_pylist() if row["status"] == "ok")
        case "tar":
            yield from _tar_captions(folder / f"{name}.tar", plan.recipe.format)
        case "mds":
            yield from (text or None for text in mds.captions(folder / f"{name}.mds"))
        case "megatron" | "memmap" | "files":
            path = folder / name / "rows.jsonl" if plan.settings.sink == "files" else folder / f"{name}.rows.jsonl"
            with path.open("rb") as file:
                yield from (caption_text(json.loads(line)["fields"].get(column)) for line in file)


def _tar_captions(path: Path, extension: str) -> Iterator[str | None]:
    """A sample's members stand together, the picture first."""
    with tarfile.open(path, "r:") as archive:
        open_, caption = False, None
        for member in archive:
            _, _, kind = member.name.rpartition(".")
            if kind == extension:
                if open_:
                    yield caption
                open_, caption = True, None
            elif kind == "txt":
                file = archive.extractfile(member)
                caption = file.read().decode("utf-8", "replace") if file else None
        if open_:
            yield caption


def pack(
    samples: Iterable[Sample],
    length: int,
    *,
    ids: Ids = BYTES,
    whole: bool = False,
    keep_last: bool = True,
    positions: bool = False,
) -> Iterator[Sequences]:
    """Pack samples into sequences of one length.

    Args:
        samples: in order.
        length: ids of a sequence.
        ids: how bytes and marks are numbered.
        whole: never divide a sample between sequences: one that has no room begins the next, one that is longer than
            ``length`` is cut. Else a sequence goes on where the one before ended.
        keep_last: also yield the last sequence, though it is padded.
        positions: also say where the ids stand.

    Yields:
        ``input_ids``; ``labels``, the same ids with :data:`IGNORED` where a prediction does not count; ``documents``,
        the number of the sample, for masks between samples, -1 for padding; all of shape (length,). With ``positions``
        also those of :func:`pgfrs.llm.positions.of_sample`, of shape (length, 7), -1 for padding. Padding is ``pad``,
        else ``eos``, else 0.

    Raises:
        ValueError: ``length`` is not positive.
    """
    if length < 1:
        raise ValueError(f"length={length}: 1 is the least")
    held: list[NDArray[np.int64]] = []
    room = length
    for number, sample in enumerate(samples):
        values = sample.ids(ids).astype(np.int64)
        labels = np.where(sample.learned(ids), values, IGNORED)
        rows = np.stack([values, labels, np.full(len(values), number)])
        if positions:
            rows = np.concatenate([rows, of_sample(sample, ids).T])
        if whole:
            rows = rows[:, :length]
            if rows.shape[1] > room:
                yield _sequence(held, length, ids)
                held, room = [], length
        while rows.shape[1]:
            taken, rows = rows[:, :room], rows[:, room:]
            held.append(taken)
            room -= taken.shape[1]
            if room == 0:
                yield _sequence(held, length, ids)
                held, room = [], length
    if held and keep_last:
        yield _sequence(held, length, ids)


def _sequence(held: list[NDArray[np.int64]], length: int, ids: Ids) -> Sequences:
    filled = sum(rows.shape[1] for rows in held)
    pad = ids.sentinels.get("pad", 0 if ids.eos is None else ids.eos)
    padding = np.full((len(held[0]), length - filled), -1)
    padding[:2] = [[pad], [IGNORED]]
    input_ids, labels, documents, *where = np.concatenate([*held, padding], axis=1)
    found: Sequences = {"input_ids": input_ids, "labels": labels, "documents": documents}
    if where:
        found["positions"] = np.stack(where, 1)
    return found


def packed(
    folder: str | os.PathLike[str],
    length: int,
    *,
    ids: Ids = BYTES,
    make: MakeSample = whole_streams,
    seed: int | None = None,
    epoch: int = 0,
    part: tuple[int, int] = (0, 1),
    names: Sequence[str] | None = None,
    whole: bool = False,
    keep_last: bool = True,
    positions: bool = False,
) -> Iterator[Sequences]:
    """Yield packed sequences of a conversion.

    Args:
        folder: what ``pgfrs convert`` wrote.
        length, ids, whole, keep_last, positions: as in :func:`pack`.
        make: the sample of a picture and a seed, such as
            ``lambda picture, seed: fill_in_the_middle(picture.data, seed)``.
        seed: shuffle shards and the pictures in each; ``None`` keeps the order. Also the source of the samples' seeds.
        epoch: gives another order and other samples.
        part: (index, count): this of so many parts. Parts share whole shards where there are enough, else single
            pictures; together they hold every picture once. They are as equal as shards can be divided: three shards
            in two parts are two and one.
        names: shards to read; ``None`` means all.

    Raises:
        OSError, ValueError: as :func:`pictures` and :func:`pack`.
    """
    index, count = part
    if not 0 <= index < count:
        raise ValueError(f"part={part}: (index, count) with 0 <= index < count is needed")
    chosen = list(shard_names(folder) if names is None else names)
    if seed is not None:
        np.random.default_rng([seed, epoch]).shuffle(chosen)
    by_shard = len(chosen) >= count

    def samples() -> Iterator[Sample]:
        for name in chosen[index::count] if by_shard else chosen:
            found: Iterable[ShardPicture] = pictures(folder, [name])
            if seed is not None:
                found = list(found)
                np.random.default_rng([seed, epoch, found[0].shard if found else 0]).shuffle(found)
            for place, picture in enumerate(found):
                if by_shard or place % count == index:
                    entropy = [seed or 0, epoch, picture.shard, picture.row]
                    yield make(picture, int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    return pack(samples(), length, ids=ids, whole=whole, keep_last=keep_last, positions=positions)
