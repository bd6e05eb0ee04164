"""
The compiled part of pgfrs.
"""

import collections.abc
import typing
from typing import Any, Final, SupportsIndex, final

import numpy
import numpy.typing
import typing_extensions

__all__ = [
    "DamageSpan",
    "DecodeReport",
    "ImageInfo",
    "Limits",
    "Progress",
    "ProgressiveDecoder",
    "__version__",
    "check",
    "decode",
    "decode_batch",
    "decode_with_report",
    "encode",
    "encode_batch",
    "read_info",
    "repair",
    "transcode",
]

__version__: Final[str]

@final
class DamageSpan:
    """
    One damaged place of a file.
    """
    def __repr__(self, /) -> str: ...
    @property
    def end(self, /) -> int:
        """
        Behind the last byte concerned.
        """
    @property
    def kind(self, /) -> str:
        """
        "header", "word_length", "tile_header", "code", "stray" or "truncated".
        """
    @property
    def message(self, /) -> str:
        """
        For people.
        """
    @property
    def repaired(self, /) -> bool:
        """
        Whether nothing was lost by it.
        """
    @property
    def start(self, /) -> int:
        """
        First byte concerned.
        """

@final
class DecodeReport:
    """
    What decoding found. Counts are of the macroblocks that the wanted level and region need.
    """
    def __repr__(self, /) -> str: ...
    @property
    def bytes_total(self, /) -> int:
        """
        Bytes given.
        """
    @property
    def bytes_used(self, /) -> int:
        """
        Offset behind the last byte used.
        """
    @property
    def complete(self, /) -> bool:
        """
        Whether everything asked for was there as it was written.
        """
    @property
    def damage(self, /) -> list[DamageSpan]:
        """
        The damaged places, by position.
        """
    @property
    def damaged(self, /) -> bool:
        """
        Whether something contradicts the format.
        """
    @property
    def finest_complete_level(self, /) -> int | None:
        """
        The finest level for which every macroblock is intact, or None.
        """
    @property
    def format(self, /) -> str:
        """
        The container: "pgf".
        """
    @property
    def height(self, /) -> int:
        """
        Rows of the decoded picture.
        """
    @property
    def intact(self, /) -> int:
        """
        Macroblocks decoded completely and without contradiction.
        """
    @property
    def level(self, /) -> int:
        """
        The level that was decoded.
        """
    @property
    def macroblocks(self, /) -> int:
        """
        Macroblocks needed.
        """
    @property
    def missing(self, /) -> int:
        """
        Macroblocks of which nothing is known.
        """
    @property
    def partial(self, /) -> int:
        """
        Macroblocks of which some planes, or bits of a plane, are missing.
        """
    @property
    def region(self, /) -> tuple[int, int, int, int] | None:
        """
        The region that was decoded, (left, top, right, bottom) in full-size pixels, or None for all.
        """
    @property
    def repaired(self, /) -> int:
        """
        Macroblocks read after their length or header had been mended.
        """
    @property
    def truncated(self, /) -> bool:
        """
        Whether the data end before the picture does.
        """
    @property
    def width(self, /) -> int:
        """
        Columns of the decoded picture.
        """

