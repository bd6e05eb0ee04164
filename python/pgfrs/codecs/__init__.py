"""PGF as an array codec, with the names and signatures of the package ``imagecodecs``.

``pgf_encode``, ``pgf_decode``, ``pgf_check``, ``pgf_version``, the constants :class:`PGF` and the error class
``PgfError`` take the place that ``webp_encode`` and its kin have there; ``imagecodecs.imread(name, codec=pgf_decode)``
and ``imagecodecs.imwrite(name, array, codec=pgf_encode)`` work. Neither needs imagecodecs to be installed. Resilient
streams have the same names with ``pgfr`` and the constants :class:`PGFR`.

:class:`pgfrs.codecs.numcodecs.Pgf` and :class:`pgfrs.codecs.zarr.PgfCodec` are the codecs for chunks of arrays. They
are entry points of this package, so numcodecs and zarr find them by their name ``"pgfrs"`` in every process.
"""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import pgfrs
from pgfrs._errors import PgfError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "PGF",
    "PGFR",
    "PgfError",
    "PgfrError",
    "pgf_check",
    "pgf_decode",
    "pgf_encode",
    "pgf_version",
    "pgfr_check",
    "pgfr_decode",
    "pgfr_encode",
    "pgfr_version",
]

PgfrError = PgfError


class PGF:
    """Constants of the codec."""

    available = True

    class MODE(enum.IntEnum):
        """Image modes by the numbers that files hold (section 4 of the format)."""

        BITMAP = 0
        GRAY = 1
        INDEXED = 2
        RGB = 3
        CMYK = 4
        HSL = 5
        HSB = 6
        MULTICHANNEL = 7
        DUOTONE = 8
        LAB = 9
        GRAY16 = 10
        RGB48 = 11
        LAB48 = 12
        CMYK64 = 13
        DEEPMULTICHANNEL = 14
        DUOTONE16 = 15
        RGBA = 17
        GRAY31 = 18
        RGB12 = 19
        RGB16 = 20


class PGFR:
    """Constants of the codec of resilient streams."""

    available = True
    MODE = PGF.MODE

    class PAYLOAD(enum.StrEnum):
        """How planes are coded."""

        PACKED = "packed"
        TOKENS = "tokens"

    class PROFILE(enum.StrEnum):
        """What a stream is made for."""

        DEFAULT = "default"
        LEAN = "lean"
        TOUGH = "tough"

    class ORDER(enum.StrEnum):
        """What comes first."""

        BEST = "best"
        LEVELS = "levels"


def pgf_version() -> str:
    """Name and version of the implementation: ``"pgfrs 0.1.0"``."""
    return f"pgfrs {pgfrs.__version__}"


def pgf_check(data: Buffer, /) -> bool | None:
    """Whether data start like a PGF file; ``None`` if they are too short to tell."""
    head = bytes(memoryview(data)[:4])
    return False if head[:1] == b"\xff" else pgfrs.check(head)


def pgf_encode(
    data: ArrayLike,
    /,
    level: int | None = None,
    *,
    mode: PGF.MODE | int | str | None = None,
    resolutions: int | None = None,
    roi: bool = False,
    max_bytes: int | None = None,
    numthreads: int | None = None,
    out: int | bytearray | type[bytearray] | None = None,
) -> bytes | bytearray | memoryview:
    """Return an array as a PGF file.

    Args:
        data: array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), types as in :func:`pgfrs.encode`.
        level: quality, 0 (lossless, as is ``None``) to 30 (smallest).
        mode: image mode; ``None`` picks it by type and shape.
        resolutions: wavelet levels, 1 to 30; ``None`` leaves it to the size.
        roi: cut every level in tiles, so that regions decode on their own.
        max_bytes: make the best picture that fits in so many bytes.
        numthreads: most threads to use; ``None`` is one, 0 one for each CPU.
        out: as in imagecodecs: ``None`` for ``bytes``; the most bytes expected, also for ``bytes``; a ``bytearray``
            to write into, for a ``memoryview`` of what was written; the class ``bytearray`` for one of its instances.

    Raises:
        ValueError: the array or an option does not fit, or the file does not fit ``out``.
        PgfError: samples too noisy for the format.
    """
    return _encode(data, level, mode, resolutions, max_bytes, numthreads, out, roi=roi)


