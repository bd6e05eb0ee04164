"""
The compiled part of pgfrs.
"""

import collections.abc
import typing
from typing import Any, Final, SupportsFloat, SupportsIndex, final

import numpy
import numpy.typing
import typing_extensions
from _typeshed import SupportsGetItem

__all__ = [
    "ByteMap",
    "ConvertedImage",
    "DamageSpan",
    "DecodeReport",
    "Grammar",
    "ImageInfo",
    "Limits",
    "Positions",
    "Progress",
    "ProgressiveDecoder",
    "Segment",
    "StreamMap",
    "Wanted",
    "__version__",
    "check",
    "convert_batch",
    "decode",
    "decode_batch",
    "decode_with_report",
    "drop",
    "encode",
    "encode_batch",
    "index_stream",
    "legal_masks",
    "merge",
    "prepare_image",
    "read_info",
    "refine",
    "repair",
    "segments",
    "transcode",
    "wanted_segments",
]

__version__: Final[str]

@final
class ByteMap:
    """
    Which bytes of a file a level and a region need, for readers that fetch only those; see :func:`pgfrs.open`.

    ``head`` are the first bytes of the file, the whole header among them, ``size`` is the length of the file, which with
    the header may not announce more macroblocks than ``limits.max_bytes`` has room for.
    """
    def __new__(
        cls, head: typing_extensions.Buffer, size: SupportsIndex, /, *, limits: Limits | None = None
    ) -> ByteMap: ...
    def assemble(
        self,
        level: SupportsIndex,
        region: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex] | None,
        pieces: collections.abc.Sequence[typing_extensions.Buffer],
        /,
    ) -> bytes:
        """
        A file that holds only what a level and a region need; ``pieces`` are the bytes of :meth:`ranges`.

        Raises:
            ValueError: pieces of other lengths.
        """
    @property
    def macroblocks(self, /) -> int:
        """
        Macroblocks of the file.
        """
    def ranges(
        self,
        level: SupportsIndex,
        region: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex] | None,
        read: collections.abc.Callable[[int, int], typing_extensions.Buffer],
        /,
    ) -> list[tuple[int, int]]:
        """
        The bytes that a level and a region need, ascending, as (start, end).

        ``read(offset, macroblocks)`` is called where the position of a macroblock is not known: it returns bytes from
        ``offset`` on, at least four where the file has them; ``macroblocks`` have to be passed from there.

        Raises:
            FormatError, TruncatedError: the lengths in the file lead nowhere.
            ValueError: a level or region that the picture does not have.
        """
    def use_word_lengths(self, lengths: typing_extensions.Buffer, /) -> None:
        """
        Take the result of :meth:`word_lengths` for the same file, so that nothing needs to be searched.

        Raises:
            FormatError: the lengths are not those of this file.
        """
    def word_lengths(self, read: collections.abc.Callable[[int, int], typing_extensions.Buffer], /) -> bytes:
        """
        The lengths of all macroblocks in words, two bytes each, little-endian; ``read`` as for :meth:`ranges`.
        """