@final
class ImageInfo:
    """
    What the header of a file says.
    """
    def __repr__(self, /) -> str: ...
    @property
    def bits_per_pixel(self, /) -> int:
        """
        Bits per pixel as the header states them.
        """
    @property
    def channels(self, /) -> int:
        """
        Samples per pixel, 1 to 8.
        """
    @property
    def chroma_subsampled(self, /) -> bool:
        """
        Whether all planes but the first have half the size.
        """
    @property
    def data_offset(self, /) -> int:
        """
        Offset of the first byte of coded data.
        """
    @property
    def dtype(self, /) -> str:
        """
        NumPy's name of the decoded array's type.
        """
    @property
    def format(self, /) -> str:
        """
        The container: "pgf".
        """
    @property
    def height(self, /) -> int:
        """
        Rows in pixels.
        """
    @property
    def level_lengths(self, /) -> tuple[int, ...]:
        """
        Bytes of each level's coded data as the file states them, smallest image first. Only hints.
        """
    def level_size(self, /, k: SupportsIndex) -> tuple[int, int]:
        """
        (width, height) of level `k`, 0 (full size) to `levels`.
        """
    @property
    def levels(self, /) -> int:
        """
        Wavelet levels, 0 to 30; level k has ceil(size / 2^k) pixels a side.
        """
    @property
    def mode(self, /) -> str:
        """
        Name of the image mode.
        """
    @property
    def palette(self, /) -> Any | None:
        """
        Palette of an indexed picture, uint8 of shape (256, 4): red, green, blue, reserved; else None.
        """
    @property
    def quality(self, /) -> int:
        """
        Quality, 0 (lossless) to 31 (worst).
        """
    @property
    def roi(self, /) -> bool:
        """
        Whether the file is cut in tiles that decode on their own.
        """
    @property
    def shape(self, /) -> tuple[int, ...]:
        """
        Shape of the decoded array: (H, W) or (H, W, C).
        """
    @property
    def used_bits_per_channel(self, /) -> int:
        """
        Bits of a sample that carry data, from the top in 16-bit modes.
        """
    @property
    def user_data(self, /) -> bytes:
        """
        Opaque bytes that the file carries; empty if there are none.
        """
    @property
    def version(self, /) -> int:
        """
        Major version of the format that wrote the file, 2 to 7.
        """
    @property
    def version_flags(self, /) -> int:
        """
        The version byte: bits 0x08 ROI, 0x10 version 5, 0x20 version 6, 0x40 version 7.
        """
    @property
    def width(self, /) -> int:
        """
        Columns in pixels.
        """

@final
class Limits:
    """
    Bounds checked before anything is allocated.

    `max_pixels` bounds the pixels of what is decoded (level and region counted in), `max_bytes` the bytes that its
    coefficients and samples take together. What is over a bound raises `LimitsError`.
    """
    def __new__(cls, /, max_pixels: SupportsIndex = ..., max_bytes: SupportsIndex = ...) -> Limits: ...
    def __repr__(self, /) -> str: ...
    @property
    def max_bytes(self, /) -> int:
        """
        Most bytes of coefficients and samples together.
        """
    @property
    def max_pixels(self, /) -> int:
        """
        Most pixels of what is decoded.
        """

