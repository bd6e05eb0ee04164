"""Where bytes stand: positions of streams and of training samples."""

from __future__ import annotations

import numpy as np
import pytest

import pgfrs
from pgfrs.llm import EVABYTE, samples
from pgfrs.llm.positions import BANDS, COLUMNS, NEXT, Positions, of_sample, positions
from pictures import photograph

ROW, COLUMN = COLUMNS.index("row"), COLUMNS.index("column")


@pytest.fixture(scope="module")
def stream() -> bytes:
    pixels = np.asarray(photograph())[:200, :180]
    packed = pgfrs.encode(np.ascontiguousarray(pixels), format="pgfr", quality=4, bare=True)
    return pgfrs.transcode(packed, "pgfr", payload="tokens")


def test_a_row_follows_from_the_bytes_before_it(stream: bytes) -> None:
    found = positions(stream)
    assert found.shape == (len(stream), len(COLUMNS)) and found.dtype == np.int32
    for end in (0, 1, 10, 77, len(stream) // 2):
        np.testing.assert_array_equal(positions(stream[:end]), found[:end])
    state = Positions()
    assert NEXT[state.position()[0]] == "marker"
    state.advance(stream[:500])
    other = state.copy()
    state.advance(b"\xff\xff\xff")
    np.testing.assert_array_equal(other.advance(stream[500:]), found[500:])
    np.testing.assert_array_equal(other.position(), found[-1])


def test_what_is_next_is_what_segments_say(stream: bytes) -> None:
    found = positions(stream)
    kinds = {"picture": {"header"}, "base": {"base"}, "planes": {"list", "refinement"}}
    for segment in pgfrs.segments(stream):
        if segment.start:
            assert NEXT[found[segment.start - 1, 0]] == "marker"
        assert NEXT[found[segment.start, 0]] == "address"
        inside = {NEXT[value] for value in found[segment.start + 2 : segment.end - 1, 0]}
        assert inside - {"address"} <= kinds.get(segment.kind, {"content", "marker"}), segment
        if segment.region is not None and segment.kind == "planes":
            left, top, right, bottom = segment.region
            named = found[segment.start : segment.end - 1]
            named = named[named[:, ROW] >= 0]
            low, high = min(segment.levels), max(segment.levels)
            # A coefficient of the last row or column may stand for pixels beyond the picture.
            reach = 2**high
            assert (named[:, COLUMN] > left).all() and (named[:, COLUMN] < right + reach).all()
            assert (named[:, ROW] > top).all() and (named[:, ROW] < bottom + reach).all()
            assert set(named[:, 2]) <= set(range(low, high + 1))
    base = found[found[:, 0] == NEXT.index("base")]
    assert (base[:, 3] == BANDS.index("LL")).all()


def test_packed_planes_and_other_formats_have_no_places(stream: bytes) -> None:
    packed = pgfrs.transcode(stream, "pgfr", payload="packed")
    found = positions(packed)
    assert (found[found[:, 0] == NEXT.index("content"), 1:] == -1).all()
    assert not np.isin(found[:, 0], [NEXT.index("list"), NEXT.index("refinement")]).any()
    rng = np.random.default_rng(0)
    for count in (0, 1, 3000):
        noise = rng.integers(0, 256, count, np.uint8).tobytes()
        assert positions(noise).shape == (count, len(COLUMNS))
        assert positions(stream[:300] + noise).shape == (300 + count, len(COLUMNS))


def test_headers_over_the_limits_are_damage(stream: bytes) -> None:
    found = positions(stream, limits=pgfrs.Limits(max_pixels=100))
    assert (found[:, ROW] == -1).all()


@pytest.mark.parametrize("make", ["infill", "zoom", "repair", "prefix_to_rest", "fill_in_the_middle"])
def test_samples_have_the_positions_of_their_streams(stream: bytes, make: str) -> None:
    sample = getattr(samples, make)(stream, 3)
    found = of_sample(sample, EVABYTE)
    ids = sample.ids(EVABYTE)
    assert found.shape == (len(ids), len(COLUMNS))
    assert (found[-1] == -1).all()
    # A middle stands where it stands in the stream, whatever is told before it.
    whole, told = positions(stream), sample.section("middle")
    first = next((s for s in pgfrs.segments(stream) if told.startswith(stream[s.start : s.end])), None)
    if make in ("infill", "zoom"):
        assert first is not None
        assert NEXT[found[len(ids) - 2 - len(told), 0]] == "marker"
        size = first.end - first.start
        at = len(ids) - 1 - len(told)
        np.testing.assert_array_equal(found[at : at + size - 1, 1:], whole[first.start : first.end - 1, 1:])
        assert (found[at : at + size, ROW] >= 0).sum() > size // 2


def test_captions_have_none_and_the_picture_behind_them_has(stream: bytes) -> None:
    for first in (True, False):
        sample = samples.full(stream, caption="a woman in orange", caption_first=first)
        found = of_sample(sample, EVABYTE)
        assert len(found) == len(sample.ids(EVABYTE))
        text = len("a woman in orange")
        start = 2 + text + 1 if first else 2
        np.testing.assert_array_equal(found[start : start + len(stream)], positions(stream))
        caption = found[2 : 2 + text] if first else found[-1 - text : -1]
        assert (caption == -1).all()
