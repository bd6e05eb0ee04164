"""What `mkdocs build` makes itself: pictures from the code, benchmarks and limits from where they are recorded."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mkdocs.structure.files import File, Files
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import pgfrs

REPOSITORY = Path(__file__).resolve().parents[1]
RECORDED = REPOSITORY / "benches" / "recorded"


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the generated files to those of the folder."""
    for name, make in PICTURES.items():
        files.append(File.generated(config, f"generated/{name}", content=make()))
    record = max(RECORDED.glob("20*.md"))
    picture = record.with_suffix(".png")
    files.append(File.generated(config, "benchmarks.md", content=f"{record.read_text()}\n{_how_to_repeat()}"))
    files.append(File.generated(config, picture.name, content=picture.read_bytes()))
    record = max(RECORDED.glob("resilience-20*.md"))
    picture = record.with_suffix(".png")
    files.append(File.generated(config, "resilience.md", content=record.read_text()))
    files.append(File.generated(config, picture.name, content=picture.read_bytes()))
    files.append(File.generated(config, "limits.md", content=_limits()))
    return files


def _how_to_repeat() -> str:
    return "## Measure again\n\n`scripts/bench` in the repository measures all of this again and `--record` keeps it.\n"


def _limits() -> str:
    """The README's word on what the package does not do."""
    readme = (REPOSITORY / "README.md").read_text()
    section = re.search(r"^## What it does not do\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    assert section, "the README has no section on limits"
    return f"# Limits\n{section[1]}"


# --- pictures ---------------------------------------------------------------------------------------


def _photo() -> NDArray[np.uint8]:
    with Image.open(REPOSITORY / "samples" / "astronaut.png") as picture:
        return np.asarray(picture.convert("RGB"))


def _png(rows: list[list[NDArray[np.uint8]]], captions: list[list[str]], gap: int = 8, text: int = 18) -> bytes:
    """Pictures of one size in a grid, each with a line of text below it."""
    height, width = rows[0][0].shape[:2]
    sheet = Image.new("RGB", (len(rows[0]) * (width + gap) - gap, len(rows) * (height + text + gap) - gap), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (pictures, lines) in enumerate(zip(rows, captions, strict=True)):
        for column, (picture, line) in enumerate(zip(pictures, lines, strict=True)):
            x, y = column * (width + gap), row * (height + text + gap)
            sheet.paste(Image.fromarray(picture), (x, y))
            draw.text((x + 2, y + height + 3), line, "black")
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def _levels() -> bytes:
    """Every level of a file where the wavelet has it: beside and above the next finer one."""
    data = pgfrs.encode(_photo())
    levels = [pgfrs.decode(data, level=k) for k in range(5)]
    height, width = levels[0].shape[:2]
    sheet = np.full((height, width + width // 2 + 8, 3), 255, np.uint8)
    sheet[:, :width] = levels[0]
    top = 0
    for level in levels[1:]:
        sheet[top : top + level.shape[0], width + 8 : width + 8 + level.shape[1]] = level
        top += level.shape[0]
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, "PNG", optimize=True)
    return out.getvalue()


def _prefixes(format: str) -> bytes:
    """What the first bytes of a file show."""
    data = pgfrs.encode(_photo(), format=format, **({"quality": 3} if format == "pgf" else {}))
    pictures, lines = [], []
    for size in (1500, 4000, 12000, 40000):
        decoder = pgfrs.ProgressiveDecoder()
        decoder.feed(data[:size])
        pictures.append(decoder.render()[::2, ::2])
        lines.append(f"{size:,} bytes")
    return _png([pictures], [lines])


def _damage() -> bytes:
    """The same damage to a .pgf file and to a .pgfr stream of about as many bytes."""
    from pgfrs.damage import damage

    photo = _photo()
    stream = pgfrs.encode(photo, format="pgfr", max_bytes=30000)
    file = pgfrs.encode(photo, max_bytes=30000)
    rows, captions = [], []
    for name, data in ((".pgf", file), (".pgfr", stream)):
        pictures, lines = [], []
        for edits in (0, 1, 10, 100):
            damaged = damage(data, seed=3, kind="substitute", edits=edits, protect=40) if edits else data
            pictures.append(pgfrs.decode_with_report(damaged)[0][::2, ::2])
            lines.append(f"{name}: {edits} wrong bytes")
        rows.append(pictures)
        captions.append(lines)
    return _png(rows, captions)


PICTURES: dict[str, Callable[[], bytes]] = {
    "levels.png": _levels,
    "prefixes-pgf.png": lambda: _prefixes("pgf"),
    "prefixes-pgfr.png": lambda: _prefixes("pgfr"),
    "damage.png": _damage,
}
