"""Where the test material is: vectors, sample photographs, the optional shared folder; and how to compare pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
VECTORS = REPOSITORY / "tests" / "data" / "vectors"
SAMPLES = REPOSITORY / "samples"
REPORTS = REPOSITORY / "target" / "reports"


def load_manifest(folder: Path = VECTORS) -> list[dict[str, Any]]:
    """The entries of a folder's manifest.json, one dictionary for each file."""
    entries: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())["files"]
    return entries


def shared_directory() -> Path | None:
    """The optional folder of shared pictures and vectors: $PGFRS_SHARED, else ../shared; None where there is none."""
    named = os.environ.get("PGFRS_SHARED")
    folder = Path(named) if named else REPOSITORY.parent / "shared"
    return folder if folder.is_dir() else None


def load_picture(path: Path) -> NDArray[np.uint8]:
    """A PNG or JPEG file as uint8 (H, W) or (H, W, 3)."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def load_sample(name: str) -> NDArray[np.uint8]:
    """One sample photograph by its file name."""
    return load_picture(SAMPLES / name)
