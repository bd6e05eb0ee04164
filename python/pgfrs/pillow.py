"""Pillow plugin: after ``import pgfrs.pillow``, Pillow opens and saves ``.pgf`` and ``.pgfr`` files.

>>> from PIL import Image
>>> import pgfrs.pillow
>>> image = Image.open("photo.pgf")        # reads the header and the metadata, no pixels
>>> image.thumbnail((200, 200))            # decodes only the levels that this takes
>>> image.save("small.pgf", quality=4)

**Opening.** ``info`` holds ``"quality"``, ``"levels"`` and ``"roi"`` of the file, and where present
``"user_data"``, ``"exif"``, ``"iptc"``, ``"xmp"`` and ``"icc_profile"`` (:mod:`pgfrs.metadata`). Truncated and
damaged files raise ``OSError`` when their pixels are loaded; with
``PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True`` they give the best picture that their bytes allow, without a
warning, and the image's ``report`` tells what was missing. A file whose header cannot be read is an ``OSError``
in both cases.

**Streams.** Any prefix of a ``.pgfr`` file is a whole picture, so a cut one opens, loads and closes like any other,
in ``ImageFile.Parser`` too. What is damaged is concealed, with a :class:`pgfrs.DamageWarning`; ``verify()`` is strict.

=================  ======  =============================================================================
PGF mode           Pillow  remark
=================  ======  =============================================================================
bitmap             1
gray               L
indexed            P       the reserved byte of a palette entry is left out
rgb, rgba          RGB(A)
rgb12, rgb16       RGB     0..15, 0..31 and 0..63 are stretched to 0..255
rgb48              RGB     upper 8 bits: Pillow has no RGB of 16 bits, :func:`pgfrs.decode` gives all
hsl                RGB     converted; Pillow has no HSL
hsb                HSV     255 is a whole turn of hue, as everywhere in Pillow
cmyk, cmyk64       CMYK    as stored, not inverted; cmyk64: upper 8 bits
lab, lab48         LAB     as stored (a and b with 128 added); lab48: upper 8 bits. Pillow's ``tobytes()``
                           and numpy give a and b as signed numbers, ``getpixel()`` as stored
gray16             I;16    with fewer used bits they are the upper ones
gray31             I
multichannel, …    none    ``OSError``; :func:`pgfrs.decode` gives the planes
=================  ======  =============================================================================

**Smaller versions.** ``draft()``, and with it ``thumbnail()``, picks the smallest level that is still as large
as the size asked for. Bitmaps, palette images and hues have no smaller versions: there it does nothing.

**Piece by piece.** ``PIL.ImageFile.Parser`` has its ``image`` as soon as the header has arrived. Whenever the
pixels of that image are used, they are the best picture of what has arrived so far. ``close()`` raises
``OSError`` for an incomplete file; with ``LOAD_TRUNCATED_IMAGES`` it gives the picture so far instead, and an
empty chunk counts as the end of the file.

**Saving** takes the modes 1, L, P, RGB, RGBA, CMYK, LAB, HSV, I;16 (all byte orders) and I (0 to 2^31 - 1);
any other is an ``OSError`` that says what to convert to. Options:

``quality``
    PGF's own scale: 0 lossless (the default) to 30 worst. Modes 1 and P have to be lossless.
``lossless``
    ``True`` is quality 0 and no ``max_bytes``; ``False`` is quality 3 unless ``quality`` says otherwise.
``levels``
    Number of wavelet levels, default: by the size of the image.
``roi``
    Whether parts of the image can be decoded alone.
``max_bytes``
    The file gets the best picture that fits in so many bytes.
``exif``, ``iptc``, ``xmp``, ``icc_profile``
    Metadata as in :func:`pgfrs.metadata.pack_metadata`; ``exif`` may be a ``PIL.Image.Exif``. What is not given
    is taken from ``image.info`` unless it needs more than a quarter of ``max_bytes``; ``None`` or ``b""`` leaves it
    out.
``user_data``
    Raw user data instead of metadata; ``b""`` for none.
``payload``, ``profile``, ``order``, ``first``, ``chroma_weight``, ``bare``, ``checks``
    Of ``.pgfr`` only, as in :func:`pgfrs.encode`.
"""

from __future__ import annotations

import io
import operator
import warnings
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImagePalette, UnidentifiedImageError

import pgfrs
from pgfrs._pillow_modes import READINGS, WRITINGS, Reading, Writing, unwritable_reason
from pgfrs.metadata import METADATA_SHARE, Metadata, pack_metadata, unpack_metadata

if TYPE_CHECKING:
    from PIL._imaging import ImagingCore, PixelAccess

