"""What `scripts/wheel` does: build, then check what was built. Ends with a table; fails if a check fails."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
OUT = REPOSITORY / "target" / "wheels"
MOST_BYTES = 5_000_000
MOST_IMPORT_MS = 50.0
# Of dependencies that end up in the wheel; any one of the terms of an expression with OR is enough.
LICENCES = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}

ROUND_TRIP = """
import hashlib, sys
import numpy as np
import pgfrs
rng = np.random.default_rng(1)
y, x = np.mgrid[0:200, 0:331]
image = ((x * 3 + y * 5)[..., None] * np.array([1, 2, 3]) // 9 + rng.integers(0, 9, (200, 331, 3))).astype(np.uint8)
digest = hashlib.sha256()
for options in ({}, {"quality": 5}, {"roi": True}, {"max_bytes": 9000}, {"format": "pgfr"}):
    data = pgfrs.encode(image, **options)
    pixels = pgfrs.decode(data)
    if not options:
        assert np.array_equal(pixels, image)
    digest.update(data)
    digest.update(pixels.tobytes())
print(digest.hexdigest())
"""


# Variables by which numpy, its OpenBLAS and glibc take instructions without asking the processor.
CHOOSE_INSTRUCTIONS = {"OPENBLAS_CORETYPE", "NPY_ENABLE_CPU_FEATURES", "NPY_DISABLE_CPU_FEATURES", "GLIBC_TUNABLES"}
HOW_TO_GET_CARGO_DENY = "for it: cargo install --locked cargo-deny (builds for many minutes)"


class Skipped(Exception):
    """A check for which something is missing here."""


def run(*command: object, **options: object) -> str:
    """Run a command; its output. A failure ends the check with what it printed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise AssertionError(f"{Path(str(command[0])).name} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return str(done.stdout)


class Checks:
    """The checks on one build; each returns what it found in words."""

    def __init__(self, wheel: Path, sdist: Path, folder: Path) -> None:
        self.wheel, self.sdist, self.folder = wheel, sdist, folder
        venv.create(folder / "venv", with_pip=True)
        self.python = folder / "venv" / "bin" / "python"
        run(self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)

    def python_versions(self) -> str:
        """One wheel for CPython 3.11 and later."""
        assert "-cp311-abi3-" in self.wheel.name, self.wheel.name
        return "cp311-abi3: CPython 3.11 and later"

    def platform(self) -> str:
        """auditwheel agrees with the tag."""
        found = run(sys.executable, "-m", "auditwheel", "show", self.wheel)
        tag = re.search(r'platform tag:\s+"(manylinux[^"]+)"', found)
        assert tag and tag[1] in self.wheel.name, found
        return tag[1]

    def size(self) -> str:
        """The wheel is small."""
        size = self.wheel.stat().st_size
        assert size < MOST_BYTES, f"{size} bytes: at most {MOST_BYTES} are wanted"
        return f"{size:,} bytes"

    def contents(self) -> str:
        """Types, entry points, licences and the viewer's page are there, tests are not."""
        names = zipfile.ZipFile(self.wheel).namelist()
        for wanted in ("pgfrs/py.typed", "pgfrs/_pgfrs.pyi", "pgfrs/viewer/page.html", "pgfrs/viewer/tiles.js"):
            assert wanted in names, wanted
        for wanted in ("entry_points.txt", "LICENSE-MIT", "LICENSE-APACHE"):
            assert any(name.endswith(wanted) for name in names), wanted
        assert not any("tests/" in name for name in names)
        return f"{len(names)} files"

    def import_time(self) -> str:
        """Importing takes little more than importing numpy."""
        program = "import numpy, time; t = time.perf_counter(); import pgfrs; print(1000 * (time.perf_counter() - t))"
        run(self.python, "-c", "import pgfrs")
        times = [float(run(self.python, "-c", program, cwd=self.folder)) for _ in range(9)]
        assert min(times) < MOST_IMPORT_MS, times
        return f"{statistics.median(times):.1f} ms beyond numpy (median of 9, least {min(times):.1f})"

    def other_processor(self) -> str:
        """A processor without AVX2 writes and reads the same bytes."""
        here = run(self.python, "-c", ROUND_TRIP, cwd=self.folder)
        qemu = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
        if qemu is None:
            raise Skipped("for it: apt-get install qemu-user")
        # Nehalem has SSE4.2, which numpy needs, and nothing later.
        # Who sets the kernels of numpy's OpenBLAS by hand (OPENBLAS_CORETYPE=Haswell) speaks of the processor here.
        environment = {name: value for name, value in os.environ.items() if name not in CHOOSE_INSTRUCTIONS}
        program = [qemu, "-cpu", "Nehalem", self.python, "-c", ROUND_TRIP]
        there = run(*program, cwd=self.folder, env=environment, timeout=600)
        assert here == there, (here, there)
        return f"Nehalem (qemu-user): the same bytes, sha256 {here[:12]}"

    def licences(self) -> str:
        """Every crate in the wheel has a licence that goes with MIT OR Apache-2.0."""
        metadata = json.loads(run("cargo", "metadata", "--format-version=1", "--locked", "--offline", cwd=REPOSITORY))
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        packages = {package["id"]: package for package in metadata["packages"]}
        todo = [i for i, p in packages.items() if p["name"] == "pgfrs-py"]
        seen = set(todo)
        while todo:
            for dependency in nodes[todo.pop()]["deps"]:
                if any(kind["kind"] is None for kind in dependency["dep_kinds"]) and dependency["pkg"] not in seen:
                    seen.add(dependency["pkg"])
                    todo.append(dependency["pkg"])
        for package in (packages[i] for i in seen):
            assert allowed(package["license"] or ""), f"{package['name']}: {package['license']}"
        return f"{len(seen)} crates"

    def crates(self) -> str:
        """cargo-deny agrees: licences of all crates, tests and benches included, where they come from, none banned."""
        if shutil.which("cargo-deny") is None:
            raise Skipped(HOW_TO_GET_CARGO_DENY)
        checks = ("bans", "licenses", "sources")
        run("cargo", "deny", "--offline", "--locked", "check", *checks, cwd=REPOSITORY)
        return f"cargo deny: {', '.join(checks)}"

    def advisories(self) -> str:
        """Nothing is known against the crates; the list comes from GitHub."""
        if shutil.which("cargo-deny") is None:
            raise Skipped(HOW_TO_GET_CARGO_DENY)
        command = ["cargo", "deny", "--locked", "check", "advisories"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode and re.search(r"failed to (fetch|load|clone|open) advisory database", done.stderr):
            raise Skipped("the advisory database (github.com/rustsec/advisory-db) cannot be reached from here")
        assert done.returncode == 0, done.stdout + done.stderr
        return "cargo deny: advisories"

    def vulnerabilities(self) -> str:
        """Nothing is known against what the wheel needs at run time."""
        requirements = self.folder / "requirements.txt"
        frozen = run(self.python, "-m", "pip", "freeze", "--exclude", "pgfrs").splitlines()
        requirements.write_text("\n".join(line for line in frozen if "pgfrs" not in line))
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "-r", str(requirements)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode and re.search(r"Connection|resolve|timed out|ServiceError", done.stderr):
            raise Skipped("the advisory service cannot be reached from here")
        assert done.returncode == 0, done.stdout + done.stderr
        return f"pip-audit: nothing on {len(frozen)} packages"

    def source(self) -> str:
        """The source distribution resolves without a network: every crate and its lock are there."""
        with tarfile.open(self.sdist) as archive:
            archive.extractall(self.folder, filter="data")
        root = next(self.folder.glob("pgfrs-*"))
        run("cargo", "metadata", "--format-version=1", "--locked", "--offline", cwd=root)
        assert (root / "Cargo.lock").is_file() and (root / "LICENSE-MIT").is_file()
        return f"{self.sdist.stat().st_size:,} bytes; needs Rust, maturin and the crates of Cargo.lock"

    def from_source(self) -> str:
        """The source distribution builds without a network, from the crates that cargo has."""
        target = self.folder / "from-source"
        environment = os.environ | {"CARGO_NET_OFFLINE": "true"}
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
        run(*command, "--wheel-dir", target, self.sdist, env=environment)
        return next(target.glob("*.whl")).name


def allowed(expression: str) -> bool:
    """Whether a licence expression can be met with licences of the list."""
    text = expression.replace("/", " OR ").strip()
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1]
    if text in LICENCES:
        return True
    for word, test in ((" AND ", all), (" OR ", any)):
        parts = split(text, word)
        if len(parts) > 1:
            return test(map(allowed, parts))
    return False


def split(text: str, word: str) -> list[str]:
    """Parts between a word that stands outside of parentheses."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and text.startswith(word, at):
            parts.append(text[start:at])
            start = at + len(word)
    return [*parts, text[start:]]


def build(zig: bool) -> tuple[Path, Path]:
    """The wheel and the source distribution, alone in their folder."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    maturin = Path(sys.executable).with_name("maturin")
    options = ["--zig", "--compatibility", "manylinux2014"] if zig else []
    run(maturin, "build", "--release", "--strip", "--out", OUT, *options, cwd=REPOSITORY)
    run(maturin, "sdist", "--out", OUT, cwd=REPOSITORY)
    return next(OUT.glob("*.whl")), next(OUT.glob("*.tar.gz"))


def main() -> int:
    """Build, check, print the table, write it to target/wheels/checks.json."""
    parser = argparse.ArgumentParser(prog="scripts/wheel", description=__doc__)
    parser.add_argument("--zig", action="store_true", help="link against the glibc of manylinux2014")
    parser.add_argument("--from-sdist", action="store_true", help="also build from the source distribution")
    options = parser.parse_args()
    if options.zig:
        run(sys.executable, "-m", "pip", "install", "--quiet", "ziglang")
    wheel, sdist = build(options.zig)
    results: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="pgfrs-wheel-") as folder:
        checks = Checks(wheel, sdist, Path(folder))
        each: list[Callable[[], str]] = [
            checks.python_versions,
            checks.platform,
            checks.size,
            checks.contents,
            checks.import_time,
            checks.other_processor,
            checks.licences,
            checks.crates,
            checks.advisories,
            checks.vulnerabilities,
            checks.source,
        ]
        if options.from_sdist:
            each.append(checks.from_source)
        for check in each:
            try:
                outcome = ["ok", check()]
            except Skipped as reason:
                outcome = ["skipped", str(reason)]
            except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
                outcome = ["FAILED", str(error)]
            results[check.__name__] = outcome
            print(f"{outcome[0]:8} {check.__name__.replace('_', ' '):16} {outcome[1]}", flush=True)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (wheel, sdist)}
    (OUT / "checks.json").write_text(json.dumps({"files": sums, "checks": results}, indent=1))
    print(*(f"{digest}  target/wheels/{name}" for name, digest in sums.items()), sep="\n")
    return int(any(outcome[0] == "FAILED" for outcome in results.values()))


if __name__ == "__main__":
    sys.exit(main())
