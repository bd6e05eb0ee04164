"""libPGF as a black box: the oracle program, one process a call, each with a time limit.

Inputs are libPGF's own buffers (see native.py). A call that libPGF refuses raises LibPgfError with its error number; a
crash or an overrun of the time limit raises it with number None.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIME_LIMIT_S = 60.0


class LibPgfError(Exception):
    """libPGF refused the input (number), crashed or did not end in time (number is None)."""

    def __init__(self, message: str, number: int | str | None = None) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True)
class Exported:
    """Pixels that libPGF exported: tight rows of its native layout."""

    width: int
    height: int
    pixels: bytes


class LibPgf:
    """Runs the oracle program; files pass through a private folder that lives as long as the object."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self._folder = tempfile.TemporaryDirectory(prefix="pgfrs-oracle-")
        self._in = Path(self._folder.name) / "in"
        self._out = Path(self._folder.name) / "out"

    def close(self) -> None:
        self._folder.cleanup()

    def run(self, verb: str, *arguments: object, time_limit_s: float = TIME_LIMIT_S) -> dict[str, Any]:
        """One verb; the JSON line it prints (empty for a verb that prints none)."""
        command = [str(self.program), verb, *map(str, arguments)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=time_limit_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise LibPgfError(f"libPGF did not end within {time_limit_s} s: {' '.join(command)}") from error
        text = done.stdout.decode(errors="replace").strip()
        if done.returncode == 0 and not text:
            return {}
        if done.returncode < 0 or not text:
            reason = done.stderr.decode(errors="replace").strip()
            raise LibPgfError(f"libPGF ended with status {done.returncode}: {' '.join(command)} {reason}")
        answer: dict[str, Any] = json.loads(text.splitlines()[-1])
        if done.returncode != 0 or "error" in answer:
            raise LibPgfError(f"libPGF refused: {text}", answer.get("error"))
        return answer

    def _options(self, options: dict[str, Any]) -> list[object]:
        words: list[object] = ["--no-omp"]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if value is None or value is False:
                continue
            if value is True:
                words.append(flag)
            elif isinstance(value, bytes):
                path = Path(self._folder.name) / name
                path.write_bytes(value)
                words += [flag, path]
            else:
                words += [flag, value]
        return words

    def encode(self, pixels: bytes, *, planes: bool = False, **options: Any) -> bytes:
        """A PGF file of these pixels (or int32 planes). Options: mode, width, height, bpp, channels, levels, quality,
        used, maxvalue, roi, speed, userdata (bytes), clut (bytes, 4 for an entry: blue, green, red, reserved)."""
        assert options.get("levels", 0) not in (29, 30), "libPGF misbehaves with 29 and 30 levels"
        self._in.write_bytes(pixels)
        self.run("encplanes" if planes else "encode", self._in, self._out, *self._options(options))
        return self._out.read_bytes()

    def decode(self, data: bytes, *, level: int = 0, rect: tuple[int, int, int, int] | None = None) -> Exported:
        """The pixels of one level. libPGF ignores rect in files without the ROI flag, and replicates subsampled chroma
        from the rectangle's own corner (section 13.4)."""
        self._in.write_bytes(data)
        words: list[object] = ["--no-omp", "--level", level]
        if rect is not None:
            words += ["--rect", ",".join(map(str, rect))]
        answer = self.run("decode", self._in, self._out, *words)
        return Exported(answer["width"], answer["height"], self._out.read_bytes())

    def planes(self, data: bytes, *, level: int = 0) -> tuple[list[tuple[int, int]], bytes]:
        """The integer planes before the colour transform: their (width, height), and all int32 samples."""
        self._in.write_bytes(data)
        answer = self.run("planes", self._in, self._out, "--no-omp", "--level", level)
        return [(w, h) for w, h in answer["planes"]], self._out.read_bytes()

    def header(self, data: bytes) -> dict[str, Any]:
        """The header fields as libPGF reports them."""
        self._in.write_bytes(data)
        return self.run("header", self._in)

    def user_data(self, data: bytes) -> bytes:
        self._in.write_bytes(data)
        self.run("userdata", self._in, self._out)
        return self._out.read_bytes()

    def colour_table(self, data: bytes) -> bytes:
        """256 entries of 4 bytes: blue, green, red, reserved."""
        self._in.write_bytes(data)
        self.run("clut", self._in, self._out)
        return self._out.read_bytes()
