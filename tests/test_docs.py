"""The examples in the documents run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from material import REPOSITORY, SAMPLES

DOCS = REPOSITORY / "docs"
GUIDES = [DOCS / "index.md", DOCS / "how-it-works.md", *sorted((DOCS / "recipes").glob("*.md"))]
DOCUMENTS = [REPOSITORY / "README.md", *GUIDES]
MADE_BY_THE_BUILD = re.compile(r"(\.\./)?(generated/.+\.png|benchmarks\.md|resilience\.md|limits\.md)")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def in_folder(folder: Path, command: list[str]) -> None:
    """Run a command where photo.png is a photograph; the environment's own programs come first."""
    shutil.copy(SAMPLES / "chelsea.png", folder / "photo.png")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_examples(document: Path, tmp_path: Path) -> None:
    """The blocks of one document form one program."""
    program = "\n".join(blocks(document, "python"))
    assert program, f"{document.name} has no Python examples"
    (tmp_path / "example.py").write_text(program)
    in_folder(tmp_path, [sys.executable, "example.py"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_console_examples(document: Path, tmp_path: Path) -> None:
    lines = [line[2:] for block in blocks(document, "console") for line in block.splitlines() if line.startswith("$ ")]
    in_folder(tmp_path, ["bash", "-euxc", "\n".join(lines)])


def test_the_readme_has_five_examples() -> None:
    readme = REPOSITORY / "README.md"
    assert len(blocks(readme, "python")) + len(blocks(readme, "console")) == 5


@pytest.mark.parametrize(
    "document",
    [*REPOSITORY.glob("*.md"), *sorted((REPOSITORY / "docs").rglob("*.md"))],
    ids=lambda path: path.name,
)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        if MADE_BY_THE_BUILD.fullmatch(target) and DOCS in document.parents:
            continue  # the strict build of the site looks after these
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    """Every page, link, picture and docstring of the documentation site."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    reference = (tmp_path / "site" / "reference.html").read_text()
    for name in ("pgfrs.encode", "pgfrs.open", "pgfrs.lazy.LazyImage.read", "pgfrs.codecs.zarr.PgfCodec"):
        assert f'id="{name}"' in reference, name
    assert "LimitsError" in reference and "num_threads" in reference
    for picture in ("levels.png", "prefixes-pgf.png", "prefixes-pgfr.png", "damage.png"):
        assert (tmp_path / "site" / "generated" / picture).stat().st_size > 10_000
    elsewhere = re.findall(r'<(?:script|img)[^>]+src="(https?:[^"]+)"', reference)
    assert elsewhere == [], "pages load nothing from elsewhere"


def named_in_the_architecture() -> list[str]:
    """First column of its tables: paths from the root of the repository, in backquotes."""
    text = (REPOSITORY / "ARCHITECTURE.md").read_text()
    return re.findall(r"^\| `([^`*]+)`", text, re.MULTILINE)


def test_the_architecture_names_what_is_there() -> None:
    missing = [name for name in named_in_the_architecture() if not (REPOSITORY / name).exists()]
    assert not missing


def test_the_architecture_names_every_source_file() -> None:
    named = [REPOSITORY / name for name in named_in_the_architecture()]
    patterns = (
        "rust/*/src/*.rs",
        "rust/*/tests/**/*.rs",
        "python/pgfrs/**/*.py",
        "tests/*.py",
        "benches/*",
        "scripts/*",
    )
    files = [path for pattern in patterns for path in REPOSITORY.glob(pattern) if path.is_file()]
    assert len(files) > 60
    unnamed = [str(path) for path in files if not any(path == name or name in path.parents for name in named)]
    assert not unnamed
