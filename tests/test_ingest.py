"""One batch call from picture files to PGF: formats, colours, sizes, failures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

import pgfrs
from material import SAMPLES
from pgfrs.corpus import ConvertedImage, Recipe, convert_batch, convert_rows, prepare_image
from pictures import animated_gif, corpus, deep_png, jpeg_with_orientation, photograph, saved, tagged_jpeg


def psnr(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    assert a.shape == b.shape
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def pixels_of(data: bytes, mode: str | None = None) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert(mode) if mode else picture)


def only(rows: list[object]) -> ConvertedImage:
    (row,) = rows
    assert isinstance(row, ConvertedImage), row
    return row


def test_the_result_is_what_encode_makes_of_the_pixels() -> None:
    data = (SAMPLES / "chelsea.png").read_bytes()
    row = only(convert_batch([data], quality=5))
    assert row.data == pgfrs.encode(pixels_of(data), quality=5)
    assert (row.width, row.height, row.mode, row.source_format) == (451, 300, "rgb", "png")
    assert (row.source_width, row.source_height, row.source_bytes) == (451, 300, len(data))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_lossless_formats_arrive_exactly(kind: str) -> None:
    picture = photograph("coffee.png")
    picture = picture.quantize(128) if kind == "GIF" else picture
    data = saved(picture, kind, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(pgfrs.decode(only(convert_batch([data])).data), pixels_of(data, "RGB"))


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"subsampling": 1}, {"optimize": True}, {"quality": 100}])
@pytest.mark.parametrize("restarts", [0, 1, 9])
def test_jpegs_are_what_libjpeg_makes_of_them(options: dict[str, object], restarts: int) -> None:
    for mode in ("RGB", "L"):
        picture = photograph("coffee.png").convert(mode)
        data = saved(picture, "JPEG", **{"quality": 85, "restart_marker_blocks": restarts, **options})
        np.testing.assert_array_equal(prepare_image(data), pixels_of(data))


def test_progressive_jpegs_agree_with_libjpeg() -> None:
    data = saved(photograph("coffee.png"), "JPEG", quality=90, progressive=True)
    assert psnr(prepare_image(data), pixels_of(data)) > 38


def test_jpegs_of_half_the_colours_down() -> None:
    # Pillow writes none; but a picture of 2 x 1 blocks of luma says as much as one of 1 x 2 of other sides.
    data = saved(photograph("coffee.png").resize((256, 128)), "JPEG", quality=90, subsampling=1)
    frame = data.index(b"\xff\xc0\x00\x11\x08") + 5
    for width, height in ((128, 256), (127, 256), (121, 241), (125, 250)):
        sides = height.to_bytes(2, "big") + width.to_bytes(2, "big")
        turned = data[:frame] + sides + data[frame + 4 : frame + 6] + b"\x12" + data[frame + 7 :]
        np.testing.assert_array_equal(prepare_image(turned), pixels_of(turned))


def test_damaged_jpegs_are_pictures_or_errors() -> None:
    rng = np.random.default_rng(7)
    whole = [
        saved(photograph("coffee.png").resize((97, 66)).convert(mode), "JPEG", quality=80, **options)
        for mode in ("RGB", "L")
        for options in ({}, {"subsampling": 0}, {"restart_marker_blocks": 3}, {"optimize": True})
    ]
    pictures, kinds = 0, set()
    for number in range(800):
        data = bytearray(whole[number % len(whole)])
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(2, len(data)))
            match int(rng.integers(4)):
                case 0:
                    del data[at]
                case 1:
                    data.insert(at, int(rng.integers(256)))
                case 2 if number % 3 == 0:
                    del data[at:]
                case _:
                    data[min(at, len(data) - 1)] = int(rng.integers(256))
        (row,) = convert_batch([bytes(data)], quality=20, max_pixels=1 << 20)
        if isinstance(row, ConvertedImage):
            pictures += 1
            assert pgfrs.decode(row.data).shape[:2] == (row.height, row.width)
        else:
            kinds.add(row.kind)
    assert pictures > 200
    assert {"corrupt", "truncated"} <= kinds <= {"corrupt", "truncated", "limits", "unsupported", "unknown_format"}


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (8, 8), (17, 33), (100, 1), (255, 257)])
def test_jpegs_of_any_size(size: tuple[int, int]) -> None:
    for subsampling in (0, 1, 2):
        data = saved(photograph().resize(size), "JPEG", quality=95, subsampling=subsampling)
        np.testing.assert_array_equal(prepare_image(data), pixels_of(data))


@pytest.mark.parametrize("side", [512, 500, 333, 256, 255, 128, 100, 64, 50])
def test_jpegs_decoded_at_reduced_size_show_the_same(side: int) -> None:
    """As near to the picture as what Pillow makes of the same file by draft and resize."""
    picture = photograph().resize((1024, 1024), Image.Resampling.LANCZOS)
    data = saved(picture, "JPEG", quality=92)
    reference = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))
    with Image.open(io.BytesIO(data)) as drafted:
        drafted.draft("RGB", (side, side))
        theirs = np.asarray(drafted.resize((side, side), Image.Resampling.BICUBIC))
    ours = prepare_image(data, size=side)
    assert ours.shape == (side, side, 3)
    assert psnr(ours, reference) > max(psnr(theirs, reference) - 2, 36)


@pytest.mark.parametrize("restarts", [0, 1, 7])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("side", [10, 25, 49, 77])
def test_reduced_jpegs_of_any_layout(side: int, subsampling: int, restarts: int) -> None:
    """Edges, every subsampling, restart markers, gray; nothing shifts."""
    picture = photograph("coffee.png").crop((3, 5, 3 + 203, 5 + 317)).filter(ImageFilter.GaussianBlur(2))
    for mode in ("RGB", "L"):
        options = {} if mode == "L" else {"subsampling": subsampling}
        data = saved(picture.convert(mode), "JPEG", quality=95, restart_marker_blocks=restarts, **options)
        ours = prepare_image(data, size=side)
        size = (ours.shape[1], ours.shape[0])
        reference = np.asarray(picture.convert(mode).resize(size, Image.Resampling.BICUBIC))
        assert psnr(ours, reference) > 27


def test_jpegs_do_not_depend_on_their_neighbours() -> None:
    picture = photograph("coffee.png")
    files = [
        saved(picture, "JPEG", quality=90),
        saved(picture, "JPEG", quality=70, progressive=True),
        saved(picture.convert("CMYK"), "JPEG"),
        saved(picture.convert("L"), "JPEG"),
        saved(picture, "JPEG", subsampling=0, restart_marker_rows=1),
        saved(picture, "JPEG", quality=98, optimize=True),
    ]
    generator = np.random.default_rng(7)
    for _ in range(30):
        damaged = bytearray(files[int(generator.integers(len(files)))])
        for at in generator.integers(len(damaged), size=3):
            damaged[at] = generator.integers(256)
        files.append(bytes(damaged[: int(generator.integers(100, 2 * len(damaged)))]))

    def outcomes(rows: list[bytes], num_threads: int) -> list[object]:
        results = convert_batch(rows, size=48, quality=3, max_pixels=10**6, num_threads=num_threads)
        return [row.data if isinstance(row, ConvertedImage) else (row.kind, row.message) for row in results]

    alone = [outcomes([data], 1)[0] for data in files]
    assert sum(isinstance(outcome, bytes) for outcome in alone) > 10
    for num_threads in (1, 2, 3):
        assert outcomes(files, num_threads) == alone
        assert outcomes(files[::-1], num_threads) == alone[::-1]


def test_gray_stays_gray_and_cmyk_becomes_rgb() -> None:
    gray = saved(photograph().convert("L"), "JPEG", quality=95)
    assert psnr(prepare_image(gray), pixels_of(gray)) > 45
    cmyk = saved(photograph().convert("CMYK"), "JPEG", quality=95)
    assert psnr(prepare_image(cmyk), pixels_of(cmyk, "RGB")) > 38


def test_channels_and_depth() -> None:
    data, deep = deep_png()
    np.testing.assert_array_equal(prepare_image(data, depth=16), deep)
    np.testing.assert_array_equal(prepare_image(data), ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8))
    assert prepare_image(data, channels="rgb").shape == (*deep.shape, 3)
    colour = (SAMPLES / "coffee.png").read_bytes()
    luma = prepare_image(colour, channels="gray")
    assert np.abs(luma.astype(int) - pixels_of(colour, "L")).max() <= 1
    row = only(convert_batch([data], depth=16, quality=0))
    np.testing.assert_array_equal(pgfrs.decode(row.data), deep)


def test_alpha() -> None:
    picture = photograph("coffee.png").convert("RGBA")
    opaque = saved(picture, "PNG")
    assert prepare_image(opaque).shape[2] == 3
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    data = saved(picture, "PNG")
    np.testing.assert_array_equal(prepare_image(data), np.asarray(picture))
    for name, level in (("white", 255), ("black", 0)):
        ground = Image.new("RGBA", picture.size, (level,) * 3 + (255,))
        flat = np.asarray(Image.alpha_composite(ground, picture).convert("RGB"))
        assert np.abs(prepare_image(data, alpha=name).astype(int) - flat).max() <= 1
    gray = saved(picture.convert("LA"), "PNG")
    np.testing.assert_array_equal(prepare_image(gray), pixels_of(gray, "RGBA"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "options", [{}, {"size": 64}, {"size": 64, "resize": "crop"}, {"size": 90, "resize": "longest"}]
)
def test_exif_orientation_is_applied(orientation: int, options: dict[str, object]) -> None:
    data = jpeg_with_orientation(orientation)
    with Image.open(io.BytesIO(data)) as picture:
        upright = ImageOps.exif_transpose(picture)
    expected = prepare_image(np.asarray(upright), **options)
    assert psnr(prepare_image(data, **options), expected) > 30


def test_a_profile_is_applied() -> None:
    data = tagged_jpeg()
    plain = prepare_image(data, icc="ignore")
    assert psnr(plain, pixels_of(data)) > 38
    assert psnr(prepare_image(data, icc="srgb"), plain) < 30


def test_the_first_frame_of_an_animation() -> None:
    data = animated_gif()
    np.testing.assert_array_equal(prepare_image(data), pixels_of(data, "RGB"))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"size": 100}, (150, 100)),
        ({"size": 100, "resize": "longest"}, (100, 67)),
        ({"size": 100, "resize": "crop"}, (100, 100)),
        ({"size": 900}, (451, 300)),
        ({"size": 600, "enlarge": True}, (902, 600)),
        ({"size": 100, "resize": "none"}, (451, 300)),
    ],
)
def test_sizes(options: dict[str, object], size: tuple[int, int]) -> None:
    row = only(convert_batch([SAMPLES / "chelsea.png"], **options, quality=4))
    assert (row.width, row.height) == size
    assert pgfrs.decode(row.data).shape[:2] == size[::-1]


def test_resizing_agrees_with_pillow() -> None:
    picture = photograph("chelsea.png")
    filters = {"box": "BOX", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "lanczos": "LANCZOS"}
    for ours, theirs in filters.items():
        expected = np.asarray(picture.resize((150, 100), Image.Resampling[theirs]))
        got = prepare_image(np.asarray(picture), size=100, filter=ours)
        assert np.abs(got.astype(int) - expected).max() <= 2, ours


def test_selection() -> None:
    data = (SAMPLES / "chelsea.png").read_bytes()
    for options, kind in (
        ({"min_side": 301}, "too_small"),
        ({"max_side": 450}, "too_large"),
        ({"max_aspect": 1.5}, "aspect"),
    ):
        (error,) = convert_batch([data], **options)
        assert isinstance(error, pgfrs.IngestError) and (error.kind, error.skipped) == (kind, True)
        assert str(next(iter(options.values()))) in error.message
    only(convert_batch([data], min_side=300, max_side=451, max_aspect=1.504))
    (error,) = convert_batch([data], max_pixels=1000)
    assert isinstance(error, pgfrs.IngestError) and error.kind == "limits" and not error.skipped


def test_every_row_ends_on_its_own(tmp_path: Path) -> None:
    outcomes = corpus(tmp_path)
    paths = [tmp_path / name for name in outcomes]
    rows = convert_rows(paths, Recipe(size=64, quality=4), num_threads=2)
    found = [row.kind if isinstance(row, pgfrs.IngestError) else "ok" for row in rows]
    assert dict(zip(outcomes, found, strict=True)) == outcomes
    alone = [convert_rows([path], Recipe(size=64, quality=4))[0] for path in paths]
    for path, one, many in zip(paths, alone, rows, strict=True):
        assert getattr(one, "data", None) == getattr(many, "data", None), path


def test_forms_of_rows(tmp_path: Path) -> None:
    data = (SAMPLES / "rocket.jpg").read_bytes()
    file = tmp_path / "some.bin"
    file.write_bytes(b"junk" + data + b"junk")
    rows = [data, bytearray(data), memoryview(data), SAMPLES / "rocket.jpg", str(SAMPLES / "rocket.jpg")]
    rows += [(file, 4, len(data)), (str(file), 4, len(data))]
    results = convert_batch(rows, size=80, quality=5)
    assert len({only([row]).data for row in results}) == 1
    bad = convert_batch([7, tmp_path / "none.jpg", (file, 9, 10**6), np.zeros((3, 3), np.float64), None])
    kinds = [row.kind for row in bad if isinstance(row, pgfrs.IngestError)]
    assert kinds == ["unsupported", "unreadable", "unreadable", "unsupported", "unsupported"]


def test_pgf_is_read_too() -> None:
    picture = np.asarray(photograph())
    row = only(convert_batch([pgfrs.encode(picture)], size=128))
    assert row.source_format == "pgf"
    assert psnr(pgfrs.decode(row.data), np.asarray(photograph().resize((128, 128), Image.Resampling.BICUBIC))) > 25
    (error,) = convert_batch([pgfrs.encode(picture)[:5000]])
    assert isinstance(error, pgfrs.IngestError) and error.kind == "truncated"


def test_measure_and_digest() -> None:
    data = (SAMPLES / "coffee.png").read_bytes()
    first, second = convert_batch([data, data], quality=6, measure=[True], digest=True)
    assert isinstance(first, ConvertedImage) and isinstance(second, ConvertedImage)
    assert second.psnr is None and first.digest == second.digest
    assert first.psnr == pytest.approx(psnr(pgfrs.decode(first.data), pixels_of(data)), abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"resize": "widest"},
        {"quality": 31},
        {"max_bytes": 0},
        {"depth": 12},
        {"format": "gif"},
        {"num_threads": 0},
        {"max_aspect": 0.5},
        {"alpha": "pink"},
        {"payload": "tokens"},
    ],
)
def test_options_that_do_not_fit(options: dict[str, object]) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=rf"{name}=.?{value}"):
        convert_batch([], **options)


def test_prefixes_and_noise_never_stop_a_batch() -> None:
    generator = np.random.default_rng(7)
    rows: list[bytes] = []
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"):
        data = saved(photograph("coffee.png").resize((60, 40)), kind)
        rows += [data[: int(n)] for n in generator.integers(0, len(data), 40)]
        for _ in range(60):
            broken = bytearray(data)
            for _ in range(int(generator.integers(1, 8))):
                broken[int(generator.integers(len(data)))] = int(generator.integers(256))
            rows.append(bytes(broken))
    results = convert_batch(rows, size=16, max_pixels=10**6, num_threads=2)
    assert len(results) == len(rows)
    for result in results:
        if isinstance(result, ConvertedImage):
            pgfrs.decode(result.data, strict=True)
        else:
            assert isinstance(result, pgfrs.IngestError) and result.message


def test_a_budget_chooses_the_quality() -> None:
    """Detail beyond the budget is not computed; a picture that would not fill its budget is as fine as was asked."""
    smooth = Image.linear_gradient("L").convert("RGB")
    rough = photograph().resize((256, 256))
    for picture, expected in ((rough, 4), (smooth, 0)):
        row = only(convert_batch([np.asarray(picture)], format="pgfr", max_bytes=5000))
        assert len(row.data) <= 5000
        assert pgfrs.read_info(row.data).quality == expected
    row = only(convert_batch([np.asarray(rough)], format="pgfr", max_bytes=5000, quality=8))
    assert pgfrs.read_info(row.data).quality == 8


def test_what_a_budget_chooses_costs_little() -> None:
    """Against the finest quality, at the same number of bytes, over the colour photographs of samples/."""
    for budget in (2000, 5000, 10_000):
        losses = []
        for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"):
            pixels = np.asarray(photograph(name).resize((256, 256)))
            chosen = only(convert_batch([pixels], format="pgfr", max_bytes=budget)).data
            finest = pgfrs.encode(pixels, format="pgfr", max_bytes=budget)
            losses.append(psnr(pgfrs.decode(finest), pixels) - psnr(pgfrs.decode(chosen), pixels))
        print(f"{budget} bytes: {np.mean(losses):+.3f} dB, at most {max(losses):+.3f}")
        assert np.mean(losses) < 0.15, (budget, losses)


def test_one_picture_is_no_sequence() -> None:
    for rows in ("a.png", b"\x89PNG"):
        with pytest.raises(TypeError, match="this is one"):
            convert_batch(rows)
