"""Photographs in many file formats, whole and broken, made from the samples with Pillow."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from material import SAMPLES


def photograph(name: str = "astronaut.png") -> Image.Image:
    """A sample photograph as an RGB image."""
    with Image.open(SAMPLES / name) as picture:
        return picture.convert("RGB")


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def jpeg_with_orientation(orientation: int) -> bytes:
    """A JPEG whose Exif says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(photograph("chelsea.png"), "JPEG", quality=95, exif=exif)


def deep_png() -> tuple[bytes, NDArray[np.uint16]]:
    """A 16-bit gray PNG of a photograph whose low bits carry data, and its samples."""
    with Image.open(SAMPLES / "camera.png") as picture:
        gray = np.asarray(picture.convert("L"), np.uint16)
    deep = gray * 256 + np.roll(gray, 7, axis=1)
    return saved(Image.fromarray(deep), "PNG"), deep


def animated_gif() -> bytes:
    """Two frames, the first of which is the cat."""
    frames = [photograph(name).resize((120, 90)).quantize(64) for name in ("chelsea.png", "coffee.png")]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)


def tagged_jpeg() -> bytes:
    """A JPEG with a profile whose red and green are swapped, so that converting it shows."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    tags = {bytes(profile[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = profile[green : green + 4], profile[red : red + 4]
    return saved(photograph(), "JPEG", quality=95, icc_profile=bytes(profile))


def corpus(folder: Path) -> dict[str, str]:
    """Fill a folder with good and broken files; returns what becomes of each by name: "ok" or a kind of failure."""
    coffee, astronaut = photograph("coffee.png"), photograph()
    jpeg = saved(astronaut, "JPEG", quality=90)
    png = saved(photograph("chelsea.png"), "PNG")
    files: dict[str, tuple[bytes, str]] = {
        "good/a.jpg": (jpeg, "ok"),
        "good/progressive.jpg": (saved(coffee, "JPEG", progressive=True), "ok"),
        "good/b.png": (png, "ok"),
        "good/c.webp": (saved(coffee, "WEBP", quality=80), "ok"),
        "good/d.bmp": (saved(coffee, "BMP"), "ok"),
        "good/e.tif": (saved(coffee, "TIFF", compression="tiff_lzw"), "ok"),
        "good/gray.jpg": (saved(astronaut.convert("L"), "JPEG"), "ok"),
        "good/cmyk.jpg": (saved(astronaut.convert("CMYK"), "JPEG"), "ok"),
        "good/deep.png": (deep_png()[0], "ok"),
        "good/palette.png": (saved(coffee.quantize(200), "PNG"), "ok"),
        "good/animated.gif": (animated_gif(), "ok"),
        "good/one.pixel.png": (saved(coffee.crop((9, 9, 10, 10)), "PNG"), "ok"),
        "good/wrong-name.jpg": (png, "ok"),
        "good/turned.jpg": (jpeg_with_orientation(6), "ok"),
        "good/only-pillow.ppm": (saved(coffee, "PPM"), "ok"),
        "good/large.jpg": (saved(coffee.resize((4000, 3000)), "JPEG", quality=70), "ok"),
        "bad/empty.jpg": (b"", "empty"),
        "bad/cut.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "bad/cut.png": (png[: len(png) // 2], "truncated"),
        "bad/page.jpg": (b"<html><body>404 Not Found</body></html>", "unknown_format"),
        "bad/noise.jpg": (jpeg[:700] + np.random.default_rng(1).bytes(9000), "truncated"),
    }
    for name, (data, _) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "good" / "notes.txt").write_text("no picture")
    return {name: outcome for name, (_, outcome) in files.items()}
