"""Values of command-line options that several commands take."""

from __future__ import annotations

import re

import click

_UNITS = {"": 1, "k": 1000, "m": 1_000_000, "g": 1_000_000_000}


def size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Parse a number of bytes: ``20000``, ``20k``, ``1.5M`` (powers of 1000)."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGmg]?)[bB]?", value)
    size = round(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if size < 1:
        raise click.BadParameter(f"{value!r} is not a number of bytes such as 20000, 20k or 1.5M")
    return size


def region(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int, int, int] | None:
    """Parse a rectangle in full-size pixels: ``LEFT,TOP,RIGHT,BOTTOM``."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not LEFT,TOP,RIGHT,BOTTOM in pixels")
    left, top, right, bottom = map(int, match.groups())
    if left >= right or top >= bottom:
        raise click.BadParameter(f"{value!r} is empty: it needs LEFT < RIGHT and TOP < BOTTOM")
    return left, top, right, bottom
