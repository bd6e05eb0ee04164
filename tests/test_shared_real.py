"""Files written by digiKam with libPGF 6, from the optional shared folder (never part of the repository)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgfrs
from material import load_manifest
from native import NAMES, crop_at_level, to_native

pytestmark = pytest.mark.shared

FILES = ("real_foto001q5.pgf", "real_imagemagick.pgf", "real_raw.pgf")


@pytest.fixture(params=FILES)
def real(request: pytest.FixtureRequest, shared: Path) -> tuple[dict[str, Any], bytes]:
    """A manifest entry and the file it describes."""
    folder = shared / "vectors"
    entries = {entry["file"]: entry for entry in load_manifest(folder)}
    entry, data = entries[request.param], (folder / request.param).read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    return entry, data


def test_header(real: tuple[dict[str, Any], bytes]) -> None:
    entry, data = real
    header, info = entry["header"], pgfrs.read_info(data)
    assert (info.version_flags, info.version) == (header["version_flags"], 6)
    assert (info.width, info.height, info.levels) == (header["width"], header["height"], header["levels"])
    assert (info.mode, info.quality) == (NAMES[header["mode"]], header["quality"])
    assert info.level_lengths == tuple(header["level_lengths"])
    assert len(info.user_data) == header["user_data"]
    if entry["user_data_sha256"]:
        assert hashlib.sha256(bytes(info.user_data)).hexdigest() == entry["user_data_sha256"]


def test_every_level(real: tuple[dict[str, Any], bytes]) -> None:
    entry, data = real
    assert entry["levels"]
    for level in entry["levels"]:
        image = pgfrs.decode(data, level=level["level"], strict=True)
        assert image.shape[:2] == (level["height"], level["width"])
        pixels = to_native(image, NAMES[entry["header"]["mode"]])
        assert hashlib.sha256(pixels).hexdigest() == level["sha256"], f"level {level['level']}"


def test_region(real: tuple[dict[str, Any], bytes]) -> None:
    entry, data = real
    w, h = entry["header"]["width"], entry["header"]["height"]
    region = (w // 3, h // 5, w // 3 + w // 2, h // 5 + h // 3)
    for level in range(entry["header"]["levels"]):
        part = pgfrs.decode(data, level=level, region=region)
        np.testing.assert_array_equal(part, crop_at_level(pgfrs.decode(data, level=level), region, level))
