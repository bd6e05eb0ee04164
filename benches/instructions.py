"""Instructions that encoding and decoding of one photograph take, beside the recorded figures.

    scripts/instructions             # fails if any count has grown by more than 5 %
    scripts/instructions --record    # writes the counts to benches/recorded/instructions.json

Counts come from callgrind (valgrind), which runs the programs rust/pgf/examples/instructions.rs (files) and
rust/pgf-resilient/examples/stream_instructions.rs (streams in a budget of bytes) on a processor of its own that always
has the same instructions where the real one has AVX2. They repeat where times do not: two runs differ by less than one
in a thousand. Another compiler may well make other code; the compiler is recorded too.

Exit status 3: valgrind is missing.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from machine import commit, processor

REPOSITORY = Path(__file__).resolve().parents[1]
RECORD = REPOSITORY / "benches" / "recorded" / "instructions.json"
PROGRAMS = REPOSITORY / "target" / "release" / "examples"
PICTURE = "samples/astronaut.png"
TOLERANCE = 0.05
LEVELS = ("avx2", "baseline")
FILES = tuple(("instructions", verb, quality, "") for verb in ("encode", "decode") for quality in (0, 5))
STREAMS = tuple(("stream_instructions", verb, 5, budget) for verb in ("encode", "decode") for budget in ("20000", "0"))
MEASUREMENTS = FILES + STREAMS
"""Program, verb, quality, and for streams the largest number of bytes (0: none)."""
MISSING = 3
"""Exit status of the program where the processor lacks the level, and of this one where valgrind is missing."""

Counts = dict[str, dict[str, int]]


def name_of(program: str, verb: str, quality: int, budget: str) -> str:
    """What a measurement is called in the record."""
    what = {"": "", "0": " as a stream"}.get(budget, f" as {budget} bytes of a stream")
    return f"{verb} quality {quality}{what}"


def count(level: str, program: str, verb: str, quality: int, budget: str) -> int | None:
    """Instructions of one call at a level of instructions; None where the processor does not have them."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect=*measured_{verb}*"]
    command += [str(PROGRAMS / program), verb, level, str(quality), *[budget] * bool(budget), str(REPOSITORY / PICTURE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == MISSING:
        return None
    found = re.search(r"Collected *: *([0-9]+)", done.stderr)
    if done.returncode != 0 or found is None or int(found[1]) == 0:
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
    return int(found[1])


def measure() -> Counts:
    """All counts, by architecture and level, then by what was done."""
    jobs = [(level, measurement) for level in LEVELS for measurement in MEASUREMENTS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda job: count(job[0], *job[1]), jobs))
    counts: Counts = {}
    for (level, measurement), instructions in zip(jobs, results, strict=True):
        if instructions is not None:
            counts.setdefault(f"{platform.machine()} {level}", {})[name_of(*measurement)] = instructions
    return counts


def first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def picture_hash() -> str:
    return hashlib.sha256((REPOSITORY / PICTURE).read_bytes()).hexdigest()


def circumstances() -> dict[str, Any]:
    """What the counts depend on besides the code."""
    return {
        "picture": PICTURE,
        "sha256": picture_hash(),
        "rustc": first_line("rustc", "--version"),
        "valgrind": first_line("valgrind", "--version"),
    }


def record(counts: Counts) -> None:
    """Writes the counts; those of levels that this processor does not have are kept."""
    old: Counts = json.loads(RECORD.read_text())["counts"] if RECORD.exists() else {}
    head = {"date": datetime.date.today().isoformat(), "commit": commit(), "processor": processor()}
    new = RECORD.with_suffix(".new")
    new.write_text(json.dumps({**head, **circumstances(), "counts": old | counts}, indent=2) + "\n")
    new.replace(RECORD)
    print(f"recorded in {RECORD.relative_to(REPOSITORY)}")


def compare(recorded: dict[str, Any], counts: Counts) -> int:
    """Prints every count beside its recorded figure; how many are missing there or have grown too much."""
    bad = 0
    for level, measured in counts.items():
        for name, now in measured.items():
            then = recorded["counts"].get(level, {}).get(name)
            if then is None:
                print(f"{level:17} {name:42} {now:13,}  nothing recorded")
                bad += platform.machine() == "x86_64"  # elsewhere there is no record to keep
                continue
            change = now / then - 1
            grown = change > TOLERANCE
            bad += grown
            remark = f"  more than {TOLERANCE:.0%} up" if grown else ""
            print(f"{level:17} {name:42} {now:13,}  recorded {then:13,}  {change:+7.2%}{remark}")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the counts instead of comparing them")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is missing; install it with: apt-get install valgrind")
        return MISSING
    counts = measure()
    for level in LEVELS:
        if f"{platform.machine()} {level}" not in counts:
            print(f"{platform.machine()} {level}: the processor does not have these instructions; not counted")
    if options.record:
        record(counts)
        return 0
    recorded = json.loads(RECORD.read_text())
    now = circumstances()
    if recorded["sha256"] != now["sha256"]:
        print(f"{PICTURE} is not the picture of the record: run scripts/instructions --record")
        return 1
    bad = compare(recorded, counts)
    for what in ("rustc", "valgrind"):
        if recorded[what] != now[what]:
            print(f"recorded with {recorded[what]}, counted with {now[what]}")
    if bad:
        print("If the growth is meant, or the compiler's: scripts/instructions --record")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
