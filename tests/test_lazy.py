"""Pictures read in parts, from a disk and over HTTP."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from numpy.typing import NDArray

import pgfrs
from libpgf import LibPgf
from material import load_sample
from pgfrs.lazy import add_index
from range_server import RangeServer, serving

WIDTH, HEIGHT = 12000, 8400


def mosaic(width: int, height: int) -> NDArray[np.uint8]:
    """A large picture with the statistics of photographs: the samples over and over, mirrored."""
    tile = np.concatenate([load_sample("chelsea.png")[:300, :400], load_sample("coffee.png")[:300, :400]], axis=1)
    tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
    tile = np.concatenate([tile, tile[::-1]], axis=0)
    rows, columns = -(-height // tile.shape[0]), -(-width // tile.shape[1])
    return np.ascontiguousarray(np.tile(tile, (rows, columns, 1))[:height, :width])


@pytest.fixture(scope="module")
def large() -> Iterator[dict[str, bytes]]:
    """100 megapixels: tiled and lossless, tiled and lossy, plain."""
    image = mosaic(WIDTH, HEIGHT)
    yield {
        "exact.pgf": pgfrs.encode(image, roi=True, num_threads=2),
        "small.pgf": pgfrs.encode(image, roi=True, quality=5, num_threads=2),
        "plain.pgf": pgfrs.encode(image, num_threads=2),
    }


@pytest.fixture(scope="module")
def files(large: dict[str, bytes]) -> dict[str, bytes]:
    """The same with an index each."""
    return {name: add_index(data) for name, data in large.items()}


WINDOW = (7000, 5000, 7512, 5512)


@pytest.mark.parametrize("name", ["exact.pgf", "small.pgf", "plain.pgf"])
def test_a_thumbnail_over_http_takes_under_one_percent(large: dict[str, bytes], name: str) -> None:
    """Of 100 megapixels, without an index; the server counts."""
    with serving(large) as server:
        picture = pgfrs.open(server.address(name))
        thumbnail = picture.thumbnail(256)
        assert max(thumbnail.shape) == 188
        assert picture.bytes_read == server.sent < 0.01 * len(large[name])
        assert server.requests == picture.requests <= 6
        assert np.array_equal(thumbnail, pgfrs.decode(large[name], level=6))


@pytest.mark.parametrize("name", ["exact.pgf", "small.pgf"])
def test_a_window_over_http_takes_under_three_percent(files: dict[str, bytes], name: str) -> None:
    """512 x 512 pixels at full size, by the index."""
    with serving(files) as server:
        picture = pgfrs.open(server.address(name))
        window = picture.read(region=WINDOW)
        assert picture.bytes_read == server.sent < 0.03 * len(files[name])
        before = picture.bytes_read
        assert np.array_equal(picture.read(region=WINDOW), window) and picture.bytes_read == before
        assert np.array_equal(window, pgfrs.decode(files[name], region=WINDOW))


def test_a_window_of_a_local_file_without_an_index(large: dict[str, bytes], tmp_path: Path) -> None:
    name = tmp_path / "exact.pgf"
    name.write_bytes(large["exact.pgf"])
    with pgfrs.open(name) as picture:
        assert np.array_equal(picture.read(region=WINDOW), pgfrs.decode(large["exact.pgf"], region=WINDOW))
        assert picture.bytes_read < 0.03 * picture.size


def test_windows_of_a_plain_file(files: dict[str, bytes]) -> None:
    """Rows of blocks that a window meets are all that is read, even without tiles."""
    with serving(files) as server:
        picture = pgfrs.open(server.address("plain.pgf"))
        assert np.array_equal(picture.read(region=WINDOW), pgfrs.decode(files["plain.pgf"], region=WINDOW))
        assert picture.bytes_read < 0.2 * picture.size


@pytest.fixture(scope="module")
def large_stream() -> bytes:
    return pgfrs.encode(mosaic(6000, 4100), format="pgfr")


def test_windows_of_a_stream_take_their_segments(large_stream: bytes) -> None:
    """A window over HTTP takes a few percent by the index, in few requests where segments are sorted by place."""
    files = {"place.pgfr": add_index(large_stream, by_place=True), "worth.pgfr": add_index(large_stream)}
    window = (3000, 2000, 3512, 2512)
    expected = pgfrs.decode(large_stream, region=window)
    spent = {}
    with serving(files) as server:
        for name, data in files.items():
            server.sent = 0
            picture = pgfrs.open(server.address(name))
            assert np.array_equal(picture.read(region=window), expected)
            assert picture.bytes_read == server.sent
            spent[name] = (picture.bytes_read / len(data), picture.requests)
            # Coarse levels come from the beginning.
            coarse = picture.read(level=5)
            assert np.array_equal(coarse, pgfrs.decode(large_stream, level=5))
    assert spent["place.pgfr"][0] < 0.03 and spent["place.pgfr"][1] < 100, spent
    assert spent["worth.pgfr"][0] < 0.15, spent
    assert len(files["place.pgfr"]) < 1.012 * len(large_stream)


def test_a_thumbnail_of_a_stream_takes_its_beginning(large_stream: bytes) -> None:
    """Streams have no table of their parts either, but their beginning is a picture."""
    stream = large_stream
    with serving({"large.pgfr": stream}) as server:
        picture = pgfrs.open(server.address("large.pgfr"))
        thumbnail = picture.thumbnail(256)
        assert picture.bytes_read == server.sent < 0.01 * len(stream)
        whole = pgfrs.decode(stream, level=5)
        error = np.mean((thumbnail.astype(float) - whole) ** 2)
        assert thumbnail.shape == whole.shape == (129, 188, 3)
        assert 10 * np.log10(255**2 / error) > 33
        assert np.array_equal(picture.read(level=5, max_bytes=20_000), pgfrs.decode(stream[:20_000], level=5))
        with pytest.raises(ValueError, match="max_bytes=0"):
            picture.read(max_bytes=0)


# --- smaller files, every way of reading ------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> dict[str, bytes]:
    image = mosaic(1500, 1100)
    rng = np.random.default_rng(5)
    deep = (image[..., 0].astype(np.uint16) << 8) + rng.integers(0, 256, image.shape[:2]).astype(np.uint16)
    files = {
        "tiled.pgf": pgfrs.encode(image, roi=True),
        "plain.pgf": pgfrs.encode(image, quality=5),
        "deep.pgf": pgfrs.encode(deep, roi=True),
        "tiny.pgf": pgfrs.encode(image[:8, :8]),
        "stream.pgfr": pgfrs.encode(image[:300, :400], format="pgfr"),
        "metadata.pgf": pgfrs.encode(image, roi=True, user_data=bytes(40000)),
        "deep.pgfr": pgfrs.encode(deep[:300, :400], format="pgfr", user_data=bytes(40000)),
        "tiny.pgfr": pgfrs.encode(image[:3, :4], format="pgfr"),
        "tough.pgfr": pgfrs.encode(image[:500, :700], format="pgfr", quality=5, payload="tokens", profile="tough"),
        "budget.pgfr": pgfrs.encode(image[:500, :700], format="pgfr", quality=2, max_bytes=30_000),
        "few.pgfr": pgfrs.transcode(pgfrs.encode(image[:500, :700], levels=2, roi=True), "pgfr"),
    }
    placed = {f"placed-{name}": add_index(files[name], by_place=True) for name in files if name.endswith("r")}
    return files | {f"indexed-{name}": add_index(files[name]) for name in files if name != "tiny.pgf"} | placed


@pytest.fixture(scope="module")
def server(small: dict[str, bytes]) -> Iterator[RangeServer]:
    with serving(small) as running:
        yield running


STREAMS = ["stream.pgfr", "deep.pgfr", "tiny.pgfr", "tough.pgfr", "budget.pgfr", "few.pgfr"]
NAMES = ["tiled.pgf", "plain.pgf", "deep.pgf", "tiny.pgf", "metadata.pgf", *STREAMS]
NAMES += ["indexed-tiled.pgf", "indexed-plain.pgf", "indexed-metadata.pgf"]
NAMES += [f"{way}-{name}" for way in ("indexed", "placed") for name in STREAMS]


@pytest.mark.parametrize("search", ["auto", "lengths", "blocks"])
@pytest.mark.parametrize("name", NAMES)
def test_every_level_and_region(small: dict[str, bytes], name: str, search: Any, server: RangeServer) -> None:
    data = small[name]
    picture = pgfrs.open(server.address(name), search=search)
    width, height = picture.info.width, picture.info.height
    assert picture.levels == tuple(picture.info.level_size(k) for k in range(picture.info.levels + 1))
    regions = [None, (0, 0, 1, 1), (width // 3, height // 4, width // 2, height), (width - 1, 0, width, height)]
    for level in range(picture.info.levels, -1, -1):
        for region in regions:
            expected = pgfrs.decode(data, level=level, region=region)
            assert np.array_equal(picture.read(level=level, region=region), expected), (level, region)
    # Lengths that were looked at one by one are read again with what they belong to, as is what is known already
    # between two segments that are near each other.
    again = 1.25 if name.endswith("pgfr") else 1.01 if search == "lengths" else 1
    assert picture.bytes_read <= again * len(data)
    if "-" in name and name.endswith("pgfr"):
        other = pgfrs.open(server.address(name))
        other.read(level=other.info.levels, region=(0, 0, 1, 1))
        assert other.bytes_read < len(data) or len(data) < 1 << 14, "not by the index"


def test_slices_are_those_of_numpy(small: dict[str, bytes], server: RangeServer) -> None:
    picture = pgfrs.open(server.address("tiled.pgf"))
    whole = pgfrs.decode(small["tiled.pgf"])
    assert (picture.shape, picture.dtype, picture.ndim) == (whole.shape, whole.dtype, 3)
    keys: list[Any] = [
        np.s_[10:20, 30:50],
        np.s_[5],
        np.s_[-1, -1],
        np.s_[100:50:-7, ::400, 1],
        np.s_[..., 2],
        np.s_[:, 3, ::-1],
        np.s_[40:40, 1:5],
        np.s_[900:2000, 1400:9999:3],
        np.s_[3::-1, 2::-1],
    ]
    for key in keys:
        assert np.array_equal(picture[key], whole[key]), key
    assert np.array_equal(np.asarray(picture), whole)
    for wrong in (np.s_[2000], np.s_[0, 0, 0, 0], "x"):
        with pytest.raises(IndexError):
            picture[wrong]


def test_a_server_without_ranges_is_read_whole_and_says_so(small: dict[str, bytes]) -> None:
    with serving(small, ranges=False) as server:
        with pytest.warns(pgfrs.WholeFileWarning, match="byte ranges"):
            picture = pgfrs.open(server.address("tiled.pgf"))
        assert picture.bytes_read == len(small["tiled.pgf"])
        assert np.array_equal(picture.thumbnail(100), pgfrs.decode(small["tiled.pgf"], level=4))
        assert (server.requests, picture.requests) == (1, 1)


def test_what_cannot_be_opened(server: RangeServer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pgfrs.open(server.address("missing.pgf"))
    with pytest.raises(FileNotFoundError):
        pgfrs.open(tmp_path / "missing.pgf")
    (tmp_path / "note.txt").write_text("no picture")
    with pytest.raises(pgfrs.FormatError):
        pgfrs.open(tmp_path / "note.txt")
    with pytest.raises(ValueError, match="search"):
        pgfrs.open(server.address("tiled.pgf"), search="quick")  # type: ignore[arg-type]
    picture = pgfrs.open(server.address("tiled.pgf"))
    for options in ({"level": 9}, {"region": (0, 0, 9999, 1)}):
        with pytest.raises(ValueError, match=r"picture|inside"):
            picture.read(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_bytes"):
        picture.read(max_bytes=1000)
    with pytest.raises(ValueError, match="max_side"):
        picture.thumbnail(0)


def test_other_file_systems(small: dict[str, bytes]) -> None:
    system = fsspec.filesystem("memory")
    system.pipe("/lazy/tiled.pgf", small["tiled.pgf"])
    picture = pgfrs.open("memory://lazy/tiled.pgf")
    assert np.array_equal(picture.thumbnail(200), pgfrs.decode(small["tiled.pgf"], level=3))
    assert picture.bytes_read < 0.2 * picture.size


def test_damage_and_cuts_show_what_a_whole_decode_shows(small: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(small["tiled.pgf"])
    place = 3 * len(data) // 4
    data[place : place + 400] = os.urandom(400)
    for name, damaged in {"damaged": bytes(data), "cut": bytes(data[:place])}.items():
        (tmp_path / name).write_bytes(damaged)
        with pgfrs.open(tmp_path / name) as picture:
            assert np.array_equal(picture.read(level=3), pgfrs.decode(damaged, level=3))
            with pytest.warns(pgfrs.DamageWarning):
                pixels = picture.read()
            with pytest.warns(pgfrs.DamageWarning):
                assert np.array_equal(pixels, pgfrs.decode(damaged))


def test_the_cache_has_a_bound(small: dict[str, bytes], server: RangeServer) -> None:
    picture = pgfrs.open(server.address("indexed-tiled.pgf"), cache_bytes=1)
    whole = pgfrs.decode(small["tiled.pgf"])
    for left in range(0, 1400, 100):
        assert np.array_equal(picture[50:150, left : left + 100], whole[50:150, left : left + 100])
    assert picture.bytes_read > 0.1 * picture.size


# --- the index --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiled.pgf", "plain.pgf", "deep.pgf"])
def test_an_index_changes_nothing_but_the_end(small: dict[str, bytes], name: str, libpgf: LibPgf) -> None:
    data, indexed = small[name], add_index(small[name])
    assert indexed.startswith(data) and len(indexed) < 1.02 * len(data)
    assert add_index(indexed) == indexed
    pixels, report = pgfrs.decode_with_report(indexed, strict=True)
    assert report.complete and np.array_equal(pixels, pgfrs.decode(data))
    assert libpgf.decode(indexed) == libpgf.decode(data)


def test_a_false_index_does_no_harm(small: dict[str, bytes], tmp_path: Path) -> None:
    data = small["tiled.pgf"]
    right = add_index(data)
    other = add_index(small["plain.pgf"])[len(small["plain.pgf"]) :]
    flipped = bytearray(right)
    flipped[len(data) + 9] ^= 1
    for index in (
        other,
        bytes(flipped[len(data) :]),
        right[len(data) : -3],
        right[-16:],
        b"pgfrsIDX\xff\xff\xff\xff1234",
    ):
        (tmp_path / "false.pgf").write_bytes(data + index)
        with pgfrs.open(tmp_path / "false.pgf") as picture:
            region = (700, 600, 800, 700)
            assert np.array_equal(picture.read(region=region), pgfrs.decode(data, region=region))


@pytest.mark.parametrize("name", STREAMS)
def test_an_index_of_a_stream_is_passed_over(small: dict[str, bytes], name: str) -> None:
    """The stream before it is the same byte for byte, whole, strict, arriving, repaired and turned into `.pgf`."""
    data, indexed, placed = small[name], small[f"indexed-{name}"], small[f"placed-{name}"]
    assert indexed.startswith(data) and add_index(indexed) == indexed and add_index(placed, by_place=True) == placed
    expected = pgfrs.decode(data)
    for stream in (indexed, placed):
        pixels, report = pgfrs.decode_with_report(stream, strict=True)
        assert not report.damaged and np.array_equal(pixels, expected)
        decoder = pgfrs.ProgressiveDecoder()
        decoder.feed(stream)
        assert np.array_equal(decoder.render(), expected)
        assert pgfrs.repair(stream) == pgfrs.repair(data) or stream is placed
        assert pgfrs.transcode(stream, "pgf") == pgfrs.transcode(data, "pgf")
        assert pgfrs.read_info(stream).user_data == pgfrs.read_info(data).user_data


@pytest.mark.filterwarnings("error")
def test_a_false_index_of_a_stream_does_no_harm(small: dict[str, bytes], tmp_path: Path) -> None:
    data, indexed = small["stream.pgfr"], small["indexed-stream.pgfr"]
    index = indexed[len(data) :]
    region = (200, 150, 260, 200)
    expected = pgfrs.decode(data, region=region)
    segments = [s for s in pgfrs.segments(data) if s.kind == "planes"]
    middle, last = segments[len(segments) // 2], segments[-1]
    turned = data[: middle.start] + data[last.start :] + data[middle.start : last.start]
    flipped = bytearray(indexed)
    flipped[len(data) + 9] ^= 1
    other = add_index(pgfrs.encode(load_sample("chelsea.png"), format="pgfr"))
    for number, wrong in enumerate(
        (
            turned + index,
            bytes(flipped),
            data + index[:-3],
            data + index[-16:],
            data + other[-len(index) :],
            data + index * 2,
        )
    ):
        (tmp_path / f"{number}.pgfr").write_bytes(wrong)
        with pgfrs.open(tmp_path / f"{number}.pgfr") as picture:
            assert np.array_equal(picture.read(region=region), expected), number


def test_damage_in_a_stream_with_an_index_is_read_whole(small: dict[str, bytes], tmp_path: Path) -> None:
    data, indexed = small["stream.pgfr"], bytearray(small["indexed-stream.pgfr"])
    region = (200, 150, 260, 200)
    bears = [s for s in pgfrs.segments(data) if s.region and s.region[0] < 230 < s.region[2]]
    place = [s for s in bears if s.region and s.region[1] < 180 < s.region[3]][-1]
    indexed[place.start + 20 : place.start + 22] = b"\xff\x7f"  # a marker where there was none
    (tmp_path / "damaged.pgfr").write_bytes(indexed)
    with pgfrs.open(tmp_path / "damaged.pgfr") as picture:
        with pytest.warns(pgfrs.DamageWarning):
            pixels = picture.read(region=region)
        assert picture.bytes_read >= len(data)
    with pytest.warns(pgfrs.DamageWarning):
        assert np.array_equal(pixels, pgfrs.decode(bytes(indexed), region=region))


def test_what_has_no_index(small: dict[str, bytes]) -> None:
    with pytest.raises(pgfrs.UnsupportedError):
        add_index(small["tiny.pgf"])
    with pytest.raises(ValueError, match="by_place"):
        add_index(small["tiled.pgf"], by_place=True)
    with pytest.raises(pgfrs.TruncatedError):
        add_index(small["stream.pgfr"][:-1])
    whole = small["stream.pgfr"]
    with pytest.raises(pgfrs.FormatError):
        add_index(whole[: len(whole) // 2] + b"\xff\x7f" + whole[len(whole) // 2 + 2 :])
    with pytest.raises(pgfrs.TruncatedError):
        add_index(small["tiled.pgf"][:-100])


def test_a_false_length_takes_no_memory(tmp_path: Path) -> None:
    """A file that says to be a terabyte, and whose header claims a picture to match."""
    claims = struct.pack("<IIBBBBBBH", 2**32 - 1, 2**32 - 1, 30, 0, 8, 1, 1, 8, 0x1D57)
    (tmp_path / "huge.pgf").write_bytes(b"PGF\x7e" + struct.pack("<I", 16) + claims + bytes(120))
    os.truncate(tmp_path / "huge.pgf", 1 << 40)
    for limits in (pgfrs.Limits(max_pixels=2**63), pgfrs.Limits(max_pixels=2**63, max_bytes=1 << 20)):
        with pytest.raises(pgfrs.LimitsError, match="memory in bytes"):
            pgfrs.open(tmp_path / "huge.pgf", limits=limits)
