"""Codecs taking turns: every round, each goes once over all pictures forwards, then once backwards.

No picture comes twice in a row, so that no codec is measured on branches that the processor has just learned. Time is
processor time (user and system), which other programs on the machine do not lengthen as they do the clock's; both are
kept, and their ratio shows that nobody used a second thread.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from peers import LIBPGF, Codec
from photographs import Pixels

Seconds = tuple[float, float]
"""On the clock, and of the processor."""


class Player(Protocol):
    """One codec with its pictures."""

    name: str
    setting: str
    files: list[bytes]
    decibels: list[float]

    def encode(self) -> list[Seconds]:
        """Every picture once."""

    def decode(self) -> list[Seconds]:
        """Every file once."""


def timed(action: Callable[[], object]) -> Seconds:
    """Runs an action once."""
    cpu, clock = time.process_time(), time.perf_counter()
    action()
    return time.perf_counter() - clock, time.process_time() - cpu


class PythonPlayer:
    """A codec called from Python; the call is part of the time."""

    def __init__(self, codec: Codec, images: Sequence[Pixels], parameters: Sequence[float]) -> None:
        self.name, self.setting, self.parameters = codec.name, codec.setting, list(parameters)
        self._codec, self._images = codec, images
        self.files = [codec.encode(image, p) for image, p in zip(images, parameters, strict=True)]
        self.decibels = [codec.psnr(data, image) for data, image in zip(self.files, images, strict=True)]

    def encode(self) -> list[Seconds]:
        encode = self._codec.encode
        pairs = zip(self._images, self.parameters, strict=True)
        return [timed(lambda i=image, p=parameter: encode(i, p)) for image, parameter in pairs]  # type: ignore[misc]

    def decode(self) -> list[Seconds]:
        decode = self._codec.decode
        return [timed(lambda d=data: decode(d)) for data in self.files]  # type: ignore[misc]


class LibPgfPlayer:
    """libPGF behind the oracle's verb ``turns``: no Python in its time, which is an advantage for it."""

    name, setting = LIBPGF, ""

    def __init__(self, program: Path, images: Sequence[Pixels], qualities: Sequence[float], ours: PythonPlayer) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pgfrs-bench-")
        folder = Path(self._folder.name)
        lines = []
        for index, (image, quality) in enumerate(zip(images, qualities, strict=True)):
            height, width = image.shape[:2]
            raw = folder / f"{index}.raw"
            raw.write_bytes(np.ascontiguousarray(image[:, :, ::-1]).tobytes())  # blue, green, red
            lines.append(f"3 {width} {height} {int(quality)} {raw} {folder / f'{index}.pgf'}\n")
        (folder / "list").write_text("".join(lines))
        command = [str(program), "turns", str(folder / "list")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._ask("write")
        self.files = [(folder / f"{index}.pgf").read_bytes() for index in range(len(lines))]
        if self.files != ours.files:
            raise SystemExit("pgfrs and libPGF wrote different files")
        self.decibels = ours.decibels

    def _ask(self, word: str) -> list[Seconds]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(word, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the oracle ended at {word!r}, exit status {self._process.wait()}")
        return [(wall, cpu) for wall, cpu in json.loads(line)] if word != "write" else []

    def encode(self) -> list[Seconds]:
        return self._ask("encode")

    def decode(self) -> list[Seconds]:
        return self._ask("decode")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()
        self._folder.cleanup()


@dataclass
class Tally:
    """Times of one player: by round, then by picture."""

    encode: list[list[Seconds]] = field(default_factory=list)
    decode: list[list[Seconds]] = field(default_factory=list)


def medians(rounds: Sequence[Sequence[Seconds]]) -> list[float]:
    """Processor seconds of each picture: the median over the rounds."""
    return [statistics.median(cpu for _, cpu in times) for times in zip(*rounds, strict=True)]


def threads_used(tally: Tally) -> float:
    """Processor time over time on the clock, where they were nearest: 1 for one thread."""
    ratios = (sum(c for _, c in turn) / sum(w for w, _ in turn) for turn in (*tally.encode, *tally.decode))
    return max(ratios)


def take_turns(players: Sequence[Player], rounds: int) -> dict[str, Tally]:
    """So many rounds, and one more in front that does not count; who begins changes from round to round."""
    tallies = {player.name: Tally() for player in players}
    for number in range(-1, rounds):
        first = number % len(players)
        for player in (*players[first:], *players[:first]):
            encode, decode = player.encode(), player.decode()
            if number >= 0:
                tallies[player.name].encode.append(encode)
                tallies[player.name].decode.append(decode)
    return tallies
