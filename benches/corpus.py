"""Corpus conversion beside Pillow and multiprocessing: the same JPEG files, the same machine, files to shards.

    .venv/bin/python benches/corpus.py --record

Two tasks: 256-pixel JPEGs coded at their size to about 5 kB, and 1024-pixel JPEGs resized to 256. The other side is
what people write: ``multiprocessing.Pool`` over all CPUs, Pillow opens each file (with ``draft`` where it shrinks),
resizes and saves a JPEG of about as many bytes, the parent appends them to WebDataset tars. The two sides take turns;
the table shows the median of the rounds, whole pipeline from files on disk to shards on disk, start of the program not
counted. Files are crops of the pictures of the optional shared folder (PGFRS_SHARED or ../shared), else of samples/;
more pictures than those are made by cropping elsewhere.

``--memory N`` instead converts N small files and prints the memory after every tenth of them; ``--startup`` measures
the time from the start of the command to the first bytes of a shard.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image, features

import pgfrs
from pgfrs.corpus import Recipe, convert

REPOSITORY = Path(__file__).resolve().parents[1]
CPUS = len(os.sched_getaffinity(0))
SHARD = 1000


def pictures() -> list[Image.Image]:
    """Photographs to crop from."""
    shared = Path(os.environ.get("PGFRS_SHARED", REPOSITORY.parent / "shared"))
    names = sorted((shared / "images").glob("large/*.png")) + sorted((shared / "images").glob("kodak/*.png"))
    return [Image.open(name).convert("RGB") for name in names or sorted((REPOSITORY / "samples").glob("*.png"))]


def make_files(folder: Path, count: int, side: int) -> None:
    """Write JPEG files of quality 90: crops, enlarged first where the photograph is smaller."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(side)
    sources = []
    for photograph in pictures():
        # Photographs are mostly larger than 256 pixels: such files show as many details as a reduced one.
        scale = max(side / min(photograph.size), 0.5 if side <= 256 else 1.0 if min(photograph.size) >= side else 0.0)
        size = (math.ceil(photograph.width * scale), math.ceil(photograph.height * scale))
        picture: Image.Image = photograph.resize(size, Image.Resampling.LANCZOS)
        sources.append(picture)
    for number in range(count):
        picture = sources[number % len(sources)]
        left = int(generator.integers(picture.width - side + 1))
        top = int(generator.integers(picture.height - side + 1))
        crop = picture.crop((left, top, left + side, top + side))
        crop.save(folder / f"{number:05}.jpg", quality=90)


def _with_pillow(job: tuple[str, int | None, int]) -> tuple[str, bytes]:
    path, size, quality = job
    out = io.BytesIO()
    with Image.open(path) as picture:
        if size is not None:
            picture.draft("RGB", (size, size))
            small = picture.resize((size, size), Image.Resampling.BICUBIC)
            small.save(out, "JPEG", quality=quality)
        else:
            picture.save(out, "JPEG", quality=quality)
    return os.path.basename(path), out.getvalue()


