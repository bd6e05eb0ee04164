"""Every vector of tests/data/vectors: header fields, every level, every region, and its bytes again."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pgfrs
from material import VECTORS, load_manifest
from native import DEEP, NAMES, SUBSAMPLED, crop_at_level, level_size, to_native

ENTRIES = {entry["file"]: entry for entry in load_manifest()}
ROI_FLAG, V6_FLAG, NEWEST = 0x08, 0x20, 0x76


def names(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["file"] for entry in entries]


EVERY = names(list(ENTRIES.values()))
WITH_REGIONS = names([e for e in ENTRIES.values() if e["rois"]])
WITH_TABLE = names([e for e in ENTRIES.values() if e["color_table_sha256"]])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def hash_of(image: NDArray[np.generic], entry: dict[str, Any]) -> str:
    return sha256(to_native(image, NAMES[entry["header"]["mode"]]))


@cache
def source_of(name: str) -> NDArray[np.generic] | None:
    """The source image of a vector, where a lossless file of the set carries it; None elsewhere."""
    entry = ENTRIES[name]
    for carrier in (name, entry["source_from"]):
        if carrier is not None and ENTRIES[carrier]["levels"][0]["sha256"] == entry["source_sha256"]:
            return pgfrs.decode(read(carrier))
    return None


def written_by_libpgf_7(name: str) -> bool:
    """Whether the newest layout was written with settings that pgfrs.encode has ("favor speed" is not one)."""
    entry = ENTRIES[name]
    newest = entry["header"]["version_flags"] & ~ROI_FLAG == NEWEST
    return newest and not entry["settings"].get("favor_speed")


def carried(name: str) -> bool:
    entry = ENTRIES[name]
    source = entry["source_from"] or name
    return bool(ENTRIES[source]["levels"][0]["sha256"] == entry["source_sha256"])


RE_ENCODED = [name for name in EVERY if written_by_libpgf_7(name) and carried(name)]


def test_the_manifest_names_the_files_that_are_there() -> None:
    assert sorted(ENTRIES) == sorted(path.name for path in VECTORS.glob("*.pgf"))
    assert len(ENTRIES) == 83
    assert len(RE_ENCODED) == 71


@pytest.mark.parametrize("name", EVERY)
def test_header_fields(name: str) -> None:
    entry, data = ENTRIES[name], read(name)
    header, info = entry["header"], pgfrs.read_info(data)
    assert sha256(data) == entry["sha256"]
    mode = NAMES[header["mode"]]
    assert (info.format, info.mode, info.version) == ("pgf", mode, header["major"])
    assert info.version_flags == header["version_flags"]
    assert (info.width, info.height) == (header["width"], header["height"])
    assert (info.levels, info.quality, info.roi) == (header["levels"], header["quality"], header["roi"])
    assert (info.bits_per_pixel, info.channels) == (header["bpp"], header["channels"])
    assert info.used_bits_per_channel == header["used_bits"]
    assert info.level_lengths == tuple(header["level_lengths"])
    assert info.chroma_subsampled == (header["quality"] > 3 and mode in SUBSAMPLED)
    assert len(info.user_data) == header["user_data"]
    table = 1024 if mode == "indexed" else 0
    size_field = 4 if header["version_flags"] & V6_FLAG else 2
    assert info.data_offset == 4 + size_field + 16 + table + header["user_data"] + 4 * header["levels"]
    for level in range(header["levels"] + 1):
        assert info.level_size(level) == (
            level_size(header["width"], level),
            level_size(header["height"], level),
        )


@pytest.mark.parametrize("name", EVERY)
def test_the_header_bytes_are_enough_for_the_header(name: str) -> None:
    data = read(name)
    whole = pgfrs.read_info(data)
    short = pgfrs.read_info(data[: whole.data_offset])
    assert (short.width, short.height, short.mode) == (whole.width, whole.height, whole.mode)
    assert short.level_lengths == whole.level_lengths
    assert short.user_data == whole.user_data


@pytest.mark.parametrize("name", EVERY)
def test_every_level(name: str) -> None:
    entry, data = ENTRIES[name], read(name)
    info = pgfrs.read_info(data)
    assert entry["levels"]
    for level in entry["levels"]:
        image = pgfrs.decode(data, level=level["level"], strict=True)
        assert image.shape[:2] == (level["height"], level["width"])
        assert str(image.dtype) == info.dtype
        assert hash_of(image, entry) == level["sha256"], f"level {level['level']}"


@pytest.mark.parametrize("name", WITH_REGIONS)
def test_every_region(name: str) -> None:
    entry, data = ENTRIES[name], read(name)
    for roi in entry["rois"]:
        region, level = tuple(roi["rect"]), roi["level"]
        image = pgfrs.decode(data, level=level, region=region, strict=True)
        assert image.shape[:2] == (roi["height"], roi["width"]), f"{region} at level {level}"
        assert hash_of(image, entry) == roi["crop_sha256"], f"{region} at level {level}"


@pytest.mark.parametrize("name", EVERY)
def test_a_region_is_the_crop_of_the_whole(name: str) -> None:
    """Also in files without the ROI flag, at each level, for corner, middle and single-pixel rectangles."""
    data = read(name)
    info = pgfrs.read_info(data)
    w, h = info.width, info.height
    for level in range(max(info.levels, 1)):
        whole = pgfrs.decode(data, level=level)
        for region in (
            (0, 0, w, h),
            (0, 0, (w + 1) // 2, (h + 1) // 2),
            (w // 3, h // 4, w // 3 + (w + 2) // 3, h // 4 + (h + 1) // 2),
            (w - 1, h - 1, w, h),
        ):
            expected = crop_at_level(whole, region, level)
            if expected.size == 0:
                continue
            part = pgfrs.decode(data, level=level, region=region)
            np.testing.assert_array_equal(part, expected, err_msg=f"{region} at level {level}")


@pytest.mark.parametrize("name", EVERY)
def test_user_data_is_kept(name: str) -> None:
    entry, info = ENTRIES[name], pgfrs.read_info(read(name))
    if entry["user_data_sha256"] is None:
        assert info.user_data == b""
    else:
        assert sha256(bytes(info.user_data)) == entry["user_data_sha256"]


@pytest.mark.parametrize("name", EVERY)
def test_only_indexed_files_have_a_palette(name: str) -> None:
    info = pgfrs.read_info(read(name))
    assert (info.palette is not None) == (info.mode == "indexed")


@pytest.mark.parametrize("name", WITH_TABLE)
def test_palette_is_kept(name: str) -> None:
    palette = pgfrs.read_info(read(name)).palette
    assert palette is not None
    assert palette.shape == (256, 4)
    assert palette.dtype == np.uint8
    assert sha256(palette[:, [2, 1, 0, 3]].tobytes()) == ENTRIES[name]["color_table_sha256"]


@pytest.mark.parametrize("name", RE_ENCODED)
def test_the_same_bytes_again(name: str) -> None:
    entry, data = ENTRIES[name], read(name)
    header, settings, info = entry["header"], entry["settings"], pgfrs.read_info(data)
    mode = NAMES[header["mode"]]
    source = source_of(name)
    assert source is not None
    assert sha256(to_native(source, mode)) == entry["source_sha256"]
    again = pgfrs.encode(
        source,
        mode=mode,
        quality=settings["quality"],
        levels=settings["levels_requested"] or None,
        roi=settings["roi"],
        used_bits=header["used_bits"] if mode in DEEP else None,
        user_data=info.user_data or None,
        palette=info.palette,
    )
    assert again == data
