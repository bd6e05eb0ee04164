"""Files that lie: refused before anything large is allocated, and in no time."""

from __future__ import annotations

import copy
import pickle
import struct
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

import pgfrs
from material import VECTORS

WITHIN_S = 1.0


def file_of(
    *,
    width: int = 64,
    height: int = 64,
    levels: int = 1,
    quality: int = 0,
    bits_per_pixel: int = 8,
    channels: int = 1,
    mode: int = 1,
    used_bits: int = 8,
    flags: int = 0x76,
    header_size: int = 16,
    body: bytes = b"",
) -> bytes:
    """A PGF file with exactly these header fields (section 3); body follows the 16 header bytes."""
    fields = (width, height, levels, quality, bits_per_pixel, channels, mode, used_bits, 0x1D57)
    return b"PGF" + struct.pack("<BI", flags, header_size) + struct.pack("<IIBBBBBBH", *fields) + body


FORTY_BYTES = file_of(width=2**16, height=2**16, levels=4, body=bytes(16))


def test_the_helper_writes_a_file_that_is_read() -> None:
    macroblock = struct.pack("<HI", 1, 1)  # one word: one bit plane, form C of nothing; missing bits are zero
    info = pgfrs.read_info(file_of(body=struct.pack("<I", 6) + macroblock))
    assert (info.width, info.height, info.levels, info.mode) == (64, 64, 1, "gray")


def test_forty_bytes_that_claim_four_gigapixels_are_refused_at_once() -> None:
    assert len(FORTY_BYTES) == 40
    start = time.perf_counter()
    for call in (pgfrs.decode, pgfrs.decode_with_report, pgfrs.repair):
        with pytest.raises(pgfrs.LimitsError, match=r"4294967296|65536"):
            call(FORTY_BYTES)
    decoder = pgfrs.ProgressiveDecoder()
    with pytest.raises(pgfrs.LimitsError):
        decoder.feed(FORTY_BYTES)
        decoder.render()
    assert time.perf_counter() - start < WITHIN_S


