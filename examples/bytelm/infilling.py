"""Infilling: the detail of a tile told from both sides, from what comes before, or from another picture.

Gray pictures of 128 pixels have four tiles of finest detail and one of the next level. How much their surroundings
could tell is what context.py estimates. Crisp digits are pictures whose surroundings tell much.

python examples/bytelm/infilling.py OUT          # pictures of tiles that the first model of infill-digits-told wrote
"""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codings
import data
import pgfrs
from pgfrs.llm import samples
from pgfrs.llm.positions import Positions, of_sample
from where import coding

EDGE = 128
CONTEXTS = ("both", "prefix", "shuffled")


@dataclass(frozen=True)
class Task:
    """The pictures, the levels of which a tile is taken out, and how many of the samples in training have a suffix."""

    pictures: str
    levels: tuple[int, ...]
    both: float = 0.5


#: By the names of runs, without what says that a model is told. Those that end in prefix and both are to see whether
#: it matters that one model learns both: each spends all of its training on one.
TASKS = {
    "infill": Task("photographs", (1, 2)),
    "infill-prefix": Task("photographs", (2,), 0.0),
    "infill-both": Task("photographs", (2,), 1.0),
    "infill-digits": Task("digits", (2,)),
    "infill-digits-prefix": Task("digits", (2,), 0.0),
    "infill-digits-both": Task("digits", (2,), 1.0),
}
#: Of what is written for the pictures.
TEMPERATURE = 0.7
#: Tiles written for each place.
DRAWN = 8
#: How often every digit to train on comes.
COPIES = 6
#: What a picture is, and its stream.
Labelled = list[tuple[int, bytes]]


def tokens(picture: data.Picture) -> tuple[int, bytes]:
    """Label and token stream, at the PSNR of JPEG, of the picture in gray."""
    gray = picture.pixels if picture.pixels.ndim == 2 else picture.pixels[..., 1]
    packed = codings.pgfr(np.ascontiguousarray(gray))
    return picture.label, pgfrs.transcode(packed, "pgfr", payload="tokens")


def crisp_digits(copies: int) -> tuple[list[data.Picture], list[data.Picture]]:
    """To train on, and every other one of those held out."""
    training, held_out = data.digits(EDGE, copies, crisp=True)
    return training, held_out[::2]


def prepare(out: Path, crops: int, name: str, jobs: int = 1) -> dict[str, Labelled]:
    """Streams of the pictures of a run, from OUT/infill-PICTURES.pickle if they are there; of few crops, few digits."""
    kind = TASKS[coding(name)].pictures
    path = out / f"infill-{kind}.pickle"
    if not path.exists():
        if kind == "digits":
            copies = COPIES if crops >= 1000 else 1
            training, held_out = (pictures[: copies * crops] for pictures in crisp_digits(copies))
        else:
            training = data.crops(data.TRAINING, crops, 21, EDGE)
            held_out = data.crops(data.HELD_OUT, min(crops, 64), 22, EDGE)
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            found = {"train": pool.map(tokens, training, 8), "held_out": pool.map(tokens, held_out, 8)}
        temporary = path.with_suffix(f".{time.time_ns()}")
        temporary.write_bytes(pickle.dumps(found))
        temporary.rename(path)
    loaded: dict[str, Labelled] = pickle.loads(path.read_bytes())
    return loaded


