"""How much of a tile's detail its surroundings tell, whatever a byte model makes of them: an estimate.

    python examples/bytelm/context.py OUT            # writes OUT/context.json and prints the table

Boosted trees predict, coefficient by coefficient and plane by plane, what becomes significant in a tile of a gray
picture, from what is in the tile alone; from that and what stands before the tile in the stream; from that and all of
the stream. They are given what a model would have to work out of the bytes: which coefficient stands where. Signs and
refinement count one bit each. Judged on crops of photographs that the trees have not seen; as the upper end, on other
crops of the same photographs; and on digits with sharp strokes. Needs scikit-learn and scikit-image.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import data
import infilling
from planes import BANDS, Block, Part, blocks

Floats = NDArray[np.float32]
#: What each set of features holds, in columns of `_tile`.
OWN, SUMMARY, ALIGNED = slice(0, 11), slice(11, 17), slice(17, 27)
UNKNOWN = -9.0
DIGITS = "digits"
#: Features of shape (2, n, 27), with the stream before a tile and with all of it; outcomes; bits of signs, refinement.
Tile = tuple[Floats, NDArray[np.bool_], int]


class Bands:
    """All bands of a stream: the weight of each coefficient's highest bit, as far as the stream tells up to a place."""

    def __init__(self, found: list[Block], before: int, without: Block) -> None:
        """What blocks other than ``without`` tell in segments that begin before the given byte."""
        self.known: dict[tuple[str, int], Floats] = {}
        for block in found:
            lowest = min((p for p, start in zip(block.planes, block.starts, strict=True) if start < before), default=99)
            start = 0
            for part in block.parts:
                height, width = max(0, part.height), max(0, part.width)
                leading = block.found[start : start + height * width].reshape(height, width).astype(np.float32)
                start += height * width
                array = self.known.setdefault((part.band, part.level), np.full((0, 0), UNKNOWN, np.float32))
                bottom, right = part.top + height, part.left + width
                if array.shape[0] < bottom or array.shape[1] < right:
                    grown = np.full((max(array.shape[0], bottom), max(array.shape[1], right)), UNKNOWN, np.float32)
                    grown[: array.shape[0], : array.shape[1]] = array
                    self.known[part.band, part.level] = array = grown
                if block is without or lowest == 99:
                    continue
                # Insignificant so far: half a plane below the lowest that is known.
                value = np.where(leading >= lowest, leading, lowest - 1.5) + block.least
                array[part.top : bottom, part.left : right] = value


def _around(array: NDArray[Any], reach: int) -> Floats:
    """Sums over the squares of side 2 reach + 1, what is in the middle left out."""
    padded = np.pad(array.astype(np.float32), reach)
    height, width = array.shape
    steps = range(2 * reach + 1)
    total = sum(padded[y : y + height, x : x + width] for y in steps for x in steps)
    return (total - array).astype(np.float32)


