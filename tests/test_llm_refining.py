"""What a stream lacks most, and live pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pgfrs
from material import SAMPLES
from pgfrs.llm import BYTES, EVABYTE, from_ids, legal, live, to_ids, what_next


def photograph(name: str, side: int = 256) -> NDArray[np.uint8]:
    with Image.open(SAMPLES / name) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = np.mean((a.astype(float) - b) ** 2)
    return float(10 * np.log10(255**2 / error))


Key = tuple[int, int, int]


def all_planes(stream: bytes, image: NDArray[np.uint8]) -> dict[Key, bytes]:
    """Every plane that refining adds, a segment each, by group, block and plane."""
    out: dict[Key, bytes] = {}
    while True:
        longer = pgfrs.refine(stream, image, planes=1)
        if len(longer) == len(stream):
            return out
        for segment in pgfrs.segments(longer):
            if segment.start >= len(stream):
                assert segment.kind == "planes" and segment.count == 1
                assert segment.group is not None and segment.index is not None and segment.plane is not None
                out[segment.group, segment.index, segment.plane] = longer[segment.start : segment.end]
        stream = longer


def refined(stream: bytes, order: list[Key], planes: dict[Key, bytes], budget: int) -> bytes:
    """Segments of the true picture in an order, as many as fit; before a plane come those above it in its block."""
    left = dict(planes)
    out = stream
    for group, index, plane in order:
        above = [k for k in left if k[:2] == (group, index) and k[2] >= plane]
        for key in sorted(above, key=lambda k: -k[2]):
            if len(out) + len(left[key]) > len(stream) + budget:
                return out
            out += left.pop(key)
    return out


def chance_order(planes: dict[Key, bytes], rng: np.random.Generator) -> list[Key]:
    """Blocks at random, of each the plane that is due."""
    due: dict[tuple[int, int], list[int]] = {}
    for group, index, plane in planes:
        due.setdefault((group, index), []).append(plane)
    for left in due.values():
        left.sort()
    turns = [block for block, left in due.items() for _ in left]
    return [(*turns[i], due[turns[i]].pop()) for i in rng.permutation(len(turns))]


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "astronaut.png"])
@pytest.mark.parametrize("payload", ["packed", "tokens"])
def test_the_order_beats_chance(name: str, payload: str) -> None:
    """Refined by the true picture's segments in the order of what_next, at equal bytes, against random orders."""
    image = photograph(name)
    # All blocks coarsely, none well: the planes of one segment each, then a cut.
    stream = pgfrs.encode(image, format="pgfr", payload=payload, max_bytes=3000)
    planes = all_planes(stream, image)
    budget = 3000
    asked = what_next(stream, 20 * budget)
    order = [(p.group, p.index, p.plane) for p in asked]
    assert len(set(order)) == len(order) > 20
    best = refined(stream, order, planes, budget)
    assert len(stream) + 0.9 * budget < len(best) <= len(stream) + budget
    found = psnr(pgfrs.decode(best), image)
    rng = np.random.default_rng(7)
    chance = [psnr(pgfrs.decode(refined(stream, chance_order(planes, rng), planes, budget)), image) for _ in range(8)]
    print(
        f"{name} {payload}: {psnr(pgfrs.decode(stream), image):.2f} dB, asked {found:.2f}, chance {np.mean(chance):.2f}"
    )
    assert found > max(chance), (found, chance)
    assert found > np.mean(chance) + 0.5


def test_prompts_are_legal_beginnings() -> None:
    image = photograph("chelsea.png")
    whole = pgfrs.encode(image, format="pgfr", payload="tokens", max_bytes=4000)
    for cut in (len(whole), 2500, 2777, 1100):
        stream = whole[:cut]
        prompts = what_next(stream, 600)
        assert prompts and sum(p.size for p in prompts[:-1]) <= 600
        seen: set[tuple[int, int]] = set()
        for prompt in prompts:
            block = (prompt.group, prompt.index)
            if block not in seen:
                # The first prompt of a block goes on where the stream stands.
                assert legal.start().legal_prefix(prompt.prompt) == len(prompt.prompt)
                state = legal.start(prompt.prompt)
                assert state.segment == (prompt.group, prompt.index, prompt.plane, 1)
            seen.add(block)
            assert prompt.prompt.endswith(prompt.head) and whole.startswith(prompt.prompt[: -len(prompt.head)])
            left, top, right, bottom = prompt.region
            assert 0 <= left < right <= 256 and 0 <= top < bottom <= 256
            assert prompt.gain > 0 and prompt.size > len(prompt.head)
    assert what_next(whole, 0) == []
    with pytest.raises(ValueError, match="budget"):
        what_next(whole, -1)
    with pytest.raises(pgfrs.TruncatedError):
        what_next(whole[:5], 100)