@final
class ConvertedImage:
    """
    One converted picture.
    """
    def __repr__(self, /) -> str: ...
    @property
    def data(self, /) -> bytes:
        """
        The encoded picture.
        """
    @property
    def digest(self, /) -> bytes | None:
        """
        SHA-256 of the source's bytes, or ``None`` where ``digest`` did not ask for it.
        """
    @property
    def height(self, /) -> int:
        """
        Pixels of the result.
        """
    @property
    def mode(self, /) -> str:
        """
        Mode of the result: "gray", "rgb", "rgba", "gray16" or "rgb48".
        """
    @property
    def psnr(self, /) -> float | None:
        """
        Peak signal to noise ratio in dB beside the pixels that were encoded (infinite if equal), or ``None`` where
        ``measure`` did not ask for it.
        """
    @property
    def source_bytes(self, /) -> int:
        """
        Bytes of the source.
        """
    @property
    def source_format(self, /) -> str:
        """
        Format of the source: "jpeg", "png", "webp", "gif", "bmp", "tiff", "pgf", "pgfr" or, for arrays, "pixels".
        """
    @property
    def source_height(self, /) -> int:
        """
        Pixels of the source, upright.
        """
    @property
    def source_width(self, /) -> int:
        """
        Pixels of the source, upright.
        """
    @property
    def width(self, /) -> int:
        """
        Pixels of the result.
        """

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
        "header", "word_length", "tile_header", "code", "stray" or "truncated"; in streams "segment".
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
    What decoding found. Counts are of the macroblocks that the wanted level and region need; of a `.pgfr` stream they
    are of its segments of planes, and `truncated` is never true: any prefix of a stream is a whole stream.
    """
    def __repr__(self, /) -> str: ...
    @property
    def base(self, /) -> tuple[int, int] | None:
        """
        Base values of a stream that are there, and all that there should be; None for `.pgf`.
        """
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
        Whether everything asked for was there as it was written. Of a stream: whether all of the data was used as it
        was written; whether more could come is not known, see `unfinished`.
        """
    @property
    def concealed(self, /) -> int:
        """
        Base values of a stream that are missing although it goes on behind them, and estimated. 0 for `.pgf`.
        """
    @property
    def confidence(self, /) -> Any | None:
        """
        How much of a stream's picture is known where: uint8 of shape (levels, rows, columns), the finest level first,
        for tiles of 64 x 64 pixels the number of lowest planes of the first channel that are missing, 0 = all are
        known, 255 = nothing is. None for `.pgf`.
        """
    @property
    def damage(self, /) -> list[DamageSpan]:
        """
        The damaged places, by position.
        """
    @property
    def damaged(self, /) -> bool:
        """
        Whether something contradicts the format. Of a stream: whether anything of it was lost, doubted, repaired, adopted or
        concealed, so that its picture is not all that it says and nothing else. The prefix of an undamaged stream is not
        damaged.
        """
    @property
    def finest_complete_level(self, /) -> int | None:
        """
        The finest level, none finer than the one asked for, of which every macroblock is intact, or None.
        """
    @property
    def format(self, /) -> str:
        """
        The container: "pgf" or "pgfr".
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
        Macroblocks read after their length or header had been mended; segments that were corrected, found under another
        address, or adopted from bytes without a sure one.
        """
    @property
    def segments(self, /) -> dict[str, int]:
        """
        Segments of planes of a stream by what became of them: "used", "cut" (the end of the data), "doubted" (a
        contradiction; the part that may be right is in the picture), "lost", "duplicate", "unneeded". Empty for `.pgf`.
        """
    @property
    def truncated(self, /) -> bool:
        """
        Whether the data end before the picture does. Never of a stream: any prefix of one is a whole stream.
        """
    @property
    def unfinished(self, /) -> int:
        """
        Blocks of a stream that begin and do not reach their lowest plane, as they do where a stream was cut or made for a
        budget; one of which nothing is there looks like one that is flat and is not counted. 0 for `.pgf`.
        """
    @property
    def width(self, /) -> int:
        """
        Columns of the decoded picture.
        """

