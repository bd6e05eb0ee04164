"""Pictures survive their file formats at full depth, with their metadata."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

import pgfrs
from pgfrs.metadata import Metadata
from pgfrs.raster import (
    FORMATS,
    OutputFormat,
    Raster,
    RasterError,
    convert,
    format_for_name,
    preview,
    psnr,
    read_raster,
    relabel,
    upright,
    write_raster,
)

MODES = ("bitmap", "gray", "indexed", "rgb", "rgba", "cmyk", "gray16", "rgb48", "cmyk64", "gray31")
EXIF_MAKE, EXIF_ORIENTATION = 0x010F, 0x0112


def picture(mode: str, chelsea: NDArray[np.uint8]) -> Raster:
    """The cat in any mode, with deep samples that use all their bits."""
    cat = Raster(chelsea, "rgb")
    rng = np.random.default_rng(5)
    match mode:
        case "indexed":
            image = Image.fromarray(chelsea).quantize(200)
            palette = np.frombuffer(bytes(image.getpalette("RGB") or []), np.uint8).reshape(-1, 3)
            return Raster(np.asarray(image), mode, palette)
        case "rgba":
            alpha = rng.integers(0, 256, chelsea.shape[:2], dtype=np.uint8)
            return Raster(np.dstack([chelsea, alpha]), mode)
        case "gray16" | "rgb48":
            deep = convert(cat, mode).pixels
            return Raster(deep ^ rng.integers(0, 256, deep.shape, dtype=np.uint16), mode)
        case "cmyk64":
            return Raster(convert(cat, "cmyk").pixels.astype(np.uint16) * np.uint16(257), mode)
        case "gray31":
            return Raster(rng.integers(0, 2**31, chelsea.shape[:2], dtype=np.uint32), mode)
        case _:
            return convert(cat, mode)


def exif_block(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[EXIF_MAKE] = "Maker"
    exif[EXIF_ORIENTATION] = orientation
    exif[0x8769] = {0x9003: "2020:01:01 00:00:00"}
    return exif.tobytes()


@pytest.fixture(scope="module")
def metadata() -> Metadata:
    return Metadata(
        exif=exif_block(),
        iptc=b"\x1c\x02\x05\x00\x03cat",
        xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )


PAIRS = [(mode, each) for mode in MODES for each in FORMATS if each.holds(mode)]


@pytest.mark.parametrize(("mode", "output"), PAIRS, ids=[f"{mode}-{each.name}" for mode, each in PAIRS])
def test_formats_keep_every_sample(mode: str, output: OutputFormat, chelsea: NDArray[np.uint8]) -> None:
    raster = picture(mode, chelsea)
    back = read_raster(write_raster(raster, output))
    if output.name == "npy":
        back = relabel(back, mode)  # .npy has no mode names
    assert back.mode == mode
    assert back.pixels.dtype == raster.pixels.dtype
    if output.name == "jpg":
        assert psnr(back.pixels, raster.pixels) > 30
    else:
        np.testing.assert_array_equal(back.pixels, raster.pixels)
    if mode == "indexed" and output.name != "npy":
        assert back.palette is not None
        np.testing.assert_array_equal(preview(back), preview(raster))


@pytest.mark.parametrize("mode", ["bitmap", "gray", "indexed", "rgb", "rgba", "gray16", "rgb48"])
def test_png_keeps_all_metadata(mode: str, chelsea: NDArray[np.uint8], metadata: Metadata) -> None:
    raster = replace(picture(mode, chelsea), metadata=metadata)
    data = write_raster(raster, format_for_name("png"))
    assert read_raster(data).metadata == metadata
    with Image.open(io.BytesIO(data)) as image:
        image.load()  # Pillow checks every chunk
        assert image.getexif()[EXIF_MAKE] == "Maker"


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        ("jpg", {"exif", "iptc", "xmp", "icc_profile"}),
        ("tif", {"exif", "iptc", "xmp", "icc_profile"}),
        ("webp", {"exif", "xmp", "icc_profile"}),
        ("bmp", set()),
        ("ppm", set()),
        ("npy", set()),
    ],
)
def test_metadata_of_the_other_formats(
    output: str, kept: set[str], chelsea: NDArray[np.uint8], metadata: Metadata
) -> None:
    data = write_raster(Raster(chelsea, "rgb", metadata=metadata), format_for_name(output))
    back = read_raster(data).metadata
    same = {kind for kind in ("exif", "iptc", "xmp", "icc_profile") if getattr(back, kind) == getattr(metadata, kind)}
    assert same == kept


def test_tiff_keeps_exif_tags(chelsea: NDArray[np.uint8], metadata: Metadata) -> None:
    data = write_raster(Raster(chelsea, "rgb", metadata=metadata), format_for_name("tif"))
    block = read_raster(data).metadata.exif
    assert block is not None
    exif = Image.Exif()
    exif.load(block)
    assert exif[EXIF_MAKE] == "Maker"
    assert exif.get_ifd(0x8769) == {0x9003: "2020:01:01 00:00:00"}
    assert set(exif) == {EXIF_MAKE, EXIF_ORIENTATION, 0x8769}  # nothing about the strips of the TIFF


def test_deep_tiff_keeps_what_is_no_directory(chelsea: NDArray[np.uint8], metadata: Metadata) -> None:
    raster = replace(picture("rgb48", chelsea), metadata=metadata)
    back = read_raster(write_raster(raster, format_for_name("tif"))).metadata
    assert (back.iptc, back.xmp, back.icc_profile) == (metadata.iptc, metadata.xmp, metadata.icc_profile)


def test_iptc_too_long_for_a_jpeg_segment_is_left_out(chelsea: NDArray[np.uint8]) -> None:
    metadata = Metadata(iptc=b"\x1c\x02\x05" + bytes(70000))
    back = read_raster(write_raster(Raster(chelsea, "rgb", metadata=metadata), format_for_name("jpg")))
    assert back.metadata.iptc is None


@pytest.mark.parametrize(
    ("output", "mode", "widened"),
    [("png", "rgb12", "rgb"), ("png", "rgb16", "rgb"), ("jpg", "bitmap", "gray"), ("webp", "gray", "rgb")],
)
def test_modes_without_a_place_widen_where_nothing_is_lost(output: str, mode: str, widened: str) -> None:
    assert format_for_name(output).mode_for(mode) == widened


@pytest.mark.parametrize(
    ("output", "mode", "others"),
    [
        ("jpg", "rgba", "png, tif, webp, npy"),
        ("png", "cmyk64", "tif, npy"),
        ("png", "lab", "npy"),
        ("bmp", "rgb48", "png"),
    ],
)
def test_what_a_format_cannot_hold_names_those_that_can(output: str, mode: str, others: str) -> None:
    with pytest.raises(RasterError, match=f"{output} cannot hold a {mode} picture; these can: {others}"):
        format_for_name(output).mode_for(mode)
    with pytest.raises(RasterError, match=f"{output} cannot hold a {mode} picture"):
        write_raster(Raster(np.zeros((4, 4, 4), np.uint8), mode), format_for_name(output))


def test_unknown_extension() -> None:
    with pytest.raises(RasterError, match=r"'x\.gif'.*known extensions: png jpg"):
        format_for_name("x.gif")


def test_pgf_is_read_with_mode_palette_and_user_data(chelsea: NDArray[np.uint8]) -> None:
    raster = picture("indexed", chelsea)
    data = pgfrs.encode(raster.pixels, mode="indexed", palette=raster.palette, user_data=b"opaque")
    back = read_raster(data)
    assert (back.mode, back.user_data) == ("indexed", b"opaque")
    np.testing.assert_array_equal(back.pixels, raster.pixels)
    assert back.palette is not None
    assert raster.palette is not None
    np.testing.assert_array_equal(back.palette[: len(raster.palette), :3], raster.palette)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_does_what_pillow_does(orientation: int, chelsea: NDArray[np.uint8]) -> None:
    file = io.BytesIO()
    Image.fromarray(chelsea).save(file, "PNG", exif=exif_block(orientation))
    raster = read_raster(file.getvalue())
    assert raster.orientation == orientation
    np.testing.assert_array_equal(raster.pixels, chelsea)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        from PIL import ImageOps

        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(upright(raster).pixels, expected)


def test_only_the_first_frame_is_read() -> None:
    frames = [Image.new("L", (12, 10), value) for value in (10, 200)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    raster = read_raster(file.getvalue())
    assert raster.note == "only the first of 2 frames is used"
    assert preview(raster)[0, 0].tolist() == [10, 10, 10]


def test_transparent_palette_becomes_rgba() -> None:
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    image = image.convert("P")
    file = io.BytesIO()
    image.save(file, "PNG", transparency=3)
    raster = read_raster(file.getvalue())
    assert raster.mode == "rgba"
    assert [raster.pixels[0, x, 3] for x in (2, 3, 4)] == [255, 0, 255]


@pytest.mark.parametrize("pillow_mode", ["LA", "YCbCr", "HSV"])
def test_other_pillow_modes(pillow_mode: str, chelsea: NDArray[np.uint8]) -> None:
    image = Image.fromarray(chelsea).convert(pillow_mode)
    file = io.BytesIO()
    if pillow_mode == "LA":
        image.save(file, "PNG")
        raster = read_raster(file.getvalue())
        assert raster.mode == "rgba"
        np.testing.assert_array_equal(raster.pixels, np.asarray(image.convert("RGBA")))
    elif pillow_mode == "YCbCr":
        image.save(file, "TIFF")
        assert read_raster(file.getvalue()).mode == "rgb"
    else:
        shown = preview(Raster(np.asarray(image), "hsb"))
        assert psnr(shown, chelsea) > 35


class TestPnm:
    def test_samples_are_scaled_to_the_whole_range(self) -> None:
        raster = read_raster(b"P5\n# a comment\n3 1\n15\n\x00\x05\x0f")
        assert (raster.mode, raster.pixels.tolist()) == ("gray", [[0, 85, 255]])
        raster = read_raster(b"P6 1 1 1023\n" + b"\x03\xff\x00\x00\x01\x00")
        assert (raster.mode, raster.pixels.tolist()) == ("rgb48", [[[65535, 0, 16400]]])

    def test_in_a_bitmap_one_is_black(self) -> None:
        assert read_raster(b"P4\n10 1\n\x80\x40").pixels.tolist() == [[False] + [True] * 8 + [False]]

    @pytest.mark.parametrize(
        ("data", "word"),
        [
            (b"P5\n3 x\n255\n", "header"),
            (b"P5\n3 1\n0\n\x00\x00\x00", "maxval is 0"),
            (b"P5\n3 1\n70000\n\x00\x00\x00", "maxval is 70000"),
            (b"P6\n3 1\n255\n\x00\x00\x00", "need 9 bytes, but only 3"),
            (b"P5\n999999999 999999999\n255\n", "need 999999998000000001 bytes"),
            (b"P5\n1 1\n10\n\xff", "a sample is 255, above maxval 10"),
        ],
    )
    def test_damaged_files_say_what_is_wrong(self, data: bytes, word: str) -> None:
        with pytest.raises(RasterError, match=word):
            read_raster(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\x93NUMPY\x01", b"\x89PNG\r\n\x1a\n" + bytes(40), b"II*\0" + bytes(30)],
    ids=["empty", "text", "npy", "png", "tiff"],
)
def test_what_is_no_picture_is_a_raster_error(data: bytes) -> None:
    with pytest.raises(RasterError, match="not a"):
        read_raster(data)


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((4, 4), np.float32), "float32"),
        (np.zeros((4, 4, 5), np.uint8), r"\(4, 4, 5\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
        (np.zeros((), np.uint8), r"\(\)"),
    ],
)
def test_arrays_without_a_mode(array: NDArray[np.generic], word: str) -> None:
    file = io.BytesIO()
    np.save(file, array)
    with pytest.raises(RasterError, match=word):
        read_raster(file.getvalue())


def test_16_bits_with_alpha_have_no_mode() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    data = bytes(imagecodecs.png_encode(np.zeros((8, 8, 4), np.uint16)))
    with pytest.raises(RasterError, match="no mode for alpha with 16 bits"):
        read_raster(data)


def test_convert_keeps_a_profile_only_for_the_same_kind_of_colour(metadata: Metadata) -> None:
    raster = Raster(np.zeros((4, 4, 3), np.uint8), "rgb", metadata=metadata)
    assert convert(raster, "rgb48").metadata == metadata
    assert convert(raster, "rgba").metadata == metadata
    assert convert(raster, "gray").metadata == replace(metadata, icc_profile=None)
    assert convert(raster, "cmyk").metadata == replace(metadata, icc_profile=None)


def test_convert_between_depths(chelsea: NDArray[np.uint8]) -> None:
    raster = Raster(chelsea, "rgb")
    np.testing.assert_array_equal(convert(convert(raster, "rgb48"), "rgb").pixels, chelsea)
    assert convert(raster, "rgb12").pixels.max() <= 15
    assert psnr(preview(convert(raster, "rgb12")), chelsea) > 25
    assert psnr(preview(convert(raster, "rgb16")), chelsea) > 30
    assert convert(convert(raster, "gray16"), "rgb48").pixels.shape == chelsea.shape


@pytest.mark.parametrize(("mode", "to"), [("lab", "rgb"), ("rgb", "lab"), ("cmyk64", "rgb48"), ("gray31", "gray")])
def test_conversions_that_do_not_exist(mode: str, to: str) -> None:
    shapes = {"gray31": ((4, 4), np.uint32), "cmyk64": ((4, 4, 4), np.uint16)}
    shape, dtype = shapes.get(mode, ((4, 4, 3), np.uint8))
    with pytest.raises(RasterError, match=f"no conversion from {mode} to {to}"):
        convert(Raster(np.zeros(shape, dtype), mode), to)


def test_preview_of_planes_without_colour_is_refused() -> None:
    with pytest.raises(RasterError, match="duotone"):
        preview(Raster(np.zeros((4, 4, 2), np.int32), "duotone"))


def test_psnr() -> None:
    a = np.zeros((10, 10), np.uint8)
    assert psnr(a, a) == math.inf
    assert psnr(a, a + np.uint8(255)) == 0
    assert psnr(a, a + np.uint8(1)) == pytest.approx(48.13, abs=0.01)
    assert psnr(a.astype(np.uint16), a.astype(np.uint16) + np.uint16(65535), peak=65535) == 0
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(a, a[:5])
