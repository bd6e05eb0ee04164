"""Seeded damage: change a file the same way every time, to see what a reader makes of it.

Four kinds of edit exist:

* ``substitute``: a run of bytes is overwritten with other bytes (every byte of the run changes);
* ``insert``: a run of random bytes is put between two bytes of the file;
* ``delete``: a run of bytes is taken out;
* ``cut``: the file ends early.

The same data, seed and settings give the same damage on every machine and Python version.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Buffer: TypeAlias = bytes | bytearray | memoryview
EditKind: TypeAlias = Literal["substitute", "insert", "delete", "cut"]
DamageKind: TypeAlias = Literal["substitute", "insert", "delete", "mixed", "cut"]

KINDS: tuple[DamageKind, ...] = get_args(DamageKind)
"""Every value that ``kind`` may take."""

_MIXED: tuple[EditKind, ...] = ("substitute", "insert", "delete")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a file; ``offset`` counts in the undamaged data."""

    kind: EditKind
    offset: int
    removed: bytes
    """The original bytes at ``offset`` that are gone (empty for an insertion)."""
    added: bytes
    """The bytes that stand there now (empty for a deletion or a cut)."""

    def __str__(self) -> str:
        match self.kind:
            case "substitute":
                return f"substitute {len(self.added)} at {self.offset}: {_hex(self.removed)} -> {_hex(self.added)}"
            case "insert":
                return f"insert {len(self.added)} at {self.offset}: {_hex(self.added)}"
            case "delete":
                return f"delete {len(self.removed)} at {self.offset}: {_hex(self.removed)}"
            case "cut":
                return f"cut at {self.offset}: {len(self.removed)} bytes lost"


def damage(
    data: Buffer,
    /,
    *,
    seed: int,
    kind: DamageKind = "substitute",
    edits: int = 1,
    length: int = 1,
    protect: int = 0,
) -> bytes:
    """Return a damaged copy of ``data``; see :func:`damage_with_record`."""
    return damage_with_record(data, seed=seed, kind=kind, edits=edits, length=length, protect=protect)[0]


def damage_with_record(
    data: Buffer,
    /,
    *,
    seed: int,
    kind: DamageKind = "substitute",
    edits: int = 1,
    length: int = 1,
    protect: int = 0,
) -> tuple[bytes, list[Edit]]:
    """Return a damaged copy of ``data`` and the edits that made it, in file order.

    ``edits`` runs of ``length`` bytes each are changed, at places drawn uniformly from everything behind the first
    ``protect`` bytes; runs never overlap. ``kind="mixed"`` draws the kind of each edit. ``kind="cut"`` keeps between
    ``protect`` and ``len(data) - 1`` bytes and takes neither ``edits`` nor ``length`` other than 1.

    Raises ``ValueError`` for an unknown kind, for numbers out of range, and where the runs do not fit behind the
    protected bytes.
    """
    original = bytes(data)
    _check(original, kind, edits, length, protect)
    rng = random.Random(seed)
    plan = _plan_cut(original, rng, protect) if kind == "cut" else _plan(original, rng, kind, edits, length, protect)
    return apply_edits(original, plan), plan


def apply_edits(data: Buffer, edits: Sequence[Edit], /) -> bytes:
    """Return ``data`` with ``edits`` made; they must be in file order and must not overlap."""
    original = bytes(data)
    pieces: list[bytes] = []
    done = 0
    for edit in edits:
        end = edit.offset + len(edit.removed)
        if edit.offset < done or original[edit.offset : end] != edit.removed:
            raise ValueError(f"edit does not fit the data: {edit}")
        pieces += [original[done : edit.offset], edit.added]
        done = end
    return b"".join([*pieces, original[done:]])


def _check(data: bytes, kind: str, edits: int, length: int, protect: int) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    for name, value, least in (("edits", edits, 1), ("length", length, 1), ("protect", protect, 0)):
        if value < least:
            raise ValueError(f"{name} is {value}; it must be at least {least}")
    if kind == "cut" and (edits, length) != (1, 1):
        raise ValueError(f"a cut is one edit without a length; edits is {edits}, length is {length}")
    if protect > len(data):
        raise ValueError(f"protect is {protect}, but there are only {len(data)} bytes")


def _plan_cut(data: bytes, rng: random.Random, protect: int) -> list[Edit]:
    if protect == len(data):
        raise ValueError(f"nothing to cut: all {len(data)} bytes are protected")
    offset = protect + _below(rng, len(data) - protect)
    return [Edit("cut", offset, data[offset:], b"")]


def _plan(data: bytes, rng: random.Random, kind: DamageKind, edits: int, length: int, protect: int) -> list[Edit]:
    kinds = [_MIXED[_below(rng, len(_MIXED))] if kind == "mixed" else _single(kind) for _ in range(edits)]
    occupied = [0 if each == "insert" else length for each in kinds]
    free = len(data) - protect - sum(occupied)
    if free < 0:
        there = len(data) - protect
        raise ValueError(
            f"{edits} edits of {length} bytes need {sum(occupied)} bytes, but only {there} are unprotected"
        )
    # A uniform choice among all placements without overlap: draw the gaps, then push the runs apart.
    starts = sorted(_below(rng, free + 1) for _ in kinds)
    plan = []
    pushed = protect
    for each, start, size in zip(kinds, starts, occupied, strict=True):
        offset = start + pushed
        pushed += size
        removed = data[offset : offset + size]
        plan.append(Edit(each, offset, removed, _added(rng, each, removed, length)))
    return plan


def _single(kind: DamageKind) -> EditKind:
    assert kind != "mixed"
    return kind


def _added(rng: random.Random, kind: EditKind, removed: bytes, length: int) -> bytes:
    if kind == "insert":
        return bytes(_below(rng, 256) for _ in range(length))
    if kind == "substitute":
        return bytes(byte ^ (1 + _below(rng, 255)) for byte in removed)
    return b""


def _below(rng: random.Random, bound: int) -> int:
    # Only random() is promised to give the same numbers in every Python version.
    return int(rng.random() * bound)


def _hex(data: bytes) -> str:
    return data.hex(" ") if len(data) <= 16 else f"{data[:16].hex(' ')} ..."
