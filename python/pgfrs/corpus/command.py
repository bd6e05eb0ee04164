"""The command ``pgfrs convert``."""

from __future__ import annotations

import sys
from typing import Any

import click

from pgfrs._errors import PgfError
from pgfrs._options import size
from pgfrs.corpus.sinks import SINKS
from pgfrs.corpus.sources import KINDS

_INTERRUPTED = 130
#: Rows that failed are named up to so many.
_NAMED = 5


def _range(low: int, high: int | None = None) -> click.IntRange:
    return click.IntRange(min=low, max=high)


@click.command(
    short_help="A corpus of pictures to shards of .pgf or .pgfr.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("source")
@click.argument("dest")
@click.option(
    "--for-models",
    is_flag=True,
    help="Other defaults, for byte-level language models: --format pgfr --payload tokens --bare --quality 4 "
    "--max-bytes 4096 --size 256 --resize crop --channels rgb --alpha white.",
)
@click.option("--format", type=click.Choice(["pgf", "pgfr"]), default="pgf", show_default=True)
@click.option(
    "--quality",
    type=_range(0, 30),
    default=0,
    show_default=True,
    help="0 is lossless, 30 the smallest; with --max-bytes the finest that may be used.",
)
@click.option("--max-bytes", metavar="SIZE", callback=size, help="The best picture that fits: 4096, 20k, 1.5M.")
@click.option("--payload", type=click.Choice(["packed", "tokens"]), default="packed", show_default=True)
@click.option("--bare/--not-bare", default=False, help="Of .pgfr: no small checks, a larger base, for models.")
@click.option("--levels", type=_range(1, 30), metavar="N", help="Wavelet levels. Default: by size.")
@click.option("--roi", is_flag=True, help="Of .pgf: code in tiles, so that regions decode without the rest.")
@click.option("--size", type=_range(1, 65535), metavar="PIXELS", help="Resize to this. Default: keep the size.")
@click.option(
    "--resize",
    type=click.Choice(["shortest", "longest", "crop", "none"]),
    default="shortest",
    show_default=True,
    help="What --size means: a side, or the centre square.",
)
@click.option("--enlarge", is_flag=True, help="Also enlarge pictures that are smaller.")
@click.option(
    "--filter", type=click.Choice(["box", "bilinear", "bicubic", "lanczos"]), default="bicubic", show_default=True
)
@click.option("--min-side", type=_range(1), metavar="PIXELS", help="Skip pictures with a shorter side.")
@click.option("--max-side", type=_range(1), metavar="PIXELS", help="Skip pictures with a longer side.")
@click.option("--max-aspect", type=click.FloatRange(min=1), metavar="RATIO", help="Skip pictures that are narrower.")
@click.option("--max-pixels", type=_range(1), default=1 << 28, metavar="N", help="Refuse files that claim more.")
@click.option("--channels", type=click.Choice(["source", "rgb", "gray"]), default="source", show_default=True)
@click.option("--alpha", type=click.Choice(["keep", "white", "black"]), default="keep", show_default=True)
@click.option("--depth", type=click.Choice(["8", "16"]), default="8", show_default=True, help="Most bits a sample.")
@click.option("--icc", type=click.Choice(["srgb", "ignore"]), default="srgb", show_default=True)
@click.option("--sink", type=click.Choice(SINKS), default="tar", show_default=True, help="How shards are written.")
@click.option("--shard-size", type=_range(1), default=1000, show_default=True, metavar="ROWS")
@click.option("--source-kind", type=click.Choice(KINDS), help="Default: by the name of SOURCE and what is there.")
@click.option("--image-column", metavar="NAME", help="Column with the picture: bytes, path or address.")
@click.option("--key-column", metavar="NAME", help="Column that names the rows.")
@click.option("--all-files", is_flag=True, help="In folders, take files of every name.")
@click.option("--dedupe", is_flag=True, help="Of files with the same bytes keep the first.")
@click.option("--id-offset", type=_range(0), default=0, metavar="N", help="megatron, memmap: added to every byte.")
@click.option("--begin-id", type=_range(0), metavar="ID", help="megatron, memmap: id before every picture.")
@click.option("--end-id", type=_range(0), metavar="ID", help="megatron, memmap: id after every picture.")
@click.option("-j", "--jobs", type=_range(1), metavar="N", help="Coding threads. Default: one per CPU.")
@click.option("--retry-failed", is_flag=True, help="Try rows again that failed in finished shards.")
@click.option("--verify", type=_range(0), default=0, metavar="N", help="Read N pictures back and compare them.")
@click.option("--no-html", is_flag=True, help="Write report.json only.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
def convert(
    source: str,
    dest: str,
    for_models: bool,
    sink: str,
    shard_size: int,
    source_kind: str | None,
    image_column: str | None,
    key_column: str | None,
    all_files: bool,
    dedupe: bool,
    id_offset: int,
    begin_id: int | None,
    end_id: int | None,
    jobs: int | None,
    retry_failed: bool,
    verify: int,
    no_html: bool,
    quiet: bool,
    depth: str,
    **recipe: Any,
) -> None:
    """Convert the pictures of SOURCE into training-ready shards in DEST.

    SOURCE is a folder, a list of files (.txt), tar shards, parquet, JSONL or CSV files; {000..123} and * name many.
    A run that was stopped goes on when the same command is given again. Exit codes: 0 all rows converted or skipped
    as told, 1 some rows failed, 2 usage.
    """
    from pgfrs.corpus import FOR_MODELS, Recipe
    from pgfrs.corpus.api import convert as run
    from pgfrs.corpus.progress import Silent, for_stream

    context, unsaid = click.get_current_context(), click.core.ParameterSource.DEFAULT
    if for_models:
        recipe |= {name: value for name, value in FOR_MODELS.items() if context.get_parameter_source(name) is unsaid}
    for name in ("resize", "filter", "enlarge"):
        if recipe["size"] is None and context.get_parameter_source(name) is not unsaid:
            raise click.UsageError(f"--{name} goes with --size")
    try:
        report = run(
            source,
            dest,
            recipe=Recipe(depth=int(depth), **recipe),
            sink=sink,
            shard_size=shard_size,
            source_kind=source_kind,
            image_column=image_column,
            key_column=key_column,
            all_files=all_files,
            dedupe=dedupe,
            id_offset=id_offset,
            begin_id=begin_id,
            end_id=end_id,
            num_threads=jobs,
            retry_failed=retry_failed,
            verify=verify,
            report=not no_html,
            progress=Silent() if quiet else for_stream(sys.stderr),
        )
    except KeyboardInterrupt:
        print("pgfrs: stopped; finished shards are whole, run the same command again to go on", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except (ValueError, ModuleNotFoundError, PgfError) as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"pgfrs: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    if not quiet:
        print(_summary(dest, report))
    for row in report["missing"][:_NAMED]:
        source = f" ({row['source']})" if row.get("source") else ""
        print(f"pgfrs: {row['key']}{source}: {row['message']}", file=sys.stderr)
    if report["failed"] > _NAMED:
        print(f"pgfrs: {report['failed'] - _NAMED} more failed; {dest}/report.json names the first", file=sys.stderr)
    wrong = report.get("verify", {}).get("wrong", [])
    for row in wrong:
        print(f"pgfrs: verify: row {row['row']} ({row['key']}): {row['message']}", file=sys.stderr)
    sys.exit(1 if report["failed"] or wrong else 0)


def _summary(dest: str, report: dict[str, Any]) -> str:
    parts = [f"{report['ok']:,} pictures in {report['shards']:,} shards"]
    parts += [f"{report[name]:,} {name}" for name in ("failed", "skipped", "duplicates") if report[name]]
    if report["failures"]:
        parts[-1] += " (" + ", ".join(f"{kind} {count:,}" for kind, count in report["failures"].items()) + ")"
    seconds, rows = report["run"]["seconds"], report["run"]["rows"]
    rate = f", {rows / seconds:,.0f} rows/s" if rows else ""
    lines = [f"{', '.join(parts)}; {report['bytes_out']:,} bytes; {seconds:.1f} s{rate}"]
    if verify := report.get("verify"):
        values = f", PSNR {verify['psnr_mean']} dB on average, {verify['psnr_least']} dB at least"
        values = values if verify["psnr_mean"] is not None else ""
        lines.append(f"verified {verify['checked']}: {verify['exact']} exact, {len(verify['wrong'])} wrong{values}")
    lines.append(f"{dest}/report.json")
    return "\n".join(lines)
