"""What a model has learned: bits, streams that decode, digits that are told, damage, infilling."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codings
import data
import pgfrs
from data import PHOTOGRAPH, SIDE
from model import ByteModel, bits, sequence
from pgfrs.damage import damage
from pgfrs.llm import Ids
from where import coding, follower

Labelled = Sequence[tuple[int, bytes]]
PGFR = ("packed", "tokens", "tokens-told", "levels", "flat", "chunks")
#: Encodings whose legal bytes are known.
MASKED = ("packed", "tokens", "tokens-told", "levels")
SHARES = (0.1, 0.25, 0.5, 1.0)
EDITS = (1, 3, 10)


def sequences(encoding: str, pictures: Labelled) -> list[NDArray[np.int64]]:
    return [sequence(label, stream, follower(encoding)) for label, stream in pictures]


def total_bits(model: ByteModel, encoding: str, pictures: Labelled) -> list[float]:
    """Bits of each stream and its end."""
    return [float(row.sum()) for row in bits(model, sequences(encoding, pictures))]


def kind_of(label: int) -> str:
    return "photographs" if label == PHOTOGRAPH else "digits"


def shape_of(label: int, edge: int = SIDE) -> tuple[int, ...]:
    """The shape of a photograph, or of a digit of ``edge`` pixels a side."""
    return (SIDE, SIDE, 3) if label == PHOTOGRAPH else (edge, edge)


def held_out(model: ByteModel, encoding: str, pictures: Labelled) -> dict[str, Any]:
    """Per kind of picture: bits a picture and a pixel, bytes, and, for `.pgfr`, where the bits are."""
    rows = bits(model, sequences(encoding, pictures))
    found: dict[str, Any] = {}
    for kind in ("photographs", "digits"):
        chosen = [(stream, row) for (label, stream), row in zip(pictures, rows, strict=True) if kind_of(label) == kind]
        totals = [float(row.sum()) for _, row in chosen]
        found[kind] = {
            "bits": totals,
            "bits_per_pixel": float(np.mean(totals)) / SIDE**2,
            "bytes": float(np.mean([len(stream) for stream, _ in chosen])),
        }
        if encoding in PGFR:
            found[kind]["parts"] = parts(chosen)
    return found


def parts(judged: Sequence[tuple[bytes, NDArray[np.float64]]]) -> dict[str, float]:
    """Of `.pgfr` streams and the bits of their bytes and end: mean bits and bytes of header, base and planes."""
    found: dict[str, float] = defaultdict(float)
    for stream, row in judged:
        for name, where in places(stream).items():
            found[name] += float(row[:-1][where].sum()) / len(judged)
            found[f"{name} bytes"] += len(where) / len(judged)
        found["end"] += float(row[-1]) / len(judged)
    return dict(found)


def places(stream: bytes) -> dict[str, list[int]]:
    """Which bytes of a `.pgfr` stream are what."""
    found: dict[str, list[int]] = defaultdict(list)
    starts = [n for n in range(len(stream) - 1) if stream[n] == 0xFF and stream[n + 1] not in (0, 0xFF)]
    for start, stop in zip(starts, [*starts[1:], len(stream)], strict=True):
        code = stream[start + 1]
        name = "header" if code == 1 else "base" if 2 <= code <= 9 else "planes"
        marker = 12 if code == 1 else 3
        found["header" if code == 1 else f"{name} markers"] += range(start, min(stop, start + marker))
        found[name] += range(start + marker, stop)
    return {name: where for name, where in found.items() if where}


# Streams that a model wrote.


def header(encoding: str, stream: bytes) -> bytes:
    """The bytes that say how large the picture is and how it is coded."""
    if coding(encoding) == "jpeg":
        scan = stream.index(b"\xff\xda")
        return stream[: scan + 2 + stream[scan + 3]]
    return stream[: {"pgf": 24, "pnm": 11}.get(encoding, 12)]


def passes(stream: bytes) -> bool:
    """Whether the strict reader of `.pgfr` takes a stream, whatever the size that its header claims."""
    try:
        pgfrs.decode(stream, strict=True, limits=codings.LIMITS)
    except pgfrs.PgfError:
        return False
    return True


def decodes(encoding: str, label: int, stream: bytes, edge: int = SIDE) -> bool:
    """Whether any picture of the right size comes out."""
    try:
        codings.decode(encoding, stream, shape_of(label, edge))
    except ValueError:
        return False
    return True


def legal(encoding: str, label: int, stream: bytes, edge: int = SIDE) -> bool:
    """Whether the stream is one that a writer could have written, as far as its reader can tell."""
    if coding(encoding) == "jpeg":
        codes = [b for a, b in itertools.pairwise(stream) if a == 0xFF and (0xD0 <= b <= 0xD7 or b == 0xD9)]
        units = ((SIDE + 15) // 16) ** 2 if label == PHOTOGRAPH else ((edge + 7) // 8) ** 2
        return codes == [*(0xD0 + n % 8 for n in range(units - 1)), 0xD9] and decodes(encoding, label, stream, edge)
    if encoding == "pnm":
        return len(stream) == (11 + codings.SMALL**2 * (3 if label == PHOTOGRAPH else 1)) and stream[:1] == b"P"
    try:
        pixels = pgfrs.decode(codings.undone(encoding, stream), strict=True, limits=codings.LIMITS)
    except (ValueError, pgfrs.PgfError):
        return False
    return pixels.shape == shape_of(label, edge)


class Mask:
    """The legal bytes of ``.pgfr`` streams, written one byte at a time, as :func:`model.sample` asks for them."""

    def __init__(self, count: int) -> None:
        from pgfrs.llm import legal

        self.mask, self.ids = legal.mask, Ids(eos=256, size=257)
        # Without the limits a header of a huge picture costs memory for each of its blocks.
        self.states = [legal.start(limits=codings.LIMITS) for _ in range(count)]

    def __call__(self, number: int, written: bytes) -> NDArray[np.bool_]:
        state = self.states[number]
        if written:
            state.advance_byte(written[-1])
        return self.mask([state], self.ids)[0]


class DigitClassifier:
    """A support vector machine on 8 x 8 numbers, trained on clean digits of ``edge`` pixels a side."""

    def __init__(self, edge: int = SIDE) -> None:
        from sklearn.svm import SVC

        self.edge = edge
        training, _ = data.digits(edge)
        features = np.array([data.shrunk(picture.pixels) for picture in training])
        self.machine = SVC(gamma="scale").fit(features, [picture.label for picture in training])

    def share(self, encoding: str, pictures: Labelled) -> float:
        """How many of the streams are taken for their label; those without a picture are not."""
        features, labels = [], []
        for label, stream in pictures:
            try:
                pixels = codings.decode(encoding, stream, shape_of(label, self.edge))
            except ValueError:
                continue
            features.append(data.shrunk(pixels))
            labels.append(label)
        if not features:
            return 0.0
        return float((self.machine.predict(np.array(features)) == labels).sum() / len(pictures))


def cut_streams(pictures: Labelled, share: float) -> Labelled:
    return [(label, stream[: int(np.ceil(share * len(stream)))]) for label, stream in pictures]


def digits_when_cut(classifier: DigitClassifier, encoding: str, pictures: Labelled) -> dict[str, float]:
    """Share of digits that are told when the stream ends early, by the share of its bytes."""
    return {str(share): classifier.share(encoding, cut_streams(pictures, share)) for share in SHARES}


def damaged(classifier: DigitClassifier, encoding: str, pictures: Labelled, seed: int) -> dict[str, Any]:
    """Wrong, lost and extra bytes anywhere in streams that decode: what is left of them.

    For every number of edits: the share that still decodes, the median PSNR in dB against the stream before (0 where
    nothing decodes), and the share of digits told.
    """
    edge = classifier.edge
    good = [
        (label, stream) for label, stream in pictures if len(stream) > 40 and decodes(encoding, label, stream, edge)
    ]
    found: dict[str, Any] = {}
    for edits in EDITS:
        hurt = [
            (label, damage(stream, seed=seed * 10007 + number, kind="mixed", edits=edits))
            for number, (label, stream) in enumerate(good)
        ]
        values = []
        for (label, before), (_, after) in zip(good, hurt, strict=True):
            try:
                shape = shape_of(label, edge)
                pixels = codings.decode(encoding, after, shape)
                values.append(codings.psnr(pixels, codings.decode(encoding, before, shape)))
            except ValueError:
                values.append(0.0)
        digits = [pair for pair in hurt if pair[0] != PHOTOGRAPH]
        found[str(edits)] = {
            "decode": float(np.mean([value > 0 for value in values])) if values else 0.0,
            "psnr": float(np.median(values)) if values else 0.0,
            "digits": classifier.share(encoding, digits) if digits else 0.0,
        }
    return found
