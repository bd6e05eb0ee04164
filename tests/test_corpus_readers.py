"""What a conversion writes, read by the packages that people read it with."""

from __future__ import annotations

import gc
import importlib.util
import io
import itertools
import json
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgfrs
from material import REPOSITORY
from pgfrs.corpus import Recipe, convert, convert_batch
from test_corpus import make_parquet, make_tars, photographs, records  # noqa: F401 - a fixture

OFFSET = 32000


def make(photographs: Path, here: Path, sink: str, **options: Any) -> Path:  # noqa: F811
    convert(make_tars(photographs, here), here / "out", recipe=Recipe(size=48, quality=5), sink=sink, shard_size=7,
            report=False, **options)  # fmt: skip
    return here / "out"


@pytest.fixture
def expected(photographs: Path, tmp_path: Path) -> list[bytes]:  # noqa: F811
    (tmp_path / "expected").mkdir()
    return [record.data or b"" for record in records(make(photographs, tmp_path / "expected", "tar"))]


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # webdataset leaves files to the collector
def test_webdataset(photographs: Path, tmp_path: Path, expected: list[bytes]) -> None:  # noqa: F811
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import webdataset

    out = make(photographs, tmp_path, "tar")
    dataset = webdataset.WebDataset(str(out / "shard-{000000..000004}.tar"), shardshuffle=False)
    samples = list(dataset)
    assert [sample["pgf"] for sample in samples] == expected
    assert [sample["__key__"] for sample in samples] == [f"{n:02}" for n in range(30)]
    assert samples[3]["txt"] == b"caption 03" and samples[3]["cls"] == b"7"
    described = json.loads(samples[3]["json"])
    assert described["name"] == "03" and described["pgfrs"]["source_format"] == "jpeg"
    assert pgfrs.decode(samples[3]["pgf"]).shape == (48, 58, 3)
    del dataset
    gc.collect()


@pytest.mark.parametrize("package", ["pyarrow", "datasets", "pandas"])
def test_parquet(photographs: Path, tmp_path: Path, expected: list[bytes], package: str) -> None:  # noqa: F811
    out = make(photographs, tmp_path, "parquet")
    files = sorted(map(str, out.glob("*.parquet")))
    if package == "pyarrow":
        import pyarrow.parquet as pq

        rows = pq.read_table(files).to_pylist()
    elif package == "pandas":
        import pandas

        rows = pandas.concat(map(pandas.read_parquet, files)).to_dict("records")
    else:
        import datasets

        datasets.disable_progress_bars()
        dataset = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
        rows = list(dataset)
    assert [row["payload"] for row in rows] == expected
    assert [row["caption"] for row in rows] == [f"caption {n:02}" for n in range(30)]
    assert {row["status"] for row in rows} == {"ok"} and {row["width"] for row in rows} == {58}


def test_parquet_tells_of_rows_without_a_picture(tmp_path: Path, photographs: Path) -> None:  # noqa: F811
    import pyarrow.parquet as pq

    lines = [json.dumps({"path": str(path), "n": n}) for n, path in enumerate(sorted(photographs.iterdir())[:3])]
    lines.insert(1, json.dumps({"path": "missing.jpg", "n": 9}))
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    convert(tmp_path / "in.jsonl", tmp_path / "out", sink="parquet", report=False)
    rows = pq.read_table(tmp_path / "out" / "shard-000000.parquet").to_pylist()
    assert [row["status"] for row in rows] == ["ok", "failed", "ok", "ok"]
    assert rows[1]["error_kind"] == "unreadable" and "missing.jpg" in rows[1]["error"]
    assert rows[1]["payload"] is None and json.loads(rows[1]["metadata"]) == {"n": 9}


def read_megatron(stem: Path) -> list[np.ndarray[Any, Any]]:
    """Sequences by the published layout of Megatron's indexed data sets (MMapIndexedDataset, version 1)."""
    index = stem.with_suffix(".idx").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, documents = struct.unpack_from("<QBQQ", index, 9)
    assert version == 1
    kind = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}[code]
    at = 9 + 8 + 1 + 8 + 8
    lengths = np.frombuffer(index, np.int32, sequences, at)
    pointers = np.frombuffer(index, np.int64, sequences, at + lengths.nbytes)
    ends = np.frombuffer(index, np.int64, documents, at + lengths.nbytes + pointers.nbytes)
    assert at + lengths.nbytes + pointers.nbytes + ends.nbytes == len(index)
    assert ends[0] == 0 and ends[-1] == sequences
    data = np.memmap(stem.with_suffix(".bin"), np.uint8, "r")
    parts = zip(pointers.tolist(), lengths.tolist(), strict=True)
    return [np.frombuffer(data, kind, length, pointer) for pointer, length in parts]


@pytest.mark.parametrize(("offset", "kind"), [(0, np.uint16), (OFFSET, np.uint16), (128256, np.int32)])
def test_megatron(photographs: Path, tmp_path: Path, expected: list[bytes], offset: int, kind: type) -> None:  # noqa: F811
    out = make(photographs, tmp_path, "megatron", id_offset=offset, begin_id=offset + 256, end_id=offset + 257)
    found = [sequence for path in sorted(out.glob("*.bin")) for sequence in read_megatron(path.with_suffix(""))]
    assert {sequence.dtype for sequence in found} == {np.dtype(kind)}
    assert {(int(sequence[0]), int(sequence[-1])) for sequence in found} == {(offset + 256, offset + 257)}
    assert [(s[1:-1].astype(int) - offset).astype(np.uint8).tobytes() for s in found] == expected