__all__ = ["PgfDecoder", "PgfImageFile", "PgfrImageFile"]

FORMAT: Final = "PGF"
STREAM_FORMAT: Final = "PGFR"
_STREAM_OPTIONS: Final = ("payload", "profile", "order", "first", "chroma_weight", "bare", "checks")
_FIRST_READ: Final = 4096
_DEFAULT_LOSSY_QUALITY: Final = 3
# more than four planes of 32 bits, their halves at the lower levels and the samples take together
_DECODING_BYTES_PER_PIXEL: Final = 64
_METADATA_NAMES: Final = ("exif", "iptc", "xmp", "icc_profile")


# --- opening ----------------------------------------------------------------------------------------


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(b"PGF") and len(prefix) > 3 and pgfrs.check(prefix) is not False


def _accept_stream(prefix: bytes) -> bool:
    return prefix.startswith(b"\xff\x01") and pgfrs.check(prefix) is not False


class PgfImageFile(ImageFile.ImageFile):
    """A ``.pgf`` file opened by Pillow: header and metadata at once, pixels when they are needed.

    ``report`` is the :class:`pgfrs.DecodeReport` of the pixels, ``None`` before they are loaded.
    """

    format = FORMAT
    format_description = "Progressive Graphics File"

    _source: _Source | None = None

    def _open(self) -> None:
        assert self.fp is not None
        header, start = _read_header(self.fp)
        reading = READINGS.get(header.mode)
        if reading is None:
            raise OSError(f"PGF mode {header.mode} has no Pillow mode; pgfrs.decode gives its planes")
        self._mode = reading.mode
        self._size = (header.width, header.height)
        if reading.mode == "P" and header.palette is not None:
            self.palette = ImagePalette.raw("RGB", header.palette[:, :3].tobytes())
        self.info.update(_info(header))
        self._source = _Source(header, reading, start)
        self._set_tile()

    def _set_tile(self) -> None:
        assert self._source is not None
        # The offset tells ImageFile.Parser what is not to be fed again; load() reads the file from its start.
        tile = ("pgf", (0, 0, *self.size), len(self._source.start), (self._source,))
        self.tile = [_tile(tile)]

    @property
    def report(self) -> pgfrs.DecodeReport | None:
        return None if self._source is None else self._source.report

    def draft(  # type: ignore[override]  # Pillow states whole numbers for the corner, but takes fractions
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[float, float, float, float]] | None:
        """Choose the smallest level with at least ``size`` (width, height) pixels; ``mode`` changes nothing.

        Returns the mode and the box (left, top, right, bottom, in pixels of the level) that shows the whole
        picture, or ``None`` where levels are not smaller versions of the picture or the pixels are loaded
        already. Without levels, and if none is large enough, the level is 0.
        """
        source = self._source
        if source is None or len(self.tile) != 1 or size is None or not source.reading.reducible:
            return None
        source.level = _draft_level(source.header, size)
        self._size = source.header.level_size(source.level)
        self._set_tile()
        return self.mode, _box(source.header, source.level)

    def load(self) -> PixelAccess | None:
        """Load the pixels; in an image that ``ImageFile.Parser`` is still feeding, show what has arrived."""
        if self._source is not None and self._source.growing and not self.tile:
            self._source.refresh(self.im)
        return super().load()

    def verify(self) -> None:
        """Decode the whole file and raise ``OSError`` if anything is damaged or missing; closes the file."""
        if self.fp is not None and self._source is not None:
            self.fp.seek(0)
            self._source.decode(self.fp.read(), strict=True)
        super().verify()


class PgfrImageFile(PgfImageFile):
    """A ``.pgfr`` stream opened by Pillow, or any prefix of one; otherwise as :class:`PgfImageFile`."""

    format = STREAM_FORMAT
    format_description = "Resilient stream of a Progressive Graphics File"


def _tile(values: tuple[str, tuple[int, int, int, int], int, tuple[Any, ...]]) -> Any:
    """A tile in the form of the installed Pillow: a named tuple since 11.0, plain before."""
    named = getattr(ImageFile, "_Tile", None)
    return values if named is None else named(*values)


def _read_header(fp: IO[bytes]) -> tuple[pgfrs.ImageInfo, bytes]:
    """The header, and the bytes that were read for it (from the start of the file)."""
    # ImageFile.Parser hands over what has arrived in a BytesIO: reading all of it copies nothing.
    start = fp.read() if isinstance(fp, io.BytesIO) else fp.read(_FIRST_READ)
    if start.startswith(b"\xff"):
        start += fp.read()  # what a stream carries along may stand anywhere in it
    while True:
        try:
            return pgfrs.read_info(start), start
        except pgfrs.TruncatedError as error:
            more = fp.read(len(start))
            if not more:
                raise OSError(f"image file is truncated: {error}") from error
        except pgfrs.PgfError as error:
            more = fp.read()  # a damaged header may be recovered from the rest of the file
            if not more:
                raise UnidentifiedImageError(f"cannot read the PGF header: {error}") from error
        start += more