@pytest.mark.parametrize("options", [{"payload": "tokens", "bare": True}, {"payload": "packed"}, {"profile": "tough"}])
def test_the_opening_comes_first(options: dict[str, Any]) -> None:
    """A stream that ends before its base does is told to go on; every prompt is the beginning of a legal stream."""
    image = photograph("chelsea.png")
    whole = pgfrs.encode(image, format="pgfr", max_bytes=4000, quality=4, **options)
    opening = next(segment.start for segment in pgfrs.segments(whole) if segment.kind == "planes")
    for cut in range(12, opening + 60):
        stream = whole[:cut]
        prompts = what_next(stream, 300)
        known, total = pgfrs.decode_with_report(stream)[1].base or (0, 0)
        if prompts[0].kind == "opening":
            [prompt] = prompts
            assert prompt.prompt == stream and prompt.gain == np.inf
            assert abs(prompt.size - (opening - cut)) < 40
        else:
            assert known == total and {prompt.kind for prompt in prompts} == {"planes"}
        assert legal.start().legal_prefix(prompts[0].prompt) == len(prompts[0].prompt)
        assert not legal.start(prompts[0].prompt).lost
    assert what_next(whole[:12], 0) == []


def test_prompts_share_the_stream() -> None:
    stream = pgfrs.encode(photograph("chelsea.png"), format="pgfr", max_bytes=4000)
    prompts = what_next(stream, 10000)
    assert len(prompts) > 50 and len({id(prompt.stream) for prompt in prompts}) == 1
    assert len(repr(prompts[0])) < 300


def test_limits_of_headers() -> None:
    """Twelve bytes may claim any picture."""
    header = bytes.fromhex("ff0101747f7f7f7f3b6f7f1a")
    limits = pgfrs.Limits(max_pixels=1 << 20)
    with pytest.raises(pgfrs.LimitsError):
        next(live.pictures([header], BYTES, limits=limits))
    with pytest.raises(pgfrs.LimitsError):
        what_next(header, 100, limits=limits)
    with pytest.raises(pgfrs.FormatError):
        what_next(pgfrs.encode(photograph("chelsea.png", 64)), 100)


def test_a_model_that_answers_the_prompts() -> None:
    """Drawn from legal bytes alone, an answer changes one block and casts no doubt on the rest."""
    image = photograph("coffee.png", 128)
    stream = pgfrs.encode(image, format="pgfr", payload="tokens", max_bytes=2000)
    rng = np.random.default_rng(2)
    prompt = what_next(stream, 200)[0]
    state = legal.start(prompt.prompt)
    answer = bytearray(prompt.head)
    while not state.may_end:
        byte = int(rng.choice(list(state.allowed())))
        state.advance_byte(byte)
        answer.append(byte)
    pixels, report = pgfrs.decode_with_report(prompt.prompt[: -len(prompt.head)] + bytes(answer))
    assert not report.damaged
    changed = (pixels != pgfrs.decode(stream)).any(axis=2)
    left, top, right, bottom = prompt.region
    assert changed.any()
    outside = changed.copy()
    reach = 4 << prompt.levels[0]
    outside[max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach] = False
    assert not outside.any()


# --- live pictures ----------------------------------------------------------------------------------


def test_pictures_while_ids_arrive() -> None:
    image = photograph("chelsea.png", 128)
    stream = pgfrs.encode(image, format="pgfr", max_bytes=2000)
    numbers = to_ids(stream, ids=EVABYTE)
    shown = list(live.pictures((int(n) for n in numbers), EVABYTE, every=100))
    counts = [count for count, _ in shown]
    assert counts[-1] == len(stream) and counts[0] < 100
    assert (np.diff(counts)[:-1] == 100).all() and 0 < np.diff(counts)[-1] <= 100
    for count, picture in shown[:: len(shown) // 5]:
        assert np.array_equal(picture, pgfrs.decode(from_ids(numbers, 64)[:count]))
    errors = [psnr(picture, image) for _, picture in shown]
    assert errors[-1] > errors[0] + 5
    chunks = list(live.pictures(np.array_split(numbers, 7), EVABYTE, every=1, level=1))
    assert len(chunks) == 7 and chunks[-1][1].shape == (64, 64, 3)
    assert list(live.pictures([], EVABYTE)) == []
    whole = list(live.pictures([stream[:700], bytearray(stream[700:])]))
    assert whole[-1][0] == len(stream) and np.array_equal(whole[-1][1], pgfrs.decode(stream))
    with pytest.raises(ValueError, match="level=-1"):
        next(live.pictures([stream], level=-1))
    with pytest.raises(ValueError, match="every"):
        next(live.pictures([], every=0))
