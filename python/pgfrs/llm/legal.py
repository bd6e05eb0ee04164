"""Legal bytes: which ids may come next in a stream that a model writes.

A :class:`Grammar` follows one stream. :func:`mask` turns several into rows over a vocabulary, :func:`longest_prefix`
and :func:`constrain` serve decoders that propose several bytes at once, :class:`LegalLogits` is a logits processor
for Hugging Face ``generate``. Importing this needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgfrs._pgfrs import Grammar, Limits, legal_masks
from pgfrs.llm.ids import BYTES, Ids, from_ids

__all__ = ["Grammar", "LegalLogits", "advance", "constrain", "longest_prefix", "mask", "start"]


def start(prefix: Any = b"", rules: str = "payload", *, limits: Limits | None = None) -> Grammar:
    """The state behind a beginning of a stream.

    Args:
        prefix: any buffer of bytes, perhaps empty. Bytes that are not legal are taken as a reader takes them.
        rules: how much of the format is asked for, see :class:`Grammar`.
        limits: headers of larger pictures are not legal.
    """
    state = Grammar(rules, limits=limits)
    state.advance(prefix)
    return state


def mask(states: Sequence[Grammar], ids: Ids = BYTES) -> NDArray[np.bool_]:
    """Which ids may come next.

    Args:
        states: n states.
        ids: the numbering of the model.

    Returns:
        Array of shape (n, ``ids.size``). The ids of legal bytes are true, ``ids.eos`` where a stream may end with no
        piece cut; all others are false.
    """
    size = ids.size or ids.offset + 256
    out = np.zeros((len(states), size), np.bool_)
    legal_masks(list(states), out=out, offset=ids.offset)
    if ids.eos is not None:
        out[:, ids.eos] = [state.may_end for state in states]
    return out


def advance(states: Sequence[Grammar], chosen: ArrayLike, ids: Ids = BYTES) -> NDArray[np.bool_]:
    """Move every state by one id.

    Args:
        states: n states, changed in place.
        chosen: n ids; those that stand for no byte move nothing.
        ids: the numbering of the model.

    Returns:
        Array of shape (n,): whether the byte was legal; true for ids that stand for none.

    Raises:
        ValueError: not as many ids as states; no state has moved then.
    """
    numbers = np.asarray(chosen).ravel().tolist()
    if len(numbers) != len(states):
        raise ValueError(f"{len(numbers)} ids for {len(states)} states")
    legal = np.ones(len(states), np.bool_)
    for row, (state, number) in enumerate(zip(states, numbers, strict=True)):
        if 0 <= number - ids.offset < 256:
            legal[row] = state.advance_byte(number - ids.offset)
    return legal


def longest_prefix(state: Grammar, proposed: ArrayLike, ids: Ids = BYTES) -> int:
    """How many of several proposed ids are legal one after the other.

    For decoders that propose a run of bytes and keep what can be kept, as EvaByte's multi-byte decoding does.

    Args:
        state: where the run begins; it stays as it is.
        proposed: ids of shape (n,).
        ids: the numbering of the model. ``ids.eos`` is legal where the stream may end, and ends the run; other ids
            that stand for no byte are not legal.

    Returns:
        0 to n.
    """
    numbers = np.asarray(proposed).ravel()
    inside = (numbers >= ids.offset) & (numbers < ids.offset + 256)
    count = len(numbers) if inside.all() else int(np.argmin(inside))
    legal: int = state.legal_prefix(from_ids(numbers[:count], ids.offset))
    if legal == count < len(numbers) and ids.eos is not None and int(numbers[count]) == ids.eos:
        ahead = state.copy()
        ahead.advance(from_ids(numbers[:count], ids.offset))
        legal += ahead.may_end
    return legal


def constrain(state: Grammar, scores: ArrayLike, ids: Ids = BYTES) -> NDArray[np.int64]:
    """The best legal run under scores that do not see each other, as several heads of a model give them.

    Args:
        state: where the run begins; it stays as it is.
        scores: shape (n, ``ids.size``): position by position a score of every id, the higher the better.
        ids: the numbering of the model.

    Returns:
        Up to n ids: at each position the legal one of the highest score, given those before; where all of them have
        minus infinity, the lowest. Ends early behind ``ids.eos``.
    """
    rows = np.asarray(scores, np.float64)
    ahead = state.copy()
    run: list[int] = []
    for row in rows:
        legal = np.flatnonzero(mask([ahead], ids)[0, : len(row)])
        if not len(legal):
            break
        number = int(legal[np.argmax(np.nan_to_num(row[legal], nan=-np.inf))])
        run.append(number)
        if number == ids.eos:
            break
        ahead.advance_byte(number - ids.offset)
    return np.array(run, np.int64)


class LegalLogits:
    """A logits processor for Hugging Face ``generate``: ids that are not legal get minus infinity.

    Pass it as ``logits_processor=[LegalLogits(...)]``. Rows of a batch are independent, may be padded on the left
    (with ``ids.eos`` too), and may be reordered between calls, as beam search does. A row that has ended, with
    ``ids.eos`` behind a byte, is left alone.

    Args:
        ids: the numbering of the model. Ids that stand for no byte say nothing about the stream.
        skip: positions at the beginning of every row that are not part of the stream, such as a caption.
        behind: the stream begins behind the last of this id; rows without it are left alone. For prompts of different
            lengths, instead of ``skip``.
        rules: how much of the format is asked for, see :class:`Grammar`.
        limits: headers of larger pictures are not legal.

    Raises:
        ValueError: ``skip`` is negative, or both ``skip`` and ``behind`` are given.
    """

    def __init__(
        self,
        ids: Ids = BYTES,
        *,
        skip: int = 0,
        behind: int | None = None,
        rules: str = "payload",
        limits: Limits | None = None,
    ) -> None:
        if skip and behind is not None:
            raise ValueError("skip and behind both say where the stream begins")
        if skip < 0:
            raise ValueError(f"skip={skip}: 0 is the least")
        self.ids = ids
        self._skip = skip
        self._behind = behind
        self._fresh = Grammar(rules, limits=limits)
        # The rows of the call before, and the state behind each; None for rows that are left alone.
        self._rows: NDArray[np.int64] = np.zeros((0, 0), np.int64)
        self._states: list[Grammar | None] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores of shape (n, vocabulary) as a tensor, those of ids that are not legal replaced.

        Args:
            input_ids: integer tensor of shape (n, length), all ids so far.
            scores: tensor of shape (n, vocabulary).

        Raises:
            ValueError: the vocabulary has no room for the ids of bytes.
        """
        if scores.shape[1] < self.ids.offset + 256:
            raise ValueError(f"scores of {scores.shape[1]} ids: bytes have ids up to {self.ids.offset + 255}")
        rows = input_ids.detach().cpu().numpy()
        states = self._follow(rows)
        followed = [row for row, state in enumerate(states) if state is not None]
        legal = np.ones(tuple(scores.shape), np.bool_)
        if followed:
            some = mask([state for state in states if state is not None], self.ids)
            width = min(some.shape[1], legal.shape[1])
            legal[followed] = False
            legal[followed, :width] = some[:, :width]
        import torch

        return scores.masked_fill(torch.from_numpy(~legal).to(scores.device), float("-inf"))

    def _follow(self, rows: NDArray[Any]) -> list[Grammar | None]:
        """The state behind every row, from the call before where that goes on."""
        length = rows.shape[1]
        states: list[Grammar | None] = []
        same = len(self._rows) > 0 and self._rows.shape[1] == length - 1
        for number, row in enumerate(rows):
            found = None
            if same:
                order = [number, *range(len(self._rows))] if number < len(self._rows) else range(len(self._rows))
                found = next((old for old in order if np.array_equal(self._rows[old], row[:-1])), None)
            state = self._states[found] if found is not None else None
            if state is None or row[-1] == self._behind or row[-1] == self.ids.eos:
                # New, or left alone so far.
                states.append(self._replay(row))
                continue
            state = state.copy()
            if length > self._skip and 0 <= row[-1] - self.ids.offset < 256:
                state.advance_byte(int(row[-1]) - self.ids.offset)
            states.append(state)
        self._rows, self._states = rows.copy(), states
        return states

    def _replay(self, row: NDArray[Any]) -> Grammar | None:
        if self._behind is not None:
            places = np.flatnonzero(row == self._behind)
            if not len(places):
                return None
            stream = row[places[-1] + 1 :]
        else:
            stream = row[self._skip :]
        if self.ids.eos is not None and self.ids.eos != self.ids.bos:
            bytes_ = np.flatnonzero((stream >= self.ids.offset) & (stream < self.ids.offset + 256))
            # Before all bytes it is padding.
            if len(bytes_) and (stream[bytes_[0] :] == self.ids.eos).any():
                return None
        state = self._fresh.copy()
        state.advance(from_ids(stream, self.ids.offset))
        return state
