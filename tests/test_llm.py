"""Ids, samples, shards and the JPEG baseline for byte-level language models."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

import pgfrs
from material import REPOSITORY
from pgfrs.cli import cli
from pgfrs.corpus import FOR_MODELS, Recipe, convert
from pgfrs.llm import BYTES, EVABYTE, Ids, from_ids, jpeg, samples, to_ids
from pgfrs.llm.positions import of_sample
from pgfrs.llm.samples import Part, Sample
from pgfrs.llm.shards import IGNORED, captioned, pack, packed, pictures, shard_names
from test_corpus import make_parquet, make_tars, photographs  # noqa: F401 - a fixture

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="torch is not installed; with its CUDA libraries it has 6 GB (the extra named torch)",
)


@pytest.fixture(scope="module", params=["packed", "tokens"])
def stream(request: pytest.FixtureRequest, chelsea: NDArray[np.uint8]) -> bytes:
    """96 x 128 pixels in about 3 KB, several blocks a level."""
    return pgfrs.encode(chelsea[:96, :128], format="pgfr", payload=request.param, max_bytes=3000)


# Ids.


def test_the_presets() -> None:
    assert to_ids(b"\x00\xff", ids=EVABYTE).tolist() == [1, 64, 319, 2]
    assert to_ids(b"\x00\xff").tolist() == [64, 319] and from_ids([64, 319]) == b"\x00\xff"
    assert to_ids(b"\x00\xff", 0).tolist() == [0, 255] and to_ids(b"\x00\xff", 64, 1, 2).tolist() == [1, 64, 319, 2]
    assert EVABYTE.size == 320 and BYTES.size == 256
    assert all(number < 64 for number in [EVABYTE.bos, EVABYTE.eos, *EVABYTE.sentinels.values()] if number is not None)
    assert to_ids(b"").shape == (0,) and to_ids(memoryview(b"ab"), 128256).dtype == np.int32
    assert to_ids(b"ab", 65280).dtype == np.uint16 and to_ids(b"ab", 65281).dtype == np.int32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"offset": -1}, "offset=-1"),
        ({"bos": 7}, "id of byte 7"),
        ({"offset": 64, "bos": 1, "sentinels": {"x": 1}}, "bos already"),
        ({"offset": 64, "bos": -1}, "bos=-1"),
        ({"size": 255}, "the vocabulary has 255"),
        ({"offset": 1, "dtype": np.uint8}, "holds 256"),
        ({"dtype": np.float32}, "integer type"),
        ({"offset": 64, "bos": 1, "sentinels": {"bos": 5}}, "bos has an argument of its own"),
    ],
)
def test_ids_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ids(**options)


def test_ids_are_one_value_or_several() -> None:
    with pytest.raises(ValueError, match="either ids or"):
        to_ids(b"", 65, ids=EVABYTE)
    with pytest.raises(ValueError, match="either ids or"):
        to_ids(b"", bos=1, ids=EVABYTE)
    with pytest.raises(TypeError):
        Ids(64.5)  # type: ignore[arg-type]
    assert Ids(np.uint8(64)) == Ids(64) and Ids(np.uint8(64)).size == 320  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="middle"):
        BYTES.mark("middle")
    import pickle

    assert pickle.loads(pickle.dumps(EVABYTE)) == EVABYTE
    assert len({EVABYTE, pickle.loads(pickle.dumps(EVABYTE)), BYTES}) == 2


@hypothesis.given(st.binary(max_size=200), st.integers(0, 70000))
def test_ids_and_back(data: bytes, offset: int) -> None:
    ids = to_ids(data, offset, offset + 256, offset + 257)
    assert from_ids(ids, offset) == data
    assert from_ids(ids.reshape(-1, 1).tolist(), offset) == data


@hypothesis.given(
    st.one_of(
        st.lists(st.integers(-(2**62), 2**62)),
        st.lists(st.floats(allow_nan=True)),
        st.lists(st.one_of(st.none(), st.text(max_size=3), st.integers(-(2**90), 2**90), st.floats())),
        st.lists(st.lists(st.integers(0, 300))),
        st.recursive(st.integers() | st.none() | st.floats() | st.text(max_size=2), st.lists),
        st.text(max_size=4),
        st.none(),
        st.integers(),
        st.binary(max_size=4),
        st.booleans(),
    ),
    st.integers(-5, 400) | st.integers(-(2**70), 2**70),
)
def test_from_ids_never_raises(ids: Any, offset: int) -> None:
    assert isinstance(from_ids(ids, offset), bytes)
    sample = Sample.from_ids(ids, EVABYTE)
    assert isinstance(sample.stream(), bytes) and isinstance(sample.caption, str)


def test_from_ids_takes_what_models_give() -> None:
    assert from_ids(np.array([[1, 64 + 65, 2], [1, 64 + 66, 9999]]), 64) == b"AB"
    assert from_ids(np.array([64.0 + 65, np.nan, np.inf]), 64) == b"A"
    assert from_ids([[64 + 65], [], [64 + 66, 3]], 64) == b"AB"
    assert from_ids(np.array([], np.uint16)) == b""
    assert from_ids(np.array([-1, 256, 255]), 0) == b"\xff"
    assert from_ids([65, "a", None, 10**400, [66, [67.9]], {1: 2}], 0) == b"ABC"
    assert from_ids([65, 2**63], 0) == from_ids(np.array([65, 2**64 - 1], np.uint64), 0) == b"A"
    for buffer in (b"AB", bytearray(b"AB"), memoryview(b"AB"), np.frombuffer(b"AB", np.uint8)):
        assert from_ids(buffer, 0) == b"AB", "of bytes every byte is an id"
    own: list[Any] = [65]
    own.append(own)
    assert set(from_ids(own, 0)) == {65}, "a list in itself ends somewhere"


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "float32", "float16", "bfloat16"])
def test_from_ids_takes_tensors(kind: str) -> None:
    torch = pytest.importorskip("torch", reason="no PyTorch: pip install 'pgfrs[torch]'")
    numbers = torch.tensor([65, 66, 1], dtype=getattr(torch, kind))
    if numbers.is_floating_point():
        numbers.requires_grad_()
    assert from_ids(numbers, 64) == b"\x01\x02" and from_ids([numbers[:1], numbers[1:]], 64) == b"\x01\x02"


def test_importing_ids_imports_neither_torch_nor_pillow() -> None:
    program = "import sys, pgfrs.llm; print(sorted({'torch', 'PIL', 'pyarrow', 'datasets'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# The JPEG baseline.


@pytest.mark.parametrize("gray", [False, True])
def test_jpeg_without_tables_gives_the_pixels_of_jpeg_with_them(chelsea: NDArray[np.uint8], gray: bool) -> None:
    image = chelsea[:70, :50, 0] if gray else chelsea[:70, :50]
    whole, stripped = jpeg.encode(image, tables=True), jpeg.encode(image)
    assert len(whole) - len(stripped) == pytest.approx(len(jpeg.fixed_tables()), abs=400)
    assert b"\xff\xdb" not in stripped and b"\xff\xc4" not in stripped
    with Image.open(io.BytesIO(whole)) as picture:
        expected = np.asarray(picture)
    np.testing.assert_array_equal(jpeg.decode(stripped), expected)
    with Image.open(io.BytesIO(jpeg.restore(stripped))) as picture:  # the tables themselves
        np.testing.assert_array_equal(np.asarray(picture), expected)
    side = 8 if gray else 16
    markers = sum(stripped.count(bytes([0xFF, 0xD0 + n])) for n in range(8))
    assert markers == -(-70 // side) * -(-50 // side) - 1


def test_jpeg_of_other_qualities(chelsea: NDArray[np.uint8]) -> None:
    for quality, subsampling in ((10, "4:4:4"), (90, "4:2:2")):
        whole = jpeg.encode(chelsea, quality=quality, subsampling=subsampling, tables=True)
        with Image.open(io.BytesIO(whole)) as picture:
            expected = np.asarray(picture)
        stripped = jpeg.encode(chelsea, quality=quality, subsampling=subsampling)
        np.testing.assert_array_equal(jpeg.decode(stripped, quality=quality), expected)
    for options in ({"quality": 0}, {"quality": 96}, {"subsampling": "4:1:1"}):
        with pytest.raises(ValueError):
            jpeg.encode(chelsea, **options)
    for image in (chelsea.astype(np.uint16), chelsea[..., :2]):
        with pytest.raises(ValueError, match="shape"):
            jpeg.encode(image)


def test_cut_and_damaged_jpeg_is_a_picture_or_a_value_error(chelsea: NDArray[np.uint8]) -> None:
    image = chelsea[100:148, 100:148]
    data, rng = jpeg.encode(image), np.random.default_rng(0)
    pictures_ = 0
    for end in range(0, len(data), 5):
        try:
            pictures_ += jpeg.decode(data[:end]).shape == image.shape
        except ValueError:
            assert end < 120, "behind the headers every prefix is a picture"
    assert pictures_ > 30
    for _ in range(100):
        hurt = bytearray(data)
        hurt[int(rng.integers(len(hurt)))] = int(rng.integers(256))
        try:
            assert jpeg.decode(bytes(hurt)).dtype == np.uint8
        except ValueError as error:
            assert str(error)
    with pytest.raises(ValueError, match="ff d8"):
        jpeg.restore(b"GIF89a")


# Samples.

EXACT: dict[str, Callable[[bytes, int], Sample]] = {
    "full": lambda stream, seed: samples.full(stream),
    "caption first": lambda stream, seed: samples.full(stream, caption="a cat ☃"),
    "caption last": lambda stream, seed: samples.full(stream, caption="a cat ☃", caption_first=False),
    "prefix to rest": samples.prefix_to_rest,
    "psm": samples.fill_in_the_middle,
    "spm": lambda stream, seed: samples.fill_in_the_middle(stream, seed, order="spm"),
    "two at least": lambda stream, seed: samples.fill_in_the_middle(stream, seed, least=2),
    "repair": samples.repair,
}


@pytest.mark.parametrize("name", EXACT)
def test_samples_give_back_the_stream(stream: bytes, name: str) -> None:
    seen = set()
    for seed in range(20):
        sample = EXACT[name](stream, seed)
        assert sample == EXACT[name](stream, seed), "the same seed, the same sample"
        assert sample.stream() == stream
        in_band = sample.in_band()
        assert Sample.from_bytes(in_band).stream() == stream
        assert Sample.from_ids(sample.ids(EVABYTE), EVABYTE).stream() == stream
        assert len(sample.ids(EVABYTE)) == len(sample.learned(EVABYTE))
        seen.add(in_band)
    assert (len(seen) > 5) is (name not in ("full", "caption first", "caption last"))


@pytest.mark.parametrize("name", ["caption first", "caption last"])
def test_captions(stream: bytes, name: str) -> None:
    sample = EXACT[name](stream, 0)
    again = Sample.from_bytes(sample.in_band())
    assert sample.caption == again.caption == "a cat ☃"
    assert sample.in_band().startswith(b"\xff\xffC" if name == "caption first" else b"\xff\xffI")
    assert sample.learned(EVABYTE).sum() == len(sample.ids(EVABYTE)) - 1, "all but <bos>"


def test_cut_samples_end_with_a_segment(stream: bytes) -> None:
    ends = {segment.end for segment in pgfrs.segments(stream)}
    for budget in range(0, len(stream) + 50, 37):
        whole, any_ = samples.cut(stream, budget), samples.cut(stream, budget, whole=False)
        assert any_.stream() == stream[:budget]
        assert len(whole.stream()) <= budget and stream.startswith(whole.stream())
        assert len(whole.stream()) in ends | {0}
        assert max((end for end in ends if end <= budget), default=0) == len(whole.stream())
    with pytest.raises(ValueError, match="budget=-1"):
        samples.cut(stream, -1)


def test_middles_are_whole_segments_and_learned_alone(stream: bytes) -> None:
    segments = pgfrs.segments(stream)
    for seed in range(30):
        for order in ("psm", "spm"):
            sample = samples.fill_in_the_middle(stream, seed, order=order)  # type: ignore[arg-type]
            prefix, middle = sample.section("prefix"), sample.section("middle")
            assert middle.startswith(b"\xff")
            start, stop = len(prefix), len(prefix) + len(middle)
            assert {start, stop} <= {s.start for s in segments} | {s.end for s in segments}
            assert all(s.kind == "planes" for s in segments if start <= s.start < stop)
            learned = from_ids(sample.ids(EVABYTE)[sample.learned(EVABYTE)], EVABYTE.offset)
            assert learned == middle
            names = [part.content for part in sample.parts if isinstance(part.content, str)]
            expected = ["prefix", "suffix"] if order == "psm" else ["suffix", "prefix"]
            assert names == [*expected, "middle"]
    with pytest.raises(ValueError, match="mps"):
        samples.fill_in_the_middle(stream, 0, order="mps")  # type: ignore[arg-type]


def test_infilling_takes_all_of_one_block(stream: bytes) -> None:
    whole = pgfrs.decode(stream)
    blocks = Counter()
    for seed in range(20):
        sample = samples.infill(stream, seed)
        mended = sample.stream()
        np.testing.assert_array_equal(pgfrs.decode(mended), whole)
        assert sorted(mended) == sorted(stream)
        without = sample.section("prefix") + sample.section("suffix")
        gone = {(s.group, s.index) for s in pgfrs.segments(stream) if s.kind == "planes"}
        gone -= {(s.group, s.index) for s in pgfrs.segments(without) if s.kind == "planes"}
        assert len(gone) == 1
        blocks[gone.pop()] += 1
        assert samples.infill(stream, seed) == sample
    assert len(blocks) > 2
    named = samples.infill(stream, 0, block=(0, 0))
    inside = [s for s in pgfrs.segments(stream) if (s.kind, s.group, s.index) == ("planes", 0, 0)]
    assert named.section("middle") == b"".join(stream[s.start : s.end] for s in inside)


def test_zoom_adds_detail_to_one_tile(stream: bytes, chelsea: NDArray[np.uint8]) -> None:
    image = chelsea[:96, :128].astype(float)
    gained = []
    for seed in range(12):
        sample = samples.zoom(stream, seed)
        coarse, sharp = sample.section("prefix"), sample.stream()
        assert sharp == coarse + sample.section("middle")
        assert sample.section("middle").startswith(sample.section("address"))
        assert pgfrs.decode(sharp, strict=True).shape == image.shape
        errors = [((pgfrs.decode(data) - image) ** 2).mean() for data in (coarse, sharp)]
        gained.append(errors[0] - errors[1])
    assert np.mean(gained) > 0 and min(gained) > -1


@pytest.mark.parametrize(
    ("shape", "kind", "length"), [((96, 128), "u1", 3), ((96, 128), "u2", 4), ((1300, 1300), "u1", 4)]
)
def test_addresses_name_one_block(shape: tuple[int, int], kind: str, length: int) -> None:
    """With one digit and with two, and in deep streams."""
    image = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 97).astype(kind)
    stream = pgfrs.encode(image, format="pgfr", max_bytes=60000)
    addresses = {samples.zoom(stream, seed).section("address") for seed in range(4)}
    assert {len(address) for address in addresses} == {length}
    for seed in range(4):
        sample = samples.zoom(stream, seed)
        assert sample.section("middle").startswith(sample.section("address"))


def test_repair_shows_damage_and_teaches_the_clean_stream(stream: bytes) -> None:
    for seed in range(10):
        sample = samples.repair(stream, seed, edits=4, protect=12)
        hurt = sample.section("damaged")
        assert hurt != stream and hurt[:12] == stream[:12] and abs(len(hurt) - len(stream)) <= 4
        assert from_ids(sample.ids(EVABYTE)[sample.learned(EVABYTE)], EVABYTE.offset) == stream
    with pytest.raises(ValueError, match="protect"):
        samples.repair(b"abc", 0, protect=9)


def test_streams_of_next_to_nothing() -> None:
    """No planes, no segments of detail, nothing at all."""
    tiny = pgfrs.encode(np.full((1, 1, 3), 7, np.uint8), format="pgfr")
    for make in (samples.prefix_to_rest, samples.fill_in_the_middle, samples.infill, samples.zoom):
        assert pgfrs.decode(make(tiny, 0).stream()).shape == (1, 1, 3)
    assert samples.full(b"").parts == () and Sample(()).ids(BYTES).shape == (0,)


def test_a_mark_in_the_bytes_is_refused_in_band() -> None:
    assert samples.full(b"ab\xff\xffP").stream() == b"ab\xff\xffP"
    with pytest.raises(ValueError, match="hold a mark"):
        samples.full(b"ab\xff\xffP").in_band()


def test_a_cut_that_ends_inside_a_marker_stays_apart_from_the_next_mark() -> None:
    sample = Sample((Part("prefix"), Part(b"ab\xff"), Part("suffix"), Part(b"cd")))
    assert Sample.from_bytes(sample.in_band()).parts == sample.parts


@hypothesis.given(st.binary(max_size=60), st.lists(st.integers(-10, 400), max_size=60))
def test_what_models_write_never_raises(data: bytes, ids: list[int]) -> None:
    for sample in (Sample.from_bytes(data), Sample.from_ids(ids, EVABYTE)):
        assert isinstance(sample.stream(), bytes) and isinstance(sample.caption, str)


# Shards.


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> dict[str, Path]:  # noqa: F811
    folder = tmp_path_factory.mktemp("source")
    return {"tar": make_tars(photographs, folder), "parquet": make_parquet(photographs, folder)}


@pytest.fixture(scope="module", params=["tar", "parquet", "memmap", "megatron", "mds", "files"])
def shards(request: pytest.FixtureRequest, source: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty pictures with captions in shards of seven."""
    out = tmp_path_factory.mktemp(request.param)
    recipe = Recipe(format="pgfr", payload="tokens", size=48, max_bytes=700)
    ids = {"id_offset": 64, "begin_id": 1, "end_id": 2} if request.param in ("memmap", "megatron") else {}
    convert(source["tar"], out, recipe=recipe, sink=request.param, shard_size=7, report=False, **ids)
    return out