@final
class Progress:
    """
    How much of a picture has arrived.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __repr__(self, /) -> str: ...
    @property
    def bytes_received(self, /) -> int:
        """
        Bytes fed so far.
        """
    @property
    def complete(self, /) -> bool:
        """
        Whether everything has arrived.
        """
    @property
    def level(self, /) -> int | None:
        """
        The finest level for which everything has arrived, or None.
        """
    @property
    def macroblocks(self, /) -> int:
        """
        Macroblocks that have arrived whole.
        """
    @property
    def macroblocks_total(self, /) -> int | None:
        """
        Macroblocks of the picture, or None before the header is whole.
        """

@final
class ProgressiveDecoder:
    """
    Takes a file piece by piece and shows the picture as far as it is known.

    ``feed`` any chunks of bytes, ``render`` at any moment once the header is there (``info`` is not ``None``).
    ``limits`` are checked as soon as the header is whole.
    """
    def __new__(cls, /, *, limits: Limits | None = None) -> ProgressiveDecoder: ...
    def feed(self, chunk: typing_extensions.Buffer, /) -> Progress:
        """
        Take the next bytes, any buffer; returns what has arrived.

        Raises:
            FormatError: the header is wrong beyond recovery.
            LimitsError: the picture is over the limits.
        """
    @property
    def info(self, /) -> ImageInfo | None:
        """
        The header, or ``None`` before it is whole.
        """
    @property
    def progress(self, /) -> Progress:
        """
        What has arrived.
        """
    def render(self, /, level: SupportsIndex | None = None) -> numpy.typing.NDArray[typing.Any]:
        """
        The picture at a level as far as it is known; ``None`` means full size.

        Returns:
            An array as :func:`decode` returns it. Never warns: what is missing is expected here.

        Raises:
            TruncatedError: the header is not whole yet.
            ValueError: a level that the picture does not have.
        """
    def report(self, /) -> DecodeReport:
        """
        What decoding the bytes so far finds, as :func:`decode_with_report` tells it.
        """

def check(data: typing_extensions.Buffer, /) -> bool | None:
    """
    Whether data start like a file of this package; ``None`` if they are too short to tell.
    """

def decode(
    data: typing_extensions.Buffer,
    /,
    *,
    level: SupportsIndex = 0,
    region: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex] | None = None,
    mode: str | None = None,
    strict: bool = False,
    limits: Limits | None = None,
    num_threads: SupportsIndex = 1,
    out: numpy.typing.NDArray[typing.Any] | None = None,
) -> numpy.typing.NDArray[typing.Any]:
    """
    Decode a picture.

    Args:
        data: the file, any buffer of bytes.
        level: 0 is full size; level k has ceil(size / 2^k) pixels a side and reads only that much of the file.
        region: (left, top, right, bottom) in full-size pixels; at level k its corners become ceil(x / 2^k).
        mode: convert to this mode (palette to ``"rgb"``, deeper to 8 bits and the like); ``None`` keeps it.
        strict: refuse cut and damaged data instead of making the best of them.
        limits: checked before anything is allocated; ``None`` means ``Limits()``.
        num_threads: most threads to use; the pixels are the same for any number.
        out: C-contiguous array of the right shape and type to decode into.

    Returns:
        Array of shape (H, W) for one channel, else (H, W, C); ``bool`` for bitmaps, ``uint8``, ``uint16``,
        ``uint32`` (31-bit gray) or ``int32`` (multichannel modes). With ``out``, ``out`` itself.

    Raises:
        TruncatedError: the header is cut; with ``strict`` also if coded data are missing.
        FormatError: the header contradicts itself; with ``strict`` also for damaged coded data.
        LimitsError: the picture is over the limits.
        UnsupportedError: a conversion that is not there.
        ValueError: a level, region, mode or ``out`` that does not fit.

    Warns:
        DamageWarning: the data are cut or damaged; what is missing is zero in the wavelet domain.
    """

def decode_batch(
    blobs: collections.abc.Iterable[typing_extensions.Buffer],
    /,
    *,
    num_threads: SupportsIndex = 1,
    level: SupportsIndex = 0,
    region: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex] | None = None,
    mode: str | None = None,
    strict: bool = False,
    limits: Limits | None = None,
) -> list[numpy.typing.NDArray[typing.Any] | Exception]:
    """
    Decode many files in one call, on ``num_threads`` threads.

    Takes a sequence of buffers and the options of :func:`decode`; returns a list that holds, file by file, the
    array or the ``PgfError`` that stands in its way. Cut and damaged files give the best picture without a
    warning, unless ``strict``.
    """

def decode_with_report(
    data: typing_extensions.Buffer,
    /,
    *,
    level: SupportsIndex = 0,
    region: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex] | None = None,
    mode: str | None = None,
    strict: bool = False,
    limits: Limits | None = None,
    num_threads: SupportsIndex = 1,
    out: numpy.typing.NDArray[typing.Any] | None = None,
) -> tuple[numpy.typing.NDArray[typing.Any], DecodeReport]:
    """
    Decode a picture and tell what was found; never warns.

    Takes the arguments of :func:`decode` and returns the array and a :class:`DecodeReport`.
    """

def encode(
    image: numpy.typing.ArrayLike,
    /,
    *,
    format: str = "pgf",
    quality: SupportsIndex = 0,
    levels: SupportsIndex | None = None,
    mode: str | None = None,
    roi: bool = False,
    payload: str = "packed",
    max_bytes: SupportsIndex | None = None,
    user_data: typing_extensions.Buffer | None = None,
    palette: numpy.typing.NDArray[numpy.uint8] | None = None,
    used_bits: SupportsIndex | None = None,
    num_threads: SupportsIndex = 1,
    out: typing_extensions.Buffer | None = None,
) -> bytes:
    """
    Encode a picture.

    Args:
        image: array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), channels in the order red, green, blue,
            alpha; ``uint8``, ``uint16``, ``uint32`` (31-bit gray), ``bool`` (bitmap) or, for the multichannel
            modes, ``int32`` of shape (H, W, C) with C from 1 to 8. It must not change during the call.
        format: ``"pgf"``.
        quality: 0 (lossless) to 30 (worst). Above 3 most modes store their colour planes at half size. With
            ``max_bytes``, the finest quality that may be used.
        levels: wavelet levels, 1 to 30, reduced until each has at least five pixels on the smaller side; ``None``
            leaves it to the picture's size.
        mode: name of the image mode; ``None`` picks it by type and shape.
        roi: cut every level in tiles, so that regions decode on their own.
        payload: ``"packed"``.
        max_bytes: make the best picture that fits in so many bytes, header and user data included.
        user_data: opaque bytes to carry along.
        palette: for mode ``"indexed"``, uint8 of shape (n, 3) or (n, 4), n at most 256.
        used_bits: bits of each sample that carry data, in modes of more than 8 bits; the lower bits are dropped.
        num_threads: most threads to use; the bytes are the same for any number.
        out: writable buffer of bytes to put the file into.

    Returns:
        The file as ``bytes``, identical to what libPGF 7.21.7 writes for the same pixels and settings; with
        ``out`` a ``memoryview`` of the part of ``out`` that was written.

    Raises:
        ValueError: the array's type or shape, or an option, does not fit.
        UnsupportedError: a format or payload that is not there, or samples too noisy for the format.
    """

def encode_batch(
    images: collections.abc.Iterable[numpy.typing.ArrayLike],
    /,
    *,
    num_threads: SupportsIndex = 1,
    format: str = "pgf",
    quality: SupportsIndex = 0,
    levels: SupportsIndex | None = None,
    mode: str | None = None,
    roi: bool = False,
    payload: str = "packed",
    max_bytes: SupportsIndex | None = None,
    user_data: typing_extensions.Buffer | None = None,
    palette: numpy.typing.NDArray[numpy.uint8] | None = None,
    used_bits: SupportsIndex | None = None,
) -> list[bytes | Exception]:
    """
    Encode many pictures in one call, on ``num_threads`` threads.

    Takes a sequence of arrays and the options of :func:`encode`; returns a list that holds, picture by picture,
    the file as ``bytes`` or the ``PgfError`` that stands in its way. One bad picture never stops the others.
    """

def read_info(data: typing_extensions.Buffer, /) -> ImageInfo:
    """
    Read the header of a file; the coded data need not be there.

    Raises:
        TruncatedError: the header is cut.
        FormatError: the header contradicts itself beyond recovery.
    """

def repair(data: typing_extensions.Buffer, /, *, format: str | None = None) -> bytes:
    """
    Make a clean, complete file of cut or damaged data.

    Whatever coefficients the data still tell are kept, the others become zero; user data and palette are kept.
    The result decodes without a warning, also in libPGF. ``format`` may be ``None`` or ``"pgf"``.

    Raises:
        FormatError: the header is cut or contradicts itself beyond recovery.
    """

def transcode(data: typing_extensions.Buffer, format: str, /, *, payload: str | None = None) -> bytes:
    """
    Change the container of the same coefficients; so far only ``"pgf"`` to itself is there.

    Raises:
        UnsupportedError: any other container.
    """
