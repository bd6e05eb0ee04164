"""What damage costs: seeded substitutions, insertions and deletions on photographs, beside libPGF on the same files.

    scripts/build-oracle && .venv/bin/python benches/damage_report.py

Every trial damages one run of 1, 4 or 16 bytes anywhere in a file (headers included) and compares what is decoded
with the clean decode. A picture that is refused, or has another size than the original, counts as flat gray. libPGF is
given its best case: the last level that it read before its first error, enlarged to full size; it runs in a process of
its own with limits on time and memory, because damaged files can crash it.

A second experiment flips every bit of macroblock lengths (wordLen) drawn at random and compares the result with a
file in which that macroblock alone is empty: a damaged length should cost no more.

Leaves damage.md, damage.csv and damage.png in target/reports. Pictures: the Kodak pictures of the optional shared
folder (PGFRS_SHARED or ../shared), else samples/.
"""

from __future__ import annotations

import argparse
import csv
import functools
import itertools
import json
import math
import resource
import struct
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import pgfrs
from pgfrs.damage import DamageKind, damage_with_record
from pgfrs.raster import psnr
from pgfrs.render import Tile, contact_sheet, decibels
from photographs import Pixels, photographs

REPOSITORY = Path(__file__).resolve().parents[1]
KINDS: tuple[DamageKind, ...] = ("substitute", "insert", "delete")
LENGTHS = (1, 4, 16)
ORACLE_SECONDS = 20
ORACLE_MEMORY = 2 * 2**30
WORD_LEN_BITS = 16


@dataclass(frozen=True)
class Subject:
    """A photograph, coded once."""

    name: str
    size: str
    quality: int
    data: bytes
    clean: Pixels


@dataclass(frozen=True)
class Setting:
    """What one row of the table is about."""

    size: str
    quality: int
    kind: DamageKind
    length: int


@dataclass(frozen=True)
class Outcome:
    """One damaged file, read by both."""

    setting: Setting
    subject: Subject
    seed: int
    edit: str
    ours: float
    ours_status: str  # decoded, refused or other size
    found: bool
    mended: int
    theirs: float
    theirs_status: str  # decoded, level N, refused, crashed, time limit or other size

    @property
    def repaired(self) -> bool:
        """Whether the damage was seen, and nothing of it is left in the picture."""
        return self.found and math.isinf(self.ours)

    @property
    def unnoticed(self) -> bool:
        """Whether the picture changed and no report says so."""
        return not self.found and not math.isinf(self.ours)


# --- pictures --------------------------------------------------------------------------------------------------------


