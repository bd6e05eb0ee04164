"""Infilling: the detail of a tile told from both sides, from what comes before, or from another picture.

Gray pictures of 128 pixels have four tiles of finest detail and one of the next level. How much their surroundings
could tell is what context.py estimates.
"""

from __future__ import annotations

import itertools
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codings
import data
import pgfrs
from pgfrs.llm import samples
from pgfrs.llm.positions import Positions, of_sample

EDGE = 128
#: Levels of which a tile is taken out.
LEVELS = (1, 2)
CONTEXTS = ("both", "prefix", "shuffled")


def prepare(out: Path, crops: int) -> dict[str, list[bytes]]:
    """Token streams at the PSNR of JPEG, from OUT/infill.pickle if they are there."""
    path = out / "infill.pickle"
    if not path.exists():
        found = {}
        for name, photographs, count, seed in (
            ("train", data.TRAINING, crops, 21),
            ("held_out", data.HELD_OUT, min(crops, 64), 22),
        ):
            pictures = data.crops(photographs, count, seed, EDGE)
            packed = [codings.pgfr(np.ascontiguousarray(picture.pixels[..., 1])) for picture in pictures]
            found[name] = [pgfrs.transcode(stream, "pgfr", payload="tokens") for stream in packed]
        temporary = path.with_suffix(f".{time.time_ns()}")
        temporary.write_bytes(pickle.dumps(found))
        temporary.rename(path)
    loaded: dict[str, list[bytes]] = pickle.loads(path.read_bytes())
    return loaded


def run(out: Path, crops: int, seed: int, settings: Any, device: str) -> dict[str, Any]:
    """Train on streams as they are, with both sides of a removed tile and with the prefix only, in equal parts."""
    from model import ByteModel, bits, sequence, train
    from where import follower

    told: bool = settings.told
    name = "tokens" + (codings.TOLD if told else "")

    streams = prepare(out, crops)
    held_out = [case for stream in streams["held_out"] for case in _cases(stream)]
    plain = [sequence(data.PHOTOGRAPH, stream, follower(name)) for stream in streams["held_out"][:12]]

    def draw(rng: np.random.Generator) -> NDArray[np.int64]:
        stream, choice = streams["train"][rng.integers(len(streams["train"]))], int(rng.integers(3))
        if choice == 0:
            return sequence(data.PHOTOGRAPH, stream, follower(name))
        sample = samples.infill(stream, int(rng.integers(2**31)))
        return _ids(sample, told, suffix=choice == 1)

    def probe(model: ByteModel) -> dict[str, float]:
        return {"bits": float(np.mean([row.sum() for row in bits(model, plain)]))}

    model, curve = train(draw, settings, seed, probe, device)
    found: dict[str, Any] = {}
    for level in LEVELS:
        cases = [sample for at, sample in held_out if at == level]
        sequences: dict[str, list[NDArray[np.int64]]] = {name: [] for name in CONTEXTS}
        for number, sample in enumerate(cases):
            # The next case may be of the same picture; one half a round away is not.
            other = cases[(number + len(cases) // 2) % len(cases)]
            sequences["both"].append(_ids(sample, told))
            sequences["prefix"].append(_ids(sample, told, suffix=False))
            sequences["shuffled"].append(_ids(samples.Sample((*other.parts[:-1], sample.parts[-1])), told))
        lengths = [len(sample.section("middle")) for sample in cases]
        found[str(level)] = {"bytes": lengths} | {
            # The middle stands last, before the end mark.
            name: [float(row[-n - 1 : -1].sum()) for row, n in zip(bits(model, rows, 4), lengths, strict=True)]
            for name, rows in sequences.items()
        }
    return {"curve": curve, "infill": found, "model": model}


def _cases(stream: bytes) -> list[tuple[int, samples.Sample]]:
    """Level and sample of every tile of luma that the stream has detail of."""
    at = {s.index: s.levels[0] for s in pgfrs.segments(stream) if s.kind == "planes" and s.levels and s.group == 0}
    return [
        (level, samples.infill(stream, 0, block=(0, index)))
        for index, level in sorted(at.items())
        if index is not None and level in LEVELS
    ]


def _ids(sample: samples.Sample, told: bool, *, suffix: bool = True) -> NDArray[np.int64]:
    from model import LABELS, MARKS, beside

    if not suffix:
        pairs = itertools.pairwise((samples.Part("prefix"), *sample.parts))
        sample = samples.Sample(tuple(part for before, part in pairs if before.content != "suffix"))
    ids = np.concatenate([[LABELS[data.PHOTOGRAPH]], sample.ids(MARKS)])
    if not told:
        return ids
    return beside(ids, np.concatenate([Positions().position()[None], of_sample(sample, MARKS)]))


def table_of(by_name: dict[str, list[dict[str, Any]]]) -> str:
    """Bits of the removed tiles, mean of held-out pictures, of runs by name."""
    from figures import spread, table

    rows = []
    for name, level in ((name, str(level)) for name in sorted(by_name) for level in LEVELS):
        found = [run["infill"][level] for run in by_name[name]]
        bits = [spread((float(np.mean(one[context])) for one in found), 1) for context in CONTEXTS]
        less = [
            spread((100 * (np.sum(one["both"]) / np.sum(one[context]) - 1) for one in found), 1) + " %"
            for context in CONTEXTS[1:]
        ]
        tiles, size = len(found[0]["bytes"]), float(np.mean(found[0]["bytes"]))
        rows.append([name, level, str(len(found)), str(tiles), f"{size:.0f}", *bits, *less])
    heads = ["runs of", "level", "runs", "tiles", "bytes", "both sides", "prefix only", "another picture's"]
    return table([*heads, "both against prefix", "against another's"], rows)
