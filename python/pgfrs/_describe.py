"""Headers and reports in words, for the command line."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pgfrs
from pgfrs.metadata import unpack_metadata

_MAX_SPANS = 20


def facts(name: str, data: bytes, *, check: bool) -> dict[str, Any]:
    """Return what the header of ``data`` says and how much of the picture is there, ready for JSON.

    ``check`` decodes everything and adds a ``report``; without it only lengths are compared. Works on any prefix
    that holds the header.
    """
    info = pgfrs.read_info(data)
    metadata = unpack_metadata(info.user_data)
    found: dict[str, Any] = {
        "file": name,
        "file_bytes": len(data),
        "format": info.format,
        "version": info.version,
        "version_flags": info.version_flags,
        "width": info.width,
        "height": info.height,
        "mode": info.mode,
        "channels": info.channels,
        "bits_per_pixel": info.bits_per_pixel,
        "used_bits_per_channel": info.used_bits_per_channel,
        "dtype": str(info.dtype),
        "quality": info.quality,
        "roi": info.roi,
        "chroma_subsampled": info.chroma_subsampled,
        "palette": info.palette is not None,
        "user_data_bytes": len(info.user_data),
        "metadata_bytes": {
            kind: len(value)
            for kind in ("exif", "iptc", "xmp", "icc_profile")
            if (value := getattr(metadata, kind)) is not None
        },
        "data_offset": info.data_offset,
        "levels": _levels(info, len(data)),
    }
    if info.format == "pgfr":
        found |= {"payload": info.payload, "bare": info.bare, "segments": _segments(data)}
    if check:
        found["report"] = _report_facts(pgfrs.decode_with_report(data)[1])
    return found


def _segments(data: bytes) -> list[dict[str, Any]]:
    """How many segments of each kind a stream has, and their bytes."""
    counts: dict[str, list[int]] = {}
    for segment in pgfrs.segments(data):
        entry = counts.setdefault(segment.kind, [0, 0])
        entry[0] += 1
        entry[1] += segment.end - segment.start
    return [{"kind": kind, "count": count, "bytes": size} for kind, (count, size) in counts.items()]


def _levels(info: pgfrs.ImageInfo, available: int) -> list[dict[str, Any]]:
    """One entry for each size that the picture can be decoded at, smallest first."""
    ends = accumulate(info.level_lengths, initial=info.data_offset)
    next(ends)
    rows = []
    for index, (length, end) in enumerate(zip(info.level_lengths, ends, strict=True)):
        level = info.levels - 1 - index
        width, height = info.level_size(level)
        rows.append(
            {"level": level, "width": width, "height": height, "bytes": length, "end": end, "here": end <= available}
        )
    return rows


def _report_facts(report: pgfrs.DecodeReport) -> dict[str, Any]:
    fields: tuple[str, ...] = ("complete", "truncated", "damaged", "bytes_total", "bytes_used", "macroblocks")
    fields += ("intact", "partial", "missing", "repaired", "concealed", "unfinished", "finest_complete_level")
    base = {} if report.base is None else {"base_known": report.base[0], "base_total": report.base[1]}
    return (
        base
        | {field: getattr(report, field) for field in fields}
        | {
            "unit": _unit(report),
            "damage": [
                {"start": s.start, "end": s.end, "kind": str(s.kind), "repaired": s.repaired, "message": s.message}
                for s in report.damage
            ],
        }
    )


def table(facts: dict[str, Any]) -> str:
    """Return :func:`facts` as lines for a person."""
    # A stream of quality 0 is lossless only where it is all there.
    stream = "segments" in facts
    lossless = "" if facts["quality"] else " (lossless if whole)" if stream else " (lossless)"
    subsampled = ", chroma at half size" if facts["chroma_subsampled"] else ""
    tiles = ", coded in tiles (ROI)" if facts["roi"] else ""
    rows = [
        ("format", f"{facts['format']} version {facts['version']}, flags 0x{facts['version_flags']:02x}{tiles}"),
        ("size", f"{facts['width']} x {facts['height']} pixels"),
        (
            "mode",
            f"{facts['mode']}: {_count(facts['channels'], 'channel')} of {facts['used_bits_per_channel']} bits, "
            f"{facts['bits_per_pixel']} bits per pixel, decoded as {facts['dtype']}",
        ),
        ("quality", f"{facts['quality']}{lossless}{subsampled}"),
        ("user data", _user_data(facts)),
        ("file", f"{facts['file_bytes']:,} bytes, picture data from byte {facts['data_offset']:,}"),
    ]
    if "segments" in facts:
        rows[-1] = ("file", f"{facts['file_bytes']:,} bytes, payload {facts['payload']}")
        parts = [f"{each['count']} {each['kind']} ({each['bytes']:,} bytes)" for each in facts["segments"]]
        rows.append(("segments", ", ".join(parts)))
    lines = [facts["file"], *(f"  {name:<10} {value}" for name, value in rows), *_level_table(facts["levels"])]
    if "report" in facts:
        lines += ["  check", *(f"  {line}" for line in _report_lines(facts["report"]))]
    return "\n".join(lines)


def _user_data(facts: dict[str, Any]) -> str:
    if not facts["user_data_bytes"]:
        return "none"
    names = {"exif": "EXIF", "iptc": "IPTC", "xmp": "XMP", "icc_profile": "ICC profile"}
    parts = [f"{names[kind]} {size:,}" for kind, size in facts["metadata_bytes"].items()]
    return f"{facts['user_data_bytes']:,} bytes" + (f" ({', '.join(parts)})" if parts else "")


def _level_table(levels: list[dict[str, Any]]) -> list[str]:
    if not levels:
        return []
    lines = [f"  {'level':>5} {'pixels':>15} {'bytes':>14} {'up to byte':>14}"]
    for row in levels:
        size = f"{row['width']} x {row['height']}"
        cut = "" if row["here"] else "  not all here"
        lines.append(f"  {row['level']:>5} {size:>15} {row['bytes']:>14,} {row['end']:>14,}{cut}")
    return lines


def report(report: pgfrs.DecodeReport) -> str:
    """Return a decode report as indented lines: what is whole, mended, lost, and where."""
    return "\n".join(_report_lines(_report_facts(report)))


def _report_lines(facts: dict[str, Any]) -> list[str]:
    if facts["complete"] and not facts["damaged"]:
        return [f"  nothing wrong: all {_count(facts['macroblocks'], facts['unit'])} whole", *_unfinished(facts)]
    lines = [
        f"  {_count(facts['macroblocks'], facts['unit'])}: {facts['intact']} whole, {facts['partial']} in part, "
        f"{facts['missing']} lost; {_count(facts['repaired'], 'repair')} made"
        + (f"; {_count(facts['concealed'], 'base value')} concealed" if facts["concealed"] else ""),
        f"  {facts['bytes_used']:,} of {facts['bytes_total']:,} bytes used",
    ]
    spans = facts["damage"]
    for span in spans[:_MAX_SPANS]:
        mended = "mended" if span["repaired"] else "lost"
        lines.append(f"  bytes {span['start']:,}-{span['end']:,}: {span['kind']}, {mended}: {span['message']}")
    if len(spans) > _MAX_SPANS:
        lines.append(f"  and {len(spans) - _MAX_SPANS} more places")
    return lines + _unfinished(facts)


def _unfinished(facts: dict[str, Any]) -> list[str]:
    """What a stream could still be given: it may have been cut, or made so."""
    lacks = facts.get("base_total", 0) - facts.get("base_known", 0)
    parts = [f"{_count(facts['unfinished'], 'block')} without the lowest planes"] if facts["unfinished"] else []
    parts += [f"{_count(lacks, 'base value')} not there"] if lacks else []
    return [f"  not all detail: {', '.join(parts)} (cut, or made for fewer bytes)"] if parts else []


def loss(report: pgfrs.DecodeReport) -> str:
    """Return in one line why a picture is not complete."""
    what = " and ".join(word for word, is_so in (("damaged", report.damaged), ("cut off", report.truncated)) if is_so)
    return (
        f"{what or 'incomplete'}: {report.intact} of {_count(report.macroblocks, _unit(report))} whole, "
        f"{report.partial} in part, {report.missing} lost"
    )


def _unit(report: pgfrs.DecodeReport) -> str:
    return "segment" if report.format == "pgfr" else "macroblock"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
