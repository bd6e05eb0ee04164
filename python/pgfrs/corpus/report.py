"""The report that people look at: one HTML page with figures, plots and a contact sheet, complete in itself."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pgfrs
from pgfrs.corpus.files import write_file
from pgfrs.corpus.plan import Plan
from pgfrs.corpus.stats import BINS_PER_OCTAVE
from pgfrs.corpus.verify import spread

_PICTURES_ON_SHEET = 48
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .8em; text-align: right }
td:first-child, th:first-child { text-align: left } tr:nth-child(even) { background: #f4f4f4 }
figure { display: inline-block; margin: .5em; vertical-align: top } img { max-width: 100% }
"""


def write_html(folder: Path, plan: Plan, result: dict[str, Any]) -> None:
    """Write ``report.html`` and ``contact-sheet.png``; what a missing library leaves out is said on the page."""
    parts = [_figures(plan, result), _plots(result), _sheet(folder, plan), _failures(result)]
    title = html.escape(folder.resolve().name)
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    page += f"<h1>{title}</h1>" + "\n".join(parts) + "</html>\n"
    write_file(folder / "report.html", page.encode("utf-8", "replace"))


def _table(head: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"


def _figures(plan: Plan, result: dict[str, Any]) -> str:
    ok, pixels = result["ok"], result["pixels_out"]
    values, exact = result["psnr"]["values"], result["psnr"]["exact"]
    rows = [["rows", f"{result['rows']:,} in {result['shards']:,} shards"], ["pictures", f"{ok:,}"]]
    rows += [[name, f"{result[name]:,}"] for name in ("failed", "skipped", "duplicates") if result[name]]
    if result["ignored"]:
        rows.append(["ignored: no picture's name", f"{result['ignored']:,}"])
    rows += [["bytes read", f"{result['bytes_in']:,}"], ["bytes of pictures written", f"{result['bytes_out']:,}"]]
    if ok:
        rows.append(["bytes per picture", f"{result['bytes_out'] / ok:,.0f}"])
        rows.append(["bits per pixel", f"{8 * result['bytes_out'] / pixels:.3f}"])
    if values:
        rows.append(
            ["PSNR of a sample", f"{sum(values) / len(values):.2f} dB on average, {min(values):.2f} dB at least"]
        )
    if exact:
        rows.append(["exact, of the sample", f"{exact:,} of {exact + len(values):,}"])
    run = result["run"]
    if run["rows"]:
        rate = run["rows"] / run["seconds"]
        rows.append(["last run", f"{run['rows']:,} rows in {run['seconds']:.1f} s: {rate:,.0f} a second"])
    if verify := result.get("verify"):
        wrong = f", {len(verify['wrong'])} wrong" if verify["wrong"] else ", none wrong"
        rows.append(["verified", f"{verify['checked']:,} read back{wrong}"])
    for name in ("formats", "modes"):
        counts = ", ".join(f"{key} {count:,}" for key, count in result[name].items())
        rows.append([f"{name} of {'sources' if name == 'formats' else 'results'}", counts])
    recipe = plan.recipe.arguments()
    settings = ", ".join(f"{key}={value}" for key, value in recipe.items() if value is not None)
    return _table(["", ""], rows) + f"<p>{html.escape(settings)}, sink={plan.settings.sink}</p>"


def _plots(result: dict[str, Any]) -> str:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return "<p>Plots need matplotlib: pip install 'pgfrs[corpus]'</p>"

    def figure(title: str, draw: Callable[[Any], None]) -> str:
        plot = Figure(figsize=(5, 3), layout="constrained")
        axes = plot.add_subplot()
        draw(axes)
        axes.set_title(title)
        out = io.StringIO()
        plot.savefig(out, format="svg")
        svg = out.getvalue()
        return f"<figure>{svg[svg.index('<svg') :]}</figure>"

    def histogram(name: str, label: str) -> Callable[[Any], None]:
        def draw(axes: Any) -> None:
            bins = {int(key): count for key, count in result["histograms"][name].items()}
            edges = [2 ** (key / BINS_PER_OCTAVE) for key in bins]
            widths = [2 ** ((key + 1) / BINS_PER_OCTAVE) - edge for key, edge in zip(bins, edges, strict=True)]
            axes.bar(edges, list(bins.values()), widths, align="edge", edgecolor="white")
            axes.set_xscale("log", base=2)
            axes.set_xlabel(label)
            axes.set_ylabel("pictures")

        return draw

    def psnr(axes: Any) -> None:
        axes.hist(result["psnr"]["values"], bins=30, edgecolor="white")
        axes.set_xlabel("dB")
        axes.set_ylabel("pictures of the sample")

    def rate(axes: Any) -> None:
        shards = [(ok + failed) / seconds for _, ok, failed, seconds in result["by_shard"] if seconds]
        axes.plot(range(len(shards)), shards, marker="." if len(shards) < 100 else None)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("shard")
        axes.set_ylabel("images per second and thread")

    def failures(axes: Any) -> None:
        axes.barh(list(result["failures"]), list(result["failures"].values()))
        axes.set_xlabel("rows")

    parts = []
    if result["ok"]:
        parts.append(figure("Bytes per picture", histogram("nbytes", "bytes")))
        parts.append(figure("Bits per pixel", histogram("bits_per_pixel", "bits per pixel")))
        parts.append(figure("Pixels per picture", histogram("pixels", "pixels")))
    if result["psnr"]["values"]:
        parts.append(figure("PSNR", psnr))
    parts.append(figure("Speed", rate))
    if result["failures"]:
        parts.append(figure("Rows without a picture", failures))
    return "\n".join(parts)


def _sheet(folder: Path, plan: Plan) -> str:
    try:
        from pgfrs.raster import Raster, preview
        from pgfrs.render import Tile, contact_sheet, to_png
    except ModuleNotFoundError as error:
        return f"<p>The contact sheet needs {error.name}: pip install 'pgfrs[corpus]'</p>"
    tiles = []
    for _, record, _ in spread(plan, folder, _PICTURES_ON_SHEET):
        data = record.data or b""
        pixels = pgfrs.decode(data)
        size = f"{record.facts['width']}x{record.facts['height']}"
        lines = (record.key[-28:], f"{size}, {len(data):,} bytes")
        tiles.append(Tile(preview(Raster(pixels, record.facts["mode"])), lines))
    if not tiles:
        return ""
    sheet = to_png(contact_sheet(tiles, title=folder.resolve().name, width=160))
    write_file(folder / "contact-sheet.png", sheet)
    source = base64.b64encode(sheet).decode()
    return f'<h2>Pictures, decoded from the shards</h2><img alt="contact sheet" src="data:image/png;base64,{source}">'


def _failures(result: dict[str, Any]) -> str:
    if not result["failures"]:
        return ""
    rows = [[kind, f"{count:,}"] for kind, count in result["failures"].items()]
    parts = ["<h2>Rows without a picture</h2>", _table(["why", "rows"], rows)]
    if result["missing"]:
        named = [[row["key"], row["kind"], row["message"], row.get("source", "")] for row in result["missing"]]
        parts.append(_table(["failed row", "kind", "why", "source"], named))
    parts.append("<p>Each shard's .stats.json names its rows without a picture and says why.</p>")
    return "".join(parts)
