"""What all runs say together: OUT/results.json, OUT/tables.md and the plots.

python examples/bytelm/figures.py OUT            # again, of the runs that are there
"""

from __future__ import annotations

import json
import pickle
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import codings
import data
import measure
from codings import CHANGES, ENCODINGS
from where import baseline, coding

matplotlib.use("Agg")
from matplotlib import pyplot

ALL = (*ENCODINGS, *CHANGES, *(name + codings.TOLD for name in ("jpeg", "tokens")))
COLOURS = {
    "jpeg": "#c0392b",
    "pgf": "#7f8c8d",
    "packed": "#2980b9",
    "tokens": "#27ae60",
    "pnm": "#bbbbbb",
    "levels": "#16a085",
    "flat": "#8e44ad",
    "chunks": "#d68910",
    "jpeg-told": "#f1948a",
    "tokens-told": "#145a32",
}


def spread(values: Iterable[float], digits: int = 3) -> str:
    """Mean and standard deviation over runs."""
    found = list(values)
    if not found:
        return "-"
    text = f"{np.mean(found):.{digits}f}"
    return text + (f" ± {np.std(found, ddof=1):.{digits}f}" if len(found) > 1 else "")


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def load(out: Path) -> dict[str, list[dict[str, Any]]]:
    """The runs by encoding, in the order of their seeds."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted((out / "runs").glob("*.json")):
        run = json.loads(path.read_text())
        found[run["encoding"]].append(run)
    return found


def labels_of_runs(out: Path, start: str) -> dict[str, list[dict[str, Any]]]:
    """The runs whose name begins so, by the rest of their name."""
    return {name.removeprefix(start): runs for name, runs in load(out).items() if name.startswith(start)}


def labelled(run: dict[str, Any], kind: str = "samples") -> list[tuple[int, bytes]]:
    return [(label, bytes.fromhex(text)) for label, text in run.get(kind, [])]


def report(out: Path, held_out: list[Any]) -> None:
    """Measure what the runs wrote and draw everything."""
    runs = load(out)
    there = [name for name in ALL if name in runs]
    classifier = measure.DigitClassifier()
    real = {
        name: [
            (picture.label, streams[coding(name)]) for picture, streams in held_out if picture.label != data.PHOTOGRAPH
        ]
        for name in ALL
    }
    results: dict[str, Any] = {}
    for name in there:
        photographs = [(p, s[coding(name)]) for p, s in held_out if p.label == data.PHOTOGRAPH]
        results[name] = {
            "runs": len(runs[name]),
            "psnr": float(
                np.mean([codings.psnr(codings.decode(name, s, p.pixels.shape), p.pixels) for p, s in photographs])
            ),
            "bytes": float(np.mean([len(s) for _, s in photographs])),
            "real_digits": measure.digits_when_cut(classifier, name, real[name]),
            "real_damage": measure.damaged(classifier, name, [(p.label, s[coding(name)]) for p, s in held_out], 0),
            "of_runs": [of_run(classifier, name, run) for run in runs[name]],
        }
    (out / "results.json").write_text(json.dumps(results, indent=1))
    text = "\n\n".join(tables(results, runs, there))
    (out / "tables.md").write_text(text + "\n")
    print(text)
    curves(out, runs, there)
    cuts(out, results, there)
    sheet(out, runs, there)


def of_run(classifier: measure.DigitClassifier, name: str, run: dict[str, Any]) -> dict[str, Any]:
    """Everything about one run that its record does not hold itself."""
    written = labelled(run)
    digits = [pair for pair in written if pair[0] != data.PHOTOGRAPH]
    found = {
        "bits": float(np.mean(run["photographs"]["bits"])),
        "bits_per_pixel": run["photographs"]["bits_per_pixel"],
        "digit_bits_per_pixel": run["digits"]["bits_per_pixel"],
        "decode": float(np.mean([measure.decodes(name, *pair) for pair in written])),
        "legal": float(np.mean([measure.legal(name, *pair) for pair in written])),
        "digits": measure.digits_when_cut(classifier, name, digits),
        "damage": measure.damaged(classifier, name, written, run["seed"]),
    }
    if given := labelled(run, "given"):
        found["given_decode"] = float(np.mean([measure.decodes(name, *pair) for pair in given]))
    if masked := labelled(run, "masked"):
        found["masked_decode"] = float(np.mean([measure.decodes(name, *pair) for pair in masked]))
        found["masked_legal"] = float(np.mean([measure.passes(stream) for _, stream in masked]))
    return found


def tables(results: dict[str, Any], runs: dict[str, list[dict[str, Any]]], there: list[str]) -> Iterable[str]:
    def of(name: str, key: str) -> list[float]:
        return [run[key] for run in results[name]["of_runs"] if key in run]

    def against_jpeg(name: str, key: str) -> str:
        """Per cent more or less, of the runs with the same seed; of models that are told, against JPEG's that is."""
        other = baseline(name)
        pairs = list(zip(of(name, key), of(other, key) if other in results else [], strict=False))
        return "-" if name == other or not pairs else spread((100 * (a / b - 1) for a, b in pairs), 1) + " %"

    yield "Bits of held-out photographs, 48 x 48 pixels; mean ± standard deviation over runs:"
    yield table(
        [
            "encoding",
            "runs",
            "PSNR",
            "bytes",
            "8 x bytes / pixel",
            "model, bits / pixel",
            "to jpeg",
            "of 8 x bytes",
            "digits, bits / pixel",
            "to jpeg",
        ],
        (
            [
                name,
                str(results[name]["runs"]),
                f"{results[name]['psnr']:.2f}",
                f"{results[name]['bytes']:.0f}",
                f"{results[name]['bytes'] * 8 / data.SIDE**2:.3f}",
                spread(of(name, "bits_per_pixel")),
                against_jpeg(name, "bits_per_pixel"),
                f"{np.mean(of(name, 'bits')) / 8 / results[name]['bytes']:.3f}",
                spread(of(name, "digit_bits_per_pixel")),
                against_jpeg(name, "digit_bits_per_pixel"),
            ]
            for name in there
        ),
    )
    yield "Bits of 24 held-out photographs along the training (mean of runs):"
    steps = [point["pictures"] for point in runs[there[0]][0]["curve"]]
    yield table(
        ["pictures seen", *map(str, steps)],
        (
            [name, *(f"{np.mean([run['curve'][n]['bits'] for run in runs[name]]):.0f}" for n in range(len(steps)))]
            for name in there
        ),
    )
    yield "Where the bits of a photograph are (bytes in brackets):"
    parts = ["header", "base markers", "base", "planes markers", "planes", "end"]
    yield table(
        ["encoding", *parts],
        (
            [
                name,
                *(
                    f"{np.mean([run['photographs']['parts'].get(part, 0) for run in runs[name]]):.0f} "
                    f"({runs[name][0]['photographs']['parts'].get(part + ' bytes', 0):.0f})"
                    for part in parts
                ),
            ]
            for name in there
            if name in measure.PGFR
        ),
    )
    yield "Streams that the models wrote, share: with a picture of the right size, legal to the last byte"
    yield table(
        ["encoding", "free: picture", "legal", "header given: picture", "mask: picture", "legal"],
        (
            [
                name,
                *(
                    spread(of(name, key), 2)
                    for key in ("decode", "legal", "given_decode", "masked_decode", "masked_legal")
                ),
            ]
            for name in there
        ),
    )
    shares = [str(share) for share in measure.SHARES]
    yield "Digits told, by the share of the bytes that is kept; held-out streams, then streams of the models:"
    yield table(
        ["encoding", *(f"real, {share}" for share in shares), *(f"written, {share}" for share in shares)],
        (
            [
                name,
                *(f"{results[name]['real_digits'][share]:.2f}" for share in shares),
                *(spread((run["digits"][share] for run in results[name]["of_runs"]), 2) for share in shares),
            ]
            for name in there
        ),
    )
    yield "Damage to held-out streams: share that decodes, median PSNR against before, digits told:"
    yield table(
        ["encoding", *(f"{edits} edits" for edits in measure.EDITS)],
        (
            [
                name,
                *(
                    f"{found['decode']:.2f} / {found['psnr']:.1f} / {found['digits']:.2f}"
                    for found in results[name]["real_damage"].values()
                ),
            ]
            for name in there
        ),
    )
    yield "Damage to streams of the models: share that decodes, median PSNR against before, digits told:"
    yield table(
        ["encoding", *(f"{edits} edits" for edits in measure.EDITS)],
        (
            [
                name,
                *(
                    " / ".join(
                        spread((run["damage"][str(edits)][key] for run in results[name]["of_runs"]), digits)
                        for key, digits in (("decode", 2), ("psnr", 1), ("digits", 2))
                    )
                    for edits in measure.EDITS
                ),
            ]
            for name in there
        ),
    )


