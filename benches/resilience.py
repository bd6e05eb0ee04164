"""What `.pgfr` streams are worth beside other formats: rate, prefixes, damage, overhead, speed; against the targets.

    .venv/bin/python benches/resilience.py [--trials N] [--record] [--parts PART ...]

Photographs at 256x256 (the middle square of each, reduced) and at their own size, all formats at equal bytes, seeded
edits uniform over all bytes, headers included. Peers: JPEG with optimised tables, progressive JPEG, JPEG with a
restart marker behind every MCU (as byte-level models write it today), WebP, JPEG XL, JPEG 2000 (LRCP, 20 layers,
partial decoding; needs OpenJPEG's programs, Debian: libopenjp2-tools), and plain `.pgf` with this project's salvage. A
file that a decoder refuses, or gives another size for, counts as mid-gray.

Prints tables and, per target of the format's requirements, whether it is met; leaves resilience.md, .json, .png
(curves) and resilience-pictures.png (cut and damaged pictures) in target/reports; with --record all but the last
also in benches/recorded. --parts runs some parts alone, at 256x256 and without the formats that only the report wants,
and prints the targets that follow.
Pictures: the Kodak pictures of the optional shared folder (PGFRS_SHARED or ../shared), else samples/.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import io
import json
import random
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image, ImageFile
from skimage.metrics import structural_similarity

import pgfrs
from machine import commit, cores, processor
from orders import decoded, every_prefix, made_for
from pgfrs.damage import damage
from pgfrs.raster import psnr
from pgfrs.render import Tile, contact_sheet, to_png
from photographs import Pixels, photographs
from targets import FRACTIONS, MANY, PAYLOADS, SINGLE, Verdict, targets_table, verdicts

REPOSITORY = Path(__file__).resolve().parents[1]
REPORTS = REPOSITORY / "target" / "reports"
BUDGET = 5000
RATES = (2048, 3072, 4096, 6144, 8192)
BAD_STEP = 8  # a pixel is bad if a channel differs by more


@dataclass(frozen=True)
class Codec:
    """A format: the largest file of a picture within a budget, and the pixels of any bytes."""

    name: str
    encode: Callable[[Pixels, int], bytes]
    decode: Callable[[bytes], Pixels]


def largest(make: Callable[[int], bytes], low: int, high: int, budget: int) -> bytes:
    """The file of the highest setting that fits; the lowest if none does."""
    best = make(low)
    while low < high:
        middle = (low + high + 1) // 2
        file = make(middle)
        if len(file) <= budget:
            best, low = file, middle
        else:
            high = middle - 1
    return best


def jpeg(pixels: Pixels, quality: int, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling="4:2:0", **options)
    return out.getvalue()


def jpeg_codec(name: str, **options: Any) -> Codec:
    return Codec(name, lambda p, n: largest(lambda q: jpeg(p, q, **options), 1, 95, n), pillow_decode)


def pillow_decode(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def webp_encode(pixels: Pixels, budget: int) -> bytes:
    def make(quality: int) -> bytes:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "WEBP", quality=quality, method=4)
        return out.getvalue()

    return largest(make, 0, 100, budget)


def jxl_encode(pixels: Pixels, budget: int) -> bytes:
    def make(step: int) -> bytes:
        return bytes(imagecodecs.jpegxl_encode(pixels, distance=25 - step * 0.1, effort=4))

    return largest(make, 0, 249, budget)


def pgf_encode(pixels: Pixels, budget: int) -> bytes:
    return pgfrs.encode(pixels, max_bytes=budget, levels=30)


def pgfr_codec(name: str, **options: Any) -> Codec:
    return Codec(name, lambda p, n: pgfrs.encode(p, format="pgfr", max_bytes=n, **options), decoded)


def openjpeg(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True, timeout=60)


def j2k_encode(pixels: Pixels, budget: int) -> bytes:
    """Twenty LRCP layers of geometrically rising rates, 5/3 wavelet."""
    raw = pixels.size
    rates = [raw / (budget * 0.02 * 50 ** (i / 19)) for i in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a.ppm", Path(folder) / "a.j2k"
        Image.fromarray(pixels).save(source)
        openjpeg(
            "opj_compress",
            "-i",
            str(source),
            "-o",
            str(target),
            "-p",
            "LRCP",
            "-r",
            ",".join(f"{r:.3f}" for r in rates),
        )
        return target.read_bytes()


def j2k_decode(data: bytes) -> Pixels:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a.j2k", Path(folder) / "a.ppm"
        source.write_bytes(data)
        openjpeg("opj_decompress", "-allow-partial", "-i", str(source), "-o", str(target))
        return pillow_decode(target.read_bytes())


def shown(codec: Codec, data: bytes, like: Pixels) -> tuple[Pixels, bool]:
    """What a decoder makes of bytes, mid-gray if nothing or worse than that; and whether it decoded."""
    try:
        pixels = codec.decode(data)
    except Exception:  # a decoder may fail in any way: that is what is measured
        pixels = None
    if pixels is None or pixels.shape != like.shape:
        return np.full_like(like, 128), False
    gray = np.full_like(like, 128)
    # Some decoders leave what they have not read black: as good as nothing.
    return (gray if psnr(gray, like) > psnr(pixels, like) else pixels), True


OURS = ("pgfr packed", "pgfr tokens", "pgfr tough")


def codecs() -> list[Codec]:
    found = [
        pgfr_codec("pgfr packed"),
        pgfr_codec("pgfr tokens", payload="tokens"),
        pgfr_codec("pgfr tough", profile="tough"),
        Codec("pgf", pgf_encode, decoded),
        jpeg_codec("JPEG", optimize=True),
        jpeg_codec("JPEG progressive", progressive=True, optimize=True),
        jpeg_codec("JPEG restart", restart_marker_blocks=1),
        Codec("WebP", webp_encode, pillow_decode),
        Codec("JPEG XL", jxl_encode, imagecodecs.jpegxl_decode),
    ]
    if shutil.which("opj_compress") and shutil.which("opj_decompress"):
        found.append(Codec("JPEG 2000", j2k_encode, j2k_decode))
    else:
        print("JPEG 2000 left out: opj_compress and opj_decompress are missing (Debian: libopenjp2-tools)")
    return found


# --- pictures --------------------------------------------------------------------------------------------------------


def middle_square(pixels: Pixels, side: int = 256) -> Pixels:
    image = Image.fromarray(pixels)
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    return np.asarray(image.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS))


# --- experiments -----------------------------------------------------------------------------------------------------


def rates(all_codecs: Sequence[Codec], pictures: Sequence[Pixels]) -> dict[str, dict[str, float | None]]:
    """Mean PSNR at equal bytes; None where a format has no file that small."""
    table: dict[str, dict[str, float | None]] = {}
    for codec in all_codecs:
        if codec.name == "pgfr tough":
            continue
        row: dict[str, float | None] = {}
        for budget in RATES:
            files = [codec.encode(p, budget) for p in pictures]
            fits = all(len(f) <= budget * 1.02 for f in files)
            values = [psnr(shown(codec, f, p)[0], p) for f, p in zip(files, pictures, strict=True)]
            row[str(budget)] = statistics.fmean(values) if fits else None
        table[codec.name] = row
    return table


def against_jpeg(pictures: Sequence[Pixels]) -> dict[str, float]:
    """At the bytes of JPEG of quality 25: gain in dB and SSIM; and bytes against restart-marked JPEG at equal PSNR."""
    gains, gains_optimised, similar = [], [], []
    savings: list[float] = []
    savings_tokens: list[float] = []
    for pixels in pictures:
        plain = jpeg(pixels, 25)
        ours = pgfrs.decode(pgfrs.encode(pixels, format="pgfr", max_bytes=len(plain)))
        theirs = pillow_decode(plain)
        gains.append(psnr(ours, pixels) - psnr(theirs, pixels))
        optimised = jpeg(pixels, 25, optimize=True)
        level = pgfrs.decode(pgfrs.encode(pixels, format="pgfr", max_bytes=len(optimised)))
        gains_optimised.append(psnr(level, pixels) - psnr(pillow_decode(optimised), pixels))
        ssim = functools.partial(structural_similarity, pixels, channel_axis=2)
        similar.append(ssim(ours) - ssim(theirs))
        restart = jpeg(pixels, 25, restart_marker_blocks=1)
        target = psnr(pillow_decode(restart), pixels)
        for payload, into in (("packed", savings), ("tokens", savings_tokens)):
            make = functools.partial(smallest_stream, pixels, target, payload)
            into.append(1 - make() / len(restart))
    return {
        "gain over JPEG q25, mean dB": statistics.fmean(gains),
        "gain over JPEG q25, least dB": min(gains),
        "gain over optimised JPEG q25, least dB": min(gains_optimised),
        "SSIM over JPEG q25, mean": statistics.fmean(similar),
        "fewer bytes than restart-marked JPEG, packed": statistics.fmean(savings),
        "fewer bytes than restart-marked JPEG, tokens": statistics.fmean(savings_tokens),
    }


def smallest_stream(pixels: Pixels, target: float, payload: str) -> int:
    """Bytes of the shortest stream of at least a PSNR, to 1 %."""
    low, high = 200, 60000
    while high - low > low // 100 + 8:
        middle = (low + high) // 2
        stream = pgfrs.encode(pixels, format="pgfr", payload=payload, max_bytes=middle)
        if psnr(pgfrs.decode(stream), pixels) >= target:
            high = middle
        else:
            low = middle
    return high


def prefixes(all_codecs: Sequence[Codec], pictures: Sequence[Pixels], budget: int) -> dict[str, list[float]]:
    """Mean PSNR of the first parts of files."""
    curves = {}
    for codec in all_codecs:
        files = [codec.encode(p, budget) for p in pictures]
        curves[codec.name] = [
            statistics.fmean(
                psnr(shown(codec, f[: max(1, round(len(f) * part))], p)[0], p)
                for f, p in zip(files, pictures, strict=True)
            )
            for part in FRACTIONS
        ]
    return curves


def broken(stream: bytes, kind: str, edits: int, seed: int) -> bytes:
    if kind != "burst":
        return damage(stream, seed=seed, kind=kind, edits=edits, length=1)  # type: ignore[arg-type]
    length = len(stream) // 10
    # Outside the only copy of the base, which the first 300 bytes hold.
    start = random.Random(seed).randrange(300, len(stream) - length)
    return stream[:start] + stream[start + length :]


def damages(
    all_codecs: Sequence[Codec], pictures: Sequence[Pixels], budget: int, trials: int, first_bytes: bool = False
) -> dict[str, dict[str, dict[str, float]]]:
    """By format and kind of damage: falls against the original, PSNR and bad pixels against the undamaged decode."""
    kinds = [(kind, 1) for kind in SINGLE]
    if not first_bytes:
        kinds += [("mixed", edits) for edits in MANY] + [("burst", 1)]
    table: dict[str, dict[str, dict[str, float]]] = {}
    for codec in all_codecs:
        if codec.name == "JPEG 2000":
            continue  # a process per trial; its error resilience is not what it is compared for
        rows = {}
        files = [codec.encode(p, budget) for p in pictures]
        cleans = [shown(codec, f, p)[0] for f, p in zip(files, pictures, strict=True)]
        for kind, edits in kinds:
            falls, levels, bad, refused = [], [], [], 0
            for i, (file, pixels, clean) in enumerate(zip(files, pictures, cleans, strict=True)):
                before = psnr(clean, pixels)
                for trial in range(trials):
                    seed = 1000 * i + trial
                    data = broken(file[:200] if first_bytes else file, kind, edits, seed)
                    if first_bytes:
                        data += file[200:]
                    after, decoded = shown(codec, data, pixels)
                    refused += not decoded
                    falls.append(before - psnr(after, pixels))
                    levels.append(min(psnr(after, clean), 99.0))
                    differs = (np.abs(after.astype(np.int16) - clean) > BAD_STEP).any(axis=2)
                    bad.append(float(differs.mean()))
            levels.sort()
            rows[f"{kind} x{edits}"] = {
                "mean fall dB": statistics.fmean(falls),
                "damage PSNR median": statistics.median(levels),
                "damage PSNR 10 %": levels[len(levels) // 10],
                "damage PSNR worst": levels[0],
                "bad pixels": statistics.fmean(bad),
                "refused": refused / len(levels),
            }
        table[codec.name] = rows
    return table


def overhead(pictures: Sequence[Pixels]) -> dict[str, Any]:
    """Framing of a 4 kB stream, and whole streams against `.pgf` of the same coefficients."""
    framing, doubled = [], []
    for pixels in pictures:
        stream = pgfrs.encode(pixels, format="pgfr", max_bytes=4096)
        parts = pgfrs.segments(stream)
        # Three bytes of marker and address; a header is nothing else.
        heads = [s.end - s.start if s.kind == "picture" else 3 for s in parts]
        framing.append(sum(heads) / len(stream))
        tokens = pgfrs.transcode(stream, "pgfr", payload="tokens")
        doubled.append(len(tokens) / len(stream))
    sizes: dict[str, list[tuple[int, float]]] = {"5 kB": [], "12 kB": [], "100 kB": []}
    for pixels in pictures:
        for quality in range(12):
            file = pgfrs.encode(pixels, quality=quality)
            ratio = len(pgfrs.transcode(file, "pgfr")) / len(file)
            for name, (low, high) in {"5 kB": (3500, 8000), "12 kB": (8000, 20000), "100 kB": (60000, 10**9)}.items():
                if low <= len(file) < high:
                    sizes[name].append((len(file), ratio))
    return {
        "framing of 4096 bytes": statistics.fmean(framing),
        "tokens against packed, same coefficients": statistics.fmean(doubled),
        "against .pgf of the same coefficients": {
            name: statistics.fmean(r for _, r in found) for name, found in sizes.items() if found
        },
    }


def noticed(pictures: Sequence[Pixels], trials: int, payload: str) -> dict[str, float]:
    """Share of single errors in payloads that a report tells of, without checks."""
    shares: dict[str, float] = {}
    for kind in SINGLE:
        seen = changed = 0
        for i, pixels in enumerate(pictures):
            stream = pgfrs.encode(pixels, format="pgfr", payload=payload, max_bytes=BUDGET)
            planes = [s for s in pgfrs.segments(stream) if s.kind == "planes" and s.end < len(stream)]
            clean = pgfrs.decode(stream)
            rng = random.Random(i)
            for _ in range(trials):
                segment = rng.choice(planes)
                at = rng.randrange(segment.start + 3, segment.end)
                data = bytearray(stream)
                if kind == "substitute":
                    data[at] ^= rng.randrange(1, 256)
                elif kind == "insert":
                    data.insert(at, rng.randrange(256))
                else:
                    del data[at]
                pixels_now, report = pgfrs.decode_with_report(bytes(data))
                if (pixels_now != clean).any() or report.damaged:
                    changed += 1
                    seen += report.damaged
        shares[kind] = seen / max(changed, 1)
    return shares


def speed(pictures: Sequence[Pixels]) -> dict[str, float]:
    """Pictures per second and core, Python call included: the best of five rounds."""
    streams = [pgfrs.encode(p, format="pgfr", quality=5, max_bytes=4500) for p in pictures]

    def per_second(work: Callable[[], object]) -> float:
        best = 0.0
        for _ in range(5):
            start = time.process_time()
            for _ in range(12):
                work()
            best = max(best, 12 * len(pictures) / (time.process_time() - start))
        return best

    return {
        "encode": per_second(lambda: [pgfrs.encode(p, format="pgfr", quality=5, max_bytes=4500) for p in pictures]),
        "decode": per_second(lambda: [pgfrs.decode(s) for s in streams]),
        "transcode to .pgf": per_second(lambda: [pgfrs.transcode(s, "pgf") for s in streams]),
    }


# --- report ----------------------------------------------------------------------------------------------------------


def markdown(found: dict[str, Any], judged: Sequence[Verdict]) -> str:
    lines = [
        f"# Resilience, {found['date']}",
        "",
        f"{found['pictures']}; {found['machine']}; commit {found['commit']}; "
        f"{found['trials']} trials a picture and kind.",
        "",
        "## Targets",
        "",
        *targets_table(judged),
    ]
    lines += ["", "## PSNR in dB at equal bytes, 256x256", "", "| | " + " | ".join(map(str, RATES)) + " |"]
    lines.append("| --- |" + " --- |" * len(RATES))
    for name, row in found["rates"].items():
        lines.append(f"| {name} | " + " | ".join("-" if v is None else f"{v:.2f}" for v in row.values()) + " |")
    for size in ("256x256", "full size"):
        lines += [
            "",
            f"## PSNR in dB of prefixes, {size}",
            "",
            "| | " + " | ".join(f"{f:.0%}" for f in FRACTIONS) + " |",
        ]
        lines.append("| --- |" + " --- |" * len(FRACTIONS))
        for name, curve in found[f"prefix at {size}"].items():
            lines.append(f"| {name} | " + " | ".join(f"{v:.2f}" for v in curve) + " |")
        lines += ["", f"## Damage, {size}: mean fall in dB / damage PSNR median, 10 % / bad pixels / refused", ""]
        table = found[f"damage at {size}"]
        kinds = list(next(iter(table.values())))
        lines += ["| | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * len(kinds)]
        for name, rows in table.items():
            cells = [
                f"{r['mean fall dB']:.2f} / {r['damage PSNR median']:.0f}, {r['damage PSNR 10 %']:.0f} / "
                f"{r['bad pixels']:.1%} / {r['refused']:.0%}"
                for r in rows.values()
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for key in ("against JPEG", "every prefix", "made for a quarter of the bytes", "overhead", "noticed", "speed"):
        lines += ["", f"## {key.capitalize()}", "", "```", json.dumps(found[key], indent=2), "```"]
    return "\n".join([*lines, ""])


def plot(found: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5))
    for name, curve in found["prefix at 256x256"].items():
        left.plot([100 * f for f in FRACTIONS], curve, marker=".", label=name)
    left.set(
        xscale="log", xlabel="bytes of the file, %", ylabel="PSNR, dB", title=f"Prefixes of {BUDGET} bytes, 256x256"
    )
    left.legend(fontsize=8)
    for name, rows in found["damage at 256x256"].items():
        values = [statistics.fmean(rows[f"{k} x1"]["mean fall dB"] for k in SINGLE)]
        values += [rows[f"mixed x{n}"]["mean fall dB"] for n in MANY]
        right.plot([1, *MANY], values, marker=".", label=name)
    right.set(
        xscale="log", xlabel="wrong, lost or extra bytes", ylabel="mean fall of PSNR, dB", title="Damage, 256x256"
    )
    right.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def pictures_sheet(all_codecs: Sequence[Codec], pictures: Sequence[Pixels], path: Path) -> None:
    """Cut and damaged pictures, one row a format."""
    tiles = []
    names = ("pgfr packed", "pgfr tokens", "pgf", "JPEG", "JPEG progressive", "JPEG restart")
    for codec in (c for c in all_codecs if c.name in names):
        for i, pixels in enumerate(pictures[:2]):
            file = codec.encode(pixels, BUDGET)
            cases: list[tuple[str, bytes]] = [(f"first {p:.0%}", file[: round(len(file) * p)]) for p in (0.05, 0.15)]
            cases += [(f"{n} edits", damage(file, seed=7 + i, kind="mixed", edits=n, length=1)) for n in (1, 5, 20)]
            for label, data in cases:
                seen = shown(codec, data, pixels)[0]
                tiles.append(Tile(seen, (f"{codec.name}, {label}", f"{psnr(seen, pixels):.1f} dB")))
    path.write_bytes(
        to_png(contact_sheet(tiles, title="Cut and damaged at 5000 bytes, 256x256", columns=10, width=200))
    )


PARTS = ("rates", "against-jpeg", "prefixes", "every-prefix", "damages", "first-bytes", "overhead", "noticed", "speed")


def some_parts(
    parts: Sequence[str], all_codecs: Sequence[Codec], small: Sequence[Pixels], full: Sequence[Pixels], trials: int
) -> dict[str, Any]:
    """The measurements of some parts, of this format and what its targets compare it with."""
    ours = [c for c in all_codecs if c.name in OURS]
    peers = [c for c in all_codecs if c.name in (*OURS, "pgf", "JPEG progressive", "JPEG 2000")]
    work: dict[str, tuple[str, Callable[[], Any]]] = {
        "rates": ("rates", lambda: rates(ours, small)),
        "against-jpeg": ("against JPEG", lambda: against_jpeg(small)),
        "prefixes": ("prefix at 256x256", lambda: prefixes(peers, small, BUDGET)),
        "every-prefix": ("every prefix", lambda: {p: every_prefix(small, BUDGET, p) for p in PAYLOADS}),
        "damages": ("damage at 256x256", lambda: damages(ours, small, BUDGET, trials)),
        "first-bytes": (
            "damage in the first 200 bytes",
            lambda: damages(ours, small, BUDGET, trials, first_bytes=True),
        ),
        "overhead": ("overhead", lambda: overhead([*small, *full])),
        "noticed": ("noticed", lambda: {p: noticed(small, 10 * trials, p) for p in PAYLOADS}),
        "speed": ("speed", lambda: speed(small)),
    }
    return {work[part][0]: work[part][1]() for part in parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=24, help="damaged files a picture and kind (24)")
    parser.add_argument("--record", action="store_true", help="leave the results in benches/recorded")
    parser.add_argument("--parts", nargs="+", choices=PARTS, metavar="PART", help=f"only these: {', '.join(PARTS)}")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    title, originals = photographs()
    full = [p.pixels for p in originals]
    small = [middle_square(p) for p in full]
    all_codecs = codecs()
    few = [c for c in all_codecs if c.name in (*OURS, "pgf", "JPEG", "JPEG restart", "JPEG progressive")]
    if options.parts:
        measured = some_parts(options.parts, all_codecs, small, full, options.trials)
        print(json.dumps(measured, indent=1))
        print("\n".join(targets_table(verdicts(measured))))
        return
    today = datetime.date.today().isoformat()
    found: dict[str, Any] = {
        "date": today,
        "pictures": title,
        "machine": f"{processor()}, {cores()} cores",
        "commit": commit(),
        "trials": options.trials,
        "rates": rates(all_codecs, small),
        "against JPEG": against_jpeg(small),
        "prefix at 256x256": prefixes(all_codecs, small, BUDGET),
        "prefix at full size": prefixes(few, full, 8 * BUDGET),
        "every prefix": {p: every_prefix(small, BUDGET, p) for p in PAYLOADS},
        "made for a quarter of the bytes": made_for(small, BUDGET // 4),
        "damage at 256x256": damages(all_codecs, small, BUDGET, options.trials),
        "damage in the first 200 bytes": damages(
            [c for c in all_codecs if c.name in OURS], small, BUDGET, options.trials, first_bytes=True
        ),
        "damage at full size": damages(few, full, 8 * BUDGET, max(2, options.trials // 4)),
        "overhead": overhead(small + full),
        "noticed": {p: noticed(small, 10 * options.trials, p) for p in PAYLOADS},
        "speed": speed(small),
    }
    judged = verdicts(found)
    report = markdown(found, judged)
    print(report)
    REPORTS.mkdir(parents=True, exist_ok=True)
    targets = [REPORTS / "resilience"]
    if options.record:
        targets.append(REPOSITORY / "benches" / "recorded" / f"resilience-{today}")
    for target in targets:
        target.with_suffix(".md").write_text(report)
        target.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
        plot(found, target.with_suffix(".png"))
    pictures_sheet(all_codecs, small, REPORTS / "resilience-pictures.png")
    short = [v for v in judged if not v.met]
    print(f"{len(judged) - len(short)} of {len(judged)} targets met")


if __name__ == "__main__":
    main()
