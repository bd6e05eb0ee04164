"""What ``scripts/wheel`` builds, and its own rules."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from material import REPOSITORY


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wheel_script", REPOSITORY / "scripts" / "wheel.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MIT OR Apache-2.0", True),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0", False),
        ("GPL-3.0 OR MIT", True),
        ("MIT AND GPL-3.0", False),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("(GPL-2.0 OR LGPL-3.0) AND MIT", False),
        ("BSD-3-Clause AND Zlib", True),
        ("", False),
    ],
)
def test_licence_expressions(script: ModuleType, expression: str, allowed: bool) -> None:
    assert script.allowed(expression) is allowed


def test_the_script_and_cargo_deny_allow_the_same(script: ModuleType) -> None:
    import tomllib

    deny = tomllib.loads((REPOSITORY / "deny.toml").read_text())
    assert set(deny["licenses"]["allow"]) == script.LICENCES


@pytest.mark.slow
def test_the_wheel(tmp_path: Path) -> None:
    """Build and check it. Where CI=true, only the services of advisories and cargo-deny may be out of reach."""
    if shutil.which("cargo") is None:
        pytest.skip("no cargo")
    done = subprocess.run(
        [REPOSITORY / "scripts" / "wheel"],
        env=os.environ | {"PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((REPOSITORY / "target" / "wheels" / "checks.json").read_text())
    skipped = {name for name, (outcome, _) in report["checks"].items() if outcome == "skipped"}
    missing_here = {"vulnerabilities", "crates", "advisories"} | (
        set() if os.environ.get("CI") == "true" else {"other_processor"}
    )
    assert skipped <= missing_here, report
    assert len(report["files"]) == 2


def test_importing_reads_no_heavy_library() -> None:
    """Integrations are imported when they are used, not before."""
    program = "import sys, pgfrs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {
        "PIL",
        "fsspec",
        "zarr",
        "numcodecs",
        "click",
        "pyarrow",
        "ray",
        "http.server",
        "pgfrs.lazy",
        "pgfrs.viewer",
    }
    assert not loaded & heavy