def test_pictures_of_every_layout(shards: Path) -> None:
    found = list(pictures(shards))
    assert len(found) == 30 and shard_names(shards) == [f"shard-{n:06}" for n in range(5)]
    assert [(picture.shard, picture.row) for picture in found] == [(n // 7, n % 7) for n in range(30)]
    assert all(pgfrs.decode(picture.data).shape[0] == 48 for picture in found)
    assert [picture.caption for picture in found] == [f"caption {n:02}" for n in range(30)]
    with pytest.raises(ValueError, match="no shard"):
        list(pictures(shards, ["shard-000009"]))


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_parts_hold_every_picture_once(shards: Path, count: int) -> None:
    """With as many shards as parts and with fewer."""
    expected = Counter(picture.data for picture in pictures(shards))
    found: Counter[bytes] = Counter()
    for index in range(count):
        part = packed(shards, 300, ids=EVABYTE, part=(index, count), seed=3)
        values = np.concatenate([sequence["input_ids"] for sequence in part] or [np.zeros(0, np.int64)])
        for piece in np.split(values, np.flatnonzero(values == EVABYTE.bos)[1:]):
            sample = Sample.from_ids(piece[piece != 0], EVABYTE)
            if sample.parts:
                found[sample.stream()] += 1
    assert found == expected


def test_order_follows_seed_and_epoch(shards: Path) -> None:
    def first(**options: Any) -> bytes:
        return next(packed(shards, 400, **options))["input_ids"].tobytes()

    assert first() == first() and first(seed=1) == first(seed=1)
    assert len({first(), first(seed=1), first(seed=2), first(seed=1, epoch=1)}) == 4
    with pytest.raises(ValueError, match="part"):
        first(part=(2, 2))


def test_captions_come_on_both_sides(shards: Path) -> None:
    sequences = packed(shards, 4096, ids=EVABYTE, make=captioned)
    values = np.concatenate([sequence["input_ids"] for sequence in sequences])
    found = [Sample.from_ids(piece, EVABYTE) for piece in np.split(values, np.flatnonzero(values == EVABYTE.bos)[1:])]
    assert [sample.caption for sample in found] == [f"caption {n:02}" for n in range(30)]
    assert {sample.parts[0].content for sample in found} == {"caption", "picture"}
    assert [sample.stream() for sample in found] == [picture.data for picture in pictures(shards)]


@pytest.mark.parametrize("sink", ["tar", "parquet", "memmap", "mds", "files"])
def test_captions_that_are_no_text(photographs: Path, tmp_path: Path, sink: str) -> None:  # noqa: F811
    """Every layout says the same, and what is more than a text stays beside it."""
    values: list[Any] = ["one", ["two", "zwei"], 3, None, [], {"four": 4}]
    rows = [
        {"path": str(path), "caption": value}
        for path, value in zip(sorted(photographs.iterdir()), values, strict=False)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    convert(tmp_path / "rows.jsonl", tmp_path / "out", recipe=Recipe(size=32), sink=sink, report=False)
    assert [picture.caption for picture in pictures(tmp_path / "out")] == ["one", "two", "3", None, None, None]
    assert b"zwei" in b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_packing_divides_or_keeps_samples_whole() -> None:
    made = [samples.full(bytes([n]) * n) for n in (5, 3, 9, 2)]
    ids = Ids(64, eos=2, sentinels={"pad": 0})
    divided = list(pack(made, 8, ids=ids))
    values = np.concatenate([sequence["input_ids"] for sequence in divided])
    assert values[:23].tolist() == [69] * 5 + [2] + [67] * 3 + [2] + [73] * 9 + [2] + [66] * 2 + [2]
    assert values[23:].tolist() == [0]
    whole = [sequence["input_ids"].tolist() for sequence in pack(made, 8, ids=ids, whole=True)]
    assert whole == [[69] * 5 + [2, 0, 0], [67] * 3 + [2] + [0] * 4, [73] * 8, [66, 66, 2] + [0] * 5]
    assert len(list(pack(made, 8, ids=ids, keep_last=False))) == 2
    labels = np.concatenate([sequence["labels"] for sequence in divided])
    assert (labels[:23] == values[:23]).all() and labels[23] == IGNORED
    documents = np.concatenate([sequence["documents"] for sequence in divided])
    assert documents.tolist() == [0] * 6 + [1] * 4 + [2] * 10 + [3] * 3 + [-1]
    with pytest.raises(ValueError, match="length=0"):
        next(pack(made, 0))


@pytest.mark.parametrize("whole", [False, True])
def test_packing_keeps_positions_beside_their_ids(stream: bytes, whole: bool) -> None:
    made = [samples.full(stream[:n]) for n in (500, 300, 900)]
    sequences = list(pack(made, 400, ids=EVABYTE, whole=whole, positions=True))
    values, documents, found = (
        np.concatenate([sequence[name] for sequence in sequences]) for name in ("input_ids", "documents", "positions")
    )
    assert found.shape == (len(values), 7)
    assert (found[documents == -1] == -1).all()
    for number, sample in enumerate(made):
        ids = sample.ids(EVABYTE)
        expected = of_sample(sample, EVABYTE)[: 400 if whole else None]
        np.testing.assert_array_equal(values[documents == number], ids[: len(expected)])
        np.testing.assert_array_equal(found[documents == number], expected)


def middles(picture: Any, seed: int) -> Sample:
    return samples.fill_in_the_middle(picture.data, seed)


def test_labels_cover_what_is_learned(shards: Path) -> None:
    streams = [picture.data for picture in pictures(shards)]
    sequences = list(packed(shards, 512, ids=EVABYTE, make=middles))
    values, labels = (np.concatenate([sequence[name] for sequence in sequences]) for name in ("input_ids", "labels"))  # type: ignore[literal-required]
    assert ((labels == IGNORED) | (labels == values)).all()
    learned, total = (labels != IGNORED).sum(), sum(map(len, streams))
    assert 0.2 * total < learned < 0.9 * total


def recipe(word: str) -> str:
    """The program of docs/recipes/byte-model.md with this word in it."""
    text = (REPOSITORY / "docs" / "recipes" / "byte-model.md").read_text()
    (program,) = (block.split("```")[0] for block in text.split("```py\n")[1:] if word in block.split("```")[0])
    return program


@pytest.fixture
def here(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the shards under the name that the recipes have."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").symlink_to(shards)
    return tmp_path


def test_the_recipe_for_datasets(here: Path) -> None:
    """The library itself divides shards among its workers."""
    names: dict[str, Any] = {}
    exec(recipe("import datasets"), names)
    dataset = names["dataset"]

    def starts(rows: Any) -> int:
        return sum(int((np.asarray(row["input_ids"]) == EVABYTE.bos).sum()) for row in rows)

    rows = list(dataset)
    assert {len(row["input_ids"]) for row in rows} == {8192} and starts(rows) == 30
    parts = [list(dataset.shard(num_shards=5, index=index)) for index in range(5)]
    assert [starts(part) for part in parts] == [7, 7, 7, 7, 2]


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_the_recipe_for_torch(here: Path) -> None:
    program = (
        recipe("PackedShards").replace("num_workers=4", "num_workers=0").replace("    ...", "    found.append(batch)")
    )
    found: list[Any] = []
    exec(program, {"found": found})
    values = np.concatenate([batch["input_ids"].numpy().ravel() for batch in found])
    assert (values == EVABYTE.bos).sum() == 30 and {batch["labels"].shape[1] for batch in found} == {8192}


@needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("workers", [0, 2])
def test_torch_loads_every_picture_once(shards: Path, workers: int) -> None:
    from torch.utils.data import DataLoader

    from pgfrs.llm.torch import PackedShards

    expected = sum(len(picture.data) for picture in pictures(shards))
    starts = bytes_ = 0
    for rank in range(2):
        dataset = PackedShards(shards, 256, ids=EVABYTE, make=whole, seed=5, rank=rank, world=2, positions=True)
        for batch in DataLoader(dataset, batch_size=3, num_workers=workers):
            assert batch["input_ids"].shape[1] == 256 and batch["input_ids"].shape == batch["labels"].shape
            assert batch["positions"].shape == (*batch["input_ids"].shape, 7)
            starts += int((batch["input_ids"] == EVABYTE.bos).sum())
            bytes_ += int((batch["input_ids"] >= 64).sum())
    assert (starts, bytes_) == (30, expected)
    with pytest.raises(ValueError, match="rank=2"):
        PackedShards(shards, 256, rank=2, world=2)


def whole(picture: Any, seed: int) -> Sample:
    return samples.full(picture.data)


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_torch_epochs_differ(shards: Path) -> None:
    from pgfrs.llm.torch import PackedShards

    dataset = PackedShards(shards, 256, seed=5)
    first = next(iter(dataset))["input_ids"].tolist()
    assert next(iter(dataset))["input_ids"].tolist() == first
    dataset.set_epoch(1)
    assert next(iter(dataset))["input_ids"].tolist() != first and dataset.epoch == 1


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_workers_that_stay_see_the_epoch(shards: Path) -> None:
    from torch.utils.data import DataLoader

    from pgfrs.llm.torch import PackedShards

    dataset = PackedShards(shards, 256, make=whole, seed=5)
    loader = DataLoader(dataset, batch_size=2, num_workers=1, persistent_workers=True)
    found = []
    for epoch in (0, 0, 1):
        dataset.set_epoch(epoch)
        found.append([batch["input_ids"].tolist() for batch in loader])
    assert found[0] == found[1] != found[2]
    with pytest.raises(ValueError, match="seed=-1"):
        PackedShards(shards, 256, seed=-1)


# pgfrs convert --for-models.


def command(*words: object) -> None:
    result = CliRunner().invoke(cli, ["convert", *map(str, words), "--no-html", "-q"], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_for_models_is_the_recipe_for_models(photographs: Path, tmp_path: Path) -> None:  # noqa: F811
    """Colour with alpha, gray and large pictures become squares of 256 pixels in at most 4096 bytes."""
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (300, 500, 4)).astype(np.uint8)).save(folder / "a.png")
    Image.fromarray(rng.integers(0, 256, (700, 400)).astype(np.uint8)).save(folder / "b.png")
    command(folder, tmp_path / "out", "--for-models")
    convert(folder, tmp_path / "same", recipe=Recipe.for_models(), report=False)
    found = [picture.data for picture in pictures(tmp_path / "out")]
    assert found == [picture.data for picture in pictures(tmp_path / "same")] and len(found) == 2
    for data in found:
        assert pgfrs.decode(data, strict=True).shape == (256, 256, 3) and 3000 < len(data) <= 4096
        assert pgfrs.transcode(data, "pgfr", payload="tokens") == data


def test_for_models_gives_way_to_what_is_said(photographs: Path, tmp_path: Path) -> None:  # noqa: F811
    said = ("--payload", "packed", "--max-bytes", 900, "--size", 64, "--channels", "gray", "--resize", "shortest")
    command(photographs, tmp_path / "out", "--for-models", *said)
    for picture in pictures(tmp_path / "out"):
        assert pgfrs.decode(picture.data).shape == (64, 77) and len(picture.data) <= 900
        assert pgfrs.transcode(picture.data, "pgfr", payload="packed") == picture.data
    command(photographs, tmp_path / "plain", "--size", 64)
    assert next(pictures(tmp_path / "plain")).data.startswith(b"PGF")
    other = Recipe.for_models(size=128, quality=6)
    assert (other.size, other.quality, other.payload) == (128, 6, FOR_MODELS["payload"])