def test_memmap(photographs: Path, tmp_path: Path, expected: list[bytes]) -> None:  # noqa: F811
    out = make(photographs, tmp_path, "memmap", id_offset=OFFSET)
    found = []
    for path in sorted(out.glob("*.ids")):
        ids, offsets = np.memmap(path, np.uint16, "r"), np.load(path.with_suffix(".offsets.npy"))
        found += [ids[a:b] for a, b in itertools.pairwise(offsets)]
        rows = [json.loads(line) for line in path.with_suffix(".rows.jsonl").read_text().splitlines()]
        assert [row["nbytes"] for row in rows] == np.diff(offsets).tolist()
    assert [(sequence - OFFSET).astype(np.uint8).tobytes() for sequence in found] == expected


def test_mds_by_its_layout(photographs: Path, tmp_path: Path, expected: list[bytes]) -> None:  # noqa: F811
    """The shards by the index that goes with them; no part of this package reads here."""
    out = make(photographs, tmp_path, "mds")
    index = json.loads((out / "index.json").read_text())
    found = []
    for shard in index["shards"]:
        data = (out / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        (count,) = struct.unpack_from("<I", data)
        assert count == shard["samples"]
        offsets = struct.unpack_from(f"<{count + 1}I", data, 4)
        assert offsets[-1] == len(data)
        assert json.loads(data[4 + 4 * (count + 1) : offsets[0]])["column_names"] == shard["column_names"]
        for start, stop in itertools.pairwise(offsets):
            stream = io.BytesIO(data[start:stop])
            sizes = [size or struct.unpack("<I", stream.read(4))[0] for size in shard["column_sizes"]]
            values = {name: stream.read(size) for name, size in zip(shard["column_names"], sizes, strict=True)}
            assert stream.tell() == stop - start
            assert struct.unpack("<q", values["width"]) == (58,)
            found.append(values)
    assert [values["payload"] for values in found] == expected
    assert [values["caption"].decode() for values in found] == [f"caption {n:02}" for n in range(30)]


@pytest.mark.skipif(
    importlib.util.find_spec("streaming") is None,
    reason="mosaicml-streaming is not installed (it wants torch and NumPy below 2.2); see test_mds_by_its_layout",
)
def test_mds_by_streaming(photographs: Path, tmp_path: Path, expected: list[bytes]) -> None:  # noqa: F811
    from streaming import StreamingDataset

    out = make(photographs, tmp_path, "mds")
    dataset = StreamingDataset(local=str(out), shuffle=False, batch_size=1)
    assert [dataset[n]["payload"] for n in range(len(dataset))] == expected


def test_hugging_face_parquet_is_a_source(photographs: Path, tmp_path: Path) -> None:  # noqa: F811
    """As the datasets library itself writes pictures."""
    import datasets
    from PIL import Image

    datasets.disable_progress_bars()
    paths = sorted(photographs.iterdir())[:6]
    pictures = [Image.open(path) for path in paths]
    table = datasets.Dataset.from_dict({"image": pictures, "text": [path.stem for path in paths]})
    table = table.cast_column("image", datasets.Image())
    table.to_parquet(tmp_path / "hf.parquet")
    report = convert(tmp_path / "hf.parquet", tmp_path / "out", sink="parquet", report=False, verify=6)
    assert report["ok"] == 6 and not report["verify"]["wrong"]
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "out" / "shard-000000.parquet").to_pylist()
    assert [row["caption"] for row in rows] == [path.stem for path in paths]
    for picture in pictures:
        picture.close()


def test_parquet_shards_divide_files_anyhow(photographs: Path, tmp_path: Path) -> None:  # noqa: F811
    source = make_parquet(photographs, tmp_path)
    reference: list[bytes] = []
    for size in (1, 4, 13, 30, 100):
        convert(source, tmp_path / str(size), recipe=Recipe(size=40, quality=6), shard_size=size, report=False)
        data = [record.data or b"" for record in records(tmp_path / str(size))]
        reference = reference or data
        assert data == reference and len(data) == 30


def recipe_block(heading: str) -> str:
    """The program of a section of docs/recipes/corpus.md."""
    section = (REPOSITORY / "docs" / "recipes" / "corpus.md").read_text().split(f"## {heading}\n")[1]
    return section.split("```py\n")[1].split("```")[0]


def test_the_recipe_for_datasets(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    datasets.disable_progress_bars()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    paths = [*sorted(photographs.iterdir())[:5]]
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in paths] + [{"bytes": b"junk", "path": "x.jpg"}]
    pq.write_table(pa.table({"image": images, "text": [str(n) for n in range(6)]}), "pictures.parquet")
    names: dict[str, Any] = {}
    exec(recipe_block("Hugging Face datasets"), names)
    rows = list(names["dataset"])
    assert [row["status"] for row in rows] == ["ok"] * 5 + ["failed"]
    expected = convert_batch([path.read_bytes() for path in paths], format="pgfr", max_bytes=5000, size=256)
    assert [row["payload"] for row in rows[:5]] == [row.data for row in expected]  # type: ignore[union-attr]
    assert rows[5]["error"].startswith("unknown_format") and rows[5]["payload"] is None
    assert [row["text"] for row in rows] == [str(n) for n in range(6)]


def test_the_recipe_for_spark_without_spark(photographs: Path) -> None:  # noqa: F811
    """Spark itself is not run; its function gets the frames that Spark would give."""
    import pandas

    program = recipe_block("Spark").split("pictures = ")[0]
    names: dict[str, Any] = {}
    exec(program, names)
    paths = sorted(photographs.iterdir())[:3]
    frame = pandas.DataFrame({"path": [path.name for path in paths], "content": [path.read_bytes() for path in paths]})
    (result,) = names["convert"](iter([frame]))
    assert list(result.columns) == ["path", "payload", "width", "height", "nbytes", "status", "error"]
    assert list(result.status) == ["ok"] * 3
