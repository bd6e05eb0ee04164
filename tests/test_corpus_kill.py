"""Killed at any moment and started again, a conversion ends with the bytes of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from material import SAMPLES, shared_directory
from pictures import photograph, saved
from test_corpus import hashes, records, untimed

KILLS = 20


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 crops of photographs as JPEG files in folders, some of them broken."""
    here = tmp_path_factory.mktemp("many")
    shared = shared_directory()
    names = sorted((shared / "images" / "kodak").glob("*.png")) if shared else []
    pictures = [photograph(name.name) for name in sorted(SAMPLES.glob("*.png")) if name.stem != "clock_motion"]
    if names:
        from PIL import Image

        for name in names:
            with Image.open(name) as picture:
                pictures.append(picture.convert("RGB"))
    for number in range(400):
        picture = pictures[number % len(pictures)]
        left, top = number % 50, 5 * (number // 50)
        data = saved(picture.crop((left, top, left + 160, top + 120)), "JPEG", quality=85)
        if number % 50 == 17:
            data = data[: len(data) // 3]
        path = here / f"{number // 100}" / f"{number:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return here


def command(source: Path, target: Path, *more: str) -> list[str]:
    line = [sys.executable, "-m", "pgfrs", "convert", str(source), str(target), "--max-bytes", "3000"]
    return [*line, "--shard-size", "23", "--no-html", "--quiet", *more]


def published(target: Path) -> set[str]:
    """Names of files that a reader of the folder would take."""
    return {path.name for path in target.iterdir() if not path.name.startswith(".")} if target.exists() else set()


@pytest.mark.slow
@pytest.mark.parametrize("sink", ["tar", "parquet", "megatron"])
def test_killed_at_random_moments(many: Path, tmp_path: Path, sink: str) -> None:
    more = ("--sink", sink, "--dedupe")
    start = time.monotonic()
    expected = tmp_path / "expected"
    assert subprocess.run(command(many, expected, *more), timeout=300, check=False).returncode == 1
    whole = time.monotonic() - start
    generator = random.Random(sink)
    target = tmp_path / "out"
    kills = KILLS if sink == "tar" else 5
    died = 0
    while died < kills:
        # The run gets further each time; what is left bounds the moment.
        process = subprocess.Popen(command(many, target, *more))
        time.sleep(generator.uniform(0, whole * 0.9))
        process.send_signal(signal.SIGKILL)
        if process.wait(timeout=60) == -signal.SIGKILL:
            died += 1
        for stats in target.glob("*.stats.json") if target.exists() else ():
            # What claims to be done is done.
            for name, facts in json.loads(stats.read_text())["files"].items():
                assert (target / name).stat().st_size == facts["bytes"]
        if died < kills and len(list(target.glob("*.stats.json"))) == len(list(expected.glob("*.stats.json"))):
            # Done already: take some shards away, so that there is something to be killed at.
            for path in generator.sample(sorted(target.glob("shard-*.stats.json")), 12):
                path.unlink()
    assert subprocess.run(command(many, target, *more), timeout=300, check=False).returncode == 1
    assert published(target) == published(expected)
    assert hashes(target) == hashes(expected)
    assert untimed(target) == untimed(expected)
    # 400 rows, of which 8 are broken: every other one once.
    assert len(records(target)) == len({record.key for record in records(target)}) == 392
    assert not [path for path in target.rglob(".*") if path.name != ".lock"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "0.jpg").write_bytes(saved(photograph().resize((64, 64)), "JPEG"))
    line = command(source, target, "--dedupe")
    assert subprocess.run(line, timeout=300, check=False).returncode == 0
    before = {path.relative_to(target) for path in target.rglob("*")}
    for place in (target, target / "plan", target / "plan" / "digests"):
        (place / ".shard-000000.0123456789ab.tmp").write_bytes(b"half")
    assert subprocess.run(line, timeout=300, check=False).returncode == 0
    assert {path.relative_to(target) for path in target.rglob("*")} == before


def test_control_c_leaves_whole_shards(many: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(command(many, tmp_path), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*.stats.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "run the same command again" in said and "Traceback" not in said
    assert not list(tmp_path.glob(".*.tmp"))
    done = len(list(tmp_path.glob("*.stats.json")))
    assert 0 < done < 18
    assert subprocess.run(command(many, tmp_path), timeout=300, check=False).returncode == 1
    assert len(records(tmp_path)) == 392


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Four times the pictures take no more memory: measured in processes of their own."""
    data = saved(photograph().resize((64, 64)), "JPEG")
    program = (
        "import resource, sys; from pgfrs.corpus import convert\n"
        "convert(sys.argv[1], sys.argv[2], size=32, quality=4, shard_size=200, report=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for count in (1000, 4000):
        source = tmp_path / str(count)
        source.mkdir()
        (source / "0.jpg").write_bytes(data)
        for number in range(1, count):
            os.link(source / "0.jpg", source / f"{number}.jpg")
        line = [sys.executable, "-c", program, str(source), str(tmp_path / f"out-{count}")]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 8, peaks
