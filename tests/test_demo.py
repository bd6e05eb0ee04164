"""The newcomer's script: a table, files that decode, and a contact sheet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import pgfrs
from material import REPOSITORY, load_sample


def test_the_demo_converts_photographs(tmp_path: Path) -> None:
    samples = [REPOSITORY / "samples" / name for name in ("rocket.jpg", "clock_motion.png")]
    command = [sys.executable, "scripts/demo.py", *map(str, samples), "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "table.txt").read_text() in done.stdout

    clock = load_sample("clock_motion.png")
    np.testing.assert_array_equal(pgfrs.decode((tmp_path / "clock_motion.pgf").read_bytes()), clock)
    for sample in samples:
        data = (tmp_path / f"{sample.stem}-small.pgf").read_bytes()
        info = pgfrs.read_info(data)
        assert 0.5 < 8 * len(data) / (info.width * info.height) <= 1
    with Image.open(tmp_path / "contact-sheet.png") as sheet:
        assert sheet.mode == "RGB"
        assert min(sheet.size) > 300