def _info(header: pgfrs.ImageInfo) -> dict[str, Any]:
    info: dict[str, Any] = {"quality": header.quality, "levels": header.levels, "roi": header.roi}
    if header.payload is not None:
        info["payload"] = header.payload
    if header.user_data:
        info["user_data"] = header.user_data
        metadata = unpack_metadata(header.user_data)
        blocks = {name: getattr(metadata, name) for name in _METADATA_NAMES}
        info |= {name: block for name, block in blocks.items() if block is not None}
    return info


def _draft_level(header: pgfrs.ImageInfo, size: tuple[int, int]) -> int:
    """The highest level whose picture is at least ``size`` (width, height) in both directions, 0 if none is."""
    for level in range(header.levels - 1, 0, -1):
        width, height = header.level_size(level)
        if width >= size[0] and height >= size[1]:
            return level
    return 0


def _box(header: pgfrs.ImageInfo, level: int) -> tuple[float, float, float, float]:
    """The part of a level that shows the same as the whole picture.

    Sample k of a level lies at sample k * 2^level of the picture, not in the middle of the 2^level samples
    that an averaged pixel would cover; centres of pixels are at halves. So the picture begins a little right
    of the level's left edge. It would end a little beyond the right one, where there are no samples.
    """
    scale = 2**level
    shift = 0.5 - 0.5 / scale
    width, height = header.level_size(level)
    right, bottom = header.width / scale + shift, header.height / scale + shift
    return shift, shift, min(right, width), min(bottom, height)


# --- pixels -----------------------------------------------------------------------------------------


class _Source:
    """What an image and its decoder share: how to read the file, at which level, and how far that went."""

    def __init__(self, header: pgfrs.ImageInfo, reading: Reading, start: bytes) -> None:
        self.header = header
        self.reading = reading
        self.start = start
        self.level = 0
        self.report: pgfrs.DecodeReport | None = None
        self.growing = False  # a decoder waits for chunks
        self._progressive: pgfrs.ProgressiveDecoder | None = None
        self._unseen = False

    def decode(self, data: bytes, *, strict: bool) -> bytes:
        """The samples of the level in the raw form of the Pillow mode; ``OSError`` where ``strict`` forbids it."""
        try:
            samples, self.report = pgfrs.decode_with_report(
                data, level=self.level, strict=strict, limits=_limits(self.header)
            )
        except pgfrs.PgfError as error:
            _raise_oserror(error)
        return self._raw(samples)

    @property
    def is_stream(self) -> bool:
        return self.header.format == "pgfr"

    def _warn_of_damage(self) -> None:
        """Say that a stream is damaged where a file would be an error."""
        if self.report is not None and self.report.damaged:
            what = "; ".join(span.message for span in self.report.damage[:3])
            warnings.warn(f"the stream is damaged: {what}", pgfrs.DamageWarning, stacklevel=2)

    def _raw(self, samples: NDArray[Any]) -> bytes:
        """Decoded samples in the raw form of the Pillow mode."""
        width, height = self.header.level_size(self.level)
        expected = (height, width, *self.header.shape[2:])
        if samples.shape != expected or samples.dtype != self.header.dtype:
            # Pillow has allocated its memory by then, so a header that is recovered differently comes too late.
            raise OSError(
                f"PGF header is damaged: it promised {self.header.dtype} {expected},"
                f" the file holds {samples.dtype} {samples.shape}"
            )
        return self.reading.samples(samples).tobytes()

    def decode_file(self, fp: IO[bytes], *, strict: bool) -> bytes:
        """As :meth:`decode`, from a file; for a lower level no more of it is read than that takes."""
        fp.seek(0)
        self.start = b""
        if self.is_stream:
            raw = self.decode(fp.read(), strict=False)
            if strict:
                self._warn_of_damage()
            return raw
        if self.level == 0:
            return self.decode(fp.read(), strict=strict)
        data = _read(fp, self._expected_length())
        try:
            return self.decode(data, strict=True)
        except OSError:
            # The lengths in the header are only hints: with wrong ones the rest of the file is needed too.
            return self.decode(data + fp.read(), strict=strict)

    def _expected_length(self) -> int:
        """The bytes of the file from its start to the end of the level, if the header's lengths are true."""
        lengths = self.header.level_lengths[: self.header.levels - self.level]
        return self.header.data_offset + sum(lengths)

    def feed(self, chunk: bytes) -> bool:
        """Take more of the file; whether it is complete now."""
        try:
            if self._progressive is None:
                self._progressive = pgfrs.ProgressiveDecoder(limits=_limits(self.header))
                chunk = self.start + chunk
                self.start = b""
            self._unseen = True
            return self._progressive.feed(chunk).complete
        except pgfrs.PgfError as error:
            _raise_oserror(error)

    def refresh(self, im: ImagingCore) -> None:
        """Write what has arrived and not been shown yet into ``im``."""
        if self._progressive is None:
            self.feed(b"")
        if self._progressive is None or not self._unseen:
            return
        try:
            samples = self._progressive.render(level=self.level)
        except pgfrs.PgfError as error:
            _raise_oserror(error)
        self._unseen = False
        _fill(im, self.reading, self._raw(samples))

    def finish(self, im: ImagingCore, *, strict: bool) -> None:
        """Show the last picture and let go of the decoder."""
        assert self._progressive is not None
        try:
            self.report = self._progressive.report()
        except pgfrs.PgfError as error:
            _raise_oserror(error)
        if strict and self.is_stream:
            self._warn_of_damage()
        elif strict and (self.report.damaged or self.report.truncated):
            spans = self.report.damage
            what = "; ".join(span.message for span in spans[:3]) or "parts are missing"
            raise OSError(f"PGF file is damaged: {what}")
        self.refresh(im)
        self._progressive = None
        self.growing = False


