"""`.pgfr` streams through Python: containers, payloads, prefixes, damage, edits, Pillow, the command line."""

from __future__ import annotations

import io
import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

import pgfrs
import pgfrs.pillow
from material import SAMPLES
from pgfrs.cli import cli
from pgfrs.damage import damage
from pgfrs.raster import psnr

PAYLOADS = ("packed", "tokens")


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    with Image.open(SAMPLES / "astronaut.png") as image:
        return np.asarray(image.convert("RGB").resize((256, 256), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module", params=PAYLOADS)
def stream(request: pytest.FixtureRequest, photograph: np.ndarray) -> bytes:
    return pgfrs.encode(photograph, format="pgfr", payload=request.param, max_bytes=5000)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("quality", [0, 3, 5])
def test_a_whole_stream_decodes_as_the_file_of_the_same_coefficients(
    photograph: np.ndarray, payload: str, quality: int
) -> None:
    file = pgfrs.encode(photograph, quality=quality)
    stream = pgfrs.transcode(file, "pgfr", payload=payload)
    np.testing.assert_array_equal(pgfrs.decode(stream), pgfrs.decode(file))
    assert pgfrs.transcode(stream, "pgf") == file
    other = pgfrs.transcode(stream, "pgfr", payload="tokens" if payload == "packed" else "packed")
    assert pgfrs.transcode(other, "pgfr", payload=payload) == stream
    for level in range(pgfrs.read_info(stream).levels + 1):
        np.testing.assert_array_equal(pgfrs.decode(stream, level=level), pgfrs.decode(file, level=level))


@pytest.mark.parametrize(
    ("mode", "dtype", "shape"),
    [
        ("bitmap", bool, (23, 31)),
        ("gray", np.uint8, (40, 33)),
        ("indexed", np.uint8, (20, 30)),
        ("rgb", np.uint8, (7, 5, 3)),
        ("rgb", np.uint8, (1, 1, 3)),
        ("rgba", np.uint8, (50, 61, 4)),
        ("cmyk", np.uint8, (30, 30, 4)),
        ("lab", np.uint8, (44, 40, 3)),
        ("gray16", np.uint16, (64, 50)),
        ("rgb48", np.uint16, (40, 41, 3)),
        ("cmyk64", np.uint16, (33, 20, 4)),
        ("gray31", np.uint32, (35, 36)),
        ("multichannel", np.int32, (24, 30, 6)),
    ],
)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_mode_is_lossless_and_goes_there_and_back(
    mode: str, dtype: type, shape: tuple[int, ...], payload: str
) -> None:
    rng = np.random.default_rng(len(mode) + shape[0])
    top = {"bitmap": 2, "gray16": 2**16, "rgb48": 2**16, "cmyk64": 2**16, "gray31": 2**31}.get(mode, 256)
    image = rng.integers(0, top, shape).astype(dtype)
    palette = rng.integers(0, 256, (256, 3)).astype(np.uint8) if mode == "indexed" else None
    user_data = bytes(rng.integers(0, 256, 130).astype(np.uint8)) + b"\xff\xff"
    options = {"mode": mode, "palette": palette, "user_data": user_data}
    stream = pgfrs.encode(image, format="pgfr", payload=payload, **options)
    np.testing.assert_array_equal(pgfrs.decode(stream), image)
    info = pgfrs.read_info(stream)
    assert (info.format, info.payload, info.mode, info.user_data) == ("pgfr", payload, mode, user_data)
    if palette is not None:
        np.testing.assert_array_equal(info.palette[:, :3], palette)
    file = pgfrs.encode(image, roi=min(shape[:2]) >= 10, **options)
    assert pgfrs.transcode(pgfrs.transcode(file, "pgfr", payload=payload), "pgf") == file


def test_every_prefix_is_a_picture_that_hardly_ever_gets_worse(photograph: np.ndarray, stream: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quality = [psnr(pgfrs.decode(stream[:end]), photograph) for end in range(12, len(stream) + 1)]
    falls = sum(after < before - 0.1 for before, after in itertools.pairwise(quality))
    assert falls <= len(quality) // 200
    assert quality[-1] > 26
    assert quality[len(quality) // 20] > 13 and quality[len(quality) // 10] > 16


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(["substitute", "insert", "delete"]), edits=st.integers(1, 20))
def test_damaged_streams_decode_to_the_right_size(seed: int, kind: str, edits: int) -> None:
    stream = STREAMS[seed % len(STREAMS)]
    broken = damage(stream, seed=seed, kind=kind, edits=edits, length=1)
    try:
        pixels, report = pgfrs.decode_with_report(broken)
    except pgfrs.PgfError:
        # Only if both copies of the header are struck.
        assert edits > 1
        return
    assert pixels.shape == (128, 128, 3)
    assert report.format == "pgfr"


def _small_streams() -> list[bytes]:
    with Image.open(SAMPLES / "coffee.png") as image:
        pixels = np.asarray(image.convert("RGB").resize((128, 128)))
    return [pgfrs.encode(pixels, format="pgfr", payload=p, max_bytes=2000, profile="tough") for p in PAYLOADS]


STREAMS = _small_streams()


def test_damage_warns_and_strict_refuses(stream: bytes) -> None:
    segment = [s for s in pgfrs.segments(stream) if s.kind == "planes"][3]
    broken = stream[: segment.start + 5] + stream[segment.start + 9 :]
    with pytest.warns(pgfrs.DamageWarning, match="damaged"):
        pixels = pgfrs.decode(broken)
    assert pixels.shape == (256, 256, 3)
    with pytest.raises(pgfrs.FormatError):
        pgfrs.decode(broken, strict=True)
    report = pgfrs.decode_with_report(broken)[1]
    assert report.damaged and not report.truncated and report.damage
    assert report.damage[0].start <= segment.end and report.damage[0].end >= segment.start
    assert report.confidence.shape == (6, 4, 4) and report.confidence.dtype == np.uint8


def test_segments_in_another_order_twice_or_later_are_the_same_picture(stream: bytes) -> None:
    whole = pgfrs.decode(stream)
    parts = pgfrs.segments(stream)
    assert parts[0].start == 0 and parts[-1].end == len(stream)
    rng = np.random.default_rng(1)
    shuffled = b"".join(stream[s.start : s.end] for s in rng.permutation(np.array(parts, dtype=object)))
    np.testing.assert_array_equal(pgfrs.decode(shuffled), whole)
    np.testing.assert_array_equal(pgfrs.decode(stream + stream), whole)
    planes = [s for s in parts if s.kind == "planes"]
    for segment in planes[:: len(planes) // 7]:
        without = pgfrs.drop(stream, [segment])
        assert len(without) == len(stream) - (segment.end - segment.start)
        np.testing.assert_array_equal(pgfrs.decode(without + stream[segment.start : segment.end]), whole)
    assert pgfrs.merge(stream[: len(stream) // 2], stream) == pgfrs.merge(stream)
    np.testing.assert_array_equal(pgfrs.decode(pgfrs.merge(stream)), whole)


def test_cut_streams_merge_to_the_longest(stream: bytes) -> None:
    rng = np.random.default_rng(3)
    for a, b in rng.integers(12, len(stream), (12, 2)):
        longest = stream[: max(a, b)]
        merged = pgfrs.merge(stream[:a], stream[:b])
        np.testing.assert_array_equal(pgfrs.decode(merged, strict=True), pgfrs.decode(longest))
        report = pgfrs.decode_with_report(merged)[1]
        assert report.complete and report.concealed == 0


def test_what_is_missing_or_found_again_is_damage(stream: bytes) -> None:
    base = next(s for s in pgfrs.segments(stream) if s.kind == "base")
    gap = pgfrs.drop(stream, [base])
    report = pgfrs.decode_with_report(gap)[1]
    assert report.damaged and report.concealed == 16 and not report.damage
    with pytest.warns(pgfrs.DamageWarning, match="16 base values are concealed"):
        pgfrs.decode(gap)


def test_streams_that_do_not_go_together_are_refused(photograph: np.ndarray, stream: bytes) -> None:
    file = pgfrs.encode(photograph)
    with pytest.raises(ValueError, match="no stream"):
        pgfrs.merge()
    with pytest.raises(pgfrs.TruncatedError, match="another stream"):
        pgfrs.merge(stream, b"")
    for call in (lambda: pgfrs.merge(stream, file), lambda: pgfrs.segments(file), lambda: pgfrs.refine(file, file)):
        with pytest.raises(pgfrs.FormatError, match=r"a \.pgf file"):
            call()
    other = "tokens" if pgfrs.read_info(stream).payload == "packed" else "packed"
    for options, field in (
        ({"payload": other}, f"stream 2 has payload {other}"),
        ({"bare": True}, "bare true, the first false"),
        ({"quality": 3}, "quality 3, the first 0"),
    ):
        options = {"payload": pgfrs.read_info(stream).payload, **options}
        with pytest.raises(ValueError, match=field):
            pgfrs.merge(stream, pgfrs.encode(photograph, format="pgfr", **options))
    for start in (-1, 1, len(stream)):
        with pytest.raises(ValueError, match=f"no segment begins at byte {start}"):
            pgfrs.drop(stream, [start])
    for region in ((300, 300, 310, 310), (5, 5, 5, 9)):
        with pytest.raises(ValueError, match="region"):
            pgfrs.refine(stream, photograph, region=region)
    with pytest.raises(ValueError, match="not whole"):
        pgfrs.refine(stream[:1000], stream)
    finer = pgfrs.refine(stream[:1000], photograph)
    assert pgfrs.decode_with_report(finer)[1].complete


def test_refining_a_region_changes_only_its_surroundings(photograph: np.ndarray) -> None:
    stream = pgfrs.encode(photograph, format="pgfr", max_bytes=3000)
    region = (64, 64, 128, 128)
    finer = pgfrs.refine(stream, photograph, region=region, planes=2)
    before, after = pgfrs.decode(stream), pgfrs.decode(finer)
    inside = np.s_[64:128, 64:128]
    assert psnr(after[inside], photograph[inside]) > psnr(before[inside], photograph[inside]) + 4
    outside = np.ones((256, 256), bool)
    outside[:, :] = True
    # Blocks of the coarse levels reach to the next multiple of 128 pixels, filters a few samples of theirs farther.
    outside[0:192, 0:192] = False
    changed = (before != after).any(axis=2)
    assert changed[inside].any()
    assert changed[outside].mean() < 0.25
    file = pgfrs.encode(photograph, levels=pgfrs.read_info(stream).levels)
    assert pgfrs.refine(stream, file, region=region, planes=2) == finer
    with pytest.raises(ValueError, match="refined"):
        pgfrs.refine(stream, pgfrs.encode(photograph, quality=4))


def test_progressive_decoder_takes_streams_byte_by_byte(stream: bytes) -> None:
    decoder = pgfrs.ProgressiveDecoder()
    for byte in stream[:400]:
        progress = decoder.feed(bytes([byte]))
    assert decoder.info is not None and decoder.info.format == "pgfr"
    assert progress.bytes_received == 400 and progress.macroblocks > 0 and progress.macroblocks_total is None
    np.testing.assert_array_equal(decoder.render(), pgfrs.decode(stream[:400]))
    with pytest.raises(pgfrs.FormatError):
        pgfrs.ProgressiveDecoder().feed(b"neither of the two" * 10)


def test_max_bytes_is_used_to_the_last_few_bytes(photograph: np.ndarray) -> None:
    for payload in PAYLOADS:
        for budget in (300, 1000, 4500, 20000):
            stream = pgfrs.encode(photograph, format="pgfr", payload=payload, max_bytes=budget)
            assert budget * 0.97 - 12 <= len(stream) <= budget
    with pytest.raises(ValueError, match="max_bytes"):
        pgfrs.encode(photograph, format="pgfr", max_bytes=5)


def test_options_of_streams(photograph: np.ndarray) -> None:
    for profile in ("lean", "default", "tough"):
        for order in ("best", "levels"):
            stream = pgfrs.encode(photograph, format="pgfr", quality=3, profile=profile, order=order, checks=True)
            np.testing.assert_array_equal(
                pgfrs.decode(stream), pgfrs.decode(pgfrs.encode(photograph, quality=3, levels=5))
            )
            assert any(s.kind == "check" for s in pgfrs.segments(stream))
            assert pgfrs.decode_with_report(stream)[1].complete
    first = pgfrs.encode(photograph, format="pgfr", first=(0, 0, 64, 64))
    start = first[: len(first) // 6]
    inside, outside = np.s_[8:56, 8:56], np.s_[136:, 136:]
    shown = pgfrs.decode(start)
    assert psnr(shown[inside], photograph[inside]) > psnr(shown[outside], photograph[outside]) + 6
    with pytest.raises(ValueError, match=r"first \(4000, 0, 4010, 9\): outside of the picture"):
        pgfrs.encode(photograph, format="pgfr", first=(4000, 0, 4010, 9))
    with pytest.raises(ValueError, match="300 bytes of user data take"):
        pgfrs.encode(photograph, format="pgfr", user_data=bytes(300), max_bytes=400)
    with pytest.raises(ValueError, match="pgfr"):
        pgfrs.encode(photograph, payload="tokens")
    with pytest.raises(ValueError, match="profile"):
        pgfrs.encode(photograph, format="pgfr", profile="soft")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_bare_streams(photograph: np.ndarray, payload: str) -> None:
    usual = pgfrs.encode(photograph, format="pgfr", quality=3, payload=payload)
    bare = pgfrs.encode(photograph, format="pgfr", quality=3, payload=payload, bare=True)
    assert (pgfrs.read_info(usual).bare, pgfrs.read_info(bare).bare) == (False, True)
    values = [sum(s.end - s.start - 3 for s in pgfrs.segments(data) if s.kind == "base") for data in (usual, bare)]
    assert 2.5 * values[0] < values[1] < 5 * values[0]
    assert pgfrs.transcode(usual, "pgfr", bare=True) == bare
    assert pgfrs.transcode(bare, "pgfr", bare=False) == usual
    assert pgfrs.transcode(bare, "pgfr", bare=True) == bare
    assert pgfrs.transcode(bare, "pgf") == pgfrs.transcode(usual, "pgf")
    np.testing.assert_array_equal(pgfrs.decode(bare, strict=True), pgfrs.decode(usual))
    # Every prefix of the base is a picture, and any one wrong, lost or extra byte of it leaves one.
    end = max(s.end for s in pgfrs.segments(bare) if s.kind == "base")
    for at in range(12, end):
        for data in (bare[:at], bare[:at] + bare[at + 1 :], bare[:at] + b"\x07" + bare[at:], bare[:at] + bytes(1)):
            assert pgfrs.decode_with_report(data)[0].shape == photograph.shape
    with pytest.raises(ValueError, match="bare"):
        pgfrs.encode(photograph, bare=True)


def test_batches_and_regions(photograph: np.ndarray, stream: bytes) -> None:
    streams = pgfrs.encode_batch([photograph] * 3, format="pgfr", max_bytes=3000, num_threads=2)
    assert len(set(streams)) == 1
    decoded = pgfrs.decode_batch([*streams, b"nothing"], num_threads=2)
    np.testing.assert_array_equal(decoded[0], pgfrs.decode(streams[0]))
    assert isinstance(decoded[3], pgfrs.PgfError)
    whole = pgfrs.decode(stream)
    np.testing.assert_array_equal(pgfrs.decode(stream, region=(10, 31, 77, 200)), whole[31:200, 10:77])


def test_repair_gives_clean_files_of_either_kind(stream: bytes) -> None:
    broken = damage(stream, seed=5, kind="substitute", edits=4, length=1)
    pixels = pgfrs.decode_with_report(broken)[0]
    clean = pgfrs.repair(broken)
    assert pgfrs.decode_with_report(clean)[1].complete
    assert psnr(pgfrs.decode(clean), pixels) > 25
    file = pgfrs.repair(broken, format="pgf")
    assert pgfrs.decode(file, strict=True).shape == pixels.shape
    assert psnr(pgfrs.decode(file), pixels) > 30
    cut = pgfrs.repair(stream[:2500])
    assert psnr(pgfrs.decode(cut), pgfrs.decode(stream[:2500])) > 35


@pytest.mark.parametrize("payload", ["packed", "tokens"])
def test_budgets_are_filled_with_whole_chains(photograph: np.ndarray, payload: str) -> None:
    """Nothing is doubted or lost of what an encoder wrote, and budgets are used to the last few bytes."""
    for quality in (0, 3, 5):
        for budget in range(700, 9000, 400):
            stream = pgfrs.encode(photograph, format="pgfr", max_bytes=budget, quality=quality, payload=payload)
            assert 0.97 * budget < len(stream) <= budget
            pixels, report = pgfrs.decode_with_report(stream)
            assert not report.damage, (quality, budget)
            assert pixels.shape == photograph.shape


def test_pillow_opens_any_prefix_and_saves(tmp_path: Path, photograph: np.ndarray) -> None:
    image = Image.fromarray(photograph)
    image.save(tmp_path / "a.pgfr", max_bytes=4000, payload="tokens")
    with Image.open(tmp_path / "a.pgfr") as opened:
        assert (opened.format, opened.size, opened.info["payload"]) == ("PGFR", (256, 256), "tokens")
        np.testing.assert_array_equal(np.asarray(opened), pgfrs.decode((tmp_path / "a.pgfr").read_bytes()))
    data = (tmp_path / "a.pgfr").read_bytes()
    with Image.open(io.BytesIO(data[:900])) as cut:
        np.testing.assert_array_equal(np.asarray(cut), pgfrs.decode(data[:900]))
    with Image.open(io.BytesIO(data)) as small:
        small.thumbnail((40, 40))
        assert small.size == (40, 40)
    parser = ImageFile.Parser()
    for start in range(0, 1500, 100):
        parser.feed(data[start : start + 100])
    np.testing.assert_array_equal(np.asarray(parser.close()), pgfrs.decode(data[:1500]))
    with pytest.raises(ValueError, match="payload"):
        image.save(tmp_path / "b.pgf", payload="tokens")
    broken = data[:700] + data[760:]
    with Image.open(io.BytesIO(broken)) as damaged, pytest.warns(pgfrs.DamageWarning):
        damaged.load()


def test_command_line(tmp_path: Path) -> None:
    def run(*arguments: object) -> str:
        result = CliRunner().invoke(cli, [str(a) for a in arguments])
        assert result.exit_code == 0, result.output
        return result.output

    source = SAMPLES / "chelsea.png"
    run("encode", source, "-o", tmp_path / "a.pgfr", "--max-bytes", "6k", "--profile", "tough")
    assert (tmp_path / "a.pgfr").stat().st_size <= 6000
    assert "segments" in run("info", tmp_path / "a.pgfr", "--check")
    run("transcode", tmp_path / "a.pgfr", "-o", tmp_path / "t.pgfr", "--payload", "tokens")
    assert pgfrs.read_info((tmp_path / "t.pgfr").read_bytes()).payload == "tokens"
    run("transcode", tmp_path / "a.pgfr", "-o", tmp_path / "a.pgf")
    np.testing.assert_array_equal(
        pgfrs.decode((tmp_path / "a.pgf").read_bytes()).shape, pgfrs.decode((tmp_path / "a.pgfr").read_bytes()).shape
    )
    run("damage", tmp_path / "a.pgfr", "-o", tmp_path / "d.pgfr", "--edits", 3)
    run("repair", tmp_path / "d.pgfr", "-o", tmp_path / "r.pgfr")
    assert pgfrs.decode_with_report((tmp_path / "r.pgfr").read_bytes())[1].complete
    run("decode", tmp_path / "t.pgfr", "-o", tmp_path / "t.png")
    run("render-steps", tmp_path / "a.pgfr", "-o", tmp_path / "steps", "--steps", 4)
    assert (tmp_path / "steps" / "contact-sheet.png").exists()


def test_refining_by_what_addresses_have_no_room_for() -> None:
    """A file that says 8 bits may hold coefficients of 24; a stream of short addresses would take them for others."""
    rng = np.random.default_rng(5)
    deep = bytearray(
        pgfrs.encode(rng.integers(-(2**24), 2**24, (64, 64, 1)).astype(np.int32), mode="multichannel", levels=3)
    )
    deep[8 + 12] = 1  # the mode: gray
    assert pgfrs.read_info(bytes(deep)).mode == "gray"
    stream = pgfrs.encode(rng.integers(0, 256, (64, 64), dtype=np.uint8), format="pgfr", levels=3)
    with pytest.raises(ValueError, match=r"coefficients of \d+ planes in block \d+: .* room for 16"):
        pgfrs.refine(stream[:200], bytes(deep), planes=40)
