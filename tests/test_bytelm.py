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
from pgfrs.llm import jpeg
from pgfrs.llm.positions import NEXT

FOLDER = REPOSITORY / "examples" / "bytelm"
NEEDED = ("torch", "sklearn", "skimage")


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # dataclasses look there for their module
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def codings() -> ModuleType:
    return module("codings")


@pytest.fixture(scope="module", params=["colour", "gray"])
def image(request: pytest.FixtureRequest, chelsea: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels = chelsea[100:244:3, 150:294:3]
    return np.ascontiguousarray(pixels if request.param == "colour" else pixels[..., 1])


def test_encodings_have_one_psnr_and_both_payloads_one_picture(codings: ModuleType, image: NDArray[np.uint8]) -> None:
    streams = codings.encode(image)
    assert set(streams) == {*codings.ENCODINGS, *codings.CHANGES}
    decoded = {name: codings.decode(name, stream, image.shape) for name, stream in streams.items()}
    target = codings.psnr(decoded["jpeg"], image)
    for name in ("pgf", "packed", "tokens", "levels", "flat", "chunks"):
        assert codings.psnr(decoded[name], image) == pytest.approx(target, abs=1.5), name
    np.testing.assert_array_equal(decoded["packed"], decoded["tokens"])
    np.testing.assert_array_equal(decoded["flat"], decoded["tokens"])
    np.testing.assert_array_equal(decoded["chunks"], decoded["tokens"])
    assert codings.from_chunks(streams["chunks"]) == streams["tokens"] != streams["chunks"]
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
        assert isinstance(codings.unflatten(data), bytes) and len(codings.from_chunks(data)) == len(data)


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="torch, scikit-learn or scikit-image is not installed (the extra named bytelm, 6 GB)",
)
@pytest.mark.parametrize("large", [False, True])
def test_the_example_in_small(tmp_path: Path, large: bool) -> None:
    """Runs of two steps, with the large setting of a narrower model; then the same command does nothing again."""
    names = ["jpeg", "tokens", "tokens-told", "digits-tokens", "digits-jpeg-told", "infill", "infill-told"]
    names += ["infill-digits-told"]
    command = [sys.executable, str(FOLDER / "run.py"), "--out", str(tmp_path), "--jobs", "1", "--seeds", "1"]
    command += ["--steps", "2", "--crops", "12", "--only", ",".join(names), "--device", "cpu"]
    if large:
        command += ["--large", "--width", "48"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for already in (0, len(names)):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("-0: there already") >= already
    for name in names:
        record = json.loads((tmp_path / "runs" / f"{name}-0.json").read_text())
        assert record["settings"]["layers"] == (4 if not large else 6 if name.startswith("digits") else 8)
        assert record["settings"]["width"] == (48 if large else 96)
        assert record["curve"][-1]["step"] == 2 and record["curve"][-1]["bits"] > 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results) == {"jpeg", "tokens", "tokens-told"}
    for name in results:
        (run,) = results[name]["of_runs"]
        assert 0.5 < run["bits_per_pixel"] < 3 and 0 <= run["decode"] <= 1
    (masked,) = results["tokens"]["of_runs"]
    assert masked["masked_legal"] == 1
    text = (tmp_path / "tables.md").read_text()
    assert "| tokens |" in text
    assert len((tmp_path / "infill.md").read_text().splitlines()) == 7
    command = [sys.executable, str(FOLDER / "infilling.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "removed" in done.stdout
    on_digits = json.loads((tmp_path / "digits.json").read_text())["tokens"]
    (run,) = on_digits["runs"]
    assert on_digits["told"]["1.0"] > 0.85 > on_digits["told"]["0.1"]
    assert run["masked"]["legal"] == run["given"]["decode"] == 1
    assert "| held out | tokens |" in (tmp_path / "digits.md").read_text()
    for plot in ("curves.png", "cuts.png", "samples.png", "digits-cuts.png", "digits.png", "infilled.png"):
        assert (tmp_path / plot).stat().st_size > 5000


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed (the extra named bytelm)")
@pytest.mark.parametrize("name", ["tokens", "tokens-told", "jpeg-told"])
def test_models_write_what_they_predict(codings: ModuleType, image: NDArray[np.uint8], name: str) -> None:
    """Writing byte by byte, with keys and values kept, follows the same model as reading all at once, told or not."""
    import torch

    where, model = module("where"), module("model")
    torch.manual_seed(1)
    told = name.endswith(codings.TOLD)
    writer = model.ByteModel(model.Settings(width=48, layers=2, heads=3, told=told))
    with torch.no_grad():
        for weights in writer.parameters():
            weights *= 4  # so that what is most likely depends on all that came before
    stream, lengths, labels = codings.encode(image)[where.coding(name)], (120, 90), (10, 3)
    followers = [where.follower(name) for _ in lengths]
    given = [
        model.beginning(label, stream[:length], follower)
        for label, length, follower in zip(labels, lengths, followers, strict=True)
    ]
    endless = np.arange(257) < 256
    written = model.sample(writer, given, 60, 0, lambda *_: endless, 1e-4, followers if told else [])
    for label, length, more in zip(labels, lengths, written, strict=True):
        ids = torch.from_numpy(model.sequence(label, stream[:length] + more, where.follower(name)))[None]
        with torch.no_grad():
            logits = writer(ids[:, :-1])[0, :, :256]
        assert len(more) == 60 and bytes(logits.argmax(-1).tolist())[length : length + 60] == more
        assert len(set(more)) > 5


def test_where_the_bytes_of_jpeg_stand(image: NDArray[np.uint8]) -> None:
    """A restart marker is due exactly where one stands, so every code before it was read as it is."""
    module("codings")
    where = module("where")
    stream = jpeg.encode(image)
    found = where.follower("jpeg-told").advance(stream)
    scan = stream.index(b"\xff\xda")
    start = scan + 2 + stream[scan + 3]
    restarts = [n for n in range(start, len(stream) - 1) if stream[n] == 0xFF and stream[n + 1] != 0]
    assert len(restarts) == (9 if image.ndim == 3 else 36)
    due = {n + 1 for n in range(start - 1, len(stream) - 1) if NEXT[found[n, 0]] == "marker"}
    assert due == set(restarts)
    content = found[found[:, 0] == NEXT.index("content")]
    assert content[:, 5].max() == 44 and set(content[:, 1]) == ({0, 1, 2} if image.ndim == 3 else {0})
    rng = np.random.default_rng(0)
    for _ in range(50):  # whatever a model writes
        noise = stream[: int(rng.integers(0, start + 40))] + rng.integers(0, 256, 60, np.uint8).tobytes()
        assert where.JpegPositions().advance(noise).shape == (len(noise), 7)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(("side", "quality"), [(48, 0), (77, 3), (128, 4), (200, 5)])
def test_token_payloads_read_in_python_agree(side: int, quality: int, bare: bool, chelsea: NDArray[np.uint8]) -> None:
    """Every segment ends where its planes end; more planes are significant coefficients of the finer picture."""
    planes = module("planes")
    gray = np.ascontiguousarray(chelsea[20 : 20 + side, 40 : 60 + side, 1])
    stream = pgfrs.encode(gray, format="pgfr", payload="tokens", quality=quality, bare=bare)
    found = planes.blocks(stream)
    segments = [segment for segment in pgfrs.segments(stream) if segment.kind == "planes"]
    assert sorted({segment.start for segment in segments}) == sorted({s for block in found for s in block.starts})
    coefficients = sum(len(block.found) for block in found)
    assert coefficients == side * (side + 20)  # the transform makes as many coefficients as there are pixels
    for block in found:
        assert block.planes == sorted(block.planes, reverse=True)
        if block.planes:
            assert block.found.max() == block.planes[0] and block.refined[0] == 0
    with pytest.raises(ValueError, match="gray"):
        planes.blocks(pgfrs.encode(gray, format="pgfr"))
