"""What a person sees while a conversion runs: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, TextIO

_SECONDS_BETWEEN_LINES = 10.0


class Progress(Protocol):
    """Told about every batch that is written."""

    def start(self, rows: int, done: int) -> None:
        """So many rows in all, so many done by earlier runs."""

    def update(self, rows: int, failed: int, bytes_in: int, bytes_out: int) -> None:
        """So many more."""

    def close(self) -> None:
        """No more come."""


class Silent:
    """Shows nothing."""

    def start(self, rows: int, done: int) -> None:
        """Show nothing."""

    def update(self, rows: int, failed: int, bytes_in: int, bytes_out: int) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


class _Counts:
    def __init__(self) -> None:
        self.rows = self.total = self.fresh = self.failed = self.bytes_in = self.bytes_out = 0
        self.since = time.monotonic()

    def start(self, rows: int, done: int) -> None:
        self.total, self.rows, self.since = rows, done, time.monotonic()

    def update(self, rows: int, failed: int, bytes_in: int, bytes_out: int) -> None:
        self.rows += rows
        self.fresh += rows
        self.failed += failed
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.since, 1e-9)

    def rates(self) -> str:
        into, out = self.bytes_in / 1e6 / self.seconds, self.bytes_out / 1e6 / self.seconds
        return f"{into:.1f} MB/s in, {out:.1f} MB/s out, {self.failed} failed"


class Bar(_Counts):
    """A bar with images per second, bytes per second, failures and the time left."""

    def __init__(self, stream: TextIO) -> None:
        from tqdm import tqdm

        super().__init__()
        self._make: Any = tqdm
        self._stream = stream
        self._bar: Any = None

    def start(self, rows: int, done: int) -> None:
        """Draw it."""
        super().start(rows, done)
        self._bar = self._make(
            total=rows, initial=done, unit="img", file=self._stream, dynamic_ncols=True, smoothing=0.1, mininterval=0.2
        )

    def update(self, rows: int, failed: int, bytes_in: int, bytes_out: int) -> None:
        """Move it."""
        super().update(rows, failed, bytes_in, bytes_out)
        self._bar.set_postfix_str(self.rates(), refresh=False)
        self._bar.update(rows)

    def close(self) -> None:
        """Leave it as it stands."""
        if self._bar is not None:
            self._bar.close()


class Lines(_Counts):
    """A line every ten seconds and one at the end."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._last = time.monotonic()

    def update(self, rows: int, failed: int, bytes_in: int, bytes_out: int) -> None:
        """Print a line if the last is old."""
        super().update(rows, failed, bytes_in, bytes_out)
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._print()

    def close(self) -> None:
        """Print the last line."""
        if self.fresh:
            self._print()

    def _print(self) -> None:
        self._last = time.monotonic()
        rate = self.fresh / self.seconds
        left = f", {(self.total - self.rows) / rate:.0f} s left" if rate and self.rows < self.total else ""
        text = f"{self.rows:,} of {self.total:,} images, {rate:.0f} images/s, {self.rates()}{left}"
        print(text, file=self._stream, flush=True)


def for_stream(stream: TextIO = sys.stderr) -> Progress:
    """What suits a stream."""
    return Bar(stream) if stream.isatty() else Lines(stream)
