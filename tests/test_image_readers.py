"""Libraries that read images through Pillow read ``.pgf`` once ``pgfrs.pillow`` is imported."""

from __future__ import annotations

import importlib
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


@pytest.fixture
def classes(tmp_path: Path, chelsea: NDArray[np.uint8], camera: NDArray[np.uint8]) -> Path:
    """A folder of classes as torchvision wants them, in both containers, colour and gray."""
    for name, data in {
        "cat/whole.pgf": pgfrs.encode(chelsea),
        "cat/stream.pgfr": pgfrs.encode(chelsea, format="pgfr"),
        "man/gray.pgf": pgfrs.encode(camera),
    }.items():
        (tmp_path / "classes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "classes" / name).write_bytes(data)
    return tmp_path / "classes"


LOADER = """
import pgfrs.pillow
from PIL import Image

def load(path):
    with Image.open(path) as image:
        return image.convert("RGB")
"""


def test_torchvision(
    classes: Path, chelsea: NDArray[np.uint8], camera: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real package: its folder loaders, its own way through Pillow, batches of worker processes."""
    reason = "torchvision is not installed: with torch and its CUDA libraries it takes 6 GB; pip install torchvision"
    pytest.importorskip("torchvision", reason=reason)
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import DatasetFolder, ImageFolder
    from torchvision.datasets.folder import default_loader

    suffixes = (".pgf", ".pgfr")
    gray = np.repeat(camera[..., None], 3, axis=2)
    with pytest.raises(FileNotFoundError):
        ImageFolder(classes)  # it takes files by a list of suffixes of its own
    images = ImageFolder(classes, is_valid_file=lambda path: path.endswith(suffixes))
    assert images.classes == ["cat", "man"] and images.targets == [0, 0, 1]
    for index, expected in enumerate((chelsea, chelsea, gray)):
        image, _ = images[index]
        assert image.mode == "RGB" and np.array_equal(np.asarray(image), expected)

    # Workers that inherit nothing need a module that imports the plugin.
    (classes.parent / "loader_for_workers.py").write_text(LOADER)
    monkeypatch.syspath_prepend(classes.parent)
    load = importlib.import_module("loader_for_workers").load
    turned = transforms.Compose([transforms.CenterCrop(200), transforms.PILToTensor()])
    top, left = (chelsea.shape[0] - 200) // 2, round((chelsea.shape[1] - 200) / 2)
    part = chelsea[top : top + 200, left : left + 200].transpose(2, 0, 1)
    for loader, method in ((default_loader, "fork"), (load, "spawn")):
        folder = DatasetFolder(str(classes), loader, extensions=suffixes, transform=turned)
        (batch, targets), *rest = DataLoader(folder, batch_size=3, num_workers=1, multiprocessing_context=method)
        assert batch.shape == (3, 3, 200, 200) and targets.tolist() == [0, 0, 1] and not rest
        assert np.array_equal(batch[0].numpy(), part) and np.array_equal(batch[1].numpy(), part)


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
