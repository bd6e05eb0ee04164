"""A record of measurements as tables and as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contest import Contest, Row
from peers import LIBPGF, OURS

Json = dict[str, Any]
COLOURS = {
    OURS: "#d62728",
    LIBPGF: "#1f77b4",
    "OpenJPH": "#2ca02c",
    "OpenJPEG": "#98df8a",
    "libjpeg-turbo": "#ff7f0e",
    "libwebp": "#9467bd",
    "libjxl": "#8c564b",
    "QOI": "#7f7f7f",
    "PNG": "#17becf",
}


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, its columns aligned; all but the first are numbers."""
    widths = [max(len(line[column]) for line in (headings, *rows)) for column in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return f"| {' | '.join(padded)} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (w - 1) + ":" for w in widths[1:])]
    return "\n".join([line(headings), line(rule), *(line(row) for row in rows)])


def _codec(row: Row) -> str:
    return f"{row.codec} ({row.setting})" if row.setting else row.codec


def _decibels(row: Row) -> str:
    return "lossless" if row.psnr is None else f"{row.psnr:.2f}"


def contest_table(contest: Contest, *, small: bool = False) -> str:
    """One setting. Small pictures count by the second, others by megabytes of raw pixels."""
    unit = "images/s" if small else "MB/s"
    headings = ("codec", "bytes", "bits/pixel", "ratio", "PSNR", f"encode {unit}", f"decode {unit}")
    rows = []
    for row in contest.rows:
        encode, decode = (
            (row.encode_pictures_per_second, row.decode_pictures_per_second)
            if small
            else (row.encode_bytes_per_second / 1e6, row.decode_bytes_per_second / 1e6)
        )
        cells = [_codec(row), f"{row.file_bytes}", f"{row.bits_per_pixel:.2f}", f"{row.ratio:.2f}", _decibels(row)]
        cells += [f"{encode:.0f}", f"{decode:.0f}", f"{row.encode_times_libpgf:.2f}", f"{row.decode_times_libpgf:.2f}"]
        rows.append(cells)
    return markdown((*headings, "encode × libPGF", "decode × libPGF"), rows)


def stage_table(stages: Json, quality: Json, direction: str) -> str:
    """What share of the stages' time each takes, and how far it is from copying as many bytes."""
    side = quality[direction]
    total = sum(stage["seconds"] for stage in side["stages"])
    rows = []
    for stage in side["stages"]:
        if not stage["bytes"]:
            continue
        speed = stage["bytes"] / stage["seconds"]
        copies = [f"{copy['bytes_per_second'] / speed:.1f}" for copy in stages["copies"]]
        rows.append([stage["stage"], f"{stage['seconds'] / total:.1%}", f"{speed / 1e9:.2f}", *copies])
    headings = ("stage", "share", "GB/s", *(f"× copy in {copy['memory']}" for copy in stages["copies"]))
    return markdown(headings, rows)


def _stages(record: Json) -> list[str]:
    stages = record["stages"]
    copies = ", ".join(f"{c['bytes_per_second'] / 1e9:.1f} GB/s in {c['memory']}" for c in stages["copies"])
    text = [
        "## Stages",
        "Each stage alone over one picture after the other, what it reads in the cache as far as it fits, in the same "
        f"run as plain copies, which moved {copies} (bytes read and bytes written, for stages and copies alike). The "
        "codec fuses stages, so that their sum is not quite the whole.",
    ]
    for quality in stages["qualities"]:
        for direction in ("encode", "decode"):
            side = quality[direction]
            total = sum(stage["seconds"] for stage in side["stages"])
            whole = side["whole_seconds"]
            text.append(
                f"Quality {quality['quality']}, {direction}: {3 * stages['pixels'] / whole / 1e6:.0f} MB/s, "
                f"{whole * 1e3:.1f} ms for all pictures; the stages one by one {total * 1e3:.1f} ms."
            )
            text.append(stage_table(stages, quality, direction))
    return text


def _costs(record: Json) -> list[str]:
    text = ["## Levels, regions, threads, memory (pgfrs alone)"]
    levels = record["levels"]
    count = max(len(rows) for rows in levels.values())
    rows = [[title, *(f"{r['share']:.3f}" for r in levels[title])] for title in levels]
    rows.append(["share of the pixels", *(f"{4.0**-k:.3f}" for k in range(count))])
    text += ["Decoding to a level, as a share of decoding everything:"]
    text += [markdown(("", *(f"level {k}" for k in range(count))), rows)]
    rows = [
        [f"{title}, {r['sides']} of the sides", f"{r['area']:.3f}", f"{r['read']:.3f}", f"{r['share']:.3f}"]
        for title, regions in record["regions"].items()
        for r in regions
    ]
    text += ["Decoding the middle of tiled pictures, as a share of decoding everything:"]
    text += [markdown(("region", "area", "macroblocks read", "time"), rows)]
    threads = record["threads"]
    if threads["measured"]:
        rows = [
            [job["job"], f"{job['one'] * 1e3:.1f}", f"{job['two'] * 1e3:.1f}", f"{job['scaling']:.2f}"]
            for job in threads["jobs"]
        ]
        text += [
            f"Threads, by the clock, the fastest of all rounds, at quality {threads['quality']} unless lossless. The "
            "first line is what the machine gave at the time: hashing, which shares nothing."
        ]
        text += [markdown(("call", "1 thread, ms", "2 threads, ms", "scaling"), rows)]
    else:
        text += [f"Threads: not measured, {threads['why']}."]
    memory = record["memory"]
    rows = [
        [f"quality {r['quality']}", f"{r['encode']:.2f}", f"{r['file']:.2f}", f"{r['decode']:.2f}"]
        for r in memory["rows"]
    ]
    text += [
        f"Peak memory at {memory['width']} x {memory['height']} RGB, in multiples of the raw picture; encoding "
        "includes the picture and the file, decoding the picture:"
    ]
    return [*text, markdown(("", "encode", "the file", "decode"), rows)]


def origin(record: Json) -> str:
    """When, where and of what."""
    cores = f"{record['cores']} cores" if record["cores"] > 1 else "1 core"
    return f"{record['date']}, commit {record['commit']}, {record['processor']} ({record['vector']}), {cores}"


def contests(record: Json) -> dict[str, Contest]:
    return {key: Contest.from_json(data) for key, data in record["contests"].items()}


def page(record: Json, plot: str) -> str:
    """Everything, as markdown."""
    all_contests = contests(record)
    text = [
        "# Speed",
        f"{origin(record)}. {record['pictures']}. Python {record['python']}, {record['peers']}.",
        "Made by `scripts/bench --record`. One thread each, the codecs taking turns picture by picture in one run; "
        "processor time, median over the rounds for each picture, then over the pictures. *× libPGF*: times as fast, "
        "median over the pictures. MB are 10^6 bytes of raw pixels. pgfrs and libPGF write the same bytes (checked). "
        "The Python call is part of every time but libPGF's, which is measured inside its own program. The load of the "
        f"machine was {record['load']:.2f} at the start.",
        f"![speed against size and error]({plot})",
    ]
    for key, contest in all_contests.items():
        text.append(f"## {contest.title[0].upper()}{contest.title[1:]}")
        text.append(f"{contest.pictures} pictures, {contest.rounds} rounds.")
        text.append(contest_table(contest, small=key == "crops"))
    return "\n\n".join([*text, *_costs(record), *_stages(record)]) + "\n"


def summary(record: Json) -> str:
    """The table for the README."""
    all_contests = contests(record)
    names = list(dict.fromkeys(_name for contest in all_contests.values() for _name in (r.codec for r in contest.rows)))
    headings = ["MB/s (crops: images/s)"]
    headings += ["lossless: ratio", "encode", "decode", "about 1 bit/pixel: PSNR", "encode", "decode"]
    headings += ["256x256 crops: bytes", "encode", "decode"]
    rows = []
    for name in names:
        cells = [name]
        for key, contest in all_contests.items():
            row = next((r for r in contest.rows if r.codec == name), None)
            if row is None:
                cells += ["-"] * 3
            elif key == "crops":
                speeds = (row.encode_pictures_per_second, row.decode_pictures_per_second)
                cells += [f"{row.file_bytes}", *(f"{s:.0f}" for s in speeds)]
            else:
                speeds = (row.encode_bytes_per_second / 1e6, row.decode_bytes_per_second / 1e6)
                cells += [f"{row.ratio:.2f}" if key == "lossless" else _decibels(row), *(f"{s:.0f}" for s in speeds)]
        rows.append(cells)
    return markdown(headings, rows)


README_MARKS = ("<!-- speed: from benches/recorded, do not edit -->\n", "<!-- end of speed -->\n")


def readme_block(record: Json, name: str) -> str:
    """What the README says about speed, out of the record of that name."""
    ours = {key: next(r for r in c.rows if r.codec == OURS) for key, c in contests(record).items()}
    times = "; ".join(
        f"{c.title} {ours[key].encode_times_libpgf:.1f} times libPGF's speed in encoding, "
        f"{ours[key].decode_times_libpgf:.1f} times in decoding"
        for key, c in contests(record).items()
    )
    return (
        f"{record['pictures']}, one thread each, in one run: {times}.\n\n{summary(record)}\n\n"
        f"Measured {origin(record)}. How, and all other figures: "
        f"[benches/recorded/{name}.md](benches/recorded/{name}.md).\n"
    )


def with_readme_block(readme: str, record: Json, name: str) -> str:
    """The README with that block in its place."""
    start, end = README_MARKS
    head, rest = readme.split(start)
    return f"{head}{start}\n{readme_block(record, name)}\n{end}{rest.split(end)[1]}"


def draw(record: Json, path: Path) -> None:
    """Speed against what the files are worth: ratio, PSNR, bytes; full markers encode, hollow ones decode."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    figure, panels = pyplot.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
    all_contests = contests(record)
    for axes, (key, contest) in zip(panels, all_contests.items(), strict=True):
        small = key == "crops"
        for row in contest.rows:
            worth = row.ratio if key == "lossless" else row.file_bytes if small else row.psnr
            speeds = (
                (row.encode_pictures_per_second, row.decode_pictures_per_second)
                if small
                else (row.encode_bytes_per_second / 1e6, row.decode_bytes_per_second / 1e6)
            )
            colour = COLOURS[row.codec]
            axes.plot([worth, worth], speeds, color=colour, linewidth=1, alpha=0.5)
            axes.plot(worth, speeds[0], "o", color=colour, markersize=7)
            axes.plot(worth, speeds[1], "s", color=colour, markerfacecolor="white", markersize=7)
        axes.set_yscale("log")
        axes.grid(True, which="both", alpha=0.2)
        axes.set_title(contest.title)
        axes.set_ylabel("images per second" if small else "MB of raw pixels per second")
        axes.set_xlabel(
            {"lossless": "raw bytes : file bytes", "crops": "bytes a file"}.get(key, "PSNR in dB, all at the same size")
        )
    handles = [Line2D([], [], color=colour, marker="o", label=name) for name, colour in COLOURS.items()]
    handles.append(Line2D([], [], color="black", marker="o", linestyle="", label="encode"))
    handles.append(Line2D([], [], color="black", marker="s", markerfacecolor="white", linestyle="", label="decode"))
    figure.legend(handles=handles, loc="outside right center", frameon=False)
    figure.suptitle(f"{record['pictures']}, one thread; {origin(record)}", fontsize=9)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