@final
class Grammar:
    """
    What may come next in a `.pgfr` stream: an automaton that takes bytes and says which ones are legal.

    Args:
        rules: how much of the format is asked for: "framing" (headers, markers, stuffing), "addresses" (also the base,
            addresses, chains of planes, sums of checks) or "payload" (also that every segment holds its planes exactly).
        limits: headers of larger pictures are not legal.
    """
    def __copy__(self, /) -> Grammar: ...
    def __deepcopy__(self, /, _memo: Any) -> Grammar: ...
    def __new__(cls, /, rules: str = "payload", *, limits: Limits | None = None) -> Grammar: ...
    def __repr__(self, /) -> str: ...
    def advance(self, data: typing_extensions.Buffer, /) -> int:
        """
        Take bytes, any buffer; returns how many of them were legal. Behind one that was not, bytes up to the next marker
        count for nothing.
        """
    def advance_byte(self, /, byte: SupportsIndex) -> bool:
        """
        Take one byte, 0 to 255; returns whether it was legal.
        """
    def allowed(self, /) -> bytes:
        """
        The bytes that may come next, ascending. Never empty.
        """
    @property
    def begun(self, /) -> bool:
        """
        Whether the header is whole.
        """
    def copy(self, /) -> Grammar:
        """
        A state of its own that goes on from here.
        """
    def is_allowed(self, /, byte: SupportsIndex) -> bool:
        """
        Whether a byte may come next.
        """
    def legal_prefix(self, data: typing_extensions.Buffer, /) -> int:
        """
        How many of these bytes are legal one after the other; the state stays as it is.
        """
    @property
    def lost(self, /) -> bool:
        """
        Whether the present piece holds a byte that is not legal: nothing but a marker goes on from it.
        """
    @property
    def may_end(self, /) -> bool:
        """
        Whether the stream may end here with no piece cut. A prefix that ends elsewhere decodes too.
        """
    @property
    def room(self, /) -> tuple[int, int, int] | None:
        """
        Inside the content of a segment of planes: (planes not whole, coefficients left in the present list or pass,
        refinement bits left in the present plane). ``None`` elsewhere, and with rules that do not look into contents.
        """
    @property
    def segment(self, /) -> tuple[int, int, int, int] | None:
        """
        The segment of planes whose content the next byte belongs to: (channel group, block, highest plane, planes).
        ``None`` elsewhere.
        """

@final
class ImageInfo:
    """
    What the header of a file says.
    """
    def __repr__(self, /) -> str: ...
    @property
    def bare(self, /) -> bool | None:
        """
        Whether a `.pgfr` stream is bare (see encode); None for `.pgf`.
        """
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
        The container: "pgf" or "pgfr".
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
    def payload(self, /) -> str | None:
        """
        How a `.pgfr` stream codes its planes, "packed" or "tokens"; None for `.pgf`.
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
        Major version of the format that wrote the file: 2 to 7 for `.pgf`, 1 for `.pgfr`.
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
    def __getnewargs__(self, /) -> tuple[int, int]:
        """
        What makes the same limits again, for pickle and copy.
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
class Positions:
    """
    Where every byte of a `.pgfr` stream stands; follows one stream. :mod:`pgfrs.llm.positions` says what the numbers mean.

    Args:
        limits: headers of larger pictures are taken for damage.
    """
    def __copy__(self, /) -> Positions: ...
    def __deepcopy__(self, /, _memo: Any) -> Positions: ...
    def __new__(cls, /, *, limits: Limits | None = None) -> Positions: ...
    def advance(self, data: typing_extensions.Buffer, /) -> numpy.typing.NDArray[numpy.int32]:
        """
        Take n bytes, any buffer; returns an int32 array of shape (n, 7): behind each of them, where the next stands.
        """
    def copy(self, /) -> Positions:
        """
        A state of its own that goes on from here.
        """
    def position(self, /) -> numpy.typing.NDArray[numpy.int32]:
        """
        Where the next byte stands: an int32 array of shape (7,).
        """