def pillow(source: Path, target: Path, size: int | None, quality: int) -> int:
    """Convert with Pillow in a pool of processes into tars; returns the bytes of the pictures."""
    target.mkdir(parents=True)
    jobs = [(str(path), size, quality) for path in sorted(source.iterdir())]
    total = 0
    with multiprocessing.Pool(CPUS) as pool:
        made = pool.imap(_with_pillow, jobs, chunksize=32)
        for shard in range(-(-len(jobs) // SHARD)):
            with tarfile.open(target / f"shard-{shard:06}.tar", "w") as archive:
                for name, data in itertools.islice(made, SHARD):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
                    total += len(data)
    return total


def ours(source: Path, target: Path, recipe: Recipe) -> int:
    """Convert with this package; returns the bytes of the pictures."""
    report = convert(source, target, recipe=recipe, shard_size=SHARD, report=False)
    if report["failed"]:
        raise SystemExit(f"{report['failed']} pictures failed")
    return int(report["bytes_out"])


def quality_for(source: Path, size: int | None, wanted: float) -> int:
    """Pillow's quality whose files come nearest to so many bytes."""
    paths = sorted(source.iterdir())[:40]

    def mean(quality: int) -> float:
        return statistics.mean(len(_with_pillow((str(path), size, quality))[1]) for path in paths)

    return min(range(5, 96, 5), key=lambda quality: abs(mean(quality) - wanted))


def rounds(folder: Path, sides: dict[str, Callable[[Path], int]], count: int, repeats: int) -> dict[str, Any]:
    """Let the sides take turns; returns images per second and bytes per image of each."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    sizes = {}
    for repeat in range(repeats):
        for name in sides if repeat % 2 == 0 else reversed(list(sides)):
            target = folder / "out"
            start = time.perf_counter()
            sizes[name] = sides[name](target)
            seconds[name].append(time.perf_counter() - start)
            shutil.rmtree(target)
    return {
        name: {
            "images_per_second": round(count / statistics.median(times)),
            "images_per_second_fastest": round(count / min(times)),
            "bytes_per_image": round(sizes[name] / count),
        }
        for name, times in seconds.items()
    }


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Both tasks."""
    results = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        for task, side, size, count in (("256", 256, None, args.count), ("1024 to 256", 1024, 256, args.count // 4)):
            source = folder / f"in-{side}"
            make_files(source, count, side)
            quality = quality_for(source, size, args.max_bytes)
            recipes = {f"{args.max_bytes} bytes": Recipe(format=args.format, max_bytes=args.max_bytes, size=size)}
            recipes |= {f"quality {q}": Recipe(format=args.format, quality=q, size=size) for q in args.qualities}
            sides: dict[str, Callable[[Path], int]] = {"pillow": partial(pillow, source, size=size, quality=quality)}
            for what, recipe in recipes.items():
                sides[f"pgfrs {args.format}, {what}"] = partial(ours, source, recipe=recipe)
            result = rounds(folder, sides, count, args.repeats)
            baseline = result["pillow"]["images_per_second"]
            for name_of, row in result.items():
                row["times_pillow"] = round(row["images_per_second"] / baseline, 2)
                speed = f"{row['images_per_second']:6} images/s  {row['times_pillow']:.2f} x Pillow"
                print(f"{task:12} {name_of:28} {speed}  {row['bytes_per_image']} bytes", flush=True)
            result["pillow"]["jpeg_quality"] = quality
            results[task] = {"images": count, **result}
    return results


def memory(args: argparse.Namespace) -> list[int]:
    """Resident MiB of this process after every tenth of many small files."""
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        make_files(folder / "few", 200, 64)
        few = sorted((folder / "few").iterdir())
        lines = [str(few[n % len(few)]) + "\n" for n in range(args.memory)]
        (folder / "all.txt").write_text("".join(lines))
        seen: list[int] = []

        class Watch:
            rows = 0

            def start(self, rows: int, done: int) -> None: ...

            def update(self, rows: int, failed: int, bytes_in: int, bytes_out: int) -> None:
                before, self.rows = self.rows, self.rows + rows
                if self.rows * 10 // args.memory > before * 10 // args.memory:
                    pages = int(Path("/proc/self/statm").read_text().split()[1])
                    seen.append(pages * os.sysconf("SC_PAGE_SIZE") >> 20)
                    print(f"{self.rows:9,} images: {seen[-1]} MiB", flush=True)

            def close(self) -> None: ...

        convert(folder / "all.txt", folder / "out", quality=5, size=48, report=False, progress=Watch())
    return seen


def startup(args: argparse.Namespace) -> dict[str, float]:
    """Seconds from the start of the command to the first bytes of the first shard, median of nine.

    Also the processor's seconds of a whole run over one picture, which other work on the machine hardly changes.
    """
    times, busy = [], []
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        make_files(folder / "in", 2000, 64)
        line = [sys.executable, "-m", "pgfrs", "convert", str(folder / "in"), str(folder / "out")]
        for _ in range(9):
            start = time.perf_counter()
            process = subprocess.Popen([*line, "--quiet", "--no-html"], stdout=subprocess.DEVNULL)
            watched = threading.Event()
            while process.poll() is None and not watched.is_set():
                if any(path.stat().st_size for path in (folder / "out").glob(".shard*.tmp")):
                    watched.set()
                time.sleep(0.002)
            times.append(time.perf_counter() - start)
            process.kill()
            process.wait()
            shutil.rmtree(folder / "out")
        make_files(folder / "one", 1, 64)
        line[-2] = str(folder / "one")
        for _ in range(9):
            process = subprocess.Popen([*line, "--quiet", "--no-html"], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            busy.append(usage.ru_utime + usage.ru_stime)
            shutil.rmtree(folder / "out")
    seconds = {"until_first_bytes": statistics.median(times), "processor_for_one_picture": statistics.median(busy)}
    return {name: round(value, 3) for name, value in seconds.items()}


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    return {
        "date": date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "processor": models[0] if models else platform.processor(),
        "cpus": CPUS,
        "python": platform.python_version(),
        "pillow": f"{PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}",
        "pgfrs": pgfrs.__version__,
        "load_of_other_work": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=4000, help="256-pixel files; a quarter as many of 1024 pixels")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--format", default="pgf")
    parser.add_argument("--max-bytes", type=int, default=5000)
    parser.add_argument("--qualities", type=int, nargs="*", default=[6])
    parser.add_argument("--folder", help="where files are made; default: the system's folder for temporary files")
    parser.add_argument("--memory", type=int, metavar="N")
    parser.add_argument("--startup", action="store_true")
    parser.add_argument("--record", action="store_true", help="write benches/recorded/corpus-DATE.json")
    args = parser.parse_args()
    results: dict[str, Any] = {"machine": machine()}
    if args.memory:
        results["memory_mib_by_tenths"] = memory(args)
    if args.startup:
        results["startup_seconds"] = startup(args)
        print(f"startup, seconds: {results['startup_seconds']}")
    if not (args.memory or args.startup):
        results["tasks"] = compare(args)
    if args.record:
        folder = REPOSITORY / "benches" / "recorded"
        folder.mkdir(exist_ok=True)
        kind = "memory" if args.memory else "startup" if args.startup else args.format
        path = folder / f"corpus-{kind}-{results['machine']['date']}.json"
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
