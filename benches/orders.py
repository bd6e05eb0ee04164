"""How good the order of segments is, against level order, greed that knows the picture, and other coders."""

from __future__ import annotations

import io
import statistics
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from PIL import Image

import pgfrs
from pgfrs.raster import psnr
from photographs import Pixels


def decoded(data: bytes) -> Pixels:
    return pgfrs.decode_with_report(data)[0]


def over_log_bytes(stream: bytes, pixels: Pixels, budget: int) -> float:
    """Mean PSNR of first parts whose bytes rise geometrically."""
    ends = np.unique(np.geomspace(20, min(budget, len(stream)), 60).astype(int))
    return statistics.fmean(psnr(decoded(stream[:end]), pixels) for end in ends)


def greedy(stream: bytes, pixels: Pixels) -> bytes:
    """The same segments in the order in which each takes most squared error away for its bytes.

    Every candidate is decoded behind what was chosen: no encoder has time for that.
    """
    parts = pgfrs.segments(stream)
    planes = [s for s in parts if s.kind == "planes" and s.fate == "used"]
    chosen = stream[: planes[0].start]
    chains: dict[tuple[int | None, int | None], list[bytes]] = defaultdict(list)
    for segment in planes:
        chains[segment.group, segment.index].append(stream[segment.start : segment.end])

    def error(data: bytes) -> float:
        return float(np.square(decoded(data).astype(np.float64) - pixels).sum())

    left = error(chosen)
    while chains:
        # One that makes it worse is worth more if it is short: by its length, then.
        gains = {}
        for block, chain in chains.items():
            after = error(chosen + chain[0])
            gains[block] = ((left - after) / len(chain[0]), after)
        best = max(gains, key=lambda block: gains[block][0])
        left = gains[best][1]
        chosen += chains[best].pop(0)
        if not chains[best]:
            del chains[best]
    return chosen


def every_prefix(pictures: Sequence[Pixels], budget: int, payload: str) -> dict[str, float]:
    """Share of cuts at which a stream gets worse by more than 0.1 dB, and mean PSNR over log-bytes by order."""
    falls = cuts = 0
    means: dict[str, list[float]] = {"best": [], "levels": [], "greedy": []}
    for pixels in pictures:
        best = pgfrs.encode(pixels, format="pgfr", payload=payload, max_bytes=budget)
        last = None
        for end in range(12, len(best) + 1):
            value = psnr(decoded(best[:end]), pixels)
            falls += last is not None and value < last - 0.1
            cuts += 1
            last = value
        # The first bytes of the same lossless coefficients.
        levels = pgfrs.encode(pixels, format="pgfr", payload=payload, order="levels")
        for name, stream in (("best", best), ("levels", levels), ("greedy", greedy(best, pixels))):
            means[name].append(over_log_bytes(stream, pixels, budget))
    mean = {name: statistics.fmean(values) for name, values in means.items()}
    return {
        "cuts that lose over 0.1 dB": falls / cuts,
        "mean dB over log-bytes, best order above level order": mean["best"] - mean["levels"],
        "mean dB over log-bytes, greedy order above best order": mean["greedy"] - mean["best"],
    }


def made_for(pictures: Sequence[Pixels], budget: int) -> dict[str, float]:
    """PSNR of files that were made for so many bytes, to see what their first parts could be at best."""

    def j2k(pixels: Pixels, irreversible: bool) -> Pixels:
        out = io.BytesIO()
        Image.fromarray(pixels).save(
            out,
            "JPEG2000",
            quality_mode="rates",
            quality_layers=[pixels.nbytes / budget],
            irreversible=irreversible,
            mct=1,
        )
        return np.asarray(Image.open(out).convert("RGB"))

    def ours(pixels: Pixels) -> Pixels:
        return decoded(pgfrs.encode(pixels, format="pgfr", max_bytes=budget))

    return {
        "pgfr packed": statistics.fmean(psnr(ours(p), p) for p in pictures),
        "JPEG 2000, 5/3": statistics.fmean(psnr(j2k(p, False), p) for p in pictures),
        "JPEG 2000, 9/7": statistics.fmean(psnr(j2k(p, True), p) for p in pictures),
    }
