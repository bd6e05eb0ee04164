"""Random images against the live libPGF: the same bytes written, the same pixels read, our own files opened."""

from __future__ import annotations

import os
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import pgfrs
from libpgf import LibPgf
from native import (
    MODES,
    PLANE_MODES,
    SUBSAMPLED,
    crop_at_level,
    from_native,
    level_size,
    planes_from_native,
    to_native,
)
from pgfrs.raster import psnr
from random_images import KINDS, Case, cases, random_image

pytestmark = pytest.mark.oracle

SLOW = os.environ.get("HYPOTHESIS_PROFILE") == "slow"


def examples(count: int) -> hypothesis.settings:
    """So many cases in the fast profile, twenty times as many in the slow one."""
    return hypothesis.settings(max_examples=count * 20 if SLOW else count)


def libpgf_pixels(libpgf: LibPgf, data: bytes, mode: str, level: int = 0) -> NDArray[np.generic]:
    exported = libpgf.decode(data, level=level)
    return from_native(exported.pixels, mode, exported.width, exported.height)


@examples(300)
@given(case=cases())
def test_the_same_bytes_and_the_same_pixels(libpgf: LibPgf, case: Case) -> None:
    image = case.image
    theirs = libpgf.encode(to_native(image, case.mode), **case.libpgf_options())
    ours = pgfrs.encode(image, **case.options())
    assert ours == theirs

    levels = pgfrs.read_info(theirs).levels
    for level in range(max(levels, 1)):
        expected = libpgf_pixels(libpgf, theirs, case.mode, level)
        np.testing.assert_array_equal(pgfrs.decode(theirs, level=level, strict=True), expected)


@examples(150)
@given(case=cases(), corners=st.tuples(*[st.floats(0, 1)] * 4), level=st.integers(0, 8))
def test_regions(libpgf: LibPgf, case: Case, corners: tuple[float, float, float, float], level: int) -> None:
    image = case.image
    data = libpgf.encode(to_native(image, case.mode), **case.libpgf_options())
    level = min(level, max(pgfrs.read_info(data).levels - 1, 0))
    xs = sorted(round(corner * case.width) for corner in corners[:2])
    ys = sorted(round(corner * case.height) for corner in corners[2:])
    region = (xs[0], ys[0], xs[1], ys[1])
    left, top, right, bottom = (level_size(edge, level) for edge in region)
    hypothesis.assume(left < right and top < bottom)

    part = pgfrs.decode(data, level=level, region=region, strict=True)
    whole = libpgf_pixels(libpgf, data, case.mode, level)
    np.testing.assert_array_equal(part, crop_at_level(whole, region, level))

    subsampled = case.quality > 3 and case.mode in SUBSAMPLED
    if case.tiled and not (subsampled and (left % 2 or top % 2)):
        exported = libpgf.decode(data, level=level, rect=region)
        assert (exported.width, exported.height) == (right - left, bottom - top)
        np.testing.assert_array_equal(part, from_native(exported.pixels, case.mode, exported.width, exported.height))


@examples(60)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    quality=st.integers(0, 30),
    used_bits=st.integers(25, 31),
    roi=st.booleans(),
)
def test_31_bit_gray_to_the_last_bit(
    libpgf: LibPgf, kind: str, seed: int, size: tuple[int, int], quality: int, used_bits: int, roi: bool
) -> None:
    """Here sums overflow 32 bits in libPGF, and a macroblock can outgrow the format: then we must refuse."""
    case = Case("gray31", *size, kind, seed, quality, None, roi, used_bits)
    image = case.image
    theirs = libpgf.encode(to_native(image, case.mode), **case.libpgf_options())
    try:
        ours = pgfrs.encode(image, **case.options())
    except pgfrs.PgfError as error:
        assert "16384" in str(error)
        with pytest.raises(pgfrs.PgfError):
            pgfrs.decode(theirs, strict=True)
    else:
        assert ours == theirs


