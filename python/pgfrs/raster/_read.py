"""Read a picture file at its full depth."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

import pgfrs
from pgfrs.metadata import Metadata, unpack_metadata
from pgfrs.raster._model import Pixels, Raster, RasterError
from pgfrs.raster._pnm import is_pnm, read_pnm

_PNG = b"\x89PNG\r\n\x1a\n"
_NPY = b"\x93NUMPY"
_EXIF_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_IPTC_TIFF_TAG = 33723
_IPTC_PHOTOSHOP_BLOCK = 0x0404
# Of a TIFF's own directory, only these describe the photograph; the rest describes the file that is left behind.
_EXIF_DIRECTORIES = (0x8769, 0x8825)  # Exif, GPS
_TIFF_EXIF_TAGS = (0x010E, 0x010F, 0x0110, _ORIENTATION, 0x0131, 0x0132, 0x013B, 0x8298, *_EXIF_DIRECTORIES)
_PILLOW_MODES = {
    "1": "bitmap",
    "L": "gray",
    "RGB": "rgb",
    "RGBA": "rgba",
    "CMYK": "cmyk",
    "LAB": "lab",
    "HSV": "hsb",
}
# Modes of Pillow without a PGF mode of their own, and the Pillow mode that holds the same picture.
_PILLOW_EQUALS = {"LA": "RGBA", "PA": "RGBA", "La": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
_NPY_MODES = {
    ("bool", 0): "bitmap",
    ("uint8", 0): "gray",
    ("uint8", 1): "gray",
    ("uint8", 3): "rgb",
    ("uint8", 4): "rgba",
    ("uint16", 0): "gray16",
    ("uint16", 1): "gray16",
    ("uint16", 3): "rgb48",
    ("uint16", 4): "cmyk64",
    ("uint32", 0): "gray31",
    ("uint32", 1): "gray31",
}


def read_raster(data: bytes) -> Raster:
    """Read any picture that Pillow reads, and 16-bit PNG, TIFF and PNM, ``.npy`` arrays and ``.pgf`` files.

    Nothing is reduced in depth; of several frames the first is taken and ``note`` says so. Raises
    :class:`RasterError` for bytes that are no picture, or one that has no PGF mode.
    """
    if data.startswith(_NPY):
        return _read_npy(data)
    if is_pnm(data):
        return read_pnm(data)
    if pgfrs.check(data):
        return _read_pgf(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about metadata that is cut or odd
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the error is enough
            return _read_pillow(data)
    except (RasterError, ImportError):
        raise
    except UnidentifiedImageError:
        begin = data[:8].hex(" ") or "nothing"
        raise RasterError(f"not a picture of a format that is known: the data begin with {begin}") from None
    except Exception as error:
        # Pillow and its peers raise many kinds for a damaged file (struct.error, SyntaxError, EOFError, ...).
        raise RasterError(f"not a picture that can be read: {error}") from error


def _read_npy(data: bytes) -> Raster:
    try:
        pixels = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise RasterError(f"not an array that can be read: {error}") from error
    mode = None
    if pixels.ndim in (2, 3):
        mode = _NPY_MODES.get((pixels.dtype.name, 0 if pixels.ndim == 2 else pixels.shape[2]))
        if pixels.ndim == 3 and pixels.dtype == np.int32:
            mode = "multichannel"
    if mode is None:
        raise RasterError(f"no PGF mode for an array of {pixels.dtype} shaped {pixels.shape}")
    return Raster(pixels, mode, unnamed=True)


def _read_pgf(data: bytes) -> Raster:
    info = pgfrs.read_info(data)
    metadata = unpack_metadata(info.user_data)
    return Raster(pgfrs.decode(data), info.mode, info.palette, metadata, info.user_data)


def _read_pillow(data: bytes) -> Raster:
    with Image.open(io.BytesIO(data)) as image:
        frames = getattr(image, "n_frames", 1)
        pixels, mode, palette = _deep(data, image) or _shallow(image)
        exif = image.getexif()
        orientation = exif.get(_ORIENTATION, 1)
        return Raster(
            pixels=pixels,
            mode=mode,
            palette=palette,
            metadata=unpack_metadata(data) if image.format == "PNG" else _metadata(image, exif),
            orientation=orientation if orientation in range(1, 9) else 1,
            note=f"only the first of {frames} frames is used" if frames > 1 else "",
        )


_Found = tuple[Pixels, str, "np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None"]


def _shallow(image: Image.Image) -> _Found:
    """Pixels of a picture whose depth Pillow keeps."""
    if image.mode == "P":
        if "transparency" in image.info:
            return np.asarray(image.convert("RGBA")), "rgba", None
        colours = np.frombuffer(bytes(image.getpalette("RGB") or []), np.uint8).reshape(-1, 3)
        return np.asarray(image), "indexed", colours[:256]
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N"):
        return np.asarray(image).astype(np.uint16), "gray16", None
    if image.mode == "I":
        return _gray31(np.asarray(image))
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        return np.asarray(image.convert("RGBA")), "rgba", None
    image = image.convert(_PILLOW_EQUALS[image.mode]) if image.mode in _PILLOW_EQUALS else image
    if image.mode not in _PILLOW_MODES:
        raise RasterError(f"no PGF mode for pictures of Pillow's mode {image.mode}")
    return np.asarray(image), _PILLOW_MODES[image.mode], None


def _gray31(samples: Pixels) -> _Found:
    if samples.size and (int(samples.min()) < 0 or int(samples.max()) >= 2**31):
        raise RasterError(f"samples from {samples.min()} to {samples.max()} do not fit the 31 bits of gray31")
    return samples.astype(np.uint32), "gray31", None


def _deep(data: bytes, image: Image.Image) -> _Found | None:
    """Pixels of a picture that Pillow would reduce to 8 bits; None for every other."""
    if image.format == "PNG" and len(data) > 26:
        depth, colour_type = struct.unpack_from(">BB", data, len(_PNG) + 16)
        if depth == 16 and colour_type != 0:
            import imagecodecs

            return _by_channels(np.asarray(imagecodecs.png_decode(data)), "RGB")
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
        if max(bits) > 16 or (max(bits) > 8 and len(bits) > 1):
            return _deep_tiff(data)
    return None


def _deep_tiff(data: bytes) -> _Found:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        pixels = np.asarray(page.asarray())
        if page.axes.startswith("S"):
            pixels = np.moveaxis(pixels, 0, -1)
        return _by_channels(pixels, tifffile.PHOTOMETRIC(page.photometric).name)


def _by_channels(pixels: Pixels, photometric: str) -> _Found:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype == np.uint16:
        match photometric, channels:
            case "RGB", 3:
                return pixels, "rgb48", None
            case "RGB", 2 | 4:
                raise RasterError(
                    "PGF has no mode for alpha with 16 bits per channel; reduce the picture or drop its alpha"
                )
            case "SEPARATED", 4:
                return pixels, "cmyk64", None
            case "CIELAB" | "ICCLAB" | "ITULAB", 3:
                return pixels, "lab48", None
            case "MINISBLACK", 1:
                return pixels.reshape(pixels.shape[:2]), "gray16", None
    if channels == 1 and photometric == "MINISBLACK" and pixels.dtype.kind in "iu":
        return _gray31(pixels.reshape(pixels.shape[:2]))
    raise RasterError(f"no PGF mode for {channels} channels of {pixels.dtype} ({photometric.lower()})")


def _metadata(image: Image.Image, exif: Image.Exif) -> Metadata:
    return Metadata(
        exif=_exif(image, exif),
        iptc=_iptc(image),
        xmp=_as_bytes(image.info.get("xmp")),
        icc_profile=image.info.get("icc_profile") or None,
    )


def _exif(image: Image.Image, exif: Image.Exif) -> bytes | None:
    if not exif:
        return None
    raw = image.info.get("exif")
    if image.format == "TIFF":
        kept = Image.Exif()
        for tag in _TIFF_EXIF_TAGS:
            if tag in exif:
                kept[tag] = exif.get_ifd(tag) if tag in _EXIF_DIRECTORIES else exif[tag]
        raw = kept.tobytes() if kept else b""
    elif not isinstance(raw, bytes):
        raw = exif.tobytes()
    return _EXIF_PREFIX + raw.removeprefix(_EXIF_PREFIX) if raw else None


def _iptc(image: Image.Image) -> bytes | None:
    if image.format == "TIFF":
        value = image.tag_v2.get(_IPTC_TIFF_TAG)  # type: ignore[attr-defined]
        return _as_bytes(value)
    if isinstance(image.info.get("photoshop"), dict):
        return _as_bytes(image.info["photoshop"].get(_IPTC_PHOTOSHOP_BLOCK))
    return None


def _as_bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    return bytes(value) if isinstance(value, bytes | bytearray) and value else None
