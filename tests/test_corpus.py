"""Corpus conversion: sources, sinks, going on, retrying, failures of the disk."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pgfrs
from material import SAMPLES
from pgfrs.corpus import SINKS, PlanError, Recipe, SourceError, convert, prepare_image
from pgfrs.corpus.plan import Plan
from pgfrs.corpus.rows import Record
from pgfrs.corpus.sinks import ID_SINKS, tar
from pictures import corpus, photograph, saved

RECIPE = Recipe(size=48, quality=5)


def records(folder: Path) -> list[Record]:
    """All pictures of a conversion, in order, read back by its sink."""
    plan = Plan(folder)
    return [record for shard in plan for record in plan.sink().read(folder, shard.name)]


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that must not depend on when and how it was written."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    timed = ("report.json", "report.html")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name not in timed and not path.name.endswith(".stats.json")
    }


def untimed(folder: Path) -> list[dict[str, Any]]:
    """The statistics of all shards without their seconds."""
    stats = [json.loads(path.read_text()) for path in sorted(folder.glob("*.stats.json"))]
    for each in stats:
        del each["seconds"]
    return stats


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and broken files."""
    here = tmp_path_factory.mktemp("corpus")
    corpus(here)
    return here


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty crops of photographs as JPEG files."""
    here = tmp_path_factory.mktemp("photographs")
    for number in range(30):
        picture = photograph(("astronaut.png", "coffee.png", "chelsea.png")[number % 3])
        left, top = 7 * number, 3 * number
        (here / f"{number:02}.jpg").write_bytes(saved(picture.crop((left, top, left + 96, top + 80)), "JPEG"))
    return here


@pytest.mark.parametrize("sink", SINKS)
def test_every_sink_keeps_every_picture(folder: Path, tmp_path: Path, sink: str) -> None:
    offset = 1000 if sink in ID_SINKS else 0
    report = convert(folder, tmp_path, recipe=RECIPE, sink=sink, shard_size=4, id_offset=offset, verify=100)
    assert (report["rows"], report["ok"], report["failed"]) == (21, 16, 5)
    assert report["failures"] == {"empty": 1, "truncated": 3, "unknown_format": 1}
    assert report["ignored"] == 1
    assert report["verify"]["checked"] == 16 and not report["verify"]["wrong"]
    kept = records(tmp_path)
    assert len({record.key for record in kept}) == 16
    assert sum(len(record.data or b"") for record in kept) == report["bytes_out"]
    for record in kept:
        pixels = pgfrs.decode(record.data or b"", strict=True)
        assert pixels.shape[:2] == (record.facts["height"], record.facts["width"])
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") >= 5 and "data:image/png;base64," in page
    with Image.open(tmp_path / "contact-sheet.png") as sheet:
        assert min(sheet.size) > 100


def test_statistics_say_what_failed_and_why(folder: Path, tmp_path: Path) -> None:
    convert(folder, tmp_path, recipe=RECIPE, shard_size=100, report=False)
    (stats,) = untimed(tmp_path)
    missing = {row["key"]: row["kind"] for row in stats["missing"]}
    expected = {"bad/cut": "truncated", "bad/empty": "empty", "bad/noise": "truncated", "bad/page": "unknown_format"}
    assert missing == expected
    assert all(row["message"] and row["status"] == "failed" for row in stats["missing"])
    assert sum(stats["histograms"]["nbytes"].values()) == stats["ok"] == sum(stats["formats"].values())
    assert stats["formats"]["pillow"] == 1
    data = (tmp_path / "shard-000000.tar").read_bytes()
    facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert stats["files"] == {"shard-000000.tar": facts}


def test_selection_is_no_failure(photographs: Path, tmp_path: Path) -> None:
    report = convert(photographs, tmp_path, recipe=Recipe(min_side=81), report=False)
    assert (report["ok"], report["failed"], report["skipped"]) == (0, 0, 30)


@pytest.mark.parametrize("payload", ["packed", "tokens"])
def test_streams_that_fit_a_budget(photographs: Path, tmp_path: Path, payload: str) -> None:
    recipe = Recipe(format="pgfr", payload=payload, max_bytes=900)
    report = convert(photographs, tmp_path, recipe=recipe, shard_size=7, report=False, verify=30)
    assert report["ok"] == 30 and not report["verify"]["wrong"]
    with tarfile.open(tmp_path / "shard-000000.tar") as archive:
        assert sum(name.endswith(".pgfr") for name in archive.getnames()) == 7
    for record in records(tmp_path):
        assert len(record.data or b"") <= 900
        info = pgfrs.read_info(record.data or b"")
        assert (info.format, info.payload) == ("pgfr", payload)


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(photographs: Path, tmp_path: Path, num_threads: int) -> None:
    convert(photographs, tmp_path / "a", recipe=RECIPE, shard_size=7, num_threads=num_threads, report=False)
    convert(photographs, tmp_path / "b", recipe=RECIPE, shard_size=7, num_threads=3, report=False)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert untimed(tmp_path / "a") == untimed(tmp_path / "b")


# --- sources -------------------------------------------------------------------------------------------------------


def make_list(photographs: Path, here: Path) -> str:
    names = sorted(os.path.relpath(path, here) for path in photographs.iterdir())
    (here / "all.txt").write_text("\n".join(names) + "\n")
    return str(here / "all.txt")


@pytest.mark.parametrize("name", ["a", "00001.pgfr", "a b/c.json", "x" * 100, "x" * 101, "é.json", "dir/", "a" * 300])
@pytest.mark.parametrize("size", [0, 1, 511, 4987, 8**11 - 1, 8**11])
def test_headers_of_tars_are_those_of_tarfile(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    assert tar.header(name, size) == info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def make_tars(photographs: Path, here: Path) -> str:
    for number in range(3):
        with tarfile.open(here / f"in-{number}.tar", "w") as archive:
            for path in sorted(photographs.iterdir())[10 * number : 10 * number + 10]:
                members = {"jpg": path.read_bytes(), "txt": f"caption {path.stem}".encode(), "cls": b"7"}
                members["json"] = json.dumps({"name": path.stem}).encode()
                for extension, data in members.items():
                    info = tarfile.TarInfo(f"{path.stem}.{extension}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    return str(here / "in-{0..2}.tar")


def make_parquet(photographs: Path, here: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = sorted(photographs.iterdir())
    for number in range(2):
        part = paths[15 * number : 15 * number + 15]
        table = pa.table(
            {
                "image": [{"bytes": path.read_bytes(), "path": path.name} for path in part],
                "caption": [f"caption {path.stem}" for path in part],
                "label": [7 for _ in part],
            }
        )
        pq.write_table(table, here / f"{number}.parquet", row_group_size=4)
    return str(here / "*.parquet")


def make_jsonl(photographs: Path, here: Path) -> str:
    rows = [{"path": str(path), "caption": f"caption {path.stem}"} for path in sorted(photographs.iterdir())]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(here / "rows.jsonl")


def make_csv(photographs: Path, here: Path) -> str:
    lines = [f'file://{path},"caption {path.stem}"' for path in sorted(photographs.iterdir())]
    (here / "rows.csv").write_text("\n".join(["url,caption", *lines, ""]))
    return str(here / "rows.csv")


def make_address(photographs: Path, _: Path) -> str:
    return f"file://{photographs}"


MAKERS = [make_list, make_tars, make_parquet, make_jsonl, make_csv, make_address]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_every_source_gives_the_same_pictures(
    photographs: Path, tmp_path: Path, make: Callable[[Path, Path], str]
) -> None:
    convert(photographs, tmp_path / "expected", recipe=RECIPE, shard_size=7, report=False)
    source = make(photographs, tmp_path)
    report = convert(source, tmp_path / "out", recipe=RECIPE, shard_size=7, report=False, verify=10)
    assert report["ok"] == 30 and report["shards"] == 5 and report["verify"]["checked"] == 10
    assert not report["verify"]["wrong"]
    expected = [record.data for record in records(tmp_path / "expected")]
    assert [record.data for record in records(tmp_path / "out")] == expected


@pytest.mark.parametrize("make", [make_tars, make_parquet, make_jsonl, make_csv], ids=lambda make: make.__name__)
def test_what_the_source_says_is_kept(photographs: Path, tmp_path: Path, make: Callable[[Path, Path], str]) -> None:
    source = make(photographs, tmp_path)
    convert(source, tmp_path / "tar", recipe=RECIPE, report=False)
    with tarfile.open(tmp_path / "tar" / "shard-000000.tar") as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    captions = sorted(data.decode() for name, data in members.items() if name.endswith(".txt"))
    assert captions == [f"caption {number:02}" for number in range(30)]
    if make in (make_tars, make_parquet):
        assert sum(data == b"7" for name, data in members.items() if name.endswith(".cls")) == 30
    if make is make_tars:
        assert json.loads(members["05.json"])["name"] == "05"

    import pyarrow.parquet as pq

    convert(source, tmp_path / "parquet", recipe=RECIPE, sink="parquet", report=False)
    table = pq.read_table(tmp_path / "parquet" / "shard-000000.parquet").to_pylist()
    assert [row["caption"] for row in table] == captions
    assert all(row["status"] == "ok" and len(row["payload"]) == row["nbytes"] for row in table)
    if make is make_parquet:
        assert [row["label"] for row in table] == [7] * 30


def test_sources_that_are_none(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"path": "a.jpg"}\nnot json\n')
    (tmp_path / "no.csv").write_text("colour\nred\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "in.tar.gz").write_bytes(b"")
    (tmp_path / "in.tar").write_bytes(b"no tar" * 1000)
    for source, words in {
        "nowhere": "nowhere: not found",
        "bad.jsonl": "line 2: not JSON",
        "no.csv": "no column such as 'image'",
        "empty": "no pictures",
        "in.tar.gz": "unpack",
        "in.tar": "in.tar",
        "*.tif": "no file has such a name",
    }.items():
        with pytest.raises((SourceError, PlanError), match=words.replace("*", r"\*")):
            convert(tmp_path / source, tmp_path / "out")
    assert not list((tmp_path / "out").glob("shard*")) if (tmp_path / "out").exists() else True


def test_keys_stay_apart(tmp_path: Path) -> None:
    picture = photograph().resize((20, 20))
    for name in ("a.b.png", "a.b.jpg", "a_b.png"):
        picture.save(tmp_path / name)
    for sink in ("tar", "files"):
        convert(tmp_path, tmp_path / sink, sink=sink, report=False)
        assert (
            len({record.key for record in records(tmp_path / sink)} if sink == "tar" else records(tmp_path / sink)) == 3
        )


def test_keys_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        json.dumps({"path": str(SAMPLES / "rocket.jpg"), "key": "../../../escaped"}) + "\n"
    )
    convert(tmp_path / "rows.jsonl", tmp_path / "deep" / "out", sink="files", recipe=RECIPE, report=False)
    assert (tmp_path / "deep/out/shard-000000/escaped.pgf").exists()
    assert not list(tmp_path.glob("escaped*"))


#: Keys from a column, and the names that they become in a tar and in folders.
ODD_KEYS = {
    "a.b": ("a_b", "a.b"),
    "../../evil": ("evil", "evil"),
    "/": ("2", "2"),
    "x/../y/": ("x/y", "x/y"),
    "nul\0and\nlines": ("nul_and_lines", "nul_and_lines"),
    "k" * 300: ("k" * 200, "k" * 200),
    "": ("6", "6"),
}


@pytest.mark.parametrize("sink", ["tar", "files"])
def test_odd_keys_become_names_that_everybody_reads(tmp_path: Path, sink: str) -> None:
    rows = [{"path": str(SAMPLES / "rocket.jpg"), "key": key} for key in ODD_KEYS]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = convert(tmp_path / "rows.jsonl", tmp_path / "out", sink=sink, recipe=RECIPE, verify=10)
    assert report["ok"] == len(ODD_KEYS) and not report["verify"]["wrong"]
    if sink == "tar":
        with tarfile.open(tmp_path / "out/shard-000000.tar") as archive:
            members = {member.name: member for member in archive}
            for key, (name, _) in ODD_KEYS.items():
                assert f"{name}.pgf" in members
                described = json.load(archive.extractfile(members[f"{name}.json"]))  # type: ignore[arg-type]
                assert described["pgfrs"].get("key", name) == key
        return
    written = {str(path.relative_to(tmp_path / "out/shard-000000")) for path in (tmp_path / "out").rglob("*.pgf")}
    assert written == {f"{name}.pgf" for _, name in ODD_KEYS.values()}


@pytest.mark.parametrize("sink", SINKS)
def test_names_that_are_no_utf_8(tmp_path: Path, sink: str) -> None:
    """Latin-1 names of files, one of them of a broken file, and a lone surrogate as a key."""
    (tmp_path / "in").mkdir()
    for name in (b"caf\xe9.png", b"caf\xe9_x.png", "caf\xe9.png".encode()):
        photograph().resize((20, 20)).save(os.fsencode(tmp_path / "in") + b"/" + name, "PNG")
    Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/broken\xff.png")).write_bytes(b"no picture")
    report = convert(tmp_path / "in", tmp_path / "out", sink=sink, verify=4)
    assert (report["ok"], report["failed"]) == (3, 1) and not report["verify"]["wrong"]
    assert len(records(tmp_path / "out")) == 3
    assert os.fsencode(json.loads((tmp_path / "out/report.json").read_text())["missing"][0]["key"]) == b"broken\xff"
    for path in (tmp_path / "out").rglob("*.json*"):
        path.read_text()
    (tmp_path / "rows.jsonl").write_text(
        json.dumps({"path": str(SAMPLES / "rocket.jpg"), "key": "\ud800", "caption": "\udce9"})
    )
    assert convert(tmp_path / "rows.jsonl", tmp_path / "one", sink=sink, recipe=RECIPE)["ok"] == 1
    if sink == "tar":
        with tarfile.open(tmp_path / "out/shard-000000.tar") as archive:
            names = archive.getnames()
            assert sorted(name for name in names if name.endswith(".pgf")) == [
                "caf\xe9.pgf",
                "caf\ufffd.pgf",
                "caf\ufffd_x.pgf",
            ]
            described = json.load(archive.extractfile("caf\ufffd.json"))  # type: ignore[arg-type]
            assert os.fsencode(described["pgfrs"]["key"]) == b"caf\xe9"


def test_names_with_line_ends_are_on_the_contact_sheet(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photograph().resize((20, 20)).save(tmp_path / "in" / "two\nlines.png")
    assert convert(tmp_path / "in", tmp_path / "out")["ok"] == 1
    assert (tmp_path / "out/contact-sheet.png").exists()


# --- what is there already ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shard-000000.tar", "report.html", "contact-sheet.png", "plan"])
def test_files_of_others_are_never_replaced(photographs: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(PlanError, match=name):
        convert(photographs, tmp_path, recipe=RECIPE)
    assert (tmp_path / name).read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {name, ".lock"}


def test_a_source_is_never_its_own_destination(photographs: Path, tmp_path: Path) -> None:
    convert(photographs, tmp_path, recipe=RECIPE, shard_size=20, report=False)
    for kept in [*tmp_path.glob("plan/*"), *tmp_path.glob("*.json")]:
        kept.unlink()
    (tmp_path / "plan").rmdir()
    before = hashes(tmp_path)
    with pytest.raises(PlanError, match=r"shard-000000\.tar"):
        convert(f"{tmp_path}/shard-*.tar", tmp_path, recipe=RECIPE)
    assert hashes(tmp_path) == before


def test_what_conversions_wrote_is_no_source(photographs: Path, tmp_path: Path) -> None:
    for path in sorted(photographs.iterdir())[:2]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert convert(tmp_path, tmp_path / "first", sink="files")["rows"] == 2
    assert convert(tmp_path, tmp_path / "second")["rows"] == 2
    # Of a conversion that is the source itself its pictures are taken, its contact sheet is not.
    assert convert(tmp_path / "first", tmp_path / "third")["rows"] == 2


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photograph().resize((20, 20)).save(tmp_path / "in" / "a.png")
    os.mkfifo(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "c.png").symlink_to("nowhere.png")
    report = convert(tmp_path / "in", tmp_path / "out", report=False)
    assert (report["ok"], report["failed"]) == (1, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sink": "memmap", "begin_id": 5}, "begin_id=5: that is the id of byte 5"),
        ({"sink": "megatron", "id_offset": 100, "end_id": 355}, "end_id=355: that is the id of byte 255"),
        ({"id_offset": 64}, "id_offset=64: goes with the sinks megatron and memmap"),
        ({"begin_id": 300}, "begin_id=300: goes with"),
        ({"verify": -1}, "verify=-1: at least 0"),
    ],
)
def test_settings_that_do_not_fit(photographs: Path, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        convert(photographs, tmp_path / "out", recipe=RECIPE, **options)


# --- going on ------------------------------------------------------------------------------------------------------


def test_going_on_redoes_only_what_is_missing(photographs: Path, tmp_path: Path) -> None:
    convert(photographs, tmp_path, recipe=RECIPE, shard_size=7, report=False)
    before, statistics = hashes(tmp_path), untimed(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("shard-*.tar")}
    (tmp_path / "shard-000001.stats.json").unlink()
    tar = tmp_path / "shard-000003.tar"
    tar.write_bytes(tar.read_bytes()[:-512])
    (tmp_path / ".shard-000004.tar.0123.tmp").write_bytes(b"left over")
    report = convert(photographs, tmp_path, recipe=RECIPE, shard_size=7, report=False)
    assert report["run"]["rows"] == 14
    assert (hashes(tmp_path), untimed(tmp_path)) == (before, statistics)
    redone = {path.name for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert redone == {"shard-000001.tar", "shard-000003.tar"}


def test_what_is_added_to_the_source_later_is_not_mixed_in(photographs: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for path in sorted(photographs.iterdir())[:5]:
        (source / path.name).write_bytes(path.read_bytes())
    convert(source, tmp_path / "out", recipe=RECIPE, report=False)
    before = hashes(tmp_path / "out")
    (source / "000.jpg").write_bytes((SAMPLES / "rocket.jpg").read_bytes())
    (tmp_path / "out" / "shard-000000.tar").unlink()
    convert(source, tmp_path / "out", recipe=RECIPE, report=False)
    assert hashes(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": Recipe(size=48, quality=6)}, "quality=5, not 6"),
        ({"shard_size": 8}, "shard_size=7, not 8"),
        ({"sink": "parquet"}, "sink='tar', not 'parquet'"),
    ],
)
def test_other_settings_are_refused(photographs: Path, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    settings: dict[str, Any] = {"recipe": RECIPE, "shard_size": 7, "report": False}
    convert(photographs, tmp_path, **settings)
    with pytest.raises(PlanError, match=words):
        convert(photographs, tmp_path, **settings | change)


@pytest.mark.parametrize("sink", SINKS)
def test_retrying_gives_what_an_undisturbed_run_gives(photographs: Path, tmp_path: Path, sink: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for path in photographs.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    data = (source / "11.jpg").read_bytes()
    (source / "25.jpg").write_bytes(b"")
    (source / "11.jpg").write_bytes(data[:300])
    settings: dict[str, Any] = {"recipe": RECIPE, "shard_size": 7, "sink": sink, "report": False, "dedupe": True}
    report = convert(source, tmp_path / "out", **settings)
    assert report["failed"] == 2
    assert convert(source, tmp_path / "out", **settings)["run"]["rows"] == 0
    (source / "11.jpg").write_bytes(data)
    report = convert(source, tmp_path / "out", retry_failed=True, **settings)
    assert (report["run"]["rows"], report["failed"], report["ok"]) == (2, 1, 29)
    convert(source, tmp_path / "fresh", **settings)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")
    assert untimed(tmp_path / "out") == untimed(tmp_path / "fresh")


def test_dedupe_keeps_the_first(photographs: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for path in photographs.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
        (source / f"z{path.name}").write_bytes(path.read_bytes())
    settings: dict[str, Any] = {"recipe": RECIPE, "shard_size": 8, "report": False, "dedupe": True}
    report = convert(source, tmp_path / "out", **settings)
    assert (report["ok"], report["duplicates"]) == (30, 30)
    assert not any(record.key.startswith("z") for record in records(tmp_path / "out"))
    before = hashes(tmp_path / "out")
    # What was seen is known again after a break.
    for name in ("shard-000005.tar", "shard-000006.stats.json"):
        (tmp_path / "out" / name).unlink()
    convert(source, tmp_path / "out", **settings)
    assert hashes(tmp_path / "out") == before


def test_two_runs_keep_out_of_each_others_way(photographs: Path, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(PlanError, match="another conversion"):
            convert(photographs, tmp_path)


# --- the disk and the command ---------------------------------------------------------------------------------------


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pgfrs", "convert", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, **options)


def test_a_disk_that_is_full(photographs: Path, tmp_path: Path) -> None:
    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    done = command(photographs, tmp_path, "--shard-size", 20, preexec_fn=small_files)
    assert done.returncode == 1
    assert "larger than the system allows" in done.stderr and "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("shard-*")) and not list(tmp_path.glob(".*.tmp"))
    assert command(photographs, tmp_path, "--shard-size", 20, "--no-html").returncode == 0
    assert len(records(tmp_path)) == 30


def test_a_target_that_cannot_be_written(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = command(photographs, tmp_path / "file")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{tmp_path / 'file'}: File exists" in done.stderr


def test_the_command_tells_what_happened(folder: Path, tmp_path: Path) -> None:
    done = command(folder, tmp_path, "--size", 64, "--quality", 5, "--verify", 30, "--shard-size", 10)
    assert done.returncode == 1, done.stderr
    assert "16 pictures in 3 shards, 5 failed" in done.stdout and "verified 16" in done.stdout
    assert "21 of 21 images" in done.stderr
    named = json.loads((tmp_path / "report.json").read_text())["missing"]
    assert len(named) == 5
    page = (tmp_path / "report.html").read_text()
    for row in named:
        assert Path(row["source"]).is_relative_to(folder) and row["message"]
        assert row["source"] in done.stderr and row["source"] in page
    assert command(folder, tmp_path, "--size", 64, "--quality", 4, "--shard-size", 10).returncode == 2
    assert command(folder / "nothing", tmp_path / "x").returncode == 2


def test_verify_finds_a_picture_that_is_not_its_source(photographs: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for path in sorted(photographs.iterdir())[:4]:
        (source / path.name).write_bytes(path.read_bytes())
    convert(source, tmp_path / "out", report=False)
    (source / "02.jpg").write_bytes(saved(photograph().resize((50, 50)), "JPEG"))
    report = convert(source, tmp_path / "out", report=False, verify=4)
    assert [row["row"] for row in report["verify"]["wrong"]] == [2]


def test_pictures_are_those_of_the_recipe(photographs: Path, tmp_path: Path) -> None:
    convert(photographs, tmp_path, recipe=Recipe(size=40, resize="crop"), report=False)
    for path, record in zip(sorted(photographs.iterdir()), records(tmp_path), strict=True):
        expected = prepare_image(path, size=40, resize="crop")
        np.testing.assert_array_equal(pgfrs.decode(record.data or b""), expected)