def pgf_decode(
    data: Buffer,
    /,
    index: int | None = None,
    *,
    level: int = 0,
    region: tuple[int, int, int, int] | None = None,
    mode: PGF.MODE | int | str | None = None,
    numthreads: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return a PGF file as an array.

    Args:
        data: the file, any buffer of bytes.
        index: number of the image; a file holds one, so ``None`` or 0.
        level: 0 is full size, level k has ceil(size / 2^k) pixels a side.
        region: (left, top, right, bottom) in full-size pixels.
        mode: convert to this mode.
        numthreads: most threads to use; ``None`` is one, 0 one for each CPU.
        out: C-contiguous array of the right shape and type to decode into.

    Raises:
        IndexError: an index other than 0.
        PgfError: the header is cut or contradicts itself.

    Warns:
        DamageWarning: the data are cut or damaged; what is left is decoded.
    """
    if index not in (None, 0):
        raise IndexError(f"index={index}: a PGF file holds one image")
    return np.asarray(
        pgfrs.decode(data, level=level, region=region, mode=_mode_name(mode), num_threads=_threads(numthreads), out=out)
    )


def pgfr_version() -> str:
    """Name and version of the implementation, as :func:`pgf_version`."""
    return pgf_version()


def pgfr_check(data: Buffer, /) -> bool | None:
    """Whether data start like a resilient stream; ``None`` if they are too short to tell."""
    head = bytes(memoryview(data)[:64])
    return False if head[:1] not in (b"", b"\xff") else pgfrs.check(head)


def pgfr_encode(
    data: ArrayLike,
    /,
    level: int | None = None,
    *,
    mode: PGF.MODE | int | str | None = None,
    resolutions: int | None = None,
    payload: PGFR.PAYLOAD | str = "packed",
    profile: PGFR.PROFILE | str = "default",
    order: PGFR.ORDER | str = "best",
    max_bytes: int | None = None,
    numthreads: int | None = None,
    out: int | bytearray | type[bytearray] | None = None,
) -> bytes | bytearray | memoryview:
    """Return an array as a resilient stream.

    Arguments are those of :func:`pgf_encode`; ``payload``, ``profile`` and ``order`` those of :func:`pgfrs.encode`.
    """
    streaming = {"format": "pgfr", "payload": str(payload), "profile": str(profile), "order": str(order)}
    return _encode(data, level, mode, resolutions, max_bytes, numthreads, out, **streaming)


def pgfr_decode(
    data: Buffer,
    /,
    index: int | None = None,
    *,
    level: int = 0,
    region: tuple[int, int, int, int] | None = None,
    mode: PGF.MODE | int | str | None = None,
    numthreads: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return a resilient stream as an array; as :func:`pgf_decode`."""
    return pgf_decode(data, index, level=level, region=region, mode=mode, numthreads=numthreads, out=out)


def _encode(
    data: ArrayLike,
    level: int | None,
    mode: PGF.MODE | int | str | None,
    resolutions: int | None,
    max_bytes: int | None,
    numthreads: int | None,
    out: int | bytearray | type[bytearray] | None,
    **options: Any,
) -> bytes | bytearray | memoryview:
    encoded: bytes | memoryview = pgfrs.encode(
        data,
        quality=0 if level is None else level,
        levels=resolutions,
        mode=_mode_name(mode),
        max_bytes=max_bytes,
        num_threads=_threads(numthreads),
        out=out if isinstance(out, bytearray) else None,
        **options,
    )
    if isinstance(out, int) and len(encoded) > out:
        raise ValueError(f"out={out}: the file has {len(encoded)} bytes")
    return bytearray(encoded) if out is bytearray else encoded


def _mode_name(mode: PGF.MODE | int | str | None) -> str | None:
    if mode is None or isinstance(mode, str):
        return mode
    return PGF.MODE(mode).name.lower()


def _threads(numthreads: int | None) -> int:
    if numthreads == 0:
        return os.cpu_count() or 1
    return 1 if numthreads is None else numthreads
