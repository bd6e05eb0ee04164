"""Libraries that read images through Pillow read ``.pgf`` once ``pgfrs.pillow`` is imported."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import imageio.v3 as iio
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pgfrs
import pgfrs.pillow


@pytest.fixture
def cat(tmp_path: Path, chelsea: NDArray[np.uint8]) -> Path:
    name = tmp_path / "cat.pgf"
    name.write_bytes(pgfrs.encode(chelsea))
    return name


@pytest.mark.parametrize("plugin", [None, "pillow"])
def test_imageio(cat: Path, chelsea: NDArray[np.uint8], plugin: str | None, tmp_path: Path) -> None:
    assert np.array_equal(iio.imread(cat, plugin=plugin), chelsea)
    assert np.array_equal(iio.imread(cat.read_bytes(), plugin=plugin), chelsea)
    assert iio.improps(cat, plugin="pillow").shape == chelsea.shape
    iio.imwrite(tmp_path / "again.pgf", chelsea, plugin="pillow", extension=".pgf", quality=4)
    assert pgfrs.read_info((tmp_path / "again.pgf").read_bytes()).quality == 4


def pil_loader(path: str) -> Image.Image:
    """What ``torchvision.datasets.folder.pil_loader`` does; torch itself is too large to install for it."""
    with open(path, "rb") as f:
        img = Image.open(f)
        return img.convert("RGB")


def test_loaders_as_in_torchvision(cat: Path, chelsea: NDArray[np.uint8], camera: NDArray[np.uint8]) -> None:
    loaded = pil_loader(str(cat))
    assert np.array_equal(np.asarray(loaded), chelsea)
    # What transforms.PILToTensor reads.
    assert np.array_equal(np.array(loaded, copy=True).transpose(2, 0, 1), chelsea.transpose(2, 0, 1))
    cat.write_bytes(pgfrs.encode(camera))
    assert pil_loader(str(cat)).mode == "RGB"


def test_datasets_image(cat: Path, chelsea: NDArray[np.uint8]) -> None:
    features = datasets.Features({"image": datasets.Image()})
    rows: list[Any] = [str(cat), {"bytes": cat.read_bytes(), "path": None}]
    table = datasets.Dataset.from_dict({"image": rows}, features=features)
    for row in table:
        assert row["image"].format == "PGF"
        assert np.array_equal(np.asarray(row["image"]), chelsea)
    again = table.map(lambda row: {"width": row["image"].width})
    assert again["width"][:] == [chelsea.shape[1]] * 2


def test_datasets_image_folder(cat: Path, chelsea: NDArray[np.uint8]) -> None:
    (cat.parent / "train" / "cats").mkdir(parents=True)
    cat.rename(cat.parent / "train" / "cats" / "cat.pgf")
    files = [str(path) for path in cat.parent.rglob("*.pgf")]
    table = datasets.Dataset.from_dict({"image": files}).cast_column("image", datasets.Image())
    assert np.array_equal(np.asarray(table[0]["image"]), chelsea)


def test_datasets_encodes_pillow_images_as_pgf(cat: Path, chelsea: NDArray[np.uint8]) -> None:
    with Image.open(cat) as opened:
        stored = datasets.Image().encode_example(opened)
    if stored["bytes"] is not None:
        with Image.open(io.BytesIO(stored["bytes"])) as again:
            assert np.array_equal(np.asarray(again), chelsea)
    else:
        assert stored["path"] == str(cat)
