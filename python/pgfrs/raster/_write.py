"""Write a picture in the format that a file name asks for, with nothing lost but what the format itself loses."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pgfrs.metadata import Metadata, pack_metadata
from pgfrs.raster._convert import to_pillow
from pgfrs.raster._model import Raster, RasterError
from pgfrs.raster._pnm import write_pnm

JPEG_QUALITY = 95
"""Quality of written JPEG files, without chroma subsampling: the loss stays below what the eye sees."""

# For each mode: the modes that hold the same picture, and that pgfrs.decode converts to.
_SAME_PICTURE: dict[str, tuple[str, ...]] = {
    "bitmap": ("gray",),
    "gray": ("rgb",),
    "indexed": ("rgb",),
    "rgb12": ("rgb",),
    "rgb16": ("rgb",),
}
_PNG_SIGNATURE_AND_IHDR = 8 + 25
_TIFF_XMP = 700
_TIFF_IPTC = 33723
_DEEP_TIFF = {"rgb48": "rgb", "cmyk64": "separated", "gray31": "minisblack"}
_EXIF_PREFIX = b"Exif\0\0"


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A file format that pictures are written in."""

    name: str
    extensions: tuple[str, ...]
    modes: frozenset[str] | None
    """PGF modes that it holds; None stands for all."""
    write: Callable[[Raster], bytes]

    def holds(self, mode: str) -> bool:
        """Whether a picture of this PGF mode can be written as it is."""
        return self.modes is None or mode in self.modes

    def mode_for(self, mode: str) -> str:
        """Return the mode to decode a picture of ``mode`` into, so that this format holds it unchanged.

        Raises :class:`RasterError` where that would cost depth, alpha or a colour conversion.
        """
        for candidate in (mode, *_SAME_PICTURE.get(mode, ())):
            if self.holds(candidate):
                return candidate
        others = ", ".join(each.name for each in FORMATS if each.holds(mode))
        raise RasterError(f"{self.name} cannot hold a {mode} picture; these can: {others}; or convert it with --mode")


def format_for_name(name: str) -> OutputFormat:
    """Return the format with the extension of ``name``, or with that name; :class:`RasterError` if there is none."""
    extension = name.rpartition(".")[2].lower()
    for each in FORMATS:
        if extension in each.extensions:
            return each
    known = " ".join(extension for each in FORMATS for extension in each.extensions)
    raise RasterError(f"no picture format is known for {name!r}; known extensions: {known}")


def write_raster(raster: Raster, output: OutputFormat, /) -> bytes:
    """Return ``raster`` as a file of the given format, with all metadata that the format has a place for.

    Raises :class:`RasterError` for a mode that the format does not hold.
    """
    if not output.holds(raster.mode):
        output.mode_for(raster.mode)  # raises with the formats that work
        raise RasterError(f"{output.name} holds {raster.mode} pictures only after conversion with --mode")
    return output.write(raster)


def _write_png(raster: Raster) -> bytes:
    if raster.mode == "rgb48":
        import imagecodecs

        plain = bytes(imagecodecs.png_encode(np.ascontiguousarray(raster.pixels), level=6))
    else:
        plain = _save(to_pillow(raster), "PNG")
    metadata = b"".join(_metadata_chunks(raster.metadata))
    return plain[:_PNG_SIGNATURE_AND_IHDR] + metadata + plain[_PNG_SIGNATURE_AND_IHDR:]


def _metadata_chunks(metadata: Metadata) -> Iterator[bytes]:
    """The chunks that carry ``metadata`` in a PNG file, to stand directly behind IHDR."""
    packed = pack_metadata(iptc=metadata.iptc, xmp=metadata.xmp, icc_profile=metadata.icc_profile)
    at = _PNG_SIGNATURE_AND_IHDR
    while at < len(packed):
        length, kind = struct.unpack_from(">I4s", packed, at)
        end = at + length + 12
        if kind in (b"iCCP", b"zTXt", b"iTXt"):
            yield packed[at:end]
        at = end
    if metadata.exif:
        body = b"eXIf" + metadata.exif.removeprefix(_EXIF_PREFIX)
        yield struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _write_jpeg(raster: Raster) -> bytes:
    metadata = raster.metadata
    options: dict[str, Any] = {"exif": metadata.exif, "icc_profile": metadata.icc_profile, "xmp": metadata.xmp}
    if metadata.iptc:
        options["extra"] = _app13(metadata.iptc)
    kept = {key: value for key, value in options.items() if value}
    return _save(to_pillow(raster), "JPEG", quality=JPEG_QUALITY, subsampling=0, **kept)


