"""Streams as ids of a model, and back: every byte is one id, shifted past the ids that the model keeps for itself."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGEST_BYTE = 255
#: Of ids, here: more than any model has, and exact as a float.
_LARGEST_ID = 2**62
_NO_NAMES: Mapping[str, int] = MappingProxyType({})
#: Sequences in sequences.
_DEEPEST = 64
_END = object()


@dataclass(frozen=True)
class Ids:
    """How a model numbers bytes and marks.

    Attributes:
        offset: byte b is id ``offset + b``.
        bos, eos: ids before and after a sequence, if any.
        sentinels: ids of further marks by name, outside the ids of bytes.
        size: number of ids of the vocabulary; ``None`` means just large enough.
        dtype: an integer type of numpy; ``None`` means the smallest of ``uint16`` and ``int32`` that holds all ids.

    Raises:
        TypeError: an id is not an integer.
        ValueError: an id is negative, stands for two things, or does not fit ``dtype`` or ``size``.
    """

    offset: int = 0
    bos: int | None = None
    eos: int | None = None
    sentinels: Mapping[str, int] = field(default_factory=dict)
    size: int | None = None
    dtype: DTypeLike | None = None

    def __post_init__(self) -> None:
        # Integers of numpy have few bits: sums of them would run over.
        for name in ("offset", "bos", "eos", "size"):
            number = getattr(self, name)
            object.__setattr__(self, name, None if number is None else operator.index(number))
        sentinels = {name: operator.index(number) for name, number in self.sentinels.items()}
        if self.offset < 0:
            raise ValueError(f"offset={self.offset}: 0 is the least")
        for name in {"bos", "eos"} & set(sentinels):
            raise ValueError(f"sentinels: {name} has an argument of its own")
        marks = {"bos": self.bos, "eos": self.eos, **sentinels}
        taken: dict[int, str] = {}
        for name, number in marks.items():
            if number is None:
                continue
            if number < 0:
                raise ValueError(f"{name}={number}: 0 is the least id")
            if self.offset <= number <= self.offset + _LARGEST_BYTE:
                raise ValueError(f"{name}={number}: that is the id of byte {number - self.offset}")
            if number in taken and {name, taken[number]} != {"bos", "eos"}:  # one mark between sequences is usual
                raise ValueError(f"{name}={number}: that is {taken[number]} already")
            taken[number] = name
        largest = max([self.offset + _LARGEST_BYTE, *taken])
        if self.size is not None and largest >= self.size:
            raise ValueError(f"id {largest}: the vocabulary has {self.size}")
        kind = np.dtype(self.dtype if self.dtype is not None else np.uint16 if largest <= 65535 else np.int32)
        if kind.kind not in "iu" or largest > np.iinfo(kind).max:
            raise ValueError(f"dtype {kind}: an integer type that holds {largest} is needed")
        object.__setattr__(self, "sentinels", MappingProxyType(sentinels))
        object.__setattr__(self, "size", largest + 1 if self.size is None else self.size)
        object.__setattr__(self, "dtype", kind)

    def __hash__(self) -> int:
        return hash((self.offset, self.bos, self.eos, tuple(sorted(self.sentinels.items())), self.size, self.dtype))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.offset, self.bos, self.eos, dict(self.sentinels), self.size, self.dtype)

    def of_bytes(self, data: Any) -> NDArray[Any]:
        """The ids of bytes alone, without ``bos`` and ``eos``: an array of shape (n,)."""
        kind = np.dtype(self.dtype)
        return np.frombuffer(data, np.uint8).astype(kind) + kind.type(self.offset)

    def mark(self, name: str) -> NDArray[Any]:
        """The id of ``"bos"``, ``"eos"`` or a sentinel as an array of shape (1,).

        Raises:
            KeyError: there is none of that name.
        """
        number = {"bos": self.bos, "eos": self.eos, **self.sentinels}.get(name)
        if number is None:
            raise KeyError(f"no id is named {name!r}")
        return np.array([number], self.dtype)


#: Bytes as they are: 256 ids and no marks.
BYTES = Ids()

#: EvaByte: 64 ids come before the bytes. Its tokenizer uses ids 0 to 11, of which <t2v_token> and <v2t_token> stand
#: between a caption and its picture; 12 to 63 are free, and some of them stand here for the parts of training samples.
EVABYTE = Ids(
    64,
    bos=1,
    eos=2,
    sentinels={
        "pad": 0,
        "caption": 8,
        "picture": 7,
        "prefix": 12,
        "suffix": 13,
        "middle": 14,
        "address": 15,
        "damaged": 16,
        "clean": 17,
    },
    size=320,
)


def to_ids(
    stream: Any,
    offset: int = EVABYTE.offset,
    bos: int | None = None,
    eos: int | None = None,
    sentinels: Mapping[str, int] = _NO_NAMES,
    *,
    ids: Ids | None = None,
) -> NDArray[Any]:
    """The ids of a stream.

    Args:
        stream: any buffer of bytes.
        offset: byte b becomes ``offset + b``; 64, EvaByte's, unless said otherwise, 0 for bytes as they are.
        bos, eos: ids to put before and after, if any.
        sentinels: further ids of the model by name; they only have to fit beside the bytes here, so that a wrong offset
            does not pass unseen.
        ids: all of this in one value, such as :data:`EVABYTE`; then the other arguments must be left out.

    Returns:
        Array of shape (n,) of ``uint16``, or ``int32`` where ids are above 65535.

    Raises:
        ValueError: an id is negative or stands for two things, or both ``ids`` and others are given.
    """
    if ids is None:
        ids = Ids(offset, bos, eos, sentinels)
    elif offset not in (EVABYTE.offset, ids.offset) or bos is not None or eos is not None or sentinels:
        raise ValueError("give either ids or offset, bos, eos and sentinels")
    parts = [ids.of_bytes(stream)]
    if ids.bos is not None:
        parts.insert(0, ids.mark("bos"))
    if ids.eos is not None:
        parts.append(ids.mark("eos"))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def from_ids(ids: Any, offset: int = EVABYTE.offset) -> bytes:
    """The bytes among ids, in order; never raises for what a model may write.

    Args:
        ids: array, tensor or sequence of any shape, rows of different lengths among them, of integers (floats are
            rounded down, what is not a number is left out); of ``bytes`` every byte is an id.
        offset: id of byte 0, 64 as in :func:`to_ids`; an :class:`Ids` value has it as ``offset``.

    Returns:
        One byte for every id from ``offset`` to ``offset + 255``. All other ids, marks among them, are left out.
    """
    offset = operator.index(offset)
    numbers = numbers_of(ids)
    if not 0 <= offset <= _LARGEST_ID:
        return b""
    numbers = numbers - offset
    return numbers[(numbers >= 0) & (numbers <= _LARGEST_BYTE)].astype(np.uint8).tobytes()


def numbers_of(ids: Any) -> NDArray[np.int64]:
    """The ids of anything that may hold some, as :func:`from_ids` takes it: an array of shape (n,). Never raises.

    Numbers beyond 2^62 are no ids of any model, and are left out.
    """
    if hasattr(ids, "detach"):  # a tensor of PyTorch, perhaps on a device, perhaps of a type that numpy lacks
        ids = ids.detach().cpu()
        ids = ids.numpy() if ids.dtype.itemsize > 2 or not ids.is_floating_point() else ids.float().numpy()
    values = np.frombuffer(ids, np.uint8) if isinstance(ids, bytes) else None
    if values is None:
        try:
            values = np.asarray(ids)
        except Exception:
            # Rows of different lengths, numbers beyond 64 bits, whatever an object's own conversion raises.
            values = None
    if values is None or values.dtype.kind not in "biuf":
        # Text has no numbers, and numpy makes text of what stands beside some.
        flat = [number for number in _flat(ids) if -_LARGEST_ID <= number <= _LARGEST_ID]
        values = np.array([math.floor(number) for number in flat], np.int64)
    values = values.ravel()
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            values = np.floor(values[np.abs(values) <= _LARGEST_ID])
    elif values.dtype == np.uint64:
        values = values[values <= _LARGEST_ID]
    return values.astype(np.int64)


def _flat(ids: Any) -> Iterator[Any]:
    """The numbers in nested sequences, in order; at most 64 deep, as deep as numpy's arrays."""
    open_ = [iter([ids])]
    while open_:
        found = next(open_[-1], _END)
        if found is _END:
            open_.pop()
        elif isinstance(found, (int, float, np.integer, np.floating)):
            yield found
        elif hasattr(found, "detach"):
            yield from numbers_of(found).tolist()
        elif not isinstance(found, (str, Mapping)) and hasattr(found, "__iter__") and len(open_) <= _DEEPEST:
            open_.append(iter(found))
