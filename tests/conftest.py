"""What several test files share: the oracle, the sample photographs, the hypothesis profiles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

from libpgf import LibPgf
from material import REPOSITORY, load_sample, shared_directory

# fast: the same cases in every run, within seconds; slow: new cases each time (HYPOTHESIS_PROFILE=slow scripts/test)
_quiet = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large]
hypothesis.settings.register_profile(
    "fast", max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=_quiet
)
hypothesis.settings.register_profile(
    "slow", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=_quiet
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder; skips where it is absent."""
    folder = shared_directory()
    if folder is None:
        pytest.skip("no shared pictures: set PGFRS_SHARED or provide ../shared")
    return folder


@pytest.fixture(scope="session")
def libpgf() -> Iterator[LibPgf]:
    """The oracle; without it the test is skipped, in CI it fails."""
    program = Path(os.environ.get("PGFRS_ORACLE", REPOSITORY / "target" / "oracle" / "pgf_oracle"))
    if not program.is_file():
        reason = f"no oracle at {program}: apt-get install libpgf-dev g++ pkg-config, then scripts/build-oracle"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    runner = LibPgf(program)
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def chelsea() -> NDArray[np.uint8]:
    """The cat, uint8 (300, 451, 3)."""
    return load_sample("chelsea.png")


@pytest.fixture(scope="session")
def camera() -> NDArray[np.uint8]:
    """The photographer, uint8 (512, 512)."""
    return load_sample("camera.png")
