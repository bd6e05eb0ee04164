"""Corpus conversion on a local Ray of two CPUs, killed and resumed; every row exactly once.

Ray runs in processes of its own, which are started as programs here: so they can be killed with all they started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pgfrs.corpus import Recipe, convert
from test_corpus import hashes, make_parquet, make_tars, photographs, records, untimed  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

START = """
import sys, os
import ray
quiet = dict(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
ray.init(num_cpus=2, object_store_memory=200_000_000, **quiet)
ray.data.DataContext.get_current().enable_progress_bars = False
"""
BY_PLAN = (
    START
    + """
from pgfrs.corpus import Recipe
from pgfrs.ray import convert
recipe = Recipe(size=48, quality=5)
report = convert(sys.argv[1], sys.argv[2], recipe=recipe, shard_size=3, sink=sys.argv[3], report=False)
print("ok", report["ok"], "rows", report["run"]["rows"])
"""
)
BY_PIPELINE = (
    START
    + """
import time
from ray.data.checkpoint import CheckpointConfig
from pgfrs.corpus import Recipe
from pgfrs.ray import BatchFunction

context = ray.data.DataContext.get_current()
context.checkpoint_config = CheckpointConfig("path", sys.argv[3], delete_checkpoint_on_success=False)
function = BatchFunction(Recipe(size=48, quality=5))
seconds = float(sys.argv[4])

def slowly(batch):
    time.sleep(seconds)
    return function({name: list(values) for name, values in batch.items()})

data = ray.data.read_binary_files(sys.argv[1], include_paths=True, override_num_blocks=10)
data.map_batches(slowly, batch_size=3).write_parquet(sys.argv[2])
"""
)


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a program with all that it starts in a group of its own."""
    environment = os.environ | {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    line = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    return out


def kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def kill_at(process: subprocess.Popen[str], folder: Path, pattern: str, count: int) -> None:
    """Kill a program and all that it started as soon as there are so many files."""
    deadline = time.monotonic() + 120
    try:
        while len(list(folder.glob(pattern))) < count:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, f"fewer than {count} of {pattern}"
            time.sleep(0.02)
    finally:
        kill(process)


@pytest.mark.parametrize("source", ["folder", "tar", "parquet"])
def test_the_plan_on_ray_gives_the_same_shards(photographs: Path, tmp_path: Path, source: str) -> None:  # noqa: F811
    makers = {"tar": make_tars, "parquet": make_parquet}
    name = makers[source](photographs, tmp_path) if source in makers else str(photographs)
    sink = "parquet" if source == "parquet" else "tar"
    convert(name, tmp_path / "local", recipe=Recipe(size=48, quality=5), shard_size=3, sink=sink, report=False)
    assert "ok 30 rows 30" in finished(start(BY_PLAN, name, tmp_path / "ray", sink))
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "local")
    assert untimed(tmp_path / "ray") == untimed(tmp_path / "local")


def test_a_plan_that_was_killed_goes_on(photographs: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "many").mkdir()
    for copy in range(20):
        for path in photographs.iterdir():
            os.link(path, tmp_path / "many" / f"{copy:02}-{path.name}")
    process = start(BY_PLAN, tmp_path / "many", tmp_path / "ray", "tar")
    kill_at(process, tmp_path / "ray", "*.stats.json", 5)
    done = len(list((tmp_path / "ray").glob("*.stats.json")))
    assert 5 <= done < 200
    said = finished(start(BY_PLAN, tmp_path / "many", tmp_path / "ray", "tar"))
    assert "ok 600" in said and int(said.split()[-1]) <= 600 - 3 * 5
    convert(tmp_path / "many", tmp_path / "local", recipe=Recipe(size=48, quality=5), shard_size=3, report=False)
    assert [(r.key, r.data) for r in records(tmp_path / "ray")] == [
        (r.key, r.data) for r in records(tmp_path / "local")
    ]


def test_a_pipeline_with_rays_checkpoint_goes_on(photographs: Path, tmp_path: Path) -> None:  # noqa: F811
    import pyarrow.parquet as pq

    out = tmp_path / "out"
    process = start(BY_PIPELINE, photographs, out, tmp_path / "checkpoint", 1.0)
    kill_at(process, out, "*.parquet", 2)
    before = len(list(out.glob("*.parquet")))
    finished(start(BY_PIPELINE, photographs, out, tmp_path / "checkpoint", 0))
    rows = [row for path in out.glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert before < len(list(out.glob("*.parquet")))
    assert Counter(Counter(row["path"] for row in rows).values()) == {1: 30}
    convert(photographs, tmp_path / "local", recipe=Recipe(size=48, quality=5), report=False)
    assert {row["payload"] for row in rows} == {record.data for record in records(tmp_path / "local")}
