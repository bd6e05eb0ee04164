"""Where every byte stands: what the next one is about, and which coefficient of which place in the picture it tells.

A byte of a token list is a run of zeros: to know where it is, a model has to add up all runs before it. This module
does that, from the bytes before alone, so that it can be done while a model writes, too. Give it to a model as further
embeddings beside those of its ids: small ones then need 5 to 13 % fewer bits (docs/bytelm.md, section 6). Importing it
needs numpy alone.

A position is seven int32 numbers, :data:`COLUMNS`:

* ``next``: what the next byte is, as a place in :data:`NEXT`;
* ``channel``: 0 is luma or the first channel;
* ``level``: 1 is the finest, that of the base the coarsest;
* ``band``: a place in :data:`BANDS`;
* ``weight``: logarithm, base 2, of what the bit that is told is worth in the picture, up to a constant;
* ``row``, ``column``: the middle of what the coefficient stands for, in pixels of the whole picture.

All but ``next`` are -1 where no coefficient is meant: in markers, headers and addresses, behind the last coefficient
of a list, in packed planes (positions are for token payloads), and in what is repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgfrs._pgfrs import Limits, Positions
from pgfrs.llm.ids import Ids
from pgfrs.llm.samples import Sample

__all__ = ["BANDS", "COLUMNS", "NEXT", "Positions", "of_sample", "positions"]

COLUMNS = ("next", "channel", "level", "band", "weight", "row", "column")
NEXT = ("marker", "address", "header", "base", "list", "refinement", "content", "lost")
BANDS = ("LL", "HL", "LH", "HH")
#: Marks behind which another stream begins, or one anew.
_FRESH = ("picture", "damaged", "clean")


def positions(stream: Any, *, limits: Limits | None = None) -> NDArray[np.int32]:
    """Where the bytes of a stream stand.

    Args:
        stream: any buffer of n bytes, a `.pgfr` stream or anything else; never raises for what it holds.
        limits: headers of larger pictures are taken for damage. Without them a header that names a huge picture costs
            memory for each of its blocks, as in :class:`pgfrs.llm.legal.Grammar`.

    Returns:
        Array of shape (n, 7). Row i follows from bytes 0 to i alone and is about byte i + 1: it is what a model may be
        told with byte i. What it may be told before the first byte is ``Positions().position()``.
    """
    return Positions(limits=limits).advance(stream)


def of_sample(sample: Sample, ids: Ids, *, limits: Limits | None = None) -> NDArray[np.int32]:
    """Where the ids of a sample stand.

    Args:
        sample: of :mod:`pgfrs.llm.samples`.
        ids: the numbering of the model.
        limits: headers of larger pictures are taken for damage.

    Returns:
        Array of shape (n, 7) beside ``sample.ids(ids)``: row i is about id i + 1. The parts of one stream follow one
        another as they stand in the sample, so a suffix before its prefix (``order="spm"``) has no places. Captions and
        ``eos`` are -1.
    """
    follower, text = Positions(limits=limits), False
    # All marks stand where a piece of a stream begins.
    begins = follower.position()[None]
    rows = [begins] if ids.bos is not None else []
    for content, _ in sample.parts:
        if isinstance(content, str):
            if content in _FRESH:
                follower = Positions(limits=limits)
            text = content == "caption"
            rows.append(_nowhere(1) if text else begins)
        else:
            rows.append(_nowhere(len(content)) if text else follower.advance(content))
    if ids.eos is not None:
        rows.append(_nowhere(1))
    return np.concatenate(rows) if rows else _nowhere(0)


def _nowhere(count: int) -> NDArray[np.int32]:
    return np.full((count, len(COLUMNS)), -1, np.int32)
