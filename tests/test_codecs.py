"""The array codecs inside imagecodecs, numcodecs and zarr."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import imagecodecs
import numcodecs
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

import pgfrs
from pgfrs.codecs import (
    PGF,
    PGFR,
    PgfError,
    pgf_check,
    pgf_decode,
    pgf_encode,
    pgf_version,
    pgfr_check,
    pgfr_decode,
    pgfr_encode,
)
from pgfrs.codecs.numcodecs import Pgf
from pgfrs.codecs.zarr import PgfCodec

Image = NDArray[Any]


def pictures() -> dict[str, Image]:
    """Smooth pictures with a little noise, of every type and shape that chunks have."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:96, 0:130]
    slope = (y + x)[..., None] * np.array([1.0, 0.7, 0.4]) + rng.integers(0, 5, (96, 130, 3))
    return {
        "gray": slope[..., 0].astype(np.uint8),
        "rgb": slope.clip(0, 255).astype(np.uint8),
        "gray16": (slope[..., 0] * 250).astype(np.uint16),
        "rgb48": (slope * 250).astype(np.uint16),
        "bitmap": slope[..., 0] > 100,
        "planes": (slope.astype(np.int32) - 90),
    }


@pytest.fixture(params=list(pictures()))
def picture(request: pytest.FixtureRequest) -> Image:
    return pictures()[request.param]


# --- imagecodecs ------------------------------------------------------------------------------------


def test_imagecodecs_reads_and_writes_through_them(chelsea: Image, tmp_path: Path) -> None:
    name = tmp_path / "cat.pgf"
    imagecodecs.imwrite(name, chelsea, codec=pgf_encode, level=0)
    assert name.read_bytes() == pgfrs.encode(chelsea)
    for memmap in (True, False):
        pixels, codec = imagecodecs.imread(name, codec=pgf_decode, memmap=memmap, return_codec=True)
        assert codec is pgf_decode
        assert np.array_equal(pixels, chelsea)
    assert imagecodecs.imread(name, codec=pgf_decode, level=1).shape == (150, 226, 3)
    with pytest.raises(ValueError, match="PGF_DECODE"):
        imagecodecs.imread(b"no picture", codec=pgf_decode)


def test_out_is_treated_as_imagecodecs_treats_it(camera: Image) -> None:
    """The types of results are those of a codec of imagecodecs itself."""
    for encode, decode in ((pgf_encode, pgf_decode), (imagecodecs.qoi_encode, imagecodecs.qoi_decode)):
        image = np.stack([camera] * 3, axis=2)
        plain = encode(image)
        assert type(plain) is bytes
        assert type(encode(image, out=len(plain) + 100)) is bytes
        assert type(encode(image, out=bytearray)) is bytearray
        view = encode(image, out=bytearray(len(plain) + 100))
        assert type(view) is memoryview and bytes(view) == plain
        out = np.empty_like(image)
        assert decode(plain, out=out) is out
        assert np.array_equal(out, image)
    with pytest.raises(ValueError, match="bytes"):
        pgf_encode(camera, out=10)


def test_arguments(camera: Image) -> None:
    data = pgf_encode(camera, 5, mode=PGF.MODE.GRAY, resolutions=3, roi=True, numthreads=0)
    assert data == pgfrs.encode(camera, quality=5, mode="gray", levels=3, roi=True)
    assert np.array_equal(pgf_decode(data, 0), pgfrs.decode(data))
    assert np.array_equal(pgf_decode(data, region=(8, 8, 40, 30)), pgfrs.decode(data, region=(8, 8, 40, 30)))
    with pytest.raises(IndexError, match="index=1"):
        pgf_decode(data, 1)
    with pytest.raises(PgfError):
        pgf_decode(b"PGF")
    assert (pgf_check(data), pgf_check(b"GIF89a"), pgf_check(b"P")) == (True, False, None)
    assert pgf_version() == f"pgfrs {pgfrs.__version__}"
    assert PGF.available