def _read(fp: IO[bytes], size: int) -> bytes:
    """At most ``size`` bytes, in blocks: a file object may reserve at once whatever a header claims."""
    blocks = []
    while size > 0 and (block := fp.read(min(size, ImageFile.SAFEBLOCK))):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _limits(header: pgfrs.ImageInfo) -> pgfrs.Limits:
    """Limits that let this image pass: Pillow has compared it with its own, Image.MAX_IMAGE_PIXELS."""
    default = pgfrs.Limits()
    pixels = header.width * header.height
    return pgfrs.Limits(
        max_pixels=max(default.max_pixels, pixels),
        max_bytes=max(default.max_bytes, pixels * _DECODING_BYTES_PER_PIXEL),
    )


def _raise_oserror(error: pgfrs.PgfError) -> NoReturn:
    if isinstance(error, pgfrs.TruncatedError):
        raise OSError(f"image file is truncated: {error}") from error
    raise OSError(f"cannot decode PGF file: {error}") from error


def _fill(im: ImagingCore, reading: Reading, raw: bytes) -> None:
    """Overwrite all pixels of Pillow's image memory."""
    decoder = Image._getdecoder(reading.mode, "raw", (reading.rawmode, 0, 1), ())
    decoder.setimage(im, (0, 0, *im.size))
    decoder.decode(raw)


class PgfDecoder(ImageFile.PyDecoder):
    """The decoder behind :class:`PgfImageFile`; its one argument is the image's source.

    ``ImageFile.load`` hands it the file (``_pulls_fd``), ``ImageFile.Parser`` hands it chunks.
    """

    _pulls_fd = True

    def init(self, args: tuple[Any, ...]) -> None:
        super().init(args)
        (source,) = args
        self._source: _Source = source
        self._source.growing = True

    def decode(self, buffer: Any) -> tuple[int, int]:
        assert self.im is not None
        strict = not ImageFile.LOAD_TRUNCATED_IMAGES
        if self.fd is not None:
            self._source.growing = False
            raw = self._source.decode_file(self.fd, strict=strict)
            _fill(self.im, self._source.reading, raw)
            return -1, 0
        chunk = bytes(buffer)
        complete = self._source.feed(chunk)
        if complete or (not chunk and (not strict or self._source.is_stream)):
            self._source.finish(self.im, strict=strict)
            return -1, 0
        return len(chunk), 0


# --- saving -----------------------------------------------------------------------------------------


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes, *, stream: bool = False) -> None:
    writing = WRITINGS.get(im.mode)
    if writing is None:
        raise OSError(unwritable_reason(im.mode))
    options = dict(im.encoderinfo)
    user_data, max_bytes = _user_data(im, options), options.get("max_bytes")
    if user_data and max_bytes is not None and len(user_data) > max_bytes // METADATA_SHARE and not _asked(options):
        warnings.warn(
            f"{len(user_data)} bytes of metadata left out: more than 1/{METADATA_SHARE} of max_bytes={max_bytes}",
            stacklevel=3,
        )
        user_data = None
    encoded = pgfrs.encode(
        writing.samples(im),
        mode=writing.mode,
        quality=_quality(im.mode, writing, options),
        levels=options.get("levels"),
        roi=bool(options.get("roi", False)),
        max_bytes=max_bytes,
        user_data=user_data,
        palette=_palette(im) if im.mode == "P" else None,
        **_stream_options(options, stream=stream),
    )
    fp.write(encoded)