def _app13(iptc: bytes) -> bytes:
    """The JPEG segment in which Photoshop, and everyone after it, keeps IPTC records."""
    resource = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    body = b"Photoshop 3.0\0" + resource
    # A segment states its length in 16 bits, counting the length itself; more IPTC than that has no place here.
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body if len(body) + 2 <= 0xFFFF else b""


def _write_webp(raster: Raster) -> bytes:
    metadata = raster.metadata
    options = {"exif": metadata.exif, "icc_profile": metadata.icc_profile, "xmp": metadata.xmp}
    kept = {key: value for key, value in options.items() if value}
    return _save(to_pillow(raster), "WEBP", lossless=True, exact=True, **kept)


def _write_bmp(raster: Raster) -> bytes:
    return _save(to_pillow(raster), "BMP")


def _write_tiff(raster: Raster) -> bytes:
    if raster.mode in _DEEP_TIFF:
        return _write_deep_tiff(raster)
    metadata = raster.metadata
    exif = Image.Exif()
    if metadata.exif:
        exif.load(metadata.exif)
    if metadata.xmp:
        exif[_TIFF_XMP] = metadata.xmp
    if metadata.iptc:
        exif[_TIFF_IPTC] = metadata.iptc
    return _save(to_pillow(raster), "TIFF", exif=exif, icc_profile=metadata.icc_profile)


def _write_deep_tiff(raster: Raster) -> bytes:
    """Write what Pillow cannot; Exif has no place here, because it is a directory of its own inside a TIFF."""
    import tifffile

    metadata = raster.metadata
    # tag, type (1 BYTE, 7 UNDEFINED), count, value, written once
    tags = [
        (tag, kind, len(value), value, True)
        for tag, kind, value in ((_TIFF_XMP, 1, metadata.xmp), (_TIFF_IPTC, 7, metadata.iptc))
        if value
    ]
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.ascontiguousarray(raster.pixels),
        photometric=_DEEP_TIFF[raster.mode],
        planarconfig="contig" if raster.pixels.ndim == 3 else None,
        iccprofile=metadata.icc_profile,
        extratags=tags,
        metadata=None,
        software="",
    )
    return file.getvalue()


def _write_npy(raster: Raster) -> bytes:
    file = io.BytesIO()
    np.save(file, raster.pixels, allow_pickle=False)
    return file.getvalue()


def _save(image: Image.Image, name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


FORMATS: tuple[OutputFormat, ...] = (
    OutputFormat(
        "png",
        ("png",),
        frozenset({"bitmap", "gray", "indexed", "rgb", "rgba", "gray16", "rgb48"}),
        _write_png,
    ),
    OutputFormat("jpg", ("jpg", "jpeg"), frozenset({"gray", "rgb", "cmyk"}), _write_jpeg),
    OutputFormat(
        "tif",
        ("tif", "tiff"),
        frozenset({"bitmap", "gray", "indexed", "rgb", "rgba", "cmyk", "gray16", "rgb48", "cmyk64", "gray31"}),
        _write_tiff,
    ),
    OutputFormat("webp", ("webp",), frozenset({"rgb", "rgba"}), _write_webp),
    OutputFormat("bmp", ("bmp",), frozenset({"bitmap", "gray", "indexed", "rgb"}), _write_bmp),
    OutputFormat(
        "ppm",
        ("ppm", "pgm", "pbm", "pnm"),
        frozenset({"bitmap", "gray", "rgb", "gray16", "rgb48"}),
        write_pnm,
    ),
    OutputFormat("npy", ("npy",), None, _write_npy),
)
"""Every format that pictures are written in; the first is the default."""
