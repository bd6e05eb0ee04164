"""What changes to the base save and cost before any model is trained.

    python examples/bytelm/changes.py

Bits of a base value by how often each value comes (of training crops and of the digits of digits.py, all values
alike), and damage to held-out streams. ``flat`` tells a value from all before it, ``chunks`` from those of its own
chunk of 16 only.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

import codings
import data
import digits
import measure
import pgfrs
from figures import table

NAMES = ("tokens", "chunks", "flat")


def streams_of(pixels: codings.Pixels, qualities: Iterable[int] = codings.QUALITIES) -> dict[str, bytes]:
    """A picture as token stream at the PSNR of JPEG, and with its base changed."""
    tokens = pgfrs.transcode(codings.pgfr(pixels, qualities=qualities), "pgfr", payload="tokens")
    return {"tokens": tokens, "chunks": codings.within_chunks(tokens), "flat": codings.flatten(tokens)}


def base_values(name: str, stream: bytes) -> list[tuple[bool, int]]:
    """Whether of a colour difference, and the byte, of every base value as it is written."""
    found = []
    for piece in stream.split(b"\xff")[1:]:
        if 2 <= piece[0] <= 9:
            found += [(piece[0] > 2, value) for value in piece[1 if name == "flat" else 2 :]]
    return found


def entropy(values: list[int]) -> float:
    """Bits a value of a code that knows how often each comes."""
    share = np.bincount(values) / len(values)
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=400)
    parser.add_argument("--held-out", type=int, default=128, help="photographs, and as many digits")
    options = parser.parse_args()
    gathered: dict[str, list[tuple[bool, int]]] = defaultdict(list)
    for picture in data.crops(data.TRAINING, options.crops, seed=1):
        for name, stream in streams_of(picture.pixels).items():
            gathered[name] += base_values(name, stream)
    of_digits: dict[str, list[int]] = defaultdict(list)
    small = data.digits(digits.EDGE)[0]
    for picture in small:
        for name, stream in streams_of(picture.pixels, (digits.QUALITY,)).items():
            of_digits[name] += [value for _, value in base_values(name, stream)]
    chosen = data.crops(data.HELD_OUT, options.held_out, seed=2) + data.digits()[1][: options.held_out]
    held_out = [(picture.label, streams_of(picture.pixels)) for picture in chosen]
    classifier = measure.DigitClassifier()
    rows = []
    for name in NAMES:
        kinds = [[value for colour, value in gathered[name] if colour == wanted] for wanted in (False, True)]
        bits = [entropy(values) for values in kinds]
        total = sum(b * len(values) for b, values in zip(bits, kinds, strict=True)) / options.crops
        damage = measure.damaged(classifier, name, [(label, streams[name]) for label, streams in held_out], 0)
        rows.append([name, *(f"{b:.2f}" for b in bits), f"{total:.0f}"])
        rows[-1].append(f"{entropy(of_digits[name]) * len(of_digits[name]) / len(small):.0f}")
        rows[-1] += [f"{d['decode']:.2f} / {d['psnr']:.1f} / {d['digits']:.2f}" for d in damage.values()]
    heads = [
        "encoding",
        "luma, bits a value",
        "colour",
        "base of a picture",
        "of a digit",
        *(f"{n} edits" for n in measure.EDITS),
    ]
    print(table(heads, rows))


if __name__ == "__main__":
    main()