def _save_stream(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    _save(im, fp, filename, stream=True)


def _stream_options(options: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    """The arguments of :func:`pgfrs.encode` that only streams have."""
    given = {name: options[name] for name in _STREAM_OPTIONS if options.get(name) is not None}
    if not stream:
        if given:
            raise ValueError(f"{next(iter(given))} goes with .pgfr files")
        return {}
    return {"format": "pgfr", **given}


def _refuse_frames(im: Image.Image) -> None:
    frames = getattr(im, "n_frames", 1) + len(list(im.encoderinfo.get("append_images", ())))
    if frames > 1:
        raise pgfrs.UnsupportedError(f"a PGF file holds one picture, save_all was given {frames}")


def _save_all(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    _refuse_frames(im)
    _save(im, fp, filename)


def _save_all_stream(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    _refuse_frames(im)
    _save_stream(im, fp, filename)


def _quality(mode: str, writing: Writing, options: dict[str, Any]) -> int:
    """The PGF quality that ``quality`` and ``lossless`` ask for together."""
    quality, lossless = options.get("quality"), options.get("lossless")
    if quality is None:
        quality = _DEFAULT_LOSSY_QUALITY if lossless is False else 0
    if lossless is not None and bool(lossless) != (quality == 0):
        raise ValueError(f"lossless={lossless!r} contradicts quality={quality!r}: 0 is lossless, above is not")
    if lossless and options.get("max_bytes") is not None:
        raise ValueError("lossless=True contradicts max_bytes: whether that many are enough is not known before")
    if not writing.lossy and (quality != 0 or options.get("max_bytes") is not None):
        raise ValueError(
            f'mode {mode} has to be saved lossless, quality=0 and no max_bytes: use convert("RGB") for lossy files'
        )
    return operator.index(quality)


def _palette(im: Image.Image) -> NDArray[np.uint8]:
    """The palette as uint8 (n, 3), n up to 256."""
    colours = im.getpalette("RGB") or []
    return np.array(colours, dtype=np.uint8).reshape(-1, 3)


def _asked(options: dict[str, Any]) -> bool:
    """Whether the caller named the metadata to write, rather than only those that the image came with."""
    return any(options.get(name) for name in (*_METADATA_NAMES, "user_data"))


def _user_data(im: Image.Image, options: dict[str, Any]) -> bytes | None:
    """The user data to write: as given, else metadata as given or else as in the image's ``info``."""
    given = [name for name in _METADATA_NAMES if options.get(name)]
    if options.get("user_data") is not None:
        if given:
            raise ValueError(f"user_data and {given[0]} exclude each other: metadata is kept in the user data")
        return bytes(options["user_data"])
    blocks = {name: _block(im, name, options) for name in _METADATA_NAMES}
    original = im.info.get("user_data")
    if isinstance(original, bytes) and unpack_metadata(original) == Metadata(**blocks):
        # Nothing changed: the other chunks of the PNG, or data that is no metadata at all, stay as they are.
        return original
    return pack_metadata(**blocks) or None


def _block(im: Image.Image, name: str, options: dict[str, Any]) -> Any:
    """One metadata block to save, ``None`` for none. Unusable ones in ``info`` are left out."""
    if name in options:
        block = options[name]
        return block.tobytes() if isinstance(block, Image.Exif) else block or None
    block = im.info.get(name)
    if block is None and name == "iptc" and isinstance(im.info.get("photoshop"), dict):
        block = im.info["photoshop"].get(0x0404)  # where Pillow leaves the IPTC records of a JPEG file
    try:
        pack_metadata(**{name: block})
    except (TypeError, ValueError):
        return None
    return block or None


Image.register_open(FORMAT, PgfImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_save_all(FORMAT, _save_all)
Image.register_extension(FORMAT, ".pgf")
Image.register_mime(FORMAT, "image/x-pgf")
Image.register_open(STREAM_FORMAT, PgfrImageFile, _accept_stream)
Image.register_save(STREAM_FORMAT, _save_stream)
Image.register_save_all(STREAM_FORMAT, _save_all_stream)
Image.register_extension(STREAM_FORMAT, ".pgfr")
Image.register_mime(STREAM_FORMAT, "image/x-pgfr")
Image.register_decoder("pgf", PgfDecoder)
