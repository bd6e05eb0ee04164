"""Files cut at every byte: always a picture once the header is there, and how good it is (target/reports)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import pgfrs
from material import REPORTS, VECTORS, load_sample
from pgfrs.raster import psnr

SLOW = os.environ.get("HYPOTHESIS_PROFILE") == "slow"


@pytest.fixture(autouse=True)
def _damage_warnings_are_expected() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pgfrs.DamageWarning)
        yield


@dataclass(frozen=True)
class Photograph:
    """A part of a sample photograph and the settings it is encoded with."""

    name: str
    region: tuple[int, int, int, int]
    quality: int
    roi: bool = False

    def source(self) -> NDArray[np.uint8]:
        left, top, right, bottom = self.region
        return np.ascontiguousarray(load_sample(self.name)[top:bottom, left:right])


# every byte of each is cut in turn, so they are small
PHOTOGRAPHS = {
    "chelsea": Photograph("chelsea.png", (100, 60, 260, 180), quality=4),
    "astronaut": Photograph("astronaut.png", (120, 20, 280, 140), quality=3),
    "camera": Photograph("camera.png", (180, 60, 380, 210), quality=2),
    "coffee-roi": Photograph("coffee.png", (200, 100, 360, 220), quality=5, roi=True),
}


def check_prefix(data: bytes, length: int, shape: tuple[int, ...]) -> NDArray[np.generic] | None:
    """Decode data[:length] and check the report; None where the header is incomplete."""
    offset = pgfrs.read_info(data).data_offset
    try:
        image, report = pgfrs.decode_with_report(data[:length])
    except pgfrs.TruncatedError:
        assert length < offset, f"refused at {length} bytes although the header ends at {offset}"
        return None
    assert image.shape == shape
    assert report.complete == (length == len(data)), f"at {length} bytes"
    assert report.truncated == (length < len(data)), f"at {length} bytes"
    assert not report.damaged, f"at {length} bytes"
    assert report.bytes_total == length
    assert report.bytes_used <= length
    assert report.intact + report.partial + report.missing == report.macroblocks
    return image


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_prefix_of_a_photograph(name: str) -> None:
    photograph = PHOTOGRAPHS[name]
    source = photograph.source()
    data = pgfrs.encode(source, quality=photograph.quality, roi=photograph.roi)
    best = psnr(source, pgfrs.decode(data, strict=True))
    curve = []
    for length in range(len(data) + 1):
        image = check_prefix(data, length, source.shape)
        if image is not None:
            curve.append((length, psnr(source, image)))
    lengths, decibels = np.array(curve).T

    assert lengths[0] <= pgfrs.read_info(data).data_offset
    assert decibels[-1] == best
    # progression: what has arrived is used, so the picture at half the bytes is far better than at the header
    assert decibels[len(decibels) // 2] > decibels[0] + 6
    # and a byte more hardly ever makes it worse
    assert np.diff(decibels).min() > -1.5
    plot(name, lengths, decibels)


def plot(name: str, lengths: NDArray[np.float64], decibels: NDArray[np.float64]) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / f"prefix_psnr_{name}.png"
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axes.plot(lengths, decibels, linewidth=1)
    axes.set_xlabel("bytes that arrived")
    axes.set_ylabel("PSNR against the source, dB")
    axes.set_title(f"{name}: every prefix of a file of {int(lengths[-1])} bytes")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.pgf")), ids=lambda path: path.name)
def test_prefixes_of_every_vector(path: Path) -> None:
    """All modes, layouts of old versions, ROI, raw planes: every byte of the header and a sample of the rest."""
    data = path.read_bytes()
    info = pgfrs.read_info(data)
    shape = pgfrs.decode(data).shape
    near = range(min(info.data_offset + 80, len(data) + 1))
    step = 1 if SLOW else max(1, len(data) // 60)
    for length in sorted({*near, *range(0, len(data), step), *range(max(len(data) - 8, 0), len(data) + 1)}):
        check_prefix(data, length, shape)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["real_foto001q5.pgf", "real_imagemagick.pgf", "real_raw.pgf"])
def test_prefixes_of_files_from_digikam(shared: Path, name: str) -> None:
    data = (shared / "vectors" / name).read_bytes()
    shape = pgfrs.decode(data).shape
    for length in range(0, len(data) + 1, 1 if SLOW else 211):
        check_prefix(data, length, shape)


def test_strict_refuses_every_cut(camera: NDArray[np.uint8]) -> None:
    data = pgfrs.encode(np.ascontiguousarray(camera[100:164, 100:164]), quality=3)
    for length in range(len(data)):
        with pytest.raises(pgfrs.TruncatedError):
            pgfrs.decode(data[:length], strict=True)
    pgfrs.decode(data, strict=True)


def test_a_cut_file_warns(camera: NDArray[np.uint8]) -> None:
    data = pgfrs.encode(camera, quality=5)
    with pytest.warns(pgfrs.DamageWarning):
        pgfrs.decode(data[: len(data) // 2])


def test_a_level_whose_bytes_all_arrived_is_exact(chelsea: NDArray[np.uint8]) -> None:
    data = pgfrs.encode(chelsea, quality=3)
    info = pgfrs.read_info(data)
    assert info.levels >= 2
    for level in range(info.levels - 1, -1, -1):
        # level lengths are stored smallest picture first; level k needs the first L - k of them (section 14.2)
        end = info.data_offset + sum(info.level_lengths[: info.levels - level])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image, report = pgfrs.decode_with_report(data[:end], level=level)
        assert report.missing == 0
        np.testing.assert_array_equal(image, pgfrs.decode(data, level=level))