@examples(80)
@given(
    mode=st.sampled_from(sorted(PLANE_MODES)),
    size=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    channels=st.integers(1, 8),
    quality=st.integers(0, 12),
    bits=st.integers(1, 20),
    roi=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_modes_that_are_raw_planes(
    libpgf: LibPgf,
    mode: str,
    size: tuple[int, int],
    channels: int,
    quality: int,
    bits: int,
    roi: bool,
    seed: int,
) -> None:
    width, height = size
    rng = np.random.default_rng(seed)
    image = rng.integers(-(2**bits), 2**bits, (height, width, channels), dtype=np.int32)
    ours = pgfrs.encode(image, mode=mode, quality=quality, roi=roi)
    info = pgfrs.read_info(ours)
    assert (info.mode, info.channels) == (mode, channels)
    theirs = libpgf.encode(
        image.transpose(2, 0, 1).astype("<i4").tobytes(),
        planes=True,
        mode=PLANE_MODES[mode],
        width=width,
        height=height,
        bpp=info.bits_per_pixel,
        channels=channels,
        quality=quality,
        roi=roi and min(size) >= 10,
    )
    assert ours == theirs

    for level in range(max(info.levels, 1)):
        sizes, samples = libpgf.planes(theirs, level=level)
        expected = np.stack(planes_from_native(samples, sizes), axis=2)
        np.testing.assert_array_equal(pgfrs.decode(ours, level=level, strict=True), expected)


@examples(60)
@given(case=cases(), share=st.floats(0.05, 1.2))
def test_libpgf_opens_files_made_for_a_number_of_bytes(libpgf: LibPgf, case: Case, share: float) -> None:
    hypothesis.assume(min(case.width, case.height) >= 10)
    image = case.image
    options = case.options() | {"quality": 0}
    lossless = pgfrs.encode(image, **options)
    coarsest = pgfrs.encode(image, **options | {"quality": 30})
    budget = max(round(share * len(lossless)), len(coarsest))
    ours = pgfrs.encode(image, **options, max_bytes=budget)
    assert len(ours) <= budget
    if budget >= len(lossless):
        assert ours == lossless
    for level in range(pgfrs.read_info(ours).levels):
        expected = libpgf_pixels(libpgf, ours, case.mode, level)
        np.testing.assert_array_equal(pgfrs.decode(ours, level=level, strict=True), expected)


@pytest.mark.parametrize("bits_per_pixel", [0.25, 0.5, 1.0, 2.0, 4.0])
def test_a_number_of_bytes_is_no_worse_than_the_whole_quality_that_fits(
    libpgf: LibPgf, chelsea: NDArray[np.uint8], bits_per_pixel: float
) -> None:
    budget = round(chelsea.shape[0] * chelsea.shape[1] * bits_per_pixel / 8)
    for quality in range(31):
        by_quality = pgfrs.encode(chelsea, quality=quality)
        if len(by_quality) <= budget:
            break
    assert len(by_quality) <= budget
    by_bytes = pgfrs.encode(chelsea, max_bytes=budget)
    assert len(by_bytes) <= budget
    decoded = libpgf_pixels(libpgf, by_bytes, "rgb")
    np.testing.assert_array_equal(decoded, pgfrs.decode(by_bytes, strict=True))
    assert psnr(chelsea, decoded) >= psnr(chelsea, pgfrs.decode(by_quality)) - 0.02


@examples(30)
@given(user_data=st.binary(max_size=3000), entries=st.integers(1, 256), seed=st.integers(0, 2**32 - 1))
def test_user_data_and_palette(libpgf: LibPgf, user_data: bytes, entries: int, seed: int) -> None:
    image = random_image("indexed", 23, 17, "texture", seed)
    palette = np.random.default_rng(seed).integers(0, 256, (entries, 4)).astype(np.uint8)
    table = np.zeros((256, 4), np.uint8)
    table[:entries] = palette[:, [2, 1, 0, 3]]
    mode = MODES["indexed"]
    theirs = libpgf.encode(
        to_native(image, "indexed"),
        mode=mode.number,
        width=23,
        height=17,
        userdata=user_data,
        clut=table.tobytes(),
    )
    ours = pgfrs.encode(image, mode="indexed", palette=palette, user_data=user_data)
    assert ours == theirs
    assert libpgf.user_data(ours) == user_data
    assert libpgf.colour_table(ours) == table.tobytes()
    info = pgfrs.read_info(ours)
    assert info.user_data == user_data
    np.testing.assert_array_equal(info.palette, table[:, [2, 1, 0, 3]])


@pytest.mark.parametrize("mode", sorted(MODES))
def test_the_number_of_threads_does_not_change_a_byte(mode: str) -> None:
    image = random_image(mode, 211, 190, "texture", seed=7)
    options: dict[str, Any] = {"mode": mode, "quality": 2, "used_bits": 28 if mode == "gray31" else None}
    one = pgfrs.encode(image, **options)
    three = pgfrs.encode(image, **options, num_threads=3)
    assert one == three
    np.testing.assert_array_equal(pgfrs.decode(one), pgfrs.decode(one, num_threads=3))