def run(out: Path, crops: int, name: str, seed: int, settings: Any, device: str) -> dict[str, Any]:
    """Train on both sides of a removed tile and on the prefix only; judge both, and a wrong context."""
    from model import ByteModel, bits, train

    task, told = TASKS[coding(name)], bool(settings.told)
    levels = task.levels
    contexts = [context for context in CONTEXTS if (task.both < 1 if context == "prefix" else task.both > 0)]
    streams = prepare(out, crops, name)
    held_out = [case for labelled in streams["held_out"] for case in _cases(*labelled, levels)]
    few = [case for case in held_out if case[0] == levels[-1]][:24]

    def draw(rng: np.random.Generator) -> NDArray[np.int64]:
        while True:
            cases = _cases(*streams["train"][rng.integers(len(streams["train"]))], levels)
            if cases:
                _, label, sample = cases[rng.integers(len(cases))]
                return _ids(label, sample, told, suffix=rng.random() < task.both)

    def middles(model: ByteModel, rows: list[NDArray[np.int64]], cases: list[Case]) -> list[float]:
        """Bits of the middles, which stand last, before the end mark."""
        lengths = [len(sample.section("middle")) for _, _, sample in cases]
        return [float(row[-n - 1 : -1].sum()) for row, n in zip(bits(model, rows, 4), lengths, strict=True)]

    def probe(model: ByteModel) -> dict[str, float]:
        found = {
            "bits": middles(model, [_ids(label, sample, told) for _, label, sample in few], few),
            "prefix": middles(model, [_ids(label, sample, told, suffix=False) for _, label, sample in few], few),
        }
        return {key: float(np.mean(values)) for key, values in found.items()}

    model, curve = train(draw, settings, seed, probe, device)
    found: dict[str, Any] = {}
    for level in levels:
        cases = [case for case in held_out if case[0] == level]
        rows: dict[str, list[NDArray[np.int64]]] = {context: [] for context in CONTEXTS}
        for number, (_, label, sample) in enumerate(cases):
            # The next case may be of the same picture; one half a round away is not.
            _, _, other = cases[(number + len(cases) // 2) % len(cases)]
            rows["both"].append(_ids(label, sample, told))
            rows["prefix"].append(_ids(label, sample, told, suffix=False))
            rows["shuffled"].append(_ids(label, samples.Sample((*other.parts[:-1], sample.parts[-1])), told))
        found[str(level)] = {"bytes": [len(sample.section("middle")) for _, _, sample in cases]}
        found[str(level)] |= {context: middles(model, rows[context], cases) for context in contexts}
    return {"curve": curve, "infill": found, "model": model}


#: Level, label and sample.
Case = tuple[int, int, samples.Sample]


def _cases(label: int, stream: bytes, levels: tuple[int, ...]) -> list[Case]:
    """Every tile of luma, of the given levels, that the stream has detail of."""
    at = {s.index: s.levels[0] for s in pgfrs.segments(stream) if s.kind == "planes" and s.levels and s.group == 0}
    return [
        (level, label, samples.infill(stream, 0, block=(0, index)))
        for index, level in sorted(at.items())
        if index is not None and level in levels
    ]


def _ids(label: int, sample: samples.Sample, told: bool, *, suffix: bool = True) -> NDArray[np.int64]:
    from model import LABELS, MARKS, beside

    if not suffix:
        pairs = itertools.pairwise((samples.Part("prefix"), *sample.parts))
        sample = samples.Sample(tuple(part for before, part in pairs if before.content != "suffix"))
    ids = np.concatenate([[LABELS[label]], sample.ids(MARKS)])
    if not told:
        return ids
    return beside(ids, np.concatenate([Positions().position()[None], of_sample(sample, MARKS)]))


def table_of(by_name: dict[str, list[dict[str, Any]]]) -> str:
    """Bits of the removed tiles, mean of held-out pictures, of runs by name."""
    from figures import spread, table

    rows = []
    for name, level in ((key, str(level)) for key in sorted(by_name) for level in TASKS[coding(key)].levels):
        found = [run["infill"][level] for run in by_name[name]]
        bits = [spread((float(np.mean(one[context])) for one in found if context in one), 1) for context in CONTEXTS]
        less = [
            spread(
                (
                    100 * (np.sum(one["both"]) / np.sum(one[context]) - 1)
                    for one in found
                    if {"both", context} <= set(one)
                ),
                1,
            )
            for context in CONTEXTS[1:]
        ]
        tiles, size = len(found[0]["bytes"]), float(np.mean(found[0]["bytes"]))
        rows.append([name, level, str(len(found)), str(tiles), f"{size:.0f}", *bits, *less])
    heads = ["runs of", "level", "runs", "tiles", "bytes", "both sides", "prefix only", "another picture's"]
    return table([*heads, "both against prefix, %", "against another's, %"], rows)


def sheet(out: Path, name: str = "infill-digits-told", count: int = 10, drawn: int = DRAWN) -> dict[str, float]:
    """OUT/infilled.png: ``count`` held-out pictures without a tile, and with what the first model of a run wrote there.

    A picture that is drawn is one of those that may be; the mean of several, ``drawn`` of them, is nearer to all.

    Returns:
        The mean PSNR in dB of all held-out pictures of each kind against those with the tile as it was.
    """
    import json

    import torch

    from figures import pyplot
    from model import ByteModel, Settings, sample

    record = json.loads((out / "runs" / f"{name}-0.json").read_text())
    model, told = ByteModel(Settings(**record["settings"])), record["settings"]["told"]
    model.load_state_dict(torch.load(out / "runs" / f"{name}-0.pt"))
    level = TASKS[coding(name)].levels[-1]
    held_out = prepare(out, 0, name)["held_out"]
    cases = [case for labelled in held_out for case in _cases(*labelled, (level,))]
    most = int(1.5 * max(len(whole.section("middle")) for _, _, whole in cases))

    def with_middles(middles: list[bytes]) -> list[NDArray[np.uint8]]:
        return [
            codings.decode("tokens", whole.section("prefix") + middle + whole.section("suffix"), (EDGE, EDGE))
            for middle, (_, _, whole) in zip(middles, cases, strict=True)
        ]

    pictures = {
        "as it was": with_middles([whole.section("middle") for _, _, whole in cases]),
        "removed": with_middles([b""] * len(cases)),
    }
    for title, suffix in (("from the prefix only", False), ("from both sides", True)):
        # All but the middle and the end mark is given.
        given = [
            _ids(label, whole, told, suffix=suffix)[: -len(whole.section("middle")) - 1] for _, label, whole in cases
        ]
        draws = []
        for seed in range(drawn):
            followers = [Positions() for _ in cases] if told else []
            for follower, (_, _, whole) in zip(followers, cases, strict=told):
                follower.advance(whole.section("prefix"))
            draws.append(with_middles(sample(model, given, most, seed, None, TEMPERATURE, followers)))
        pictures[title] = draws[0]
        mean = [np.rint(np.mean(some, axis=0)).astype(np.uint8) for some in zip(*draws, strict=True)]
        pictures[f"{title}, mean of {drawn}"] = mean
    figure, grid = pyplot.subplots(len(pictures), count, figsize=(1.3 * count, 1.3 * len(pictures)), squeeze=False)
    for (title, row), line in zip(pictures.items(), grid, strict=True):
        for pixels, axes in zip(row[:: max(1, len(row) // count)], line, strict=False):
            axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(
            title.replace(" the ", " the\n").replace(", ", ",\n"), rotation=0, ha="right", va="center", fontsize=9
        )
    figure.tight_layout(pad=0.3)
    figure.savefig(out / "infilled.png", dpi=75)
    return {
        title: float(np.mean([codings.psnr(one, true) for one, true in zip(row, pictures["as it was"], strict=True)]))
        for title, row in pictures.items()
        if title != "as it was"
    }


if __name__ == "__main__":
    print(sheet(Path(sys.argv[1])))