def curves(out: Path, runs: dict[str, list[dict[str, Any]]], there: list[str]) -> None:
    """Bits of held-out photographs against pictures seen."""
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    for name in there:
        if name == "pnm":
            continue
        steps = [point["pictures"] for point in runs[name][0]["curve"]]
        values = np.array([[point["bits"] for point in run["curve"]] for run in runs[name]]) / data.SIDE**2
        axes.plot(steps[1:], values.mean(0)[1:], "o-", ms=3, label=name, color=COLOURS[name])
        axes.fill_between(steps[1:], values.min(0)[1:], values.max(0)[1:], color=COLOURS[name], alpha=0.2)
    axes.set(xlabel="pictures seen", ylabel="bits per pixel, held-out photographs", title="At equal PSNR")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out / "curves.png", dpi=110)


def cuts(out: Path, results: dict[str, Any], there: list[str]) -> None:
    """Digits told against the share of bytes, and against damage."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.8), sharey=True)
    for name in there:
        shares = [str(share) for share in measure.SHARES]
        real = [results[name]["real_digits"][share] for share in shares]
        written = [np.mean([run["digits"][share] for run in results[name]["of_runs"]]) for share in shares]
        for axes, values in ((left, real), (right, written)):
            axes.plot([100 * share for share in measure.SHARES], values, "o-", ms=3, label=name, color=COLOURS[name])
    left.set(xlabel="% of the bytes", ylabel="digits told", title="held-out streams")
    right.set(xlabel="% of the bytes", title="streams that the models wrote")
    for axes in (left, right):
        axes.axhline(0.1, color="black", lw=0.5, ls=":")
    right.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out / "cuts.png", dpi=110)


def sheet(out: Path, runs: dict[str, list[dict[str, Any]]], there: list[str]) -> None:
    """Digits 0 to 9 and four photographs as the first model of each encoding wrote them, whole and cut at a quarter."""
    rows = [(name, share) for name in there for share in (1.0, 0.25)]
    figure, grid = pyplot.subplots(len(rows), 14, figsize=(14, len(rows)))
    for (name, share), line in zip(rows, grid, strict=True):
        written = labelled(runs[name][0])
        chosen = [next(pair for pair in written if pair[0] == label) for label in range(10)]
        chosen += [pair for pair in written if pair[0] == data.PHOTOGRAPH][:4]
        for (label, stream), axes in zip(measure.cut_streams(chosen, share), line, strict=True):
            try:
                axes.imshow(codings.decode(name, stream, measure.shape_of(label)), cmap="gray", vmin=0, vmax=255)
            except ValueError:
                axes.text(0.5, 0.5, "no picture", ha="center", va="center", fontsize=6, transform=axes.transAxes)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(f"{name}\n{share:.0%}", rotation=0, ha="right", va="center", fontsize=8)
    figure.tight_layout(pad=0.3)
    figure.savefig(out / "samples.png", dpi=60)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (streams,) = folder.glob("streams-*.pickle")
    report(folder, pickle.loads(streams.read_bytes())["held_out"])
