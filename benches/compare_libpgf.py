"""Speed beside libPGF: the same photographs, in memory, one thread, the two taking turns in one run.

    scripts/build-oracle && .venv/bin/python benches/compare_libpgf.py

Every picture is coded losslessly and with the quality whose file comes nearest to one bit per pixel; both codecs write
the same bytes (checked). A round runs each codec a few times and keeps its fastest run; the table shows the median over
the rounds, which alternate between the codecs so that both see the same weather. Encoding takes pixels to a file in
memory, decoding takes that file to pixels; on our side that includes the call from Python. The same small picture over
and over teaches the processor its branches: both sides are faster here than on pictures they meet for the first time.

Pictures: those named on the command line, else the Kodak pictures of the optional shared folder (PGFRS_SHARED or
../shared), else samples/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pgfrs
from pgfrs.raster import read_raster

REPOSITORY = Path(__file__).resolve().parents[1]
MODE_NUMBERS = {"gray": 1, "rgb": 3}
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Times:
    """Seconds for one encoding and one decoding."""

    encode: float
    decode: float


@dataclass(frozen=True)
class Comparison:
    """Both codecs on one picture at one quality; medians over the rounds."""

    name: str
    quality: int
    pixels: int
    bytes: int
    ours: Times
    theirs: Times

    def cells(self) -> tuple[str, ...]:
        megapixels = self.pixels / 1e6
        return (
            self.name,
            str(self.quality),
            f"{8 * self.bytes / self.pixels:.2f}",
            f"{megapixels / self.theirs.encode:.1f}",
            f"{megapixels / self.ours.encode:.1f}",
            f"{self.theirs.encode / self.ours.encode:.2f}",
            f"{megapixels / self.theirs.decode:.1f}",
            f"{megapixels / self.ours.decode:.1f}",
            f"{self.theirs.decode / self.ours.decode:.2f}",
        )


HEADINGS = (
    "picture",
    "quality",
    "bits/pixel",
    "libPGF encode MP/s",
    "pgfrs encode MP/s",
    "ratio",
    "libPGF decode MP/s",
    "pgfrs decode MP/s",
    "ratio",
)


def default_pictures() -> list[Path]:
    shared = Path(os.environ.get("PGFRS_SHARED", REPOSITORY.parent / "shared"))
    kodak = sorted((shared / "images" / "kodak").glob("*.png"))
    return kodak or sorted(path for path in (REPOSITORY / "samples").iterdir() if path.suffix in (".png", ".jpg"))


def quality_near(image: Image, bits_per_pixel: float) -> int:
    """The quality whose file comes nearest to so many bits per pixel."""
    wanted = image.shape[0] * image.shape[1] * bits_per_pixel / 8
    sizes = [len(pgfrs.encode(image, quality=quality)) for quality in range(31)]
    return min(range(31), key=lambda quality: abs(np.log(sizes[quality] / wanted)))


def native(image: Image) -> bytes:
    """libPGF's own buffer: blue, green, red."""
    return np.ascontiguousarray(image[:, :, ::-1] if image.ndim == 3 else image).tobytes()


def libpgf_bench(program: Path, image: Image, quality: int, repeats: int, keep: Path | None = None) -> Times:
    """The fastest of so many runs inside one process of the oracle's bench verb."""
    height, width = image.shape[:2]
    mode = MODE_NUMBERS["gray" if image.ndim == 2 else "rgb"]
    with tempfile.NamedTemporaryFile(suffix=".raw") as raw:
        raw.write(native(image))
        raw.flush()
        command = [program, "bench", "--no-omp", "--mode", mode, "--width", width, "--height", height]
        command += ["--quality", quality, "--repeat", repeats, *(["--keep", keep] if keep else []), raw.name]
        done = subprocess.run([str(word) for word in command], capture_output=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return Times(answer["encode_best_s"], answer["decode_best_s"])


def fastest(action: Callable[[], object], repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - start)
    return best


def compare(program: Path, name: str, image: Image, quality: int, rounds: int, repeats: int) -> Comparison:
    data = pgfrs.encode(image, quality=quality)
    with tempfile.NamedTemporaryFile(suffix=".pgf") as kept:
        libpgf_bench(program, image, quality, 1, Path(kept.name))
        if Path(kept.name).read_bytes() != data:
            raise SystemExit(f"{name}: the two codecs wrote different files at quality {quality}")
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(libpgf_bench(program, image, quality, repeats))
        encode = fastest(lambda: pgfrs.encode(image, quality=quality), repeats)
        ours.append(Times(encode, fastest(lambda: pgfrs.decode(data), repeats)))
    return Comparison(name, quality, image.shape[0] * image.shape[1], len(data), median(ours), median(theirs))


def median(times: Sequence[Times]) -> Times:
    return Times(statistics.median(t.encode for t in times), statistics.median(t.decode for t in times))


def table(title: str, comparisons: Sequence[Comparison]) -> str:
    """One table, with the medians of the ratios over the pictures in the last line."""
    encode = statistics.median(c.theirs.encode / c.ours.encode for c in comparisons)
    decode = statistics.median(c.theirs.decode / c.ours.decode for c in comparisons)
    last = ("median", "", "", "", "", f"{encode:.2f}", "", "", f"{decode:.2f}")
    lines = [HEADINGS, *(c.cells() for c in comparisons), last]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = [title]
    for line in lines:
        cells = [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        text.append("  ".join(cells))
    return "\n".join(text)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", type=Path, help="8-bit gray or RGB pictures")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of turns (default: 5)")
    parser.add_argument("--repeats", type=int, default=5, help="runs in a round, the fastest counts (default: 5)")
    options = parser.parse_args()

    program = REPOSITORY / "target" / "oracle" / "pgf_oracle"
    if not program.is_file():
        parser.error(f"no oracle at {program}; run scripts/build-oracle (needs libpgf-dev)")

    lossless: list[Comparison] = []
    small: list[Comparison] = []
    for path in options.pictures or default_pictures():
        image = read_raster(path.read_bytes()).pixels
        for quality, results in ((0, lossless), (quality_near(image, 1.0), small)):
            results.append(compare(program, path.name, image, quality, options.rounds, options.repeats))

    print(f"{processor()}, {platform.system()}, Python {platform.python_version()}, pgfrs {pgfrs.__version__}")
    print("one thread; ratio: times as fast as libPGF\n")
    print(table("lossless", lossless))
    print()
    print(table("about 1 bit per pixel", small))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