def test_streams(chelsea: Image, tmp_path: Path) -> None:
    name = tmp_path / "cat.pgfr"
    options = {"payload": PGFR.PAYLOAD.TOKENS, "order": PGFR.ORDER.LEVELS, "profile": PGFR.PROFILE.TOUGH}
    imagecodecs.imwrite(name, chelsea, codec=pgfr_encode, **options)
    assert pgfrs.read_info(name.read_bytes()).payload == "tokens"
    assert np.array_equal(imagecodecs.imread(name, codec=pgfr_decode), chelsea)
    data = name.read_bytes()
    assert (pgfr_check(data), pgfr_check(pgf_encode(chelsea)), pgfr_check(b"\xff")) == (True, False, None)
    assert (pgf_check(data), pgfr_check(b"")) == (False, None)
    array = zarr.create_array(
        tmp_path / "a.zarr", data=chelsea, chunks=(100, 100, 3), serializer=PgfCodec(format="pgfr"), compressors=None
    )
    assert np.array_equal(array[:], chelsea)
    assert pgfr_check((tmp_path / "a.zarr" / "c" / "0" / "0" / "0").read_bytes())


def test_the_modes_have_the_names_of_the_package(camera: Image) -> None:
    with pytest.raises(ValueError, match="is not one of") as caught:
        pgf_encode(camera, mode="none")
    assert {mode.name.lower() for mode in PGF.MODE} == set(re.findall(r"\w+", str(caught.value).partition("one of")[2]))
    assert pgfrs.read_info(pgf_encode(camera, mode=PGF.MODE.INDEXED)).mode == "indexed"


# --- zarr and numcodecs -----------------------------------------------------------------------------


def peak(image: Image) -> int:
    return 1 if image.dtype == bool else 65535 if image.dtype == np.uint16 else 255


def psnr(a: Image, b: Image) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(peak(a) ** 2 / error)


@pytest.mark.parametrize("quality", [0, 4])
def test_zarr_3(picture: Image, quality: int, tmp_path: Path) -> None:
    options = {"quality": quality} if quality else {}
    chunks = (64, 64, *picture.shape[2:])
    array = zarr.create_array(
        tmp_path / "a.zarr", data=picture, chunks=chunks, serializer=PgfCodec(**options), compressors=None
    )
    stored = zarr.open_array(tmp_path / "a.zarr", mode="r")
    assert stored.metadata.to_dict()["codecs"] == (
        {"name": "pgfrs", **({"configuration": options} if options else {})},
    )
    pixels = stored[:]
    assert pixels.dtype == picture.dtype
    if quality == 0:
        assert np.array_equal(pixels, picture)
    elif picture.dtype != bool:
        assert psnr(picture, pixels) > 30
    if picture.dtype == np.uint8:
        assert array.nbytes_stored() < picture.nbytes
    chunk = (tmp_path / "a.zarr" / "c" / Path(*["0"] * picture.ndim)).read_bytes()
    assert np.array_equal(pgfrs.decode(chunk), pixels[:64, :64])


@pytest.mark.parametrize("quality", [0, 4])
def test_zarr_2_through_numcodecs(picture: Image, quality: int, tmp_path: Path) -> None:
    chunks = (64, 64, *picture.shape[2:])
    array = zarr.create_array(
        tmp_path / "a.zarr",
        data=picture,
        chunks=chunks,
        zarr_format=2,
        compressors=Pgf(quality=quality),
        filters=None,
    )
    stored = zarr.open_array(tmp_path / "a.zarr", mode="r")[:]
    assert np.array_equal(stored, picture) if quality == 0 else stored.shape == picture.shape
    assert array.metadata.to_dict()["compressor"]["id"] == "pgfrs"


