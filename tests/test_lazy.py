"""Pictures read in parts, from a disk and over HTTP."""

from __future__ import annotations

import os
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


def test_a_thumbnail_of_a_stream_takes_its_beginning() -> None:
    """Streams have no table of their parts either, but their beginning is a picture."""
    stream = pgfrs.encode(mosaic(6000, 4100), format="pgfr")
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
    }
    return files | {f"indexed-{name}": add_index(files[name]) for name in ("tiled.pgf", "plain.pgf", "metadata.pgf")}


@pytest.fixture(scope="module")
def server(small: dict[str, bytes]) -> Iterator[RangeServer]:
    with serving(small) as running:
        yield running


NAMES = ["tiled.pgf", "plain.pgf", "deep.pgf", "tiny.pgf", "stream.pgfr", "metadata.pgf"]
NAMES += ["indexed-tiled.pgf", "indexed-plain.pgf", "indexed-metadata.pgf"]


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
    # Lengths that were looked at one by one are read again with what they belong to.
    assert picture.bytes_read <= (1.01 if search == "lengths" else 1) * len(data)


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


def test_what_has_no_index(small: dict[str, bytes]) -> None:
    for name in ("tiny.pgf", "stream.pgfr"):
        with pytest.raises(pgfrs.UnsupportedError):
            add_index(small[name])
    with pytest.raises(pgfrs.TruncatedError):
        add_index(small["tiled.pgf"][:-100])