def _tile(block: Block, context: Bands, plane: int, count: int) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Features and outcomes of all decisions of a plane, part after part."""
    weight = plane + block.least
    start, siblings = 0, np.zeros(())
    parts = []
    for part in block.parts:
        size = part.height * part.width
        parts.append((part, block.found[start : start + size].reshape(part.height, part.width)))
        start += size
    others = [array for (_, level), array in context.known.items() if level == block.parts[-1].level]
    same = np.concatenate([array.ravel() for array in others])
    same = same[same > UNKNOWN]
    density = [float((same >= weight + d).mean()) if same.size else -1.0 for d in (1, 0, -1)]
    lowest = float(same.min()) - weight if same.size else UNKNOWN
    for number, (part, found) in enumerate(parts):
        if part.weight - block.least > plane or found.size == 0:
            continue
        open_ = found <= plane
        new = found == plane
        # What was visited before in this plane counts with what it became, the rest with what it was.
        old, done = found > plane, found >= plane
        up, left = np.zeros_like(done), np.zeros_like(done)
        up[1:], left[:, 1:] = done[:-1], done[:, :-1]
        down, right = np.zeros_like(old), np.zeros_like(old)
        down[:-1], right[:, :-1] = old[1:], old[:, 1:]
        corners = np.zeros(found.shape, np.float32)
        corners[1:, 1:] += done[:-1, :-1]
        corners[1:, :-1] += done[:-1, 1:]
        corners[:-1, 1:] += old[1:, :-1]
        corners[:-1, :-1] += old[1:, 1:]
        siblings = np.zeros(found.shape, np.float32)
        for other, (_, theirs) in enumerate(parts):
            if other != number:
                seen = theirs >= plane if other < number else theirs > plane
                height, width = min(seen.shape[0], found.shape[0]), min(seen.shape[1], found.shape[1])
                siblings[:height, :width] += seen[:height, :width]
        ahead = np.cumsum(new.ravel()) - new.ravel()
        visited = np.cumsum(open_.ravel()) - open_.ravel()
        rate = ((ahead + 0.5) / (visited + 10)).reshape(found.shape)
        flat = np.ones(found.shape, np.float32)
        own = [
            flat * plane,
            flat * count,
            flat * (BANDS.index(part.band) if part.band in BANDS else len(BANDS)),
            up.astype(np.float32) + down,
            left.astype(np.float32) + right,
            corners,
            siblings,
            _around(old, 2),
            _around(old, 4),
            rate,
            flat * float(old.mean()),
        ]
        rows, columns = np.indices(found.shape)
        parents = [_at(context.known.get((band, part.level + 1)), rows, columns, part, 2) for band in BANDS]
        near = _own(part, parents)
        grand = _at(context.known.get((part.band, part.level + 2)), rows, columns, part, 4)
        spread = [_mean(context.known.get((part.band, part.level + 1)), part, rows, columns, reach) for reach in (1, 3)]
        children = [_children(context.known.get((band, part.level - 1)), rows, columns, part) for band in BANDS]
        edge = _beyond(context.known[part.band, part.level], part, weight)
        over = np.concatenate([parent.ravel() for parent in parents])
        over = over[over > UNKNOWN]
        summary = [*density, lowest]
        summary += [float((over >= weight + d).mean()) if over.size else -1.0 for d in (1, 0)]
        aligned = [near, parents[0] + parents[1] + parents[2], np.maximum.reduce(parents), grand, *spread, *edge]
        aligned += [_own(part, children) - weight, np.maximum.reduce(children) - weight]
        aligned[:6] = [np.where(value > 3 * UNKNOWN + 1, value, UNKNOWN) for value in aligned[:6]]
        aligned[0], aligned[2], aligned[3] = (aligned[k] - weight for k in (0, 2, 3))
        aligned[1] = aligned[1] - 3 * weight
        aligned[4], aligned[5] = aligned[4] - weight, aligned[5] - weight
        features = np.stack([*own, *(flat * value for value in summary), *aligned], -1)
        yield features[open_].astype(np.float32), new[open_]


def _own(part: Part, bands: list[Floats]) -> Floats:
    """Of the three bands the part's own; of what the base leaves (LL), the largest."""
    return bands[BANDS.index(part.band)] if part.band in BANDS else np.maximum.reduce(bands)


def _at(array: Floats | None, rows: Any, columns: Any, part: Any, step: int) -> Floats:
    """Values of a coarser band at the places of a part."""
    if array is None or array.size == 0:
        return np.full(rows.shape, UNKNOWN, np.float32)
    y = np.minimum((part.top + rows) // step, array.shape[0] - 1)
    x = np.minimum((part.left + columns) // step, array.shape[1] - 1)
    return array[y, x]


def _children(array: Floats | None, rows: Any, columns: Any, part: Any) -> Floats:
    """The largest of the four values of a finer band at the place of each of a part's."""
    if array is None or array.size == 0:
        return np.full(rows.shape, UNKNOWN, np.float32)
    found = np.full(rows.shape, UNKNOWN, np.float32)
    for down in (0, 1):
        for right in (0, 1):
            y = np.minimum(2 * (part.top + rows) + down, array.shape[0] - 1)
            x = np.minimum(2 * (part.left + columns) + right, array.shape[1] - 1)
            found = np.maximum(found, array[y, x])
    return found


def _mean(array: Floats | None, part: Any, rows: Any, columns: Any, reach: int) -> Floats:
    if array is None or array.size == 0:
        return np.full(rows.shape, UNKNOWN, np.float32)
    side = (2 * reach + 1) ** 2 - 1
    ones = _around(np.ones_like(array), reach)
    return _at(_around(array, reach) / np.minimum(ones, side), rows, columns, part, 2)


def _beyond(array: Floats, part: Any, weight: int) -> list[Floats]:
    """Across the edges of the tile: how many neighbours are significant, how many known not to be."""
    rows = slice(part.top, part.top + part.height)
    columns = slice(part.left, part.left + part.width)
    return [_around(array >= weight, 2)[rows, columns], _around((array > UNKNOWN) & (array < weight), 2)[rows, columns]]


def decisions(stream: bytes, level: int) -> Iterator[Tile]:
    """Of every block of a level of a stream with token payload: what is decided."""
    found = blocks(stream)
    for block in found:
        if block.parts[0].level != level or not block.planes:
            continue
        pairs = []
        for before in (block.starts[0], len(stream)):
            context = Bands(found, before, block)
            rows = [r for p in block.planes for r in _tile(block, context, p, max(block.planes))]
            pairs.append((np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows])))
        (one, outcome), (other, _) = pairs
        bits = int((block.found >= min(block.planes)).sum()) + sum(block.refined)
        yield np.stack([one, other]), outcome, bits


