"""The Pillow plugin: modes, lazy opening, smaller versions, damaged files, piecewise parsing, saving."""

from __future__ import annotations

import colorsys
import io
import pickle
import random
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImagePalette, UnidentifiedImageError

import pgfrs
import pgfrs.pillow
from pgfrs.raster import psnr

SIZE = (61, 43)


def saved(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PGF", **options)
    return out.getvalue()


def opened(data: bytes) -> pgfrs.pillow.PgfImageFile:
    image = Image.open(io.BytesIO(data))
    assert isinstance(image, pgfrs.pillow.PgfImageFile)
    return image


def pixels(image: Image.Image) -> NDArray[Any]:
    return np.asarray(image).copy()


def noise(*shape: int, below: int = 256, dtype: type[np.generic] = np.uint8, seed: int = 5) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, below, shape).astype(dtype)


@pytest.fixture
def photo(chelsea: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(chelsea)


@pytest.fixture
def load_truncated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


# --- modes -----------------------------------------------------------------------------------------


def pillow_image(mode: str) -> Image.Image:
    width, height = SIZE
    if mode in ("I;16", "I;16L", "I;16B", "I;16N"):
        return Image.frombytes(mode, SIZE, noise(height, width * 2).tobytes())
    if mode == "I":
        return Image.fromarray(noise(height, width, below=2**31, dtype=np.int32))
    if mode == "1":
        return Image.fromarray(noise(height, width)).convert("1")
    bands = len(Image.new(mode, (1, 1)).getbands())
    image = Image.frombytes(mode, SIZE, noise(height, width, bands).tobytes())
    if mode == "P":
        image.palette = ImagePalette.raw("RGB", noise(256, 3, seed=6).tobytes())
    return image


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LAB", "HSV", "I;16", "I"])
def test_lossless_round_trip(mode: str) -> None:
    image = pillow_image(mode)
    with opened(saved(image)) as back:
        assert (back.mode, back.size, back.format) == (mode, SIZE, "PGF")
        assert back.get_format_mimetype() == "image/x-pgf"
        assert back.tobytes() == image.tobytes()
        if mode == "P":
            assert back.getpalette() == image.getpalette()
            assert back.convert("RGB").tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("mode", ["I;16B", "I;16L", "I;16N"])
def test_other_byte_orders_become_the_usual_one(mode: str) -> None:
    image = pillow_image(mode)
    with opened(saved(image)) as back:
        assert back.mode == "I;16"
        for x, y in [(0, 0), (60, 42), (17, 3)]:
            assert back.getpixel((x, y)) == image.getpixel((x, y))


def test_short_palettes_are_filled_with_black() -> None:
    image = Image.frombytes("P", (3, 2), bytes([0, 1, 2, 2, 1, 0]))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    data = saved(image)
    assert opened(data).convert("RGB").tobytes() == image.convert("RGB").tobytes()
    palette = pgfrs.read_info(data).palette
    assert palette is not None
    assert palette[:4].tolist() == [[10, 20, 30, 0], [40, 50, 60, 0], [70, 80, 90, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBa", "RGBX", "YCbCr", "F"])
def test_other_modes_say_what_to_convert_to(mode: str, tmp_path: Path) -> None:
    image = Image.new(mode, SIZE)
    path = tmp_path / "no.pgf"
    with pytest.raises(OSError, match=f"no mode for Pillow's {mode}: save image") as raised:
        image.save(path)
    assert not path.exists()
    advice = str(raised.value).split("save ")[1].removesuffix(" instead")
    better: Image.Image = eval(advice, {"image": image})
    assert opened(saved(better)).size == SIZE


def test_negative_samples_of_mode_i_are_refused() -> None:
    image = Image.new("I", SIZE, 7)
    image.putpixel((3, 3), -5)
    with pytest.raises(ValueError, match="lowest sample is -5; PGF stores 0 to 2147483647"):
        saved(image)


def test_lab_is_stored_with_offset() -> None:
    """getpixel gives the bytes of the file; a and b of 128 are neutral."""
    stored = noise(*SIZE[::-1], 3)
    image = opened(pgfrs.encode(stored, mode="lab"))
    assert image.getpixel((5, 9)) == tuple(stored[9, 5])
    assert (pixels(image) == stored ^ np.array([0, 128, 128], np.uint8)).all()
    gray = opened(pgfrs.encode(np.full((20, 20, 3), [180, 128, 128], np.uint8), mode="lab"))
    red, green, blue = gray.convert("RGB").getpixel((4, 4))  # type: ignore[misc]
    assert max(red, green, blue) - min(red, green, blue) <= 2


@pytest.mark.parametrize(
    ("mode", "pillow_mode", "shape", "below", "dtype"),
    [
        ("rgb48", "RGB", (3,), 65536, np.uint16),
        ("cmyk64", "CMYK", (4,), 65536, np.uint16),
        ("lab48", "LAB", (3,), 65536, np.uint16),
    ],
)
def test_deep_modes_show_their_upper_byte(
    mode: str, pillow_mode: str, shape: tuple[int, ...], below: int, dtype: type[np.generic]
) -> None:
    deep = noise(*SIZE[::-1], *shape, below=below, dtype=dtype)
    image = opened(pgfrs.encode(deep, mode=mode))
    assert image.mode == pillow_mode
    for x, y in [(0, 0), (60, 42), (17, 3)]:
        assert image.getpixel((x, y)) == tuple(deep[y, x] >> 8)


def test_narrow_modes_are_stretched() -> None:
    narrow = noise(*SIZE[::-1], 3, below=16)
    image = opened(pgfrs.encode(narrow, mode="rgb12"))
    assert (pixels(image) == np.rint(narrow * (255 / 15))).all()
    depths = np.array([31, 63, 31])
    narrow = (noise(*SIZE[::-1], 3, below=64) & depths).astype(np.uint8)
    wide = pixels(opened(pgfrs.encode(narrow, mode="rgb16")))
    assert np.abs(wide - narrow * (255 / depths)).max() <= 1
    assert (wide[narrow == depths] == 255).all()
    assert (wide[narrow == 0] == 0).all()


def test_hsl_is_converted() -> None:
    hsl = noise(*SIZE[::-1], 3)
    rgb = pixels(opened(pgfrs.encode(hsl, mode="hsl")))
    for y, x in np.ndindex(hsl.shape[:2]):
        hue, saturation, lightness = (float(sample) / 255 for sample in hsl[y, x])
        expected = 255 * np.array(colorsys.hls_to_rgb(hue, lightness, saturation))
        assert np.abs(rgb[y, x] - expected).max() <= 0.51


def test_modes_without_a_picture_are_refused() -> None:
    planes = noise(30, 20, 2, dtype=np.int32)
    with pytest.raises(OSError, match=r"PGF mode multichannel has no Pillow mode; pgfrs\.decode gives"):
        opened(pgfrs.encode(planes, mode="multichannel"))


# --- opening ---------------------------------------------------------------------------------------


class CountingFile(io.BufferedReader):
    """A file that remembers how far it was read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.open("rb", buffering=0))
        self.furthest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return data


@pytest.fixture
def photo_file(photo: Image.Image, tmp_path: Path) -> Iterator[CountingFile]:
    path = tmp_path / "photo.pgf"
    photo.save(path, levels=4)
    with CountingFile(path) as file:
        yield file


def test_opening_reads_the_header_only(photo_file: CountingFile, photo: Image.Image) -> None:
    with Image.open(photo_file) as image:
        assert photo_file.furthest <= 4096
        assert (image.size, image.mode) == (photo.size, "RGB")
        assert image.info == {"quality": 0, "levels": 4, "roi": False}
        assert image.tobytes() == photo.tobytes()


def test_a_small_thumbnail_reads_a_small_part(photo_file: CountingFile) -> None:
    size = photo_file.seek(0, io.SEEK_END)
    with Image.open(photo_file) as image:
        image.thumbnail((28, 28))
        assert max(image.size) == 28
        assert photo_file.furthest < size / 6


def test_long_user_data_is_read_whole(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "long.pgf"
    user_data = random.Random(3).randbytes(50_001)
    photo.save(path, user_data=user_data)
    with Image.open(path) as image:
        assert image.info["user_data"] == user_data
        assert image.tobytes() == photo.tobytes()


def test_streams_that_cannot_seek(photo: Image.Image) -> None:
    class Stream:
        def __init__(self, data: bytes) -> None:
            self._file = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self._file.read(size)

    with Image.open(Stream(saved(photo))) as image:  # type: ignore[arg-type]
        assert image.tobytes() == photo.tobytes()


def test_open_by_name_and_by_path(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "by name.pgf"
    photo.save(path)
    for name in (path, str(path)):
        with Image.open(name) as image:
            image.load()
            assert image.format == "PGF"
    assert path.read_bytes() == saved(photo)


def test_copies_and_pickles(photo: Image.Image) -> None:
    image = opened(saved(photo))
    copy = pickle.loads(pickle.dumps(image))
    assert copy.tobytes() == image.copy().tobytes() == image.convert("RGB").tobytes() == photo.tobytes()


def test_pixels_can_be_changed(photo: Image.Image) -> None:
    image = opened(saved(photo))
    image.putpixel((2, 3), (1, 2, 3))
    assert image.getpixel((2, 3)) == (1, 2, 3)


def test_other_files_are_left_to_others() -> None:
    for data in (b"", b"P", b"PGF", b"PGF file formats are many", b"\0" * 100):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(data))
    png = io.BytesIO()
    Image.new("L", (3, 3)).save(png, "PNG")
    assert Image.open(png).format == "PNG"


def test_every_cut_header_is_an_oserror(photo: Image.Image) -> None:
    data = saved(photo, user_data=b"some user data")
    for cut in range(pgfrs.read_info(data).data_offset):
        with pytest.raises(OSError, match=r"truncated|cannot identify"):
            opened(data[:cut])


def test_a_wrong_header_names_its_field(photo: Image.Image) -> None:
    data = bytearray(saved(photo))
    data[17] = 128
    with pytest.raises(UnidentifiedImageError, match="quality 128: at most 31"):
        opened(bytes(data))


@pytest.mark.parametrize(("field", "offset", "value"), [("channels", 19, b"\x09"), ("user data", 4, b"\xff" * 4)])
def test_headers_are_recovered_only_on_request(
    photo: Image.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    offset: int,
    value: bytes,
) -> None:
    data = bytearray(saved(photo))
    data[offset : offset + len(value)] = value
    path = tmp_path / "damaged header.pgf"
    path.write_bytes(data)
    with Image.open(path) as image, pytest.raises(OSError, match=field):
        image.load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Image.open(path) as image:
        assert image.tobytes() == photo.tobytes()


def test_huge_sizes_are_refused_by_pillow() -> None:
    data = bytearray(saved(Image.new("L", (16, 16))))
    data[8:16] = (2**17).to_bytes(4, "little") * 2
    with pytest.raises(Image.DecompressionBombError):
        opened(bytes(data))


# --- smaller versions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "level"),
    [
        ((451, 300), 0),
        ((227, 150), 0),
        ((226, 151), 0),
        ((226, 150), 1),
        ((113, 76), 1),
        ((113, 75), 2),
        ((57, 38), 3),
        ((1, 1), 3),
        ((0, 0), 3),
        ((1000, 1), 0),
    ],
)
def test_draft_picks_the_smallest_sufficient_level(photo: Image.Image, asked: tuple[int, int], level: int) -> None:
    data = saved(photo, levels=4)
    image = opened(data)
    drafted = image.draft(None, asked)
    assert drafted is not None
    assert drafted[0] == "RGB"
    left, top, right, bottom = drafted[1]
    assert left == top == 0.5 - 0.5 / 2**level
    assert abs(right - left - 451 / 2**level) < 0.5
    assert abs(bottom - top - 300 / 2**level) < 0.5
    assert right <= image.width
    assert bottom <= image.height
    expected = pgfrs.decode(data, level=level)
    assert image.size == expected.shape[1::-1]
    assert (pixels(image) == expected).all()
    assert image.draft(None, (1, 1)) is None


def test_draft_may_be_called_again(photo: Image.Image) -> None:
    image = opened(saved(photo, levels=4))
    image.draft(None, (1, 1))
    assert image.size == (57, 38)
    image.draft("L", (200, 100))
    assert image.size == (226, 150)
    assert image.mode == "RGB"
    image.draft(None, (451, 300))
    assert image.tobytes() == photo.tobytes()


@pytest.mark.parametrize("mode", ["1", "P", "HSV"])
def test_no_drafts_of_indices_bits_and_angles(mode: str) -> None:
    image = pillow_image(mode)
    back = opened(saved(image))
    assert back.draft(None, (8, 8)) is None
    back.thumbnail((20, 20))
    image.thumbnail((20, 20))
    assert back.tobytes() == image.tobytes()


@pytest.mark.parametrize("size", [(200, 200), (100, 100), (64, 30), (31, 31)])
def test_thumbnails_look_like_those_of_the_full_picture(photo: Image.Image, size: tuple[int, int]) -> None:
    small = opened(saved(photo))
    small.thumbnail(size)
    reference = photo.copy()
    reference.thumbnail(size, reducing_gap=None)
    assert small.size == reference.size
    # 37 dB without the shift of half a pixel that the levels have against averaged pixels
    assert psnr(pixels(small), pixels(reference)) > 43


# --- truncated and damaged files -------------------------------------------------------------------


def cuts(data: bytes, count: int) -> list[int]:
    start = pgfrs.read_info(data).data_offset
    return [start + (len(data) - 1 - start) * i // (count - 1) for i in range(count)]


def test_truncated_files_raise(photo: Image.Image) -> None:
    data = saved(photo)
    for cut in cuts(data, 25):
        image = opened(data[:cut])
        with pytest.raises(OSError, match="image file is truncated"):
            image.load()


@pytest.mark.usefixtures("load_truncated")
def test_truncated_files_give_the_best_picture_on_request(photo: Image.Image) -> None:
    data = saved(photo)
    quality = []
    for cut in cuts(data, 25):
        image = opened(data[:cut])
        assert (pixels(image) == pgfrs.decode_with_report(data[:cut])[0]).all()
        assert image.report is not None
        assert image.report.truncated
        quality.append(psnr(pixels(image), pixels(photo)))
    assert quality[-1] > 35
    assert quality[12] > quality[0] + 5
    assert all(later >= earlier - 0.5 for earlier, later in pairwise(quality))


def broken_word_length(data: bytes) -> bytes:
    """The length of the first macroblock set to nonsense."""
    offset = pgfrs.read_info(data).data_offset
    return data[:offset] + b"\xff\xff" + data[offset + 2 :]


def test_damaged_files_raise_unless_allowed(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    data = broken_word_length(saved(photo))
    with pytest.raises(OSError, match=r"cannot decode PGF file|truncated"):
        opened(data).load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = opened(data)
    assert (pixels(image) == pgfrs.decode_with_report(data)[0]).all()
    assert image.report is not None
    assert image.report.damaged


def test_verify(photo: Image.Image) -> None:
    data = saved(photo)
    opened(data).verify()
    for bad in (data[:-1], broken_word_length(data)):
        with pytest.raises(OSError, match=r"truncated|cannot decode"):
            opened(bad).verify()


def test_drafts_of_truncated_files_need_only_their_part(photo: Image.Image) -> None:
    data = saved(photo, levels=4)
    info = pgfrs.read_info(data)
    enough = info.data_offset + sum(info.level_lengths[:2])
    image = opened(data[:enough])
    image.draft(None, info.level_size(2))
    assert (pixels(image) == pgfrs.decode(data, level=2)).all()
    image = opened(data[:enough])
    with pytest.raises(OSError, match="truncated"):
        image.load()


@pytest.mark.parametrize("byte", [0, 1, 255])
def test_drafts_survive_wrong_level_lengths(photo: Image.Image, tmp_path: Path, byte: int) -> None:
    data = bytearray(saved(photo, levels=4))
    expected = pgfrs.decode(bytes(data), level=2)
    data[24:40] = bytes([byte]) * 16
    path = tmp_path / "lying.pgf"
    path.write_bytes(data)
    with Image.open(path) as image:
        image.draft(None, (112, 75))
        assert (pixels(image) == expected).all()


def load_somehow(data: bytes, rng: random.Random, path: Path) -> None:
    """Open and load a file from memory, from disk, at a lower level or in chunks."""
    way = rng.choice(["memory", "disk", "thumbnail", "chunks"])
    if way == "chunks":
        parser = ImageFile.Parser()
        feed_all(parser, data, rng.choice([300, 3000, 10**6]))
        parser.close().load()
        return
    path.write_bytes(data)
    with Image.open(io.BytesIO(data) if way == "memory" else path) as image:
        if image.width * image.height > 10**7:
            raise OSError("too large for a test")
        if way == "thumbnail":
            image.thumbnail((30, 30))
        image.load()


def test_mutated_files_raise_nothing_but_oserrors(
    photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(11)
    data = saved(photo.resize((90, 60)), exif=Image.Exif().tobytes(), xmp=b"<x/>")
    loaded = 0
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(rng.choice([1, 1, 3])):
            at = rng.randrange(rng.choice([30, len(damaged)]))
            damaged[at : at + rng.choice([0, 1, 4])] = rng.randbytes(rng.choice([0, 1, 4]))
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", rng.random() < 0.7)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            try:
                load_somehow(bytes(damaged), rng, tmp_path / "damaged.pgf")
                loaded += 1
            except (OSError, Image.DecompressionBombError):
                pass
    assert 50 < loaded < 400


# --- piece by piece --------------------------------------------------------------------------------


def feed_all(parser: ImageFile.Parser, data: bytes, chunk: int) -> None:
    for at in range(0, len(data), chunk):
        parser.feed(data[at : at + chunk])


@pytest.mark.parametrize("chunk", [1000, 4096, 10**9])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LAB", "HSV", "I;16", "I"])
def test_parser_gives_the_picture(mode: str, chunk: int) -> None:
    image = pillow_image(mode)
    with ImageFile.Parser() as parser:
        feed_all(parser, saved(image), chunk)
        back = parser.close()
        assert back.mode == mode
        assert back.tobytes() == image.tobytes()
        assert back.convert("RGB").tobytes() == image.convert("RGB").tobytes() or mode in ("I", "I;16")


def test_parser_byte_by_byte() -> None:
    image = pillow_image("RGB").resize((24, 16))
    data = saved(image, user_data=b"u" * 30)
    header = pgfrs.read_info(data).data_offset
    parser = ImageFile.Parser()
    for count, byte in enumerate(data, start=1):
        parser.feed(bytes([byte]))
        assert (parser.image is not None) == (count >= header)
        if parser.image is not None:
            assert parser.image.size == (24, 16)
            parser.image.load()
    assert parser.close().tobytes() == image.tobytes()


def test_parser_shows_the_picture_growing(photo: Image.Image) -> None:
    data = saved(photo)
    parser = ImageFile.Parser()
    quality = []
    for at in range(0, len(data), 8192):
        parser.feed(data[at : at + 8192])
        assert parser.image is not None
        quality.append(psnr(pixels(parser.image), pixels(photo)))
        assert (pixels(parser.image) == pgfrs.decode_with_report(data[: at + 8192])[0]).all()
    assert quality[-1] == float("inf")
    assert quality[len(quality) // 2] > quality[0] + 5
    assert len(set(quality)) > len(quality) // 2
    assert all(later >= earlier - 0.5 for earlier, later in pairwise(quality))


def test_parser_ignores_what_follows_the_file(photo: Image.Image) -> None:
    parser = ImageFile.Parser()
    feed_all(parser, saved(photo) + b"something else" * 1000, 5000)
    assert parser.close().tobytes() == photo.tobytes()


@pytest.mark.parametrize("chunk", [5000, 10**9])
def test_parser_refuses_cut_files(photo: Image.Image, chunk: int) -> None:
    parser = ImageFile.Parser()
    feed_all(parser, saved(photo)[:-10], chunk)
    parser.feed(b"")
    with pytest.raises(OSError, match="incomplete"):
        parser.close()


@pytest.mark.usefixtures("load_truncated")
@pytest.mark.parametrize("chunk", [5000, 10**9])
def test_parser_gives_the_best_picture_of_a_cut_file_on_request(photo: Image.Image, chunk: int) -> None:
    data = saved(photo)
    for cut in cuts(data, 9):
        parser = ImageFile.Parser()
        feed_all(parser, data[:cut], chunk)
        image = parser.close()
        assert (pixels(image) == pgfrs.decode_with_report(data[:cut])[0]).all()


def test_parser_refuses_damaged_files(photo: Image.Image) -> None:
    with pytest.raises(OSError, match=r"damaged|incomplete|cannot decode"):
        parser = ImageFile.Parser()
        feed_all(parser, broken_word_length(saved(photo)), 5000)
        parser.close()


# --- saving ----------------------------------------------------------------------------------------


def test_options_reach_the_file(photo: Image.Image) -> None:
    data = saved(photo, quality=6, levels=2, roi=True)
    info = pgfrs.read_info(data)
    assert (info.quality, info.levels, info.roi) == (6, 2, True)
    assert opened(data).info == {"quality": 6, "levels": 2, "roi": True}
    assert data == pgfrs.encode(np.asarray(photo), quality=6, levels=2, roi=True)


def test_lossless_and_quality_agree(photo: Image.Image) -> None:
    def quality(**options: Any) -> int:
        return pgfrs.read_info(saved(photo, **options)).quality

    assert quality() == quality(lossless=True) == quality(lossless=True, quality=0) == 0
    assert quality(lossless=False) == 3
    assert quality(lossless=False, quality=9) == quality(quality=9) == 9
    for lossless, number in [(True, 5), (False, 0)]:
        with pytest.raises(ValueError, match=f"lossless={lossless} contradicts quality={number}"):
            saved(photo, lossless=lossless, quality=number)
    with pytest.raises(ValueError, match="lossless=True contradicts max_bytes"):
        saved(photo, lossless=True, max_bytes=1000)
    with pytest.raises(ValueError, match="quality"):
        saved(photo, quality=95)
    with pytest.raises(TypeError):
        saved(photo, quality=2.5)


def test_max_bytes(photo: Image.Image) -> None:
    data = saved(photo, max_bytes=20_000)
    assert 15_000 < len(data) <= 20_000
    assert psnr(pixels(opened(data)), pixels(photo)) > 25


def test_a_budget_is_for_the_picture(photo: Image.Image) -> None:
    photo.info["icc_profile"] = np.random.default_rng(1).bytes(1100)
    with pytest.warns(UserWarning, match=r"bytes of metadata left out: more than 1/4 of max_bytes=4000"):
        data = saved(photo, max_bytes=4000)
    assert "icc_profile" not in opened(data).info and len(data) <= 4000
    # What is asked for by name is written, or the file is refused.
    assert opened(saved(photo, max_bytes=4000, icc_profile=photo.info["icc_profile"])).info["icc_profile"]
    with pytest.raises(ValueError, match="max_bytes 900"):
        saved(photo, max_bytes=900, icc_profile=photo.info["icc_profile"])


@pytest.mark.parametrize("mode", ["1", "P"])
@pytest.mark.parametrize("options", [{"quality": 4}, {"lossless": False}, {"max_bytes": 100}])
def test_indices_and_bits_are_never_quantised(mode: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"mode {mode} has to be saved lossless"):
        saved(pillow_image(mode), **options)


def test_save_all_takes_one_picture(photo: Image.Image) -> None:
    assert saved(photo, save_all=True) == saved(photo)
    with pytest.raises(NotImplementedError, match="one picture, save_all was given 3"):
        saved(photo, save_all=True, append_images=[photo, photo])


def test_failing_saves_leave_no_file(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "no.pgf"
    with pytest.raises(ValueError, match="levels"):
        photo.save(path, levels=99)
    assert not path.exists()


def test_an_opened_file_can_be_saved_over_itself(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "same.pgf"
    photo.save(path)
    with Image.open(path) as image:
        image.save(path, quality=5)
    assert path.read_bytes() == saved(photo, quality=5)
