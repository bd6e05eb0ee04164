"""Seeded damage does what its record says, everywhere, and nothing else."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_right
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

import pgfrs
from pgfrs.damage import KINDS, DamageKind, Edit, apply_edits, damage, damage_with_record

DATA = random.Random(1).randbytes(4000)
RUNS: tuple[DamageKind, ...] = ("substitute", "insert", "delete", "mixed")


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_damage(kind: DamageKind) -> None:
    first = damage(DATA, seed=7, kind=kind)
    assert first == damage(bytearray(DATA), seed=7, kind=kind) == damage(memoryview(DATA), seed=7, kind=kind)
    assert first != DATA
    assert len({damage(DATA, seed=seed, kind=kind) for seed in range(20)}) >= 18


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", RUNS)
def test_record_rebuilds_the_damage(kind: DamageKind, seed: int) -> None:
    rng = random.Random(seed)
    edits, length, protect = rng.randint(1, 9), rng.randint(1, 20), rng.choice([0, 24, 300])
    damaged, record = damage_with_record(DATA, seed=seed, kind=kind, edits=edits, length=length, protect=protect)
    assert len(record) == edits
    assert apply_edits(DATA, record) == damaged
    assert damaged[:protect] == DATA[:protect]
    assert all(edit.offset >= protect for edit in record)
    for before, after in itertools.pairwise(record):
        assert before.offset + len(before.removed) <= after.offset
    grown = {"substitute": 0, "insert": length, "delete": -length}
    assert len(damaged) - len(DATA) == sum(grown[edit.kind] for edit in record)


def test_substitution_changes_every_byte_of_its_run() -> None:
    for seed in range(50):
        damaged, (edit,) = damage_with_record(DATA, seed=seed, length=16)
        changed = [i for i, (a, b) in enumerate(zip(DATA, damaged, strict=True)) if a != b]
        assert changed == list(range(edit.offset, edit.offset + 16))


def test_mixed_draws_every_kind() -> None:
    kinds = Counter(edit.kind for edit in damage_with_record(DATA, seed=3, kind="mixed", edits=300)[1])
    assert set(kinds) == {"substitute", "insert", "delete"}
    assert min(kinds.values()) > 60


def test_places_are_spread_over_all_bytes() -> None:
    offsets = [damage_with_record(DATA, seed=seed)[1][0].offset for seed in range(2000)]
    tenths = Counter(offset * 10 // len(DATA) for offset in offsets)
    assert set(tenths) == set(range(10))
    assert 120 < min(tenths.values()) and max(tenths.values()) < 280


def test_runs_may_fill_all_there_is() -> None:
    assert damage(b"abcdef", seed=0, kind="delete", edits=3, length=2) == b""
    assert damage(b"", seed=0, kind="insert", length=4) != b""


def test_cut_keeps_a_prefix() -> None:
    sizes = set()
    for seed in range(200):
        damaged, (edit,) = damage_with_record(DATA, seed=seed, kind="cut", protect=100)
        assert damaged == DATA[: edit.offset]
        assert 100 <= len(damaged) < len(DATA)
        sizes.add(len(damaged))
    assert len(sizes) > 150


MIXED_SEED_1 = [
    "substitute 2 at 25: 19 1a -> 01 12",
    "delete 2 at 30: 1e 1f",
    "delete 2 at 41: 29 2a",
    "substitute 2 at 50: 32 33 -> e4 5c",
]


def test_damage_is_the_same_on_every_machine() -> None:
    data = bytes(range(64))
    assert [str(edit) for edit in damage_with_record(data, seed=1, kind="mixed", edits=4, length=2)[1]] == MIXED_SEED_1


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"kind": "swap"}, "'swap'"),
        ({"edits": 0}, "edits is 0"),
        ({"length": 0}, "length is 0"),
        ({"protect": -1}, "protect is -1"),
        ({"protect": 11}, "protect is 11"),
        ({"edits": 4, "length": 3}, "need 12 bytes"),
        ({"kind": "cut", "edits": 2}, "edits is 2"),
        ({"kind": "cut", "protect": 10}, "nothing to cut"),
    ],
)
def test_misuse_is_a_value_error(settings: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        damage(b"0123456789", seed=0, **settings)  # type: ignore[arg-type]


def test_edits_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        apply_edits(b"abc", [Edit("delete", 1, b"x", b"")])
    with pytest.raises(ValueError, match="does not fit"):
        apply_edits(b"abc", [Edit("delete", 1, b"b", b""), Edit("delete", 0, b"a", b"")])


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (Edit("substitute", 5, b"\x00\x01", b"\xff\xfe"), "substitute 2 at 5: 00 01 -> ff fe"),
        (Edit("insert", 5, b"", bytes(17)), "insert 17 at 5: " + "00 " * 16 + "..."),
        (Edit("delete", 9, b"ab", b""), "delete 2 at 9: 61 62"),
        (Edit("cut", 9, b"abc", b""), "cut at 9: 3 bytes lost"),
    ],
)
def test_an_edit_says_what_it_did(edit: Edit, text: str) -> None:
    assert str(edit) == text


class TestDecoding:
    """What the decoder makes of damage (the report for people is benches/damage_report.py)."""

    def test_a_damaged_length_costs_no_more_than_its_macroblock(self, chelsea: NDArray[np.uint8]) -> None:
        data = pgfrs.encode(chelsea)
        offsets = macroblocks(data)
        for index in range(0, len(offsets), 3):
            for bit in range(16):
                damaged = bytearray(data)
                damaged[offsets[index] + bit // 8] ^= 1 << bit % 8
                report = pgfrs.decode_with_report(damaged)[1]
                assert report.macroblocks == len(offsets)
                assert report.intact >= len(offsets) - 1, f"macroblock {index}, bit {bit}"
                assert report.damage, f"macroblock {index}, bit {bit} goes unreported"

    @pytest.mark.parametrize("length", [1, 4, 16])
    @pytest.mark.parametrize("kind", RUNS)
    def test_one_run_of_bytes_costs_the_macroblocks_it_hits(
        self, kind: DamageKind, length: int, chelsea: NDArray[np.uint8]
    ) -> None:
        data = pgfrs.encode(chelsea)
        offsets = macroblocks(data)
        for seed in range(25):
            damaged, (edit,) = damage_with_record(data, seed=seed, kind=kind, length=length, protect=offsets[0])
            pixels, report = pgfrs.decode_with_report(damaged)
            assert pixels.shape == chelsea.shape
            last = edit.offset + len(edit.removed) - 1
            hit = bisect_right(offsets, max(edit.offset, last)) - bisect_right(offsets, edit.offset) + 1
            if edit.kind == "insert":
                hit = 1 if edit.offset not in offsets else 2
            assert report.intact >= len(offsets) - hit, f"seed {seed}: {edit}"

    @pytest.mark.parametrize("kind", KINDS)
    def test_any_damage_gives_a_picture_or_a_clear_error(self, kind: DamageKind, camera: NDArray[np.uint8]) -> None:
        data = pgfrs.encode(camera[::4, ::4], quality=3)
        refused = 0
        for seed in range(150):
            length = 1 if kind == "cut" else 1 + seed % 9
            damaged = damage(data, seed=seed, kind=kind, length=length)
            try:
                pixels, report = pgfrs.decode_with_report(damaged)
            except pgfrs.PgfError as error:
                assert str(error)
                refused += 1
            else:
                assert pixels.shape == (report.height, report.width)
        assert refused < 10, "damage to the header is rare"


def macroblocks(data: bytes) -> list[int]:
    """Where the macroblocks of an undamaged file without ROI begin."""
    offsets, at = [], pgfrs.read_info(data).data_offset
    while at < len(data):
        offsets.append(at)
        at += 2 + 4 * int.from_bytes(data[at : at + 2], "little")
    return offsets
