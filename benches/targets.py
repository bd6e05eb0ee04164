"""What the measurements of resilience.py say of the numbers that the format is to reach."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pgfrs.damage import DamageKind

PAYLOADS = ("packed", "tokens")
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
SINGLE: tuple[DamageKind, ...] = ("substitute", "insert", "delete")
MANY = (4, 5, 10, 16, 25)


@dataclass(frozen=True)
class Verdict:
    requirement: str
    what: str
    value: float
    target: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.value <= self.target if self.at_most else self.value >= self.target


def verdicts(found: dict[str, Any]) -> list[Verdict]:
    """What the parts that were measured say of the targets."""
    judges: dict[str, Callable[[Any], list[Verdict]]] = {
        "prefix at 256x256": judge_prefixes,
        "every prefix": judge_every_prefix,
        "damage at 256x256": judge_damages,
        "damage in the first 200 bytes": judge_first_bytes,
        "overhead": judge_overhead,
        "against JPEG": judge_against_jpeg,
        "speed": judge_speed,
        "noticed": judge_noticed,
    }
    judged = [v for part, judge in judges.items() if part in found for v in judge(found[part])]
    return sorted(judged, key=lambda v: int(v.requirement[1:]))


def judge_prefixes(curve: dict[str, list[float]]) -> list[Verdict]:
    out = []
    at = {part: i for i, part in enumerate(FRACTIONS)}
    for payload in PAYLOADS:
        ours = curve[f"pgfr {payload}"]
        for part in (0.1, 0.25, 0.5, 0.75):
            if "JPEG 2000" in curve:
                lead = ours[at[part]] - curve["JPEG 2000"][at[part]]
                out.append(Verdict("R2", f"{payload}: dB above JPEG 2000 at {part:.0%} of the bytes", lead, 0))
        for part in (0.1, 0.25):
            lead = ours[at[part]] - curve["JPEG progressive"][at[part]]
            out.append(Verdict("R2", f"{payload}: dB above progressive JPEG at {part:.0%} of the bytes", lead, 5))
    return out


def judge_every_prefix(every: dict[str, dict[str, float]]) -> list[Verdict]:
    out = []
    for payload, found in every.items():
        gain = found["mean dB over log-bytes, best order above level order"]
        greed = found["mean dB over log-bytes, greedy order above best order"]
        falls = found["cuts that lose over 0.1 dB"]
        out += [
            Verdict("R3", f"{payload}: dB over log-bytes above level order", gain, 2),
            Verdict("R3", f"{payload}: dB over log-bytes below greedy order", greed, 0.2, True),
            Verdict("R4", f"{payload}: share of cuts that lose over 0.1 dB", falls, 0.001, True),
        ]
    return out


def judge_damages(table: dict[str, dict[str, dict[str, float]]]) -> list[Verdict]:
    out = []
    for payload in PAYLOADS:
        small = table[f"pgfr {payload}"]
        for requirement, kind in (("R5", "substitute x1"), ("R6", "insert x1"), ("R6", "delete x1")):
            row, what = small[kind], f"{payload}, {kind}"
            out.append(Verdict(requirement, f"{what}: damage PSNR, median", row["damage PSNR median"], 40))
            out.append(Verdict(requirement, f"{what}: damage PSNR, 10 %", row["damage PSNR 10 %"], 31))
            out.append(Verdict(requirement, f"{what}: bad pixels", row["bad pixels"], 0.03, True))
        one = statistics.fmean(small[f"{kind} x1"]["mean fall dB"] for kind in SINGLE)
        out.append(Verdict("R9", f"{payload}: fall of 1 edit, dB", one, 1, True))
        for edits, most in ((5, 2.5), (10, 4.0), (25, 6.5)):
            fall = small[f"mixed x{edits}"]["mean fall dB"]
            out.append(Verdict("R9", f"{payload}: fall of {edits} edits, dB", fall, most, True))
        out.append(Verdict("R10", f"{payload}: fall of a lost tenth, dB", small["burst x1"]["mean fall dB"], 3, True))
    return out


def judge_first_bytes(table: dict[str, dict[str, dict[str, float]]]) -> list[Verdict]:
    out = []
    for name, ten in (("pgfr packed", 24.0), ("pgfr tokens", 24.0), ("pgfr tough", 30.0)):
        front = table[name]
        tens = min(row["damage PSNR 10 %"] for row in front.values())
        worst = min(row["damage PSNR worst"] for row in front.values())
        out.append(Verdict("R8", f"first 200 bytes, {name}: damage PSNR, 10 %", tens, ten))
        out.append(Verdict("R8", f"first 200 bytes, {name}: damage PSNR, worst", worst, 17))
    return out


def judge_overhead(cost: dict[str, Any]) -> list[Verdict]:
    out = []
    for name, most in (("5 kB", 1.09), ("12 kB", 1.04), ("100 kB", 1.02)):
        if name in cost["against .pgf of the same coefficients"]:
            ratio = cost["against .pgf of the same coefficients"][name]
            out.append(Verdict("R11", f"bytes against .pgf at {name}", ratio, most, True))
    out.append(Verdict("R11", "framing of 4096 bytes", cost["framing of 4096 bytes"], 0.05, True))
    out.append(Verdict("R22", "tokens against packed", cost["tokens against packed, same coefficients"], 1.5, True))
    return out


def judge_against_jpeg(level: dict[str, float]) -> list[Verdict]:
    packed, tokens = (level[f"fewer bytes than restart-marked JPEG, {p}"] for p in ("packed", "tokens"))
    return [
        Verdict("R12", "dB over JPEG q25, mean", level["gain over JPEG q25, mean dB"], 1.8),
        Verdict("R12", "dB over optimised JPEG, least", level["gain over optimised JPEG q25, least dB"], 0),
        Verdict("R12", "SSIM over JPEG q25", level["SSIM over JPEG q25, mean"], 0),
        Verdict("R12", "fewer bytes than restart-marked JPEG", packed, 0.3),
        Verdict("R22", "tokens: fewer bytes than restart-marked JPEG", tokens, 0.1),
    ]


def judge_speed(found: dict[str, float]) -> list[Verdict]:
    return [Verdict("R13", f"{way}s a second and core", found[way], 2000) for way in ("encode", "decode")]


def judge_noticed(found: dict[str, dict[str, float]]) -> list[Verdict]:
    kinds = (
        ("substitute", "substitutions in payloads", 0.6),
        ("insert", "insertions", 0.8),
        ("delete", "deletions", 0.8),
    )
    return [
        Verdict("R17", f"{payload}: {name} noticed", shares[kind], target)
        for payload, shares in found.items()
        for kind, name, target in kinds
    ]


def targets_table(judged: Sequence[Verdict]) -> list[str]:
    lines = ["| | what | measured | target | |", "| --- | --- | --- | --- | --- |"]
    for v in judged:
        bound = f"{'≤' if v.at_most else '≥'} {v.target:g}"
        lines.append(f"| {v.requirement} | {v.what} | {v.value:.4g} | {bound} | {'met' if v.met else 'falls short'} |")
    return lines