def test_refusing_takes_no_memory() -> None:
    """The process may not grow by more than 32 MiB over what importing took (the claim is 4 GiB a plane)."""
    script = f"""
import resource, pgfrs
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for attempt in range(100):
    try:
        pgfrs.decode({FORTY_BYTES!r})
    except pgfrs.LimitsError:
        pass
    else:
        raise SystemExit("not refused")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert int(done.stdout) < 32 * 1024


def test_limits_of_the_caller(camera: NDArray[np.uint8]) -> None:
    data = pgfrs.encode(camera, quality=4)
    pixels = camera.size
    limits = pgfrs.Limits(max_pixels=pixels)
    assert repr(pickle.loads(pickle.dumps(limits))) == repr(copy.deepcopy(limits)) == repr(limits)
    image = pgfrs.decode(data, limits=limits)
    assert image.shape == camera.shape
    with pytest.raises(pgfrs.LimitsError, match=f"{pixels - 1}"):
        pgfrs.decode(data, limits=pgfrs.Limits(max_pixels=pixels - 1))
    with pytest.raises(pgfrs.LimitsError, match="1000"):
        pgfrs.decode(data, limits=pgfrs.Limits(max_bytes=1000))
    with pytest.raises(pgfrs.LimitsError):
        pgfrs.ProgressiveDecoder(limits=pgfrs.Limits(max_pixels=10)).feed(data)


HOSTILE = {
    "width 0": file_of(width=0),
    "height 0": file_of(height=0),
    "product over 2^32": file_of(width=2**32 - 1, height=2**32 - 1),
    "one long row": file_of(width=2**32 - 1, height=1, levels=0),
    "31 levels": file_of(levels=31),
    "255 levels": file_of(levels=255, body=bytes(1020)),
    "30 levels of 64 pixels": file_of(levels=30, body=bytes(120)),
    "30 levels of tiles": file_of(levels=30, flags=0x7E, body=bytes(120)),
    "height 3 inside the pyramid": file_of(height=3, levels=2, body=bytes(8)),
    "quality 32": file_of(quality=32),
    "quality 255": file_of(quality=255),
    "3 channels of gray": file_of(channels=3),
    "255 channels": file_of(channels=255),
    "255 channels of planes": file_of(mode=7, channels=255, bits_per_pixel=255),
    "9 channels of planes": file_of(mode=7, channels=9, bits_per_pixel=72),
    "1 channel of rgb": file_of(mode=3, channels=1, bits_per_pixel=24),
    "bits per pixel below channels": file_of(mode=7, channels=8, bits_per_pixel=4),
    "bits per pixel of another mode": file_of(bits_per_pixel=24),
    "mode 99": file_of(mode=99),
    "mode 21": file_of(mode=21, channels=1),
    "header size 0": file_of(header_size=0),
    "header size 15": file_of(header_size=15),
    "header size 4 GiB": file_of(header_size=2**32 - 1),
    "indexed without room for its table": file_of(mode=2, header_size=16 + 100, body=bytes(100)),
    "no version flags": file_of(flags=0),
    "not a PGF": b"GIF89a" + bytes(60),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers(name: str) -> None:
    """An error of this package or, with a header that can be mended, a picture; never a crash, never a wait."""
    data = HOSTILE[name]
    start = time.perf_counter()
    for call in (pgfrs.read_info, pgfrs.decode, pgfrs.repair):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pgfrs.DamageWarning)
            try:
                result = call(data)
            except pgfrs.PgfError as error:
                assert str(error)
            else:
                if isinstance(result, np.ndarray):
                    assert 0 < result.size <= 2**28
    with pytest.raises(pgfrs.PgfError):
        pgfrs.decode(data, strict=True)
    assert time.perf_counter() - start < WITHIN_S


@pytest.mark.parametrize(
    "name", ["width 0", "31 levels", "quality 32", "255 channels", "mode 99", "header size 15", "not a PGF"]
)
def test_a_header_beyond_repair_is_an_error_that_names_the_field(name: str) -> None:
    field = {"header size 15": "size", "not a PGF": "magic"}.get(name, name.replace("31", "").strip("0123456789 "))
    with pytest.raises(pgfrs.FormatError, match=f"(?i){field}"):
        pgfrs.decode(HOSTILE[name], strict=True)


def test_every_single_wrong_header_byte_of_a_real_file() -> None:
    """255 other values of each of the first 40 bytes: an error or a picture within the limits, quickly."""
    data = (VECTORS / "021_rgb24_30x114_q2_l2_roi.pgf").read_bytes()
    limits = pgfrs.Limits(max_pixels=2**20)
    slowest = 0.0
    for position in range(40):
        for value in range(0, 256, 5):
            wrong = bytearray(data)
            wrong[position] = value
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pgfrs.DamageWarning)
                try:
                    image = pgfrs.decode(bytes(wrong), limits=limits)
                except (pgfrs.FormatError, pgfrs.LimitsError, pgfrs.UnsupportedError):
                    pass
                else:
                    assert image.shape[0] * image.shape[1] <= 2**20
            slowest = max(slowest, time.perf_counter() - start)
    assert slowest < WITHIN_S


@pytest.mark.parametrize("data", [b"", b"P", b"PGF", b"PGFv", b"PGFv\x10\0\0", FORTY_BYTES[:23]])
def test_shorter_than_a_header(data: bytes) -> None:
    assert pgfrs.check(data) in (None, True)
    for call in (pgfrs.read_info, pgfrs.decode):
        with pytest.raises(pgfrs.TruncatedError):
            call(data)


def test_check() -> None:
    data = (VECTORS / "010_rgb24_10x10_q5.pgf").read_bytes()
    assert pgfrs.check(data) is True
    assert pgfrs.check(b"") is None
    assert pgfrs.check(b"PG") is None
    assert pgfrs.check(b"\x89PNG\r\n\x1a\n") is False


def test_wrong_arguments_are_value_or_type_errors(camera: NDArray[np.uint8]) -> None:
    data = pgfrs.encode(camera)
    for options in ({"level": -1}, {"level": 40}, {"region": (5, 5, 5, 9)}, {"region": (0, 0, 9999, 10)}):
        with pytest.raises(ValueError, match=r"level|region"):
            pgfrs.decode(data, **options)
    for options in ({"quality": -1}, {"quality": 31}, {"levels": 31}, {"levels": -1}, {"mode": "no such mode"}):
        with pytest.raises(ValueError, match=r"quality|levels|mode"):
            pgfrs.encode(camera, **options)
    for wrong in (camera.astype(np.float32), camera.astype(np.int64), camera[:, :, None, None], camera[:0]):
        with pytest.raises((ValueError, TypeError)):
            pgfrs.encode(wrong)
    with pytest.raises(TypeError):
        pgfrs.decode("a string")


def test_what_begins_as_neither_container_says_so() -> None:
    noise = bytes(range(7, 255)) * 3
    with pytest.raises(pgfrs.FormatError, match=r"begin with 07 08 09, a \.pgf file with 50 47 46"):
        pgfrs.decode(noise)
    with pytest.raises(pgfrs.FormatError, match="none in 744 bytes") as caught:
        pgfrs.segments(noise)
    assert not isinstance(caught.value, pgfrs.TruncatedError)
    with pytest.raises(pgfrs.TruncatedError, match="end at byte 5, byte 12 is needed"):
        pgfrs.segments(b"\xff\x01abc")
    with pytest.raises(ValueError, match=r"\(H, W, 3\) of uint8"):
        pgfrs.encode(np.zeros((9, 9, 7), np.uint8))