SETS = {
    "the tile alone": (0, [OWN]),
    "and how busy the prefix is": (0, [OWN, SUMMARY]),
    "and the prefix, place by place": (0, [OWN, SUMMARY, ALIGNED]),
    "and how busy both sides are": (1, [OWN, SUMMARY]),
    "and both sides, place by place": (1, [OWN, SUMMARY, ALIGNED]),
}


def tiles_of(pictures: list[data.Picture], level: int) -> list[Tile]:
    """What :func:`decisions` tells of pictures in gray."""
    return [tile for picture in pictures for tile in decisions(infilling.tokens(picture)[1], level)]


def splits(kind: str, training: int, held_out: int) -> Iterator[tuple[str, list[data.Picture], list[data.Picture]]]:
    """Pictures to learn from and others to judge by: crisp digits, or photographs of the side that ``kind`` says."""
    if kind == DIGITS:
        learned, judged = infilling.crisp_digits(1)
        yield "crisp digits", learned[:training], judged[:held_out]
        return
    everything = (*data.TRAINING, *data.HELD_OUT)
    for title, names, others in (
        ("other photographs", data.TRAINING, data.HELD_OUT),
        ("the same photographs", everything, everything),
    ):
        yield title, data.crops(names, training, 11, int(kind)), data.crops(others, held_out, 12, int(kind))


def estimate(training: list[Tile], held_out: list[Tile], limit: int = 250_000) -> dict[str, float]:
    """Bits a held-out tile, signs and refinement included, under every set of features."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    features, outcomes = np.concatenate([t[0] for t in training], 1), np.concatenate([t[1] for t in training])
    chosen = rng.permutation(len(outcomes))[:limit]
    fixed = float(np.mean([t[2] for t in held_out]))
    found = {}
    for name, (which, columns) in SETS.items():
        take = np.concatenate([np.arange(features.shape[2])[c] for c in columns])
        machine = HistGradientBoostingClassifier(
            max_iter=80, max_leaf_nodes=8, min_samples_leaf=1000, l2_regularization=10.0, random_state=0
        )
        machine.fit(features[which][chosen][:, take], outcomes[chosen])
        spent = []
        for both, became, _ in held_out:
            chance = np.clip(machine.predict_proba(both[which][:, take])[:, 1], 1e-4, 1 - 1e-4)
            spent.append(-np.log2(np.where(became, chance, 1 - chance)).sum())
        found[name] = float(np.mean(spent)) + fixed
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--training", type=int, default=60, help="pictures to train on")
    parser.add_argument("--held-out", type=int, default=40)
    parser.add_argument(
        "--cases",
        default="128:1,128:2,160:3,160:5,digits:1,digits:2,digits:4",
        help="side of the crops, or digits (of 128 pixels), and level of the tiles",
    )
    options = parser.parse_args()
    rows = []
    for case in options.cases.split(","):
        kind, level = case.split(":")
        for title, learned, judged in splits(kind, options.training, options.held_out):
            held_out = tiles_of(judged, int(level))
            bits = estimate(tiles_of(learned, int(level)), held_out)
            side = infilling.EDGE if kind == DIGITS else int(kind)
            rows.append({"side": side, "level": int(level), "judged by": title, "tiles": len(held_out), "bits": bits})
            print(json.dumps(rows[-1]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "context.json").write_text(json.dumps(rows, indent=1))
    heads = ["pictures, level", "judged by", "tiles", *SETS]
    print("| " + " | ".join(heads) + " |\n" + "| --- " * len(heads) + "|")
    for row in rows:
        alone = row["bits"]["the tile alone"]
        cells = [f"{row['side']}, {row['level']}", row["judged by"], str(row["tiles"])]
        cells += [f"{row['bits'][name]:.0f} ({100 * (row['bits'][name] / alone - 1):+.1f} %)" for name in SETS]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
