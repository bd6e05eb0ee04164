"""The three settings in which codecs are compared, and what comes out of each."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peers import JPEG, LIBPGF, LOSSLESS, LOSSY, OURS, PGF, Codec, nearest
from photographs import Photograph, Pixels, crops
from turns import LibPgfPlayer, Player, PythonPlayer, Tally, medians, take_turns, threads_used

ORACLE = Path(__file__).resolve().parents[1] / "target" / "oracle" / "pgf_oracle"
JPEG_QUALITY = 25
"""What the crops are compared at: the PSNR of libjpeg-turbo at this quality."""


@dataclass(frozen=True)
class Row:
    """One codec in one setting. Speeds are medians over the pictures of each picture's median over the rounds."""

    codec: str
    setting: str
    file_bytes: int
    """Of an average picture."""
    bits_per_pixel: float
    ratio: float
    """Raw bytes to file bytes, over all pictures."""
    psnr: float | None
    """Decibels, mean over the pictures; None for lossless."""
    encode_bytes_per_second: float
    decode_bytes_per_second: float
    encode_pictures_per_second: float
    decode_pictures_per_second: float
    encode_times_libpgf: float
    """How many times as fast as libPGF: median over the pictures of the ratio for each."""
    decode_times_libpgf: float
    threads: float
    """Most processor time used per time on the clock."""


@dataclass(frozen=True)
class Contest:
    """One setting: what it is, and a row for each codec."""

    title: str
    pictures: int
    pixels: int
    rounds: int
    rows: list[Row]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Contest:
        return cls(**{**data, "rows": [Row(**row) for row in data["rows"]]})


def _row(player: Player, tally: Tally, base: Tally, images: Sequence[Pixels]) -> Row:
    raw = sum(image.nbytes for image in images)
    pixels = raw // 3
    size = sum(len(data) for data in player.files)
    sides: dict[str, float] = {}
    for side in ("encode", "decode"):
        ours, theirs = medians(getattr(tally, side)), medians(getattr(base, side))
        sides[f"{side}_bytes_per_second"] = statistics.median(i.nbytes / s for i, s in zip(images, ours, strict=True))
        sides[f"{side}_pictures_per_second"] = statistics.median(1 / s for s in ours)
        sides[f"{side}_times_libpgf"] = statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
    decibels = None if math.inf in player.decibels else statistics.mean(player.decibels)
    return Row(
        codec=player.name,
        setting=player.setting,
        file_bytes=round(size / len(images)),
        bits_per_pixel=8 * size / pixels,
        ratio=raw / size,
        psnr=decibels,
        threads=threads_used(tally),
        **sides,
    )


def _play(title: str, images: Sequence[Pixels], entries: Sequence[tuple[Codec, list[float]]], rounds: int) -> Contest:
    with ExitStack() as stack:
        players: list[Player] = []
        for codec, parameters in entries:
            player = PythonPlayer(codec, images, parameters)
            players.append(player)
            if codec.name == OURS:
                players.append(stack.enter_context(LibPgfPlayer(ORACLE, images, parameters, player)))
        tallies = take_turns(players, rounds)
    rows = [_row(player, tallies[player.name], tallies[LIBPGF], images) for player in players]
    return Contest(title, len(images), sum(image.nbytes for image in images) // 3, rounds, rows)


def lossless(pictures: Sequence[Photograph], rounds: int) -> Contest:
    """The exact pixels back; each codec's files are checked for that."""
    images = [picture.pixels for picture in pictures]
    contest = _play("lossless", images, [(codec, [p] * len(images)) for codec, p in LOSSLESS], rounds)
    lossy = [row.codec for row in contest.rows if row.psnr is not None]
    if lossy:
        raise SystemExit(f"not lossless: {', '.join(lossy)}")
    return contest


def _log_size(data: bytes) -> float:
    return math.log(len(data))


def one_bit_per_pixel(pictures: Sequence[Photograph], rounds: int) -> Contest:
    """Ours at the quality whose file comes nearest to one bit per pixel; the others as near its size as they come."""
    images = [picture.pixels for picture in pictures]
    qualities = [nearest(PGF, image, _log_size, math.log(image.nbytes / 3 / 8)) for image in images]
    sizes = [math.log(len(PGF.encode(image, q))) for image, q in zip(images, qualities, strict=True)]
    entries = [(PGF, qualities)]
    for codec in LOSSY[1:]:
        parameters = [nearest(codec, image, _log_size, size) for image, size in zip(images, sizes, strict=True)]
        entries.append((codec, parameters))
    return _play("about 1 bit per pixel", images, entries, rounds)


def small_crops(pictures: Sequence[Photograph], rounds: int) -> Contest:
    """256x256 crops, each codec as near as it comes to the PSNR of libjpeg-turbo at quality 25."""
    images = list(crops(list(pictures)))
    wanted = [JPEG.psnr(JPEG.encode(image, JPEG_QUALITY), image) for image in images]
    entries = []
    for codec in LOSSY:
        parameters = [
            nearest(codec, image, lambda data, c=codec, i=image: c.psnr(data, i), decibels)  # type: ignore[misc]
            for image, decibels in zip(images, wanted, strict=True)
        ]
        entries.append((codec, parameters))
    return _play(f"256x256 crops at the PSNR of JPEG quality {JPEG_QUALITY}", images, entries, rounds)
