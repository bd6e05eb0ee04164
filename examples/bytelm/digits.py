"""Digits alone, trained on for long enough that what the models write is told: cut, whole and damaged.

python examples/bytelm/digits.py OUT             # table and pictures again, of the runs that are there
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codings
import data
import measure
import pgfrs
from pgfrs.llm import jpeg
from where import baseline, coding, follower

#: Of the sides 32, 40, 48 and 80 that whose streams hold the fewest base values.
EDGE = 40
#: One quality for all digits, that at which streams of the PSNR of JPEG are shortest.
QUALITY = 5
COPIES = 16
ENCODINGS = ("jpeg", "packed", "tokens", "jpeg-told", "tokens-told")
#: Of each digit as many are written.
EACH = 10
#: Ways to write: free, with the header given, so at a lower temperature, under the mask of legal bytes.
WAYS = ("free", "given", "cool", "masked")
COOL = 0.7
PARTS = ("header", "base markers", "base", "planes markers", "planes", "end")


def encode(pixels: codings.Pixels) -> dict[str, bytes]:
    """A digit in every encoding, at the PSNR of JPEG as near as segments allow."""
    packed = codings.pgfr(pixels, qualities=(QUALITY,))
    return {
        "jpeg": jpeg.encode(pixels),
        "packed": packed,
        "tokens": pgfrs.transcode(packed, "pgfr", payload="tokens"),
    }


def prepare(out: Path, crops: int | None = None) -> dict[str, list[tuple[data.Picture, dict[str, bytes]]]]:
    """All digits in all encodings, from OUT/digits.pickle if they are there; of few crops, digits as they are only."""
    path = out / "digits.pickle"
    if not path.exists():
        parts = zip(("train", "held_out"), data.digits(EDGE, COPIES if crops and crops >= 1000 else 1), strict=True)
        found = {name: [(picture, encode(picture.pixels)) for picture in pictures] for name, pictures in parts}
        temporary = path.with_suffix(f".{time.time_ns()}")
        temporary.write_bytes(pickle.dumps(found))
        temporary.rename(path)
    loaded: dict[str, list[tuple[data.Picture, dict[str, bytes]]]] = pickle.loads(path.read_bytes())
    return loaded


def run(out: Path, crops: int, encoding: str, seed: int, settings: Any, device: str) -> dict[str, Any]:
    """Train a model, and let it write in every way; the model is under "model"."""
    from model import ByteModel, beginning, sample, sequence, train

    pictures = prepare(out, crops)
    training = [(picture.label, streams[coding(encoding)]) for picture, streams in pictures["train"]]
    held_out = [(picture.label, streams[coding(encoding)]) for picture, streams in pictures["held_out"]]

    def draw(rng: np.random.Generator) -> NDArray[np.int64]:
        return sequence(*training[rng.integers(len(training))], follower(encoding))

    def probe(model: ByteModel) -> dict[str, float]:
        return {"bits": float(np.mean(measure.total_bits(model, encoding, held_out[:100])))}

    model, curve = train(draw, settings, seed, probe, device)
    labels = [label for label in range(10) for _ in range(EACH)]
    most = int(1.25 * max(len(stream) for _, stream in held_out))
    header = measure.header(encoding, held_out[0][1])
    found = {"curve": curve} | judged(model, out, encoding)
    for way in WAYS:
        if way == "masked" and encoding not in measure.MASKED:
            continue
        mask = measure.Mask(len(labels)) if way == "masked" else None
        first = header if way in ("given", "cool") else b""
        told = [follower(encoding) for _ in labels]
        given = [beginning(label, first, one) for label, one in zip(labels, told, strict=True)]
        temperature, followers = COOL if way == "cool" else 1.0, [one for one in told if one]
        streams = sample(model, given, most - len(first), seed, mask, temperature, followers)
        found[way] = [[label, (first + stream).hex()] for label, stream in zip(labels, streams, strict=True)]
    return found | {"model": model}


def judged(model: Any, out: Path, encoding: str) -> dict[str, Any]:
    """Bits of held-out digits, and, for `.pgfr`, of their parts."""
    from model import bits

    held_out = [(picture.label, streams[coding(encoding)]) for picture, streams in prepare(out)["held_out"]]
    rows = bits(model, measure.sequences(encoding, held_out))
    found: dict[str, Any] = {"bits": float(np.mean([row.sum() for row in rows]))}
    if encoding in measure.PGFR:
        found["parts"] = measure.parts([(stream, row) for (_, stream), row in zip(held_out, rows, strict=True)])
    return found


def written(found: dict[str, Any], way: str) -> list[tuple[int, bytes]]:
    return [(label, bytes.fromhex(text)) for label, text in found.get(way, [])]


def report(out: Path) -> dict[str, Any]:
    """OUT/digits.json, OUT/digits.md, OUT/digits-cuts.png and OUT/digits.png of the runs in OUT/runs."""
    from figures import labels_of_runs, spread, table

    runs = labels_of_runs(out, "digits-")
    there = [name for name in ENCODINGS if name in runs]
    held_out = prepare(out)["held_out"]
    classifier = measure.DigitClassifier(EDGE)
    results: dict[str, Any] = {}
    for name in there:
        real = [(picture.label, streams[coding(name)]) for picture, streams in held_out]
        pixels = [codings.decode(name, stream, (EDGE, EDGE)) for _, stream in real]
        results[name] = {
            "bytes": float(np.mean([len(stream) for _, stream in real])),
            "psnr": float(np.mean([codings.psnr(p, h.pixels) for p, (h, _) in zip(pixels, held_out, strict=True)])),
            "told": measure.digits_when_cut(classifier, name, real),
            "damage": measure.damaged(classifier, name, real, 0),
            "runs": [_of_run(classifier, name, found) for found in runs[name]],
        }
    (out / "digits.json").write_text(json.dumps(results, indent=1))

    def of(name: str, *keys: str) -> list[Any]:
        values = results[name]["runs"]
        for key in keys:
            values = [value[key] for value in values if key in value]
        return values

    shares = [str(share) for share in measure.SHARES]
    text = [
        f"Held-out digits, {EDGE} x {EDGE} pixels, and streams that the models wrote:",
        table(
            [
                "encoding",
                "runs",
                "PSNR",
                "bytes",
                "model, bits",
                "to jpeg",
                "free: picture",
                "header given",
                "mask: legal",
            ],
            (
                [
                    name,
                    str(len(runs[name])),
                    f"{results[name]['psnr']:.2f}",
                    f"{results[name]['bytes']:.0f}",
                    spread(of(name, "bits"), 0),
                    "-"
                    if name == (other := baseline(name)) or other not in results
                    else f"{100 * (np.mean(of(name, 'bits')) / np.mean(of(other, 'bits')) - 1):.1f} %",
                    spread(of(name, "free", "decode"), 2),
                    spread(of(name, "given", "decode"), 2),
                    spread(of(name, "masked", "legal"), 2),
                ]
                for name in there
            ),
        ),
        "Bits of 100 held-out digits along the training:",
        table(
            ["digits seen", *(str(point["pictures"]) for point in runs[there[0]][0]["curve"])],
            (
                [name, *(spread((p["bits"] for p in points), 0) for points in zip(*curves, strict=True))]
                for name in there
                for curves in [[found["curve"] for found in runs[name]]]
            ),
        ),
        "Where the bits of a digit are (bytes in brackets):",
        table(
            ["encoding", *PARTS],
            (
                [
                    name,
                    *(
                        f"{np.mean(of(name, 'parts', part)):.0f} ({sizes.get(part + ' bytes', 0):.0f})"
                        for part in PARTS
                    ),
                ]
                for name in there
                if name in measure.PGFR
                for sizes in [results[name]["runs"][0]["parts"]]
            ),
        ),
        "Digits told, by the share of the bytes that is kept (chance is 0.10):",
        table(
            ["streams", "encoding", *shares, "at 0.25, of full"],
            (
                [title, name, *cells]
                for title, way in (
                    ("held out", "real"),
                    ("written freely", "free"),
                    ("header given", "given"),
                    (f"header given, temperature {COOL}", "cool"),
                    ("under the mask", "masked"),
                )
                for name in there
                if (cells := _told(results[name], way, shares))
            ),
        ),
        "Damage: share that decodes, median PSNR against before, digits told (before: without edits):",
        table(
            ["streams", "encoding", "before", *(f"{edits} edits" for edits in measure.EDITS)],
            (
                [title, name, before, *cells]
                for title, way in (("held out", "real"), ("header given", "given"))
                for name in there
                for before, cells in [_damage(results[name], way)]
            ),
        ),
    ]
    (out / "digits.md").write_text("\n\n".join(text) + "\n")
    print("\n\n".join(text))
    _plot(out, results, there)
    _sheet(out, runs, there)
    return results


def _of_run(classifier: measure.DigitClassifier, name: str, found: dict[str, Any]) -> dict[str, Any]:
    ways: dict[str, Any] = {"bits": found["bits"], "parts": found.get("parts", {})}
    for way in WAYS:
        if streams := written(found, way):
            ways[way] = {
                "decode": float(np.mean([measure.decodes(name, *pair, EDGE) for pair in streams])),
                "told": measure.digits_when_cut(classifier, name, streams),
            }
    if "masked" in ways:
        ways["masked"]["legal"] = float(np.mean([measure.passes(stream) for _, stream in written(found, "masked")]))
    ways["damage"] = measure.damaged(classifier, name, written(found, "given"), found["seed"])
    return ways


def _told(result: dict[str, Any], way: str, shares: list[str]) -> list[str]:
    from figures import spread

    told = [result["told"]] if way == "real" else [run[way]["told"] for run in result["runs"] if way in run]
    if not told:
        return []
    part = np.mean([one["0.25"] for one in told]) / max(1e-9, np.mean([one["1.0"] for one in told]))
    return [*(spread((one[share] for one in told), 2) for share in shares), f"{100 * part:.0f} %"]


def _damage(result: dict[str, Any], way: str) -> tuple[str, list[str]]:
    from figures import spread

    if way == "real":
        told, rows = [result["told"]["1.0"]], [result["damage"]]
    else:
        told, rows = [run[way]["told"]["1.0"] for run in result["runs"]], [run["damage"] for run in result["runs"]]
    cells = [
        " / ".join(
            spread((row[str(edits)][key] for row in rows), digits)
            for key, digits in (("decode", 2), ("psnr", 1), ("digits", 2))
        )
        for edits in measure.EDITS
    ]
    return spread(told, 2), cells


def _plot(out: Path, results: dict[str, Any], there: list[str]) -> None:
    from figures import COLOURS, pyplot

    figure, panels = pyplot.subplots(1, 3, figsize=(12, 3.8), sharey=True)
    titles = {"real": "held-out streams", "given": "written, header given", "cool": f"written, temperature {COOL}"}
    for axes, (way, title) in zip(panels, titles.items(), strict=True):
        for name in there:
            result = results[name]
            told = [result["told"]] if way == "real" else [run[way]["told"] for run in result["runs"]]
            values = np.array([[one[str(share)] for share in measure.SHARES] for one in told])
            at = [100 * share for share in measure.SHARES]
            axes.plot(at, values.mean(0), "o-", ms=3, label=name, color=COLOURS[name])
            axes.fill_between(at, values.min(0), values.max(0), color=COLOURS[name], alpha=0.2)
        axes.axhline(0.1, color="black", lw=0.5, ls=":")
        axes.set(xlabel="% of the bytes", title=title)
    panels[0].set_ylabel("digits told")
    panels[-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out / "digits-cuts.png", dpi=110)


def _sheet(out: Path, runs: dict[str, list[dict[str, Any]]], there: list[str]) -> None:
    """Two of every digit as the first model of each encoding wrote them with the header given, whole and cut."""
    from figures import pyplot

    temperatures = {"given": 1, "cool": COOL}
    rows = [(name, way, share) for name in there for way in temperatures for share in (1.0, 0.25)]
    figure, grid = pyplot.subplots(len(rows), 20, figsize=(20, len(rows)), squeeze=False)
    for (name, way, share), line in zip(rows, grid, strict=True):
        streams = written(runs[name][0], way)
        chosen = [pair for digit in range(10) for pair in [p for p in streams if p[0] == digit][:2]]
        for (_, stream), axes in zip(measure.cut_streams(chosen, share), line, strict=True):
            try:
                axes.imshow(codings.decode(name, stream, (EDGE, EDGE)), cmap="gray", vmin=0, vmax=255)
            except ValueError:
                axes.text(0.5, 0.5, "no picture", ha="center", va="center", fontsize=6, transform=axes.transAxes)
            axes.set(xticks=[], yticks=[])
        title = f"{name}, t {temperatures[way]}\n{share:.0%}"
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
    figure.tight_layout(pad=0.3)
    figure.savefig(out / "digits.png", dpi=55)


if __name__ == "__main__":
    report(Path(sys.argv[1]))
