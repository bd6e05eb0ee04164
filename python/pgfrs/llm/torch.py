"""Packed shards as a PyTorch data set; importing it imports torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from pgfrs.llm.ids import BYTES, Ids
from pgfrs.llm.shards import MakeSample, packed, whole_streams


class PackedShards(IterableDataset[dict[str, torch.Tensor]]):  # type: ignore[misc] # torch may not be there
    """Sequences of one length out of what ``pgfrs convert`` wrote.

    Each item has ``input_ids``, ``labels`` and ``documents``, int64 tensors of shape (length,), as in
    :func:`pgfrs.llm.shards.pack`, and if asked for ``positions`` of shape (length, 7). The workers of a ``DataLoader``,
    and the processes of ``torch.distributed`` if ``rank`` and ``world`` say so, share the pictures without overlap.
    They may get unequal numbers of sequences: how many there are is known when they have been read, and there is no
    ``len``.

    Args:
        folder, length, ids, make, seed, whole, keep_last, positions: as in :func:`pgfrs.llm.shards.packed`; workers
            that are spawned need a ``make`` that can be pickled.
        rank, world: number of this process and how many there are.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        length: int,
        *,
        ids: Ids = BYTES,
        make: MakeSample = whole_streams,
        seed: int | None = None,
        whole: bool = False,
        keep_last: bool = True,
        positions: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"rank={rank}: 0 to world - 1 = {world - 1} are possible")
        if seed is not None and seed < 0:
            raise ValueError(f"seed={seed}: 0 is the least")
        self.folder, self.length, self.rank, self.world = folder, length, rank, world
        self.options: dict[str, Any] = {"ids": ids, "make": make, "seed": seed, "whole": whole, "keep_last": keep_last}
        self.options["positions"] = positions
        # Shared, so that workers that live through several epochs (persistent_workers=True) see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Another order and other samples from the next iteration on, in workers that are there already too."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        index, count = (0, 1) if worker is None else (worker.id, worker.num_workers)
        part = (self.rank * count + index, self.world * count)
        for sequence in packed(self.folder, self.length, epoch=self.epoch, part=part, **self.options):
            yield {name: torch.from_numpy(values) for name, values in sequence.items()}