@final
class Progress:
    """
    How much of a picture has arrived. Of a `.pgfr` stream segments count in place of macroblocks, and as a stream may
    always go on, the total is None and `complete` False.
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

@final
class Segment:
    """
    One segment of a stream.
    """
    def __repr__(self, /) -> str: ...
    @property
    def count(self, /) -> int | None:
        """
        Of "planes": how many planes it holds, 1 to 3.
        """
    @property
    def end(self, /) -> int:
        """
        Behind its last byte.
        """
    @property
    def fate(self, /) -> str | None:
        """
        Of "planes": what decoding does with it, see `DecodeReport.segments`.
        """
    @property
    def first(self, /) -> bool | None:
        """
        Of "planes": whether the planes above are zero.
        """
    @property
    def group(self, /) -> int | None:
        """
        Of "planes": the channel group (0 the first channel, 1 the colour differences, 2 the fourth; in deep streams
        every channel its own). Of "base": the channel. Else None.
        """
    @property
    def index(self, /) -> int | None:
        """
        Of "planes": the block in its group.
        """
    @property
    def kind(self, /) -> str:
        """
        "picture" (a copy of the header), "base", "planes", "palette", "user_data", "file", "check", "end" or "unknown".
        """
    @property
    def levels(self, /) -> tuple[int, int] | None:
        """
        Of "planes": (coarsest, finest) level of its block; 1 is the finest of all.
        """
    @property
    def plane(self, /) -> int | None:
        """
        Of "planes": the highest plane in it.
        """
    @property
    def region(self, /) -> tuple[int, int, int, int] | None:
        """
        Of "planes": (left, top, right, bottom) of the pixels that it bears on, without the filters' reach.
        """
    @property
    def start(self, /) -> int:
        """
        Its first byte, the marker's FF.
        """

@final
class StreamMap:
    """
    Which bytes of a `.pgfr` stream with an index a level and a region need, for readers that fetch only those; see
    :func:`pgfrs.open`. What one method names is fetched and given to the next, in the order in which they stand here.

    ``head`` are the first bytes of the file, the picture header among them, ``size`` is the length of the file.
    """
    def __new__(
        cls, head: typing_extensions.Buffer, size: SupportsIndex, /, *, limits: Limits | None = None
    ) -> StreamMap: ...
    def assemble(
        self,
        level: SupportsIndex,
        region: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex] | None,
        pages: collections.abc.Sequence[typing_extensions.Buffer],
        pieces: collections.abc.Sequence[typing_extensions.Buffer],
        /,
    ) -> bytes:
        """
        A stream that holds only what a level and a region need; ``pieces`` are the bytes of :meth:`ranges`.

        Raises:
            FormatError: they are not the segments that the index names.
            ValueError: pieces of other lengths.
        """
    @property
    def directory(self, /) -> tuple[int, int] | None:
        """
        (start, end) of the bytes where the directory of an index would be; None in files too small for one.
        """
    @property
    def opening(self, /) -> tuple[int, int]:
        """
        (start, end) of the bytes of header, base and whatever else comes before the first segment of planes.
        """
    def pages(
        self, /, level: SupportsIndex, region: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex] | None
    ) -> list[tuple[int, int]]:
        """
        The parts of the index that a level and a region need, ascending in each group of channels, as (start, end).

        Raises:
            ValueError: a level or region that the picture does not have.
        """
    def ranges(
        self,
        level: SupportsIndex,
        region: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex] | None,
        pages: collections.abc.Sequence[typing_extensions.Buffer],
        /,
    ) -> list[tuple[int, int]]:
        """
        The bytes of the segments that a level and a region need, ascending, as (start, end); ``pages`` are the bytes
        of :meth:`pages`.

        Raises:
            FormatError: damaged pages.
        """
    def use_directory(self, data: typing_extensions.Buffer, /) -> None:
        """
        Take the bytes of :attr:`directory`.

        Raises:
            FormatError: they are no directory of this file.
        """
    def use_opening(self, data: typing_extensions.Buffer, /) -> None:
        """
        Take the bytes of :attr:`opening`.

        Raises:
            FormatError: they are not those that the index was made for.
        """

@final
class Wanted:
    """
    A segment of planes that a stream lacks and that would help it.
    """
    def __repr__(self, /) -> str: ...
    @property
    def first(self, /) -> bool:
        """
        Whether it is the first of its block; the plane is then a guess from other blocks.
        """
    @property
    def gain(self, /) -> float:
        """
        Expected fall of the squared error, summed over all samples.
        """
    @property
    def group(self, /) -> int:
        """
        The channel group: 0 the first channel, 1 the colour differences, 2 the fourth; in deep streams every channel its
        own.
        """
    @property
    def head(self, /) -> bytes:
        """
        Marker and address: what a model goes on from.
        """
    @property
    def index(self, /) -> int:
        """
        The block in its group.
        """
    @property
    def levels(self, /) -> tuple[int, int]:
        """
        (coarsest, finest) level of its block; 1 is the finest of all.
        """
    @property
    def plane(self, /) -> int:
        """
        The plane.
        """
    @property
    def region(self, /) -> tuple[int, int, int, int]:
        """
        (left, top, right, bottom) of the pixels that it bears on, without the filters' reach.
        """
    @property
    def size(self, /) -> int:
        """
        Expected bytes, marker and address included.
        """

def check(data: typing_extensions.Buffer, /) -> bool | None:
    """
    Whether data start like a file of this package; ``None`` if they are too short to tell.
    """

def convert_batch(
    rows: collections.abc.Iterable[typing.Any],
    /,
    *,
    size: SupportsIndex | None = None,
    resize: str = "shortest",
    enlarge: bool = False,
    filter: str = "bicubic",
    min_side: SupportsIndex | None = None,
    max_side: SupportsIndex | None = None,
    max_aspect: SupportsFloat | SupportsIndex | None = None,
    max_pixels: SupportsIndex = ...,
    channels: str = "source",
    alpha: str = "keep",
    depth: SupportsIndex = 8,
    icc: str = "srgb",
    format: str = "pgf",
    quality: SupportsIndex = 0,
    max_bytes: SupportsIndex | None = None,
    payload: str = "packed",
    bare: bool = False,
    levels: SupportsIndex | None = None,
    roi: bool = False,
    digest: bool = False,
    measure: SupportsGetItem[int, bool] = ...,
    num_threads: SupportsIndex = 1,
) -> list[ConvertedImage | Exception]:
    """
    Convert picture files in one call: decode, select, turn upright, resize, encode.

    JPEG, PNG, WebP, GIF (first frame), BMP, TIFF (first page) and PGF are told by their first bytes. A JPEG is
    decoded at 1/2, 1/4 or 1/8 of its size where the result is that much smaller.

    Args:
        rows: each a file in memory (``bytes`` or another buffer), a path, a part of a file as
            ``(path, offset, length)``, or an array of shape (H, W), (H, W, 3) or (H, W, 4) of ``uint8`` or
            ``uint16``.
        size: pixels, 1 to 65535; ``None`` leaves the size.
        resize: what ``size`` means: ``"shortest"`` side, ``"longest"`` side, ``"crop"`` (the shorter side, then the
            centre square), or ``"none"``.
        enlarge: also enlarge smaller pictures.
        filter: ``"box"``, ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``, stretched when pictures shrink.
        min_side, max_side, max_aspect: drop pictures whose shorter side, longer side or ratio of sides, upright and
            before resizing, is below or over.
        max_pixels: refuse files that claim more.
        channels: ``"source"``, ``"rgb"`` or ``"gray"``. CMYK always becomes RGB, without its profile.
        alpha: ``"keep"``, or lay pictures on ``"white"`` or ``"black"``. An opaque alpha channel is left out.
        depth: 8, or 16 to keep 16 bits of gray and RGB sources.
        icc: ``"srgb"`` converts 8-bit gray and RGB samples by their profile, ``"ignore"`` leaves them as they are.
        format, quality, max_bytes, payload, bare, levels, roi: as in :func:`pgfrs.encode`.
        digest: also give the SHA-256 of every source, to find copies.
        measure: for each row whether to decode the result and compare; missing entries mean no.
        num_threads: most threads to use; the results are the same for any number.

    Returns:
        A list that holds, row by row, a :class:`ConvertedImage` or the :class:`pgfrs.IngestError` that stands in its
        way. One bad picture never stops the others.

    Raises:
        ValueError: an option does not fit.
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