def test_leading_axes_and_shards(tmp_path: Path, chelsea: Image) -> None:
    stack = np.stack([chelsea[:256, :256], chelsea[40:296, 100:356]])
    array = zarr.create_array(
        tmp_path / "a.zarr",
        data=stack,
        chunks=(1, 128, 128, 3),
        shards=(1, 256, 256, 3),
        serializer=PgfCodec(quality=0, roi=True),
        compressors=None,
    )
    assert np.array_equal(array[1, 10:200, 30:60], stack[1, 10:200, 30:60])
    gray = zarr.create_array(
        tmp_path / "b.zarr", data=stack[..., 0], chunks=(1, 128, 128), serializer=PgfCodec(), compressors=None
    )
    assert np.array_equal(gray[:], stack[..., 0])


def test_big_endian_arrays_keep_their_type(tmp_path: Path) -> None:
    image = pictures()["gray16"].astype(">u2")
    array = zarr.create_array(tmp_path / "a.zarr", data=image, chunks=(50, 50), serializer=PgfCodec(), compressors=None)
    assert np.array_equal(array[:], image)
    with pytest.raises(ValueError, match="native byte order"):
        Pgf().encode(image)
    with pytest.raises(ValueError, match="order C"):
        Pgf().encode(np.asfortranarray(pictures()["gray"]))


@pytest.mark.parametrize(
    ("shape", "chunks", "dtype"),
    [((64, 64), (32, 32), "float32"), ((4, 64, 64), (2, 32, 32), "uint8"), ((64, 64, 2), (32, 32, 2), "uint8")],
)
def test_arrays_that_are_no_pictures_are_refused_at_once(
    shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str
) -> None:
    with pytest.raises(ValueError, match=r"chunk|dtype"):
        zarr.create_array({}, shape=shape, chunks=chunks, dtype=dtype, serializer=PgfCodec(), compressors=None)


def test_options_survive_the_metadata() -> None:
    codec = PgfCodec(quality=7, roi=True, strict=False)
    assert PgfCodec.from_dict(codec.to_dict()) == codec
    assert numcodecs.get_codec(Pgf(max_bytes=900).get_config()).get_config() == {"id": "pgfrs", "max_bytes": 900}
    assert repr(Pgf(quality=3)) == "Pgf(quality=3)"
    with pytest.raises(ValueError, match="colour"):
        PgfCodec.from_dict({"name": "pgfrs", "configuration": {"colour": 1}})
    with pytest.raises(ValueError, match="quality=31"):
        Pgf(quality=31)


def test_damaged_chunks(camera: Image) -> None:
    cut = Pgf().encode(camera)[:20000]
    with pytest.raises(PgfError):
        Pgf().decode(cut)
    with pytest.warns(pgfrs.DamageWarning):
        assert Pgf(strict=False).decode(cut).shape == camera.shape


@pytest.mark.parametrize("max_bytes", [None, 20000])
def test_cut_chunks_of_streams(camera: Image, max_bytes: int | None) -> None:
    """Any prefix of a stream is a whole stream, but not a whole chunk."""
    codec = Pgf(format="pgfr", max_bytes=max_bytes)
    chunk = codec.encode(camera)
    assert max_bytes is None or len(chunk) <= max_bytes
    whole = codec.decode(chunk)
    for cut in (chunk[:-1], chunk[:-2], chunk[: len(chunk) // 4]):
        with pytest.raises(pgfrs.TruncatedError, match="no end mark"):
            codec.decode(cut)
        assert Pgf(format="pgfr", strict=False).decode(cut).shape == camera.shape
    assert np.array_equal(Pgf(format="pgfr", strict=False).decode(chunk[:-2]), whole)


def test_other_processes_find_the_codecs_by_name(tmp_path: Path, camera: Image) -> None:
    """As workers do that know nothing but the address of an array."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zarr.create_array(tmp_path / "3", data=camera, chunks=(128, 128), serializer=PgfCodec(), compressors=None)
        zarr.create_array(
            tmp_path / "2", data=camera, chunks=(128, 128), zarr_format=2, compressors=Pgf(), filters=None
        )
    program = "import sys, zarr; print(*[int(zarr.open_array(name, mode='r')[:].sum()) for name in sys.argv[1:]])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path / "3"), str(tmp_path / "2")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(camera.sum())] * 2
