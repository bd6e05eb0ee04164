"""The example that trains byte models: its encodings, and, where torch is installed, all of it in small."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

import pgfrs
from material import REPOSITORY

FOLDER = REPOSITORY / "examples" / "bytelm"
NEEDED = ("torch", "sklearn", "skimage")


@pytest.fixture(scope="module")
def codings() -> ModuleType:
    spec = importlib.util.spec_from_file_location("codings", FOLDER / "codings.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["colour", "gray"])
def image(request: pytest.FixtureRequest, chelsea: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels = chelsea[100:244:3, 150:294:3]
    return np.ascontiguousarray(pixels if request.param == "colour" else pixels[..., 1])


def test_encodings_have_one_psnr_and_both_payloads_one_picture(codings: ModuleType, image: NDArray[np.uint8]) -> None:
    streams = codings.encode(image)
    assert set(streams) == {*codings.ENCODINGS, *codings.CHANGES}
    decoded = {name: codings.decode(name, stream, image.shape) for name, stream in streams.items()}
    target = codings.psnr(decoded["jpeg"], image)
    for name in ("pgf", "packed", "tokens", "levels", "flat"):
        assert codings.psnr(decoded[name], image) == pytest.approx(target, abs=1.5), name
    np.testing.assert_array_equal(decoded["packed"], decoded["tokens"])
    np.testing.assert_array_equal(decoded["flat"], decoded["tokens"])
    assert pgfrs.transcode(streams["packed"], "pgfr", payload="tokens") == streams["tokens"]
    assert len(streams["packed"]) < len(streams["tokens"]) and len(streams["flat"]) < len(streams["tokens"])


def test_flat_streams_keep_base_and_planes(codings: ModuleType, image: NDArray[np.uint8]) -> None:
    stream = codings.encode(image)["tokens"]
    again = codings.unflatten(codings.flatten(stream))

    def pieces(data: bytes) -> set[bytes]:
        return {data[segment.start : segment.end] for segment in pgfrs.segments(data)}

    assert pieces(again) == pieces(stream)
    rng = np.random.default_rng(0)
    for _ in range(100):  # whatever a model writes
        data = bytes(rng.choice([0, 1, 2, 16, 255], int(rng.integers(0, 60))).astype(np.uint8).tolist())
        assert isinstance(codings.unflatten(data), bytes)


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="torch, scikit-learn or scikit-image is not installed (the extra named bytelm, 6 GB)",
)
def test_the_example_in_small(tmp_path: Path) -> None:
    """Three runs of two steps; then the same command does nothing again."""
    command = [sys.executable, str(FOLDER / "run.py"), "--out", str(tmp_path), "--jobs", "1", "--seeds", "1"]
    command += ["--steps", "2", "--crops", "12", "--only", "jpeg,tokens,infill", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for already in (0, 3):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("-0: there already") >= already
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results) == {"jpeg", "tokens"}
    for name in results:
        (run,) = results[name]["of_runs"]
        assert 0.5 < run["bits_per_pixel"] < 3 and 0 <= run["decode"] <= 1
    (masked,) = results["tokens"]["of_runs"]
    assert masked["masked_legal"] == 1
    text = (tmp_path / "tables.md").read_text()
    assert "Infilling" in text and "| tokens |" in text
    for plot in ("curves.png", "cuts.png", "samples.png"):
        assert (tmp_path / plot).stat().st_size > 5000