def drop(data: typing_extensions.Buffer, which: collections.abc.Iterable[Segment | int], /) -> bytes:
    """
    The stream without some of its segments; the rest stays as it is.

    Args:
        data: the `.pgfr` stream.
        which: segments as :func:`segments` lists them, or the positions at which they start.

    Raises:
        ValueError: no segment starts at a position.
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
    favor_speed: bool = False,
    profile: str = "default",
    order: str = "best",
    first: tuple[int, int, int, int] | None = None,
    chroma_weight: SupportsFloat | SupportsIndex = 1.0,
    bare: bool = False,
    checks: bool = False,
    num_threads: SupportsIndex = 1,
    out: typing_extensions.Buffer | None = None,
) -> bytes:
    """
    Encode a picture.

    Args:
        image: array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), channels in the order red, green, blue,
            alpha; ``uint8``, ``uint16``, ``uint32`` (31-bit gray), ``bool`` (bitmap) or, for the multichannel
            modes, ``int32`` of shape (H, W, C) with C from 1 to 8. It must not change during the call.
        format: ``"pgf"``, or ``"pgfr"`` for a resilient stream.
        quality: 0 (lossless) to 30 (worst). Above 3 most modes store their colour planes at half size. With
            ``max_bytes``, the finest quality that may be used.
        levels: wavelet levels, 1 to 30, reduced until each has at least five pixels on the smaller side; ``None``
            leaves it to the picture's size.
        mode: name of the image mode; ``None`` picks it by type and shape.
        roi: cut every level in tiles, so that regions decode on their own.
        payload: of a stream: ``"packed"`` (smallest) or ``"tokens"`` (one byte an event, for models).
        max_bytes: make the best picture that fits in so many bytes, header and user data included. User data that
            do not fit whole are refused.
        profile: of a stream: ``"default"``, ``"lean"`` (larger blocks, a little smaller) or ``"tough"`` (the opening
            comes twice).
        order: of a stream: ``"best"`` (the best picture at every prefix) or ``"levels"`` (coarse levels first).
        first: of a stream: (left, top, right, bottom) in pixels, a region whose detail comes first.
        chroma_weight: of a stream: weight of the colour differences in the order, above 0; 1 is least squared error
            of red, green and blue, less brings the luma earlier.
        bare: of a stream: what byte-level models learn most easily. No small checks, which tell most wrong bytes and
            mend some but are noise to a model that writes without a mask, and a base of four times as many values.
        checks: of a stream: add advisory CRC-32 checks about every 512 bytes.
        user_data: opaque bytes to carry along.
        palette: for mode ``"indexed"``, uint8 of shape (n, 3) or (n, 4), n at most 256.
        used_bits: bits of each sample that carry data, in modes of more than 8 bits; the lower bits are dropped.
        favor_speed: leave out an attempt at coding signs, as libPGF's option does: rarely a few bytes longer.
            ``max_bytes`` ignores it.
        num_threads: most threads to use; the bytes are the same for any number. More than one serve streams, and
            8-bit pictures of format ``"pgf"`` without ``roi`` and ``max_bytes``.
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
    favor_speed: bool = False,
    profile: str = "default",
    order: str = "best",
    first: tuple[int, int, int, int] | None = None,
    chroma_weight: SupportsFloat | SupportsIndex = 1.0,
    bare: bool = False,
    checks: bool = False,
) -> list[bytes | Exception]:
    """
    Encode many pictures in one call, on ``num_threads`` threads.

    Takes a sequence of arrays and the options of :func:`encode`; returns a list that holds, picture by picture,
    the file as ``bytes`` or the ``PgfError`` that stands in its way. One bad picture never stops the others.
    """

