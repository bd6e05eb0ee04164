"""Live pictures: what a model has written so far, shown while it writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import NDArray

import pgfrs
from pgfrs.llm.ids import BYTES, Ids, from_ids

__all__ = ["pictures"]


def pictures(
    numbers: Iterable[Any],
    ids: Ids = BYTES,
    *,
    every: int = 16,
    level: int | None = None,
    limits: pgfrs.Limits | None = None,
) -> Iterator[tuple[int, NDArray[Any]]]:
    """The picture again and again while ids arrive.

    Args:
        numbers: ids one by one or in chunks, for example from a generator that samples a model. What
            :func:`pgfrs.llm.from_ids` leaves out is left out.
        ids: the numbering of the model.
        every: bytes between pictures, at least 1.
        level: the level of the pictures, ``None`` for full size; coarser ones cost less.
        limits: bounds of the picture that the header may claim. A header is twelve bytes that a model writes; without
            limits of your own it may claim 2^28 pixels.

    Yields:
        ``(bytes so far, picture)``, as soon as the header is whole, after every ``every`` further bytes, and at the
        end. Wrong bytes are shown as a reader takes them, without a warning.

    Raises:
        FormatError: what arrives is no stream at all.
        LimitsError: the header claims a picture beyond ``limits``.
        ValueError: ``every`` is less than 1, or a level that the picture does not have.
    """
    if every < 1:
        raise ValueError(f"every={every}: 1 is the least")
    if level is not None and level < 0:
        raise ValueError(f"level={level}: 0 is the least")
    decoder = pgfrs.ProgressiveDecoder(limits=limits)
    count = shown = 0
    begun = False
    for number in numbers:
        chunk = from_ids(number, ids.offset)
        if not chunk:
            continue
        decoder.feed(chunk)
        count += len(chunk)
        begun = begun or decoder.info is not None
        if begun and (shown == 0 or count - shown >= every):
            shown = count
            yield count, decoder.render(level)
    if begun and shown < count:
        yield count, decoder.render(level)
