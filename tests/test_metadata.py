"""Exif, IPTC, XMP and ICC in the user data: what exiv2 reads, what digiKam wrote, what hostile files do."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from material import VECTORS
from metadata_samples import (
    XMP,
    exiv2,
    iptc_record,
    sample_exif,
    sample_icc,
    sample_iptc,
    shared_file,
    user_data_of,
    with_user_data,
)
from pgfrs.metadata import Metadata, pack_metadata, unpack_metadata

VECTOR = VECTORS / "010_rgb24_10x10_q5.pgf"
FULL = Metadata(exif=sample_exif(), iptc=sample_iptc(), xmp=XMP, icc_profile=sample_icc())


def pack(metadata: Metadata) -> bytes:
    return pack_metadata(exif=metadata.exif, iptc=metadata.iptc, xmp=metadata.xmp, icc_profile=metadata.icc_profile)


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def chunk_kinds(user_data: bytes) -> Iterator[bytes]:
    at = 8
    while at < len(user_data):
        length, kind = struct.unpack_from(">I4s", user_data, at)
        (crc,) = struct.unpack_from(">I", user_data, at + 8 + length)
        assert crc == zlib.crc32(user_data[at + 4 : at + 8 + length])
        yield kind
        at += length + 12


def raw_profile(name: str, payload: bytes, *, length: int | None = None) -> bytes:
    count = len(payload) if length is None else length
    return f"\n{name}\n{count:8}\n{payload.hex()}\n".encode()


# --- round trips -----------------------------------------------------------------------------------


@pytest.mark.parametrize("present", list(product([False, True], repeat=4)))
def test_every_combination_round_trips(present: tuple[bool, ...]) -> None:
    names = ("exif", "iptc", "xmp", "icc_profile")
    wanted = Metadata(**{name: getattr(FULL, name) for name, here in zip(names, present, strict=True) if here})
    user_data = pack(wanted)
    assert unpack_metadata(user_data) == wanted
    assert (user_data == b"") == (wanted == Metadata())


def test_the_carrier_is_a_sound_png(tmp_path: Path) -> None:
    user_data = pack(FULL)
    assert list(chunk_kinds(user_data)) == [b"IHDR", b"iCCP", b"zTXt", b"zTXt", b"iTXt", b"IDAT", b"IEND"]
    path = tmp_path / "carrier.png"
    path.write_bytes(user_data)
    with Image.open(path) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert image.size == (1, 1)
        assert image.info["icc_profile"] == FULL.icc_profile
        assert image.info["xmp"] == XMP
    assert b"sRGB" in set(chunk_kinds(pack_metadata(xmp=XMP)))


def test_exif_is_taken_with_and_without_its_prefix() -> None:
    exif = sample_exif()
    assert exif.startswith(b"Exif\0\0")
    assert pack_metadata(exif=exif) == pack_metadata(exif=exif[6:])
    assert unpack_metadata(pack_metadata(exif=exif[6:])).exif == exif


@pytest.mark.parametrize("size", [1, 2, 3, 35, 36, 37, 4999])
def test_iptc_of_every_length_round_trips(size: int) -> None:
    records = (b"\x1c" + random.Random(size).randbytes(size))[:size]
    assert unpack_metadata(pack_metadata(iptc=records)).iptc == records


def test_a_whole_resource_block_is_kept() -> None:
    other = b"8BIM\x04\x25\x03abc" + struct.pack(">I", 3) + b"xyz\0"
    city = iptc_record(90, "Ulm")
    block = other + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(city)) + city + b"\0" * (len(city) % 2)
    assert unpack_metadata(pack_metadata(iptc=block)).iptc == city
    assert unpack_metadata(pack_metadata(iptc=block + block)).iptc == city + city
    assert unpack_metadata(pack_metadata(iptc=other)).iptc is None


def test_buffers_and_text_are_taken() -> None:
    expected = pack_metadata(exif=sample_exif(), xmp="<x>ü</x>".encode())
    assert pack_metadata(exif=bytearray(sample_exif()), xmp="<x>ü</x>") == expected
    assert pack_metadata(exif=memoryview(sample_exif()), xmp=memoryview("<x>ü</x>".encode())) == expected
    assert unpack_metadata(bytearray(expected)) == unpack_metadata(memoryview(expected))


def test_empty_blocks_are_absent_blocks() -> None:
    assert pack_metadata(exif=b"", iptc=b"", xmp="", icc_profile=b"") == b""
    assert unpack_metadata(pack_metadata(exif=b"", xmp=XMP)) == Metadata(xmp=XMP)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match=r"exif: expected a TIFF structure .* found b'rubb'"):
        pack_metadata(exif=b"rubbish")
    with pytest.raises(ValueError, match=r"iptc: expected IPTC records .* found b'rubb'"):
        pack_metadata(iptc=b"rubbish")
    with pytest.raises(TypeError):
        pack_metadata(icc_profile=12)  # type: ignore[arg-type]


# --- other writers' forms --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"iTXt compressed"])
@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("exif", sample_exif(), Metadata(exif=sample_exif())),
        ("exif", sample_exif()[6:], Metadata(exif=sample_exif())),
        ("APP1", sample_exif(), Metadata(exif=sample_exif())),
        ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP, Metadata(xmp=XMP)),
        ("xmp", XMP, Metadata(xmp=XMP)),
        ("iptc", sample_iptc(), Metadata(iptc=sample_iptc())),
        ("icc", sample_icc(), Metadata(icc_profile=sample_icc())),
        ("icm", sample_icc(), Metadata(icc_profile=sample_icc())),
    ],
)
def test_raw_profiles_in_every_text_chunk(kind: bytes, name: str, payload: bytes, expected: Metadata) -> None:
    keyword = b"Raw profile type " + name.encode() + b"\0"
    text = raw_profile(name.lower(), payload)
    bodies = {
        b"tEXt": text,
        b"zTXt": b"\0" + zlib.compress(text),
        b"iTXt": b"\0\0en\0Profil\0" + text,
        b"iTXt compressed": b"\1\0\0\0" + zlib.compress(text),
    }
    assert unpack_metadata(png(chunk(kind[:4], keyword + bodies[kind]))) == expected


def test_xmp_compressed_and_exif_chunk() -> None:
    xmp = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))
    exif = chunk(b"eXIf", sample_exif()[6:])
    assert unpack_metadata(png(xmp, exif)) == Metadata(exif=sample_exif(), xmp=XMP)


def test_the_first_whole_block_counts() -> None:
    def exif_chunk(payload: bytes, *, length: int | None = None) -> bytes:
        text = raw_profile("exif", payload, length=length)
        return chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))

    first, second = sample_exif(), sample_exif() + b"more"
    assert unpack_metadata(png(exif_chunk(first), exif_chunk(second))).exif == first
    assert unpack_metadata(png(exif_chunk(first, length=9999), exif_chunk(second))).exif == second


# --- real programs ---------------------------------------------------------------------------------


def test_exiv2_prints_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "saved.pgf"
    path.write_bytes(with_user_data(VECTOR.read_bytes(), pack(FULL)))
    printed = exiv2("-pa", path).decode()
    for word in ("Muster & Sons", "Box 9", "320", "Zweibrücken", "river", "fog", "a test", "Xmp.xmp.Rating"):
        assert word in printed, word
    assert len(printed.splitlines()) >= 8


def test_exiv2_prints_the_profile_of_the_carrier(tmp_path: Path) -> None:
    path = tmp_path / "carrier.png"
    path.write_bytes(pack(FULL))
    assert exiv2("-pC", path) == FULL.icc_profile
    assert exiv2("-pX", path) == XMP


def test_exiv2_writes_and_we_read(tmp_path: Path) -> None:
    """Into a file without metadata: exiv2 0.27 writes wrong files where there is user data already."""
    path = tmp_path / "edited.pgf"
    path.write_bytes(VECTOR.read_bytes())
    exiv2("-Mset Exif.Image.Artist Ada", "-Mset Iptc.Application2.City Ulm", "-Mset Xmp.xmp.Rating 2", path)
    edited = path.read_bytes()
    metadata = unpack_metadata(user_data_of(edited))
    assert metadata.exif is not None
    exif = Image.Exif()
    exif.load(metadata.exif)
    assert exif[0x013B] == "Ada"
    assert metadata.iptc is not None
    assert iptc_record(90, "Ulm") in metadata.iptc
    assert metadata.xmp is not None
    assert b'xmp:Rating="2"' in metadata.xmp
    assert with_user_data(edited, b"") == VECTOR.read_bytes()


@pytest.mark.shared
def test_digikam_file() -> None:
    pgf = shared_file("vectors/real_foto001q5.pgf").read_bytes()
    metadata = unpack_metadata(user_data_of(pgf))
    assert metadata.exif is not None
    assert len(metadata.exif) == 9946
    assert metadata.exif.startswith(b"Exif\0\0II*\0")
    assert metadata.iptc is not None
    assert len(metadata.iptc) == 0x9449
    assert metadata.iptc.startswith(b"\x1c\x02A\x00\x07digiKam")
    assert metadata.xmp is None
    exif = Image.Exif()
    exif.load(metadata.exif)
    assert exif[0x000B] == "digiKam-2.0.0-rc"
    assert unpack_metadata(pack(metadata)) == metadata


@pytest.mark.shared
def test_exiv2_prints_the_same_after_repacking(tmp_path: Path) -> None:
    for name in ("real_foto001q5.pgf", "real_imagemagick.pgf"):
        original = shared_file(f"vectors/{name}")
        pgf = original.read_bytes()
        path = tmp_path / name
        path.write_bytes(with_user_data(pgf, pack(unpack_metadata(user_data_of(pgf)))))
        printed = exiv2("-pa", path)
        assert printed == exiv2("-pa", original)
        assert len(printed.splitlines()) > 20


@pytest.mark.shared
def test_a_file_without_user_data_has_no_metadata() -> None:
    pgf = shared_file("vectors/real_raw.pgf").read_bytes()
    assert unpack_metadata(user_data_of(pgf)) == Metadata()


# --- hostile data ----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"raw user data", b"\x89PNG\r\n\x1a\n", b"\0" * 999])
def test_other_user_data_is_empty_metadata(data: bytes) -> None:
    assert unpack_metadata(data) == Metadata()


def test_every_cut_returns_whole_blocks_only() -> None:
    user_data = pack(FULL)
    seen = set()
    for cut in range(len(user_data) + 1):
        metadata = unpack_metadata(user_data[:cut])
        for name in ("exif", "iptc", "xmp", "icc_profile"):
            block = getattr(metadata, name)
            assert block is None or block == getattr(FULL, name)
        seen.add(tuple(vars(metadata).values()))
    assert len(seen) == 5


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Between one and eight substitutions, insertions, deletions and repetitions at random places."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(out) + 1)
        length = rng.choice([1, 1, 4, 30])
        action = rng.randrange(4)
        if action == 0:
            out[at : at + length] = rng.randbytes(length)
        elif action == 1:
            out[at:at] = rng.randbytes(length)
        elif action == 2:
            del out[at : at + length]
        else:
            out[at:at] = out[at : at + length]
    return bytes(out)


def test_mutations_never_raise_and_never_invent_compressed_blocks() -> None:
    """A block that comes through zlib is either the one that was saved or absent, whatever the damage."""
    rng = random.Random(20240611)
    user_data = pack(FULL)
    found = {"exif": 0, "iptc": 0, "xmp": 0, "icc_profile": 0}
    trials = 3000
    for _ in range(trials):
        metadata = unpack_metadata(mutate(user_data, rng))
        for name in found:
            block = getattr(metadata, name)
            found[name] += block is not None
            if name != "xmp":
                assert block is None or block == getattr(FULL, name)
    # The mutations hit often, and what they do not hit is still read.
    assert all(trials // 20 < count < trials for count in found.values()), found


def test_mutated_uncompressed_profiles_never_raise() -> None:
    rng = random.Random(7)
    exif, iptc = (raw_profile(name, data) for name, data in [("exif", sample_exif()), ("iptc", sample_iptc())])
    user_data = png(
        chunk(b"tEXt", b"Raw profile type exif\0" + exif),
        chunk(b"tEXt", b"Raw profile type iptc\0" + iptc),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        chunk(b"eXIf", sample_exif()[6:]),
    )
    outcomes = {unpack_metadata(mutate(user_data, rng)) for _ in range(3000)}
    assert len(outcomes) > 100


@pytest.mark.parametrize("bomb_in", ["zTXt", "iTXt", "iCCP"])
def test_decompression_is_bounded(bomb_in: str) -> None:
    bomb = zlib.compress(bytes(200 * 2**20), 9)
    payload = {
        "zTXt": b"Raw profile type exif\0\0" + bomb,
        "iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + bomb,
        "iCCP": b"icc\0\0" + bomb,
    }[bomb_in]
    user_data = png(*[chunk(bomb_in.encode(), payload)] * 5, chunk(b"eXIf", sample_exif()[6:]))
    tracemalloc.start()
    try:
        metadata = unpack_metadata(user_data, max_bytes=2**20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert metadata == Metadata(exif=sample_exif())
    assert peak < 8 * 2**20


def test_the_budget_is_exact_and_shared() -> None:
    xmp = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))
    icc = chunk(b"iCCP", b"icc\0\0" + zlib.compress(sample_icc()))
    both = len(XMP) + len(sample_icc())
    assert unpack_metadata(png(xmp, icc), max_bytes=both) == Metadata(xmp=XMP, icc_profile=sample_icc())
    assert unpack_metadata(png(xmp, icc), max_bytes=both - 1) == Metadata(xmp=XMP)
    assert unpack_metadata(png(xmp, icc), max_bytes=len(XMP) - 1) == Metadata()