def in_two_sizes(pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """The picture at 256x256 (the middle square, reduced) and as it is; sizes are named long side first."""
    image = Image.fromarray(pixels)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    yield "256x256", np.asarray(square.resize((256, 256), Image.Resampling.LANCZOS))
    yield f"{max(image.size)}x{min(image.size)}", pixels


def subjects(count: int, qualities: Sequence[int], *, roi: bool) -> list[Subject]:
    """The first ``count`` photographs at every size and quality."""
    found = []
    for picture in photographs()[1][:count]:
        for (size, sized), quality in itertools.product(in_two_sizes(picture.pixels), qualities):
            data = pgfrs.encode(sized, quality=quality, roi=roi)
            found.append(Subject(picture.name, size, quality, data, pgfrs.decode(data, strict=True)))
    return found


# --- one trial -------------------------------------------------------------------------------------------------------


def score(decoded: Pixels | None, clean: Pixels) -> float:
    """PSNR against the clean decode; no picture of that size counts as flat gray."""
    return psnr(np.full_like(clean, 128) if decoded is None else decoded, clean)


def read_ours(data: bytes, clean: Pixels) -> tuple[Pixels | None, str, bool, int]:
    """What pgfrs makes of a file: picture, status, whether it reports damage, repairs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pgfrs.DamageWarning)
            decoded, report = pgfrs.decode_with_report(data)
    except pgfrs.PgfError:
        return None, "refused", True, 0
    found = report.damaged or report.truncated or bool(report.damage)
    if decoded.shape != clean.shape or decoded.dtype != clean.dtype:
        return None, "other size", found, report.repaired
    return decoded, "decoded", found, report.repaired


def limit_memory() -> None:
    """Run in the oracle's process before it starts."""
    resource.setrlimit(resource.RLIMIT_AS, (ORACLE_MEMORY, ORACLE_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_theirs(oracle: Path, folder: Path, data: bytes, clean: Pixels) -> tuple[Pixels | None, str]:
    """What libPGF makes of a file: the finest level before its first error, at full size, and a status."""
    source, target = folder / "in.pgf", folder / "out.raw"
    source.write_bytes(data)
    try:
        done = subprocess.run(
            [str(oracle), "partial", str(source), str(target), "--no-omp"],
            capture_output=True,
            timeout=ORACLE_SECONDS,
            check=False,
            preexec_fn=limit_memory,
        )
    except subprocess.TimeoutExpired:
        return None, "time limit"
    if done.returncode < 0:
        return None, "crashed"
    answer = json.loads(done.stdout) if done.returncode == 0 else {"last_level": -1}
    level = answer["last_level"]
    if level < 0:
        return None, "refused"
    height, width = clean.shape[:2]
    raw = target.read_bytes()
    expected = (-(-width // 2**level), -(-height // 2**level))
    if (answer["width"], answer["height"]) != expected or len(raw) != 3 * expected[0] * expected[1]:
        return None, "other size"
    small = np.frombuffer(raw, np.uint8).reshape(expected[1], expected[0], 3)[..., ::-1]  # stored B, G, R
    picture = Image.fromarray(np.ascontiguousarray(small))
    if level:
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture), f"level {level}" if level else "decoded"


@dataclass(frozen=True)
class Reader:
    """Reads damaged files with both codecs."""

    oracle: Path
    folder: Path

    def pictures(self, subject: Subject, setting: Setting, seed: int) -> tuple[Pixels | None, Pixels | None]:
        """What pgfrs and libPGF show of one trial."""
        damaged, _ = damage_with_record(subject.data, seed=seed, kind=setting.kind, length=setting.length)
        ours = read_ours(damaged, subject.clean)[0]
        return ours, read_theirs(self.oracle, self.folder, damaged, subject.clean)[0]

    def trial(self, subject: Subject, setting: Setting, seed: int) -> Outcome:
        """Damage a file and read it with both."""
        damaged, (edit,) = damage_with_record(subject.data, seed=seed, kind=setting.kind, length=setting.length)
        ours, ours_status, found, mended = read_ours(damaged, subject.clean)
        theirs, theirs_status = read_theirs(self.oracle, self.folder, damaged, subject.clean)
        return Outcome(
            setting,
            subject,
            seed,
            str(edit),
            score(ours, subject.clean),
            ours_status,
            found,
            mended,
            score(theirs, subject.clean),
            theirs_status,
        )


def run_trials(reader: Reader, chosen: Sequence[Subject], trials: int) -> list[Outcome]:
    """``trials`` trials of every setting, dealt out over the photographs."""
    outcomes = []
    kinds = itertools.product(sorted({(s.size, s.quality) for s in chosen}), KINDS, LENGTHS)
    for row, ((size, quality), kind, length) in enumerate(kinds):
        setting = Setting(size, quality, kind, length)
        files = [s for s in chosen if (s.size, s.quality) == (size, quality)]
        for trial in range(trials):
            outcomes.append(reader.trial(files[trial % len(files)], setting, seed=1000 * row + trial))
    return outcomes


# --- wordLen ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LengthOutcome:
    """All 16 single-bit errors of one wordLen."""

    subject: Subject
    macroblock: int
    flipped: tuple[float, ...]
    without: float
    """PSNR of the same file when only this macroblock is empty."""

    @property
    def no_worse(self) -> int:
        """How many of the errors cost no more than the macroblock."""
        return sum(value >= self.without - 1e-9 for value in self.flipped)


def macroblock_offsets(data: bytes) -> list[int]:
    """Where each macroblock's wordLen stands in an undamaged file with at least one level."""
    info = pgfrs.read_info(data)
    header = 4 if info.roi else 2
    offsets, at = [], info.data_offset
    while at < len(data):
        offsets.append(at)
        (words,) = struct.unpack_from("<H", data, at)
        at += header + 4 * words
    return offsets


@functools.cache
def empty_code(values: int) -> bytes:
    """Code words of a macroblock of so many zeros: one plane, run-length coded (format section 12)."""
    bits, k, left = [], 3, values
    while left >= 2**k:
        left -= 2**k
        bits.append(0)
        k += 1
    bits += [1, *((left >> i) & 1 for i in range(k)), 1]
    head = [1, 0, 0, 0, 0, 1, *((len(bits) >> i) & 1 for i in range(15))]
    packed = np.packbits([*head, *bits], bitorder="little").tobytes()
    return packed + bytes(-len(packed) % 4)


def with_empty_macroblock(data: bytes, offset: int) -> bytes:
    """The file with one macroblock coding zeros in as many bytes as before."""
    roi = pgfrs.read_info(data).roi
    (words,) = struct.unpack_from("<H", data, offset)
    start = offset + (4 if roi else 2)
    values = struct.unpack_from("<H", data, offset + 2)[0] & 0x7FFF if roi else 16384
    code = empty_code(values)
    if len(code) > 4 * words:
        return data  # it is as small as an empty one already
    return data[:start] + code.ljust(4 * words, b"\0") + data[start + 4 * words :]


def flip_lengths(chosen: Sequence[Subject], fields: int) -> list[LengthOutcome]:
    """Every single-bit error of ``fields`` wordLen fields, drawn at random from each file."""
    outcomes = []
    for number, subject in enumerate(chosen):
        offsets = macroblock_offsets(subject.data)
        drawn = np.random.default_rng(number).permutation(len(offsets))[:fields]
        for index in sorted(int(i) for i in drawn):
            empty = read_ours(with_empty_macroblock(subject.data, offsets[index]), subject.clean)[0]
            flipped = []
            for bit in range(WORD_LEN_BITS):
                damaged = bytearray(subject.data)
                damaged[offsets[index] + bit // 8] ^= 1 << bit % 8
                flipped.append(score(read_ours(bytes(damaged), subject.clean)[0], subject.clean))
            outcomes.append(LengthOutcome(subject, index, tuple(flipped), score(empty, subject.clean)))
    return outcomes


# --- report ----------------------------------------------------------------------------------------------------------


def percentile(values: Sequence[float], share: int) -> float:
    """A percentile that some trial really had (so that infinities stay what they are)."""
    return float(np.percentile(values, share, method="lower"))


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def trial_row(setting: Setting, outcomes: Sequence[Outcome]) -> list[str]:
    ours, theirs = [o.ours for o in outcomes], [o.theirs for o in outcomes]
    count = len(outcomes)
    failed = sum(o.theirs_status in ("crashed", "time limit") for o in outcomes)
    return [
        setting.size,
        str(setting.quality),
        f"{setting.kind} {setting.length}",
        decibels(percentile(ours, 50)),
        decibels(percentile(theirs, 50)),
        decibels(percentile(ours, 10)),
        decibels(percentile(theirs, 10)),
        percent(sum(o.found for o in outcomes), count),
        percent(sum(o.repaired for o in outcomes), count),
        percent(sum(o.unnoticed for o in outcomes), count),
        str(sum(o.ours_status != "decoded" for o in outcomes)),
        str(sum(o.theirs_status not in ("decoded", "crashed", "time limit") for o in outcomes)),
        str(failed),
    ]


TRIAL_HEADINGS: tuple[str, ...] = ("size", "q", "damage", "pgfrs median", "libPGF median", "pgfrs p10", "libPGF p10")
TRIAL_HEADINGS += ("found", "mended", "unnoticed", "pgfrs no picture", "libPGF stopped early", "libPGF crashed")
LENGTH_HEADINGS = ("size", "q", "fields", "bit errors", "mended", "no worse than its macroblock", "median without it")


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def length_row(size: str, quality: int, outcomes: Sequence[LengthOutcome]) -> list[str]:
    errors = WORD_LEN_BITS * len(outcomes)
    return [
        size,
        str(quality),
        str(len(outcomes)),
        str(errors),
        percent(sum(math.isinf(v) for o in outcomes for v in o.flipped), errors),
        percent(sum(o.no_worse for o in outcomes), errors),
        decibels(percentile([o.without for o in outcomes], 50)),
    ]


def grouped(outcomes: Sequence[Outcome]) -> dict[Setting, list[Outcome]]:
    groups: dict[Setting, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.setting, []).append(outcome)
    return groups


def write_report(path: Path, outcomes: Sequence[Outcome], lengths: Sequence[LengthOutcome], trials: int) -> str:
    """The tables as markdown, with what the columns mean."""
    rows = [trial_row(setting, group) for setting, group in grouped(outcomes).items()]
    keys = dict.fromkeys((o.subject.size, o.subject.quality) for o in lengths)
    length_rows = [length_row(*key, [o for o in lengths if (o.subject.size, o.subject.quality) == key]) for key in keys]
    pictures = sorted({o.subject.name for o in outcomes})
    text = f"""# Damage

{len(pictures)} photographs ({", ".join(pictures)}), {trials} trials a row, one run of bytes damaged in each trial,
anywhere in the file. PSNR is against the clean decode: median, and 10th percentile (p10: nine of ten are at least so
good). A file that gives no picture of the right size counts as flat gray. libPGF counts with the last level that it
read before its first error, enlarged.

*found*: the report says that something is damaged or missing, or the file is refused. *mended*: found, and the picture
is identical to the clean one. *unnoticed*: the picture differs and the report says nothing.

{markdown(TRIAL_HEADINGS, rows)}

## A damaged macroblock length

Every single-bit error of wordLen fields drawn at random. *without it*: the picture when that macroblock alone is empty.

{markdown(LENGTH_HEADINGS, length_rows)}
"""
    path.write_text(text)
    return text


def write_trials(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Every trial, one a line."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["picture", "size", "quality", "seed", "edit", "pgfrs_db", "pgfrs_status"])
        for o in outcomes:
            setting = o.setting
            row = [o.subject.name, setting.size, setting.quality, o.seed, o.edit, f"{o.ours:.2f}", o.ours_status]
            table.writerow([*row, o.found, o.mended, f"{o.theirs:.2f}", o.theirs_status])


def nearest(group: Sequence[Outcome], wanted: float) -> Outcome:
    """The trial on a landscape picture (so that the sheet is even) whose PSNR comes nearest to ``wanted``."""
    landscape = [o for o in group if o.subject.clean.shape[1] >= o.subject.clean.shape[0]]
    return min(landscape or group, key=lambda o: abs(min(o.ours, 200) - min(wanted, 200)))


def sheet_tiles(reader: Reader, outcomes: Sequence[Outcome], quality: int) -> list[Tile]:
    """For every kind and length on the largest pictures: the median and the 10th percentile trial, both codecs."""
    tiles = []
    largest = max((o.setting.size for o in outcomes), key=lambda size: math.prod(map(int, size.split("x"))))
    for setting, group in grouped(outcomes).items():
        if (setting.size, setting.quality) != (largest, quality):
            continue
        for share, name in ((50, "median"), (10, "10th percentile")):
            outcome = nearest(group, percentile([o.ours for o in group], share))
            pictures = reader.pictures(outcome.subject, setting, outcome.seed)
            for who, picture, value, status in zip(
                ("pgfrs", "libPGF"),
                pictures,
                (outcome.ours, outcome.theirs),
                (outcome.ours_status, outcome.theirs_status),
                strict=True,
            ):
                shown = np.full_like(outcome.subject.clean, 128) if picture is None else picture
                lines = (
                    f"{who}: {decibels(value)} ({status})",
                    f"{setting.kind} {setting.length}, {name}, {outcome.subject.name}",
                )
                tiles.append(Tile(shown, lines))
    return tiles


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both experiments and write the report."""
    parser = argparse.ArgumentParser(description="Damage photographs and compare what pgfrs and libPGF make of them.")
    parser.add_argument("--trials", type=int, default=24, help="for every row of the table (default: 24)")
    parser.add_argument("--pictures", type=int, default=8, help="photographs to use (default: 8)")
    parser.add_argument("--fields", type=int, default=4, help="wordLen fields of each file to damage (default: 4)")
    parser.add_argument("--quality", type=int, nargs="+", default=[0, 4], help="PGF qualities (default: 0 4)")
    parser.add_argument("--roi", action="store_true", help="code the files in tiles")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "target" / "reports")
    parser.add_argument("--oracle", type=Path, default=REPOSITORY / "target" / "oracle" / "pgf_oracle")
    options = parser.parse_args(arguments)
    if min(options.trials, options.pictures, options.fields) < 1:
        parser.error("--trials, --pictures and --fields must be at least 1")
    if not options.oracle.is_file():
        parser.error(
            f"no oracle at {options.oracle}: apt-get install libpgf-dev g++ pkg-config, then scripts/build-oracle"
        )
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)

    chosen = subjects(options.pictures, options.quality, roi=options.roi)
    with tempfile.TemporaryDirectory(prefix="pgfrs-damage-") as folder:
        reader = Reader(options.oracle, Path(folder))
        outcomes = run_trials(reader, chosen, options.trials)
        write_trials(output / "damage.csv", outcomes)
        print(write_report(output / "damage.md", outcomes, flip_lengths(chosen, options.fields), options.trials))
        tiles = sheet_tiles(reader, outcomes, options.quality[-1])
    title = f"Damaged files, quality {options.quality[-1]}: pgfrs and libPGF on the same trials"
    contact_sheet(tiles, title=title, columns=4).save(output / "damage.png")
    print(f"{output}/damage.md, damage.csv, damage.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
