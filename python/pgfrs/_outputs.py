"""Many inputs to many outputs: which file becomes which, whole files or none, one failure never stops the rest."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Never, TextIO

import click
from tqdm import tqdm

from pgfrs._errors import PgfError

STDIO = "-"
_FAILURES = (PgfError, OSError, ValueError, MemoryError, ImportError)


@dataclass(frozen=True, slots=True)
class Job:
    """One input and where its result goes; ``-`` stands for a standard stream."""

    source: str
    target: str

    @property
    def name(self) -> str:
        """The input's name for messages."""
        return "standard input" if self.source == STDIO else self.source

    def read(self) -> bytes:
        """Return all bytes of the input."""
        return sys.stdin.buffer.read() if self.source == STDIO else Path(self.source).read_bytes()

    def check_target(self, *, force: bool) -> None:
        """Raise ``FileExistsError`` before any work is done, if the result may not be written."""
        if self.target != STDIO:
            refuse_existing(Path(self.target), force=force)

    def write(self, data: bytes, *, force: bool) -> None:
        """Put ``data`` where the result goes."""
        if self.target == STDIO:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            write_whole(Path(self.target), data, force=force)


def plan(inputs: Sequence[str], output: str | None, renamed: Callable[[str], str]) -> list[Job]:
    """Pair every input with its target.

    ``output`` is a file, a directory (an existing one, or a name that ends with a slash), ``-``, or None for a
    place beside each input. ``renamed`` gives the file name of a result from that of its input. Raises
    ``click.UsageError`` for several inputs with one target.
    """
    into = directory(output)
    if into is None and output is not None:
        if len(inputs) > 1:
            raise click.UsageError(f"{len(inputs)} inputs need an output directory, but {output!r} is none")
        return [Job(inputs[0], output)]
    jobs = [_job(source, into, renamed) for source in inputs]
    seen: dict[str, str] = {}
    for job in jobs:
        if job.target != STDIO and job.target in seen:
            raise click.UsageError(f"{seen[job.target]} and {job.source} would both become {job.target}")
        seen[job.target] = job.source
    if sum(job.source == STDIO for job in jobs) > 1:
        raise click.UsageError("standard input can be read only once")
    return jobs


def directory(output: str | None) -> Path | None:
    """The directory that ``output`` names: an existing one, or one to be made whose name ends with a slash."""
    if output is None or output == STDIO:
        return None
    return Path(output) if output.endswith(("/", os.sep)) or Path(output).is_dir() else None


def _job(source: str, into: Path | None, renamed: Callable[[str], str]) -> Job:
    if source == STDIO:
        if into is not None:
            raise click.UsageError("standard input has no name; say which file it becomes with --output")
        return Job(STDIO, STDIO)
    path = Path(source)
    return Job(source, str((into or path.parent) / renamed(path.name)))


def write_whole(path: Path, data: bytes, *, force: bool) -> None:
    """Write a file so that nobody ever sees it half-written.

    The bytes go to a temporary name in the same directory, which then gets the final name. An existing file is
    replaced only with ``force``; otherwise ``FileExistsError`` is raised. Missing directories are made. What replaces a
    file has its permissions; of a link the file that it leads to is replaced.
    """
    refuse_existing(path, force=force)
    if path.is_symlink():
        # Unlike Path.resolve this takes links that lead in a circle for what they are: names that are taken.
        path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        if force:
            with suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
        else:
            _rename_to_free_name(temporary, path)
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise ``FileExistsError`` if ``path`` exists, unless ``force``."""
    if not force and path.exists():
        raise FileExistsError(f"{path} exists; --force replaces it")


def _rename_to_free_name(temporary: Path, path: Path) -> None:
    try:
        # Unlike a rename, a link fails if somebody else made the file in the meantime.
        os.link(temporary, path)
    except FileExistsError:
        raise FileExistsError(f"{path} exists; --force replaces it") from None
    except OSError:
        # File systems without hard links.
        refuse_existing(path, force=False)
        temporary.rename(path)


class Console:
    """Where a command reports: results on standard output, unless a result is written there; the rest on stderr."""

    def __init__(self, jobs: Iterable[Job], *, quiet: bool) -> None:
        self._quiet = quiet
        self._results_to_stderr = any(job.target == STDIO for job in jobs)
        self._bar: tqdm[Never] | None = None

    def result(self, text: str) -> None:
        """Print what was done, unless quiet."""
        if not self._quiet and text:
            self._print(text, sys.stderr if self._results_to_stderr else sys.stdout)

    def warn(self, job: Job, text: str) -> None:
        """Print what a person should know about one input."""
        self._print(f"pgfrs: {job.name}: {text}", sys.stderr)

    def _print(self, text: str, stream: TextIO) -> None:
        if self._bar is None:
            print(text, file=stream, flush=True)
        else:
            self._bar.write(text, file=stream)

    def run(self, jobs: Sequence[Job], work: Callable[[Job], str], *, workers: int) -> int:
        """Do ``work`` for every job, ``workers`` at a time; return the exit code, 1 if any failed.

        ``work`` returns the line to print. A failed input is reported and the others go on. With several inputs
        and a terminal a progress bar is shown.
        """
        failed = 0
        show = len(jobs) > 1 and sys.stderr.isatty() and not self._quiet
        with ThreadPoolExecutor(max_workers=max(1, min(workers, len(jobs)))) as pool:
            futures = {pool.submit(work, job): job for job in jobs}
            try:
                self._bar = tqdm(total=len(jobs), unit="file") if show else None
                for future, job in futures.items():
                    try:
                        text = future.result()
                    except BrokenPipeError:
                        raise  # whoever read standard output has gone
                    except _FAILURES as error:
                        failed += 1
                        self.warn(job, describe(error, job))
                    else:
                        self.result(text)
                    if self._bar is not None:
                        self._bar.update()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            finally:
                if self._bar is not None:
                    self._bar.close()
                    self._bar = None
        return 1 if failed else 0


def describe(error: BaseException, job: Job) -> str:
    """Return an error in one line without its class name, for a person who is told the input's name already."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror[0].lower() + error.strerror[1:]
        return reason if error.filename in (None, job.source) else f"{reason}: {error.filename}"
    return str(error) or type(error).__name__
