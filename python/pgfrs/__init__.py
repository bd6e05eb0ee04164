"""Read and write PGF (Progressive Graphics File) images and resilient `.pgfr` streams."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from pgfrs._errors import (
    DamageWarning,
    FormatError,
    IngestError,
    LimitsError,
    PgfError,
    TruncatedError,
    UnsupportedError,
    WholeFileWarning,
)
from pgfrs._pgfrs import (
    DamageSpan,
    DecodeReport,
    ImageInfo,
    Limits,
    Progress,
    ProgressiveDecoder,
    Segment,
    __version__,
    check,
    decode,
    decode_batch,
    decode_with_report,
    drop,
    encode,
    encode_batch,
    merge,
    read_info,
    refine,
    repair,
    segments,
    transcode,
)

if TYPE_CHECKING:
    from pgfrs.lazy import LazyImage

__all__ = [
    "DamageSpan",
    "DamageWarning",
    "DecodeReport",
    "FormatError",
    "ImageInfo",
    "IngestError",
    "Limits",
    "LimitsError",
    "PgfError",
    "Progress",
    "ProgressiveDecoder",
    "Segment",
    "TruncatedError",
    "UnsupportedError",
    "WholeFileWarning",
    "__version__",
    "check",
    "decode",
    "decode_batch",
    "decode_with_report",
    "drop",
    "encode",
    "encode_batch",
    "merge",
    "read_info",
    "refine",
    "repair",
    "segments",
    "transcode",
]


def open(  # like gzip.open and Image.open; not in __all__, so that "import *" leaves the builtin alone
    address: str | os.PathLike[str],
    /,
    *,
    storage_options: dict[str, Any] | None = None,
    search: Literal["auto", "lengths", "blocks"] = "auto",
    cache_bytes: int = 1 << 28,
    limits: Limits | None = None,
) -> LazyImage:
    """Open a picture of which only what is looked at is read.

    Args:
        address: a path, or any address that fsspec knows: ``https://``, ``s3://``, ``zip://`` ... Needs the extra
            ``pgfrs[remote]``.
        storage_options: for the file system of the address, as everywhere in fsspec.
        search: how to find the parts of a file without an index: ``"lengths"`` looks at the length of each, four bytes
            at a time, ``"blocks"`` reads everything on the way; ``"auto"`` is ``"lengths"`` for local files.
        cache_bytes: most bytes to keep in memory.
        limits: for decoding; ``None`` means ``Limits()``.

    Returns:
        A :class:`pgfrs.lazy.LazyImage`; its header is read.

    Raises:
        OSError: the address cannot be read.
        FormatError, TruncatedError: it holds no such file.

    Warns:
        WholeFileWarning: the server has no byte ranges; all of the file was read.
    """
    from pgfrs.lazy import LazyImage

    return LazyImage(address, storage_options=storage_options, search=search, cache_bytes=cache_bytes, limits=limits)