def index_stream(data: typing_extensions.Buffer, /, *, by_place: bool = False) -> bytes:
    """
    An undamaged `.pgfr` stream with an index behind its last byte; see :func:`pgfrs.lazy.add_index`.

    Raises:
        FormatError: the stream is damaged.
        TruncatedError: its last segment is cut.
        UnsupportedError: header, base or palette come behind the first segment of planes.
    """

def legal_masks(
    states: list[Grammar], *, out: numpy.typing.NDArray[numpy.bool_] | None = None, offset: SupportsIndex = 0
) -> numpy.typing.NDArray[numpy.bool_]:
    """
    Which bytes may come next in each of several streams.

    Args:
        states: n states.
        out: a bool array of shape (n, at least 256 + offset) to fill in columns ``offset`` to ``offset + 255`` of;
            ``None`` makes one of shape (n, 256).

    Raises:
        ValueError: ``out`` has another shape.
    """

def merge(*streams: typing_extensions.Buffer) -> bytes:
    """
    One clean `.pgfr` stream of all that several streams of the same picture tell; later versions of a block replace
    earlier ones.

    Each stream may be cut anywhere, and what its last piece still holds is kept where nothing else tells it: its whole planes,
    and, of the one cut piece that adds most, every byte; it ends the new stream. Beginnings of one stream give the picture
    of the longest. :func:`repair` closes a stream instead: nothing is cut in what it returns.

    Raises:
        ValueError: no stream is given, or their headers differ (size, mode, quality, payload, bare, ...; the first field that
            does is named).
        TruncatedError: no header is there.
        FormatError: a `.pgf` file is given.
    """

