"""Speed beside libPGF and other codecs: the same photographs, one thread each, all taking turns in one run.

    scripts/bench              # sets everything up, then runs this
    scripts/bench --record     # also keeps the results in benches/recorded and renews the table in README.md

Three settings: lossless; about one bit per pixel; 256x256 crops at the PSNR of JPEG quality 25. Then what decoding to
a level or of a region costs, scaling on two threads, peak memory, and the time of every stage beside plain copies.
Leaves speed.json, speed.md and speed.png in target/reports.

Pictures: the Kodak pictures of the optional shared folder (PGFRS_SHARED or ../shared), else those of samples/.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import PIL

import contest
import costs
import machine
import report
from photographs import Photograph, photographs

REPOSITORY = Path(__file__).resolve().parents[1]
REPORTS = REPOSITORY / "target" / "reports"
RECORDED = REPOSITORY / "benches" / "recorded"
README = REPOSITORY / "README.md"
STAGE_TIMES = REPOSITORY / "target" / "release" / "examples" / "stage_times"
PEERS = ("openjph", "openjpeg", "libjpeg_turbo", "libwebp", "libjxl")


def peers() -> str:
    """Versions of what is compared."""
    versions = dict(part.rsplit("-", 1) for part in imagecodecs.version().split(", ") if "-" in part)
    # Its pkg-config file states the version of something older.
    ask = ["dpkg-query", "--show", "--showformat=${Version}", "libpgf-dev"]
    libpgf = "of the system"
    if shutil.which(ask[0]):
        libpgf = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() or libpgf
    found = [f"{name} {versions[name]}" for name in PEERS]
    return ", ".join(
        [
            f"libPGF {libpgf}",
            *found,
            f"imagecodecs {versions['imagecodecs']}",
            f"Pillow {PIL.__version__}",
        ]
    )


def stage_times(pictures: Sequence[Photograph], rounds: int) -> dict[str, Any]:
    """What the program rust/pgf/examples/stage_times.rs measures."""
    command = [str(STAGE_TIMES), str(rounds), "0,5", *(str(picture.path) for picture in pictures)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return answer


def measure(rounds: int) -> dict[str, Any]:
    """Everything, as a record."""
    title, pictures = photographs()
    if "Kodak" not in title:
        print(
            "The Kodak pictures are not there (PGFRS_SHARED or ../shared): these figures are of samples/.",
            file=sys.stderr,
        )

    def say(what: str) -> None:
        print(f"measuring: {what}", file=sys.stderr)

    record: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "commit": machine.commit(),
        "processor": machine.processor(),
        "vector": machine.vector_level(),
        "cores": machine.cores(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "peers": peers(),
        "pictures": title,
    }
    record["contests"] = {}
    for key, compete in (
        ("lossless", contest.lossless),
        ("one_bit", contest.one_bit_per_pixel),
        ("crops", contest.small_crops),
    ):
        say(key)
        record["contests"][key] = compete(pictures, rounds).as_json()
    for key, cost in (
        ("levels", costs.level_costs),
        ("regions", costs.region_costs),
        ("threads", costs.thread_scaling),
        ("stages", stage_times),
    ):
        say(key)
        record[key] = cost(pictures, rounds)
    say("memory")
    record["memory"] = costs.memory()
    return record


def write(record: dict[str, Any], folder: Path, name: str) -> None:
    """The record as JSON, as tables and as a plot; each file is there in whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    plot = folder / f"{name}.png"
    new = folder / f"{name}.new.png"
    report.draw(record, new)
    new.replace(plot)
    for suffix, text in (
        ("json", json.dumps(record, indent=1) + "\n"),
        ("md", report.page(record, plot.name)),
    ):
        new = folder / f"{name}.new"
        new.write_text(text)
        new.replace(folder / f"{name}.{suffix}")


def keep(record: dict[str, Any], name: str) -> None:
    """Puts the record into benches/recorded and its table into README.md."""
    write(record, RECORDED, name)
    readme = README.with_suffix(".new")
    readme.write_text(report.with_readme_block(README.read_text(), record, name))
    readme.replace(README)
    print(f"{RECORDED}/{name}.md, .json, .png, and the table in {README}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="rounds of turns (default: 11)")
    parser.add_argument("--record", action="store_true", help="keep the results in benches/recorded, by date")
    parser.add_argument("--render", action="store_true", help="measure nothing, renew the tables of the last record")
    options = parser.parse_args(arguments)
    if options.render:
        last = max(RECORDED.glob("20*.json"))
        keep(json.loads(last.read_text()), last.stem)
        return 0
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not contest.ORACLE.is_file():
        parser.error(f"no oracle at {contest.ORACLE}; run scripts/bench (needs libpgf-dev)")

    if options.record and "Kodak" not in photographs()[0]:
        parser.error("--record needs the Kodak pictures (PGFRS_SHARED or ../shared), so that records compare")

    record = measure(options.rounds)
    write(record, REPORTS, "speed")
    print((REPORTS / "speed.md").read_text())
    print(f"{REPORTS}/speed.md, speed.json, speed.png")
    if options.record:
        keep(record, record["date"])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
