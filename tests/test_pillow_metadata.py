"""Metadata through the Pillow plugin: what is kept, replaced and left out, and what exiv2 says about it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

import pgfrs
import pgfrs.pillow
from metadata_samples import (
    XMP,
    exiv2,
    iptc_record,
    sample_exif,
    sample_icc,
    sample_iptc,
    shared_file,
)
from pgfrs.metadata import Metadata, unpack_metadata

BLOCKS = {"exif": sample_exif(), "iptc": sample_iptc(), "xmp": XMP, "icc_profile": sample_icc()}
IMAGE = Image.radial_gradient("L").resize((64, 48)).convert("RGB")


def saved(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PGF", **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def blocks_of(image: Image.Image) -> dict[str, bytes]:
    return {name: image.info[name] for name in BLOCKS if name in image.info}


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_round_trips(name: str) -> None:
    image = opened(saved(IMAGE, **{name: BLOCKS[name]}))
    assert blocks_of(image) == {name: BLOCKS[name]}
    assert image.tobytes() == IMAGE.tobytes()


def test_getexif_and_getxmp() -> None:
    image = opened(saved(IMAGE, **BLOCKS))
    assert image.getexif()[ExifTags.Base.Model] == "Box 9"
    assert image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 320
    exif = image.getexif()
    exif[ExifTags.Base.Model] = "Box 10"
    again = opened(saved(image, exif=exif))
    assert again.getexif()[ExifTags.Base.Model] == "Box 10"
    assert blocks_of(again).keys() == BLOCKS.keys()


def test_blocks_in_info_are_kept() -> None:
    image = opened(saved(IMAGE, **BLOCKS))
    for again in (image, image.convert("L"), image.resize((20, 20))):
        assert blocks_of(opened(saved(again))) == BLOCKS


def test_blocks_are_left_out_and_replaced_one_by_one() -> None:
    image = opened(saved(IMAGE, **BLOCKS))
    for nothing in (None, b""):
        rest = blocks_of(opened(saved(image, exif=nothing, iptc=nothing)))
        assert rest == {"xmp": XMP, "icc_profile": sample_icc()}
    changed = blocks_of(opened(saved(image, xmp=b"<other/>")))
    assert changed == BLOCKS | {"xmp": b"<other/>"}
    assert pgfrs.read_info(saved(image, user_data=b"")).user_data == b""


def test_a_jpeg_keeps_its_metadata_as_pgf() -> None:
    jpeg = io.BytesIO()
    IMAGE.save(jpeg, "JPEG", exif=sample_exif(), icc_profile=sample_icc(), xmp=XMP)
    with Image.open(jpeg) as image:
        image.info["photoshop"] = {0x0404: sample_iptc()}  # as from a file with an APP13 segment
        assert blocks_of(opened(saved(image))) == BLOCKS


def test_a_pgf_keeps_its_metadata_as_jpeg() -> None:
    image = opened(saved(IMAGE, **BLOCKS))
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", exif=image.info["exif"], icc_profile=image.info["icc_profile"])
    with Image.open(jpeg) as back:
        assert back.info["exif"] == sample_exif()
        assert back.info["icc_profile"] == sample_icc()


def test_unusable_blocks_in_info_are_left_out() -> None:
    image = IMAGE.copy()
    image.info |= {"exif": b"no exif", "iptc": 12, "xmp": XMP, "icc_profile": None}
    assert blocks_of(opened(saved(image))) == {"xmp": XMP}
    with pytest.raises(ValueError, match="exif: expected a TIFF structure"):
        saved(image, exif=b"no exif")


def test_foreign_user_data_is_kept_byte_for_byte() -> None:
    user_data = bytes(range(256)) * 5
    image = opened(saved(IMAGE, user_data=user_data))
    assert image.info["user_data"] == user_data
    assert blocks_of(image) == {}
    assert pgfrs.read_info(saved(image)).user_data == user_data
    assert unpack_metadata(pgfrs.read_info(saved(image, xmp=XMP)).user_data) == Metadata(xmp=XMP)


def test_user_data_and_metadata_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="user_data and xmp exclude each other"):
        saved(IMAGE, user_data=b"abc", xmp=XMP)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "CMYK", "LAB", "HSV", "I;16", "I"])
def test_exiv2_prints_what_was_saved(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "saved.pgf"
    path.write_bytes(saved(Image.new(mode, (40, 30)), **BLOCKS))
    assert blocks_of(opened(path.read_bytes())) == BLOCKS
    printed = exiv2("-pa", path).decode()
    for word in ("Muster & Sons", "Box 9", "320", "Zweibrücken", "river", "fog", "a test"):
        assert word in printed, word


def test_palette_images_keep_their_metadata_behind_the_palette() -> None:
    """Exiv2 does not look there, so only this package finds it."""
    assert blocks_of(opened(saved(Image.new("P", (40, 30)), **BLOCKS))) == BLOCKS


def test_exiv2_writes_and_pillow_reads(tmp_path: Path) -> None:
    path = tmp_path / "edited.pgf"
    IMAGE.save(path)
    exiv2("-Mset Exif.Image.Artist Ada", "-Mset Iptc.Application2.City Ulm", "-Mset Xmp.xmp.Rating 2", path)
    with Image.open(path) as image:
        assert image.getexif()[ExifTags.Base.Artist] == "Ada"
        assert iptc_record(90, "Ulm") in image.info["iptc"]
        assert b'xmp:Rating="2"' in image.info["xmp"]
        assert image.tobytes() == IMAGE.tobytes()


@pytest.mark.shared
def test_digikam_file(tmp_path: Path) -> None:
    original = shared_file("vectors/real_foto001q5.pgf")
    path = tmp_path / "again.pgf"
    with Image.open(original) as image:
        assert image.size == (538, 358)
        assert image.getexif()[0x000B] == "digiKam-2.0.0-rc"
        assert image.info["iptc"].startswith(b"\x1c\x02A\x00\x07digiKam")
        image.save(path, quality=6)
    assert pgfrs.read_info(path.read_bytes()).user_data == pgfrs.read_info(original.read_bytes()).user_data
    assert exiv2("-pa", path) == exiv2("-pa", original)