def prepare_image(
    row: typing.Any,
    /,
    *,
    size: SupportsIndex | None = None,
    resize: str = "shortest",
    enlarge: bool = False,
    filter: str = "bicubic",
    min_side: SupportsIndex | None = None,
    max_side: SupportsIndex | None = None,
    max_aspect: SupportsFloat | SupportsIndex | None = None,
    max_pixels: SupportsIndex = ...,
    channels: str = "source",
    alpha: str = "keep",
    depth: SupportsIndex = 8,
    icc: str = "srgb",
) -> numpy.typing.NDArray[typing.Any]:
    """
    The pixels that :func:`convert_batch` would encode, for one row; options as there.

    Returns:
        Array of shape (H, W), (H, W, 3) or (H, W, 4), ``uint8`` or ``uint16``.

    Raises:
        IngestError: what stands in the way.
    """

def read_info(data: typing_extensions.Buffer, /) -> ImageInfo:
    """
    Read the header of a file; the coded data need not be there.

    Raises:
        TruncatedError: the header is cut.
        FormatError: the header contradicts itself beyond recovery.
    """

def refine(
    data: typing_extensions.Buffer,
    image: numpy.typing.NDArray[typing.Any] | typing_extensions.Buffer,
    /,
    *,
    region: tuple[int, int, int, int] | None = None,
    planes: SupportsIndex = 1,
) -> bytes:
    """
    A stream with more detail: up to ``planes`` more planes of every block that meets ``region`` are appended, and the base
    values, palette entries and user data that it lacks (an array brings no palette and no user data). A last piece that is cut
    is replaced by a whole one; else nothing before the end changes.

    Args:
        data: the `.pgfr` stream.
        image: what the stream was made from: the array, or a whole `.pgf` or `.pgfr` file, lossless or equally quantised.
        region: (left, top, right, bottom) in pixels of the picture; ``None`` means all.
        planes: planes to add, at least 1.

    Raises:
        ValueError: the picture is of another size, mode or quality, or a stream that is not whole; the region is empty or not
            in the picture.
    """

def repair(data: typing_extensions.Buffer, /, *, format: str | None = None) -> bytes:
    """
    Make a clean, complete file of cut or damaged data.

    Whatever coefficients the data still tell are kept, the others become zero; user data and palette are kept.
    A `.pgf` result decodes without a warning, also in libPGF. ``format`` is ``"pgf"``, ``"pgfr"`` or ``None`` for
    the container that the data have.

    Raises:
        FormatError: the header is cut or contradicts itself beyond recovery.
    """

def segments(data: typing_extensions.Buffer, /) -> list[Segment]:
    """
    The segments of a `.pgfr` stream, in its order.

    Raises:
        TruncatedError: no header is there.
        FormatError: a `.pgf` file is given.
    """

def transcode(
    data: typing_extensions.Buffer, format: str, /, *, payload: str | None = None, bare: bool | None = None
) -> bytes:
    """
    Change the container, or the payload of a stream; the coefficients stay the same and the wavelet is not redone.

    ``format`` is ``"pgf"`` or ``"pgfr"``; ``payload``, for ``"pgfr"``, is ``"packed"``, ``"tokens"`` or ``None`` for
    that of a stream and ``"packed"`` of a file, ``bare`` whether it is bare (see :func:`encode`; a
    stream that is cut gets estimates for what is missing, then).
    Missing planes of a stream become estimates in a `.pgf`.

    Raises:
        FormatError: the data are damaged; ``repair`` takes those.
        TruncatedError: a `.pgf` that is cut.
    """

def wanted_segments(
    data: typing_extensions.Buffer, /, budget: SupportsIndex, *, limits: Limits | None = None
) -> tuple[list[Wanted], int]:
    """
    The segments that would help a stream most, one plane each, the best first, in about ``budget`` bytes together; and how
    many bytes of the stream they can follow (a segment that the end cuts is to be written again).

    Raises:
        TruncatedError: no header is there.
        LimitsError: the header claims a picture beyond ``limits``.
    """
