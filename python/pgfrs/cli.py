"""The command line: ``pgfrs encode | decode | info | transcode | repair | render-steps | damage | convert``.

Exit codes: 0 all fine, 1 some inputs failed (the others are done), 2 the command makes no sense.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from PIL import Image

import pgfrs
from pgfrs import _describe
from pgfrs._options import region, size
from pgfrs._outputs import STDIO, Console, Job, directory, plan, refuse_existing, write_whole
from pgfrs.corpus.command import convert as convert_corpus
from pgfrs.damage import KINDS, DamageKind, damage_with_record
from pgfrs.metadata import METADATA_SHARE, pack_metadata, unpack_metadata
from pgfrs.raster import (
    FORMATS,
    OutputFormat,
    Raster,
    RasterError,
    convert,
    format_for_name,
    read_raster,
    relabel,
    upright,
    write_raster,
)

_Command = TypeVar("_Command", bound=Callable[..., Any])
_MODES: tuple[str, ...] = ("bitmap", "gray", "indexed", "rgb", "rgba", "cmyk", "hsl", "hsb", "lab", "gray16", "rgb48")
_MODES += ("lab48", "cmyk64", "gray31", "rgb12", "rgb16", "multichannel", "duotone", "deepmultichannel", "duotone16")
_MAX_PIXELS = 2**28
#: Pictures of one file as it arrives.
_MOST_STEPS = 1000


def _inputs(command: _Command) -> _Command:
    return click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")(command)


def _outputs(command: _Command) -> _Command:
    """The options of every command that turns inputs into files."""
    options = (
        click.option(
            "-o",
            "--output",
            metavar="PATH",
            help="File, directory (ends with /) or - for standard output. Default: beside the input.",
        ),
        click.option("-f", "--force", is_flag=True, help="Replace files that exist."),
        click.option("-q", "--quiet", is_flag=True, help="Print problems only."),
        click.option(
            "-j",
            "--jobs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Inputs worked on at a time. Default: one per CPU.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _run(
    jobs: list[Job],
    work: Callable[[Job, Console], str],
    *,
    workers: int | None,
    quiet: bool,
    wrong: Sequence[Job] = (),
) -> None:
    """Do the work for all inputs and leave with the exit code, which is 1 also if there are ``wrong`` ones then."""
    console = Console(jobs, quiet=quiet)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pgfrs.DamageWarning)  # reported in words instead
        code = console.run(jobs, lambda job: work(job, console), workers=workers or cpus)
    click.get_current_context().exit(code or int(bool(wrong)))


class _InOrder(click.Group):
    """Lists its commands in the order of this file, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pgfrs", prog_name="pgfrs")
def cli() -> None:
    """Convert photographs to and from PGF, look into .pgf files, mend damaged ones.

    INPUT and --output may be - for the standard streams. Exit codes: 0 fine, 1 some inputs failed, 2 usage.
    """
    # Pillow refuses from 179 megapixels on; here pictures may be as large as pgfrs.decode takes by default.
    Image.MAX_IMAGE_PIXELS = _MAX_PIXELS // 2


@cli.command(short_help="Pictures to .pgf and .pgfr.")
@_inputs
@_outputs
@click.option(
    "--quality",
    type=click.IntRange(0, 30),
    metavar="N",
    default=0,
    show_default=True,
    help="0 is lossless, 30 the smallest.",
)
@click.option("--lossless", is_flag=True, help="The same as --quality 0; refuses options that lose.")
@click.option("--max-bytes", metavar="SIZE", callback=size, help="The best picture that fits: 20000, 20k, 1.5M.")
@click.option("--levels", type=click.IntRange(min=1), metavar="N", help="Wavelet levels. Default: by size.")
@click.option("--roi", is_flag=True, help="Code in tiles, so that regions decode without the rest.")
@click.option(
    "--mode", type=click.Choice(_MODES), metavar="MODE", help=f"Convert to this PGF mode first: {', '.join(_MODES)}."
)
@click.option("--no-metadata", is_flag=True, help="Leave out EXIF, IPTC, XMP and ICC; turn the picture upright.")
@click.option(
    "--format",
    "container",
    type=click.Choice(["pgf", "pgfr"]),
    help="Container. Default: by the name of --output, else pgf.",
)
@click.option("--payload", type=click.Choice(["packed", "tokens"]), help="Of .pgfr: smallest, or bytes for models.")
@click.option("--profile", type=click.Choice(["lean", "default", "tough"]), help="Of .pgfr: how safe.")
@click.option("--order", type=click.Choice(["best", "levels"]), help="Of .pgfr: the order of detail.")
@click.option("--first", metavar="L,T,R,B", callback=region, help="Of .pgfr: a rectangle whose detail comes first.")
@click.option("--bare/--not-bare", default=None, help="Of .pgfr: no small checks, a larger base, for models.")
@click.option("--checks", is_flag=True, default=None, help="Of .pgfr: add advisory checks.")
def encode(
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    quiet: bool,
    jobs: int | None,
    quality: int,
    lossless: bool,
    max_bytes: int | None,
    levels: int | None,
    roi: bool,
    mode: str | None,
    no_metadata: bool,
    container: str | None,
    **streaming: Any,
) -> None:
    """Encode pictures as .pgf or .pgfr: PNG, JPEG, TIFF, WebP, BMP, PNM, NumPy arrays and what else Pillow reads.

    Metadata that would take more than a quarter of --max-bytes is left out, with a word.
    """
    if lossless and (quality or max_bytes):
        raise click.UsageError("--lossless excludes --quality above 0 and --max-bytes")
    container = container or _container_named(output) or "pgf"
    options = {name: value for name, value in streaming.items() if value is not None}
    if options and container != "pgfr":
        raise click.UsageError(f"--{next(iter(options))} goes with --format pgfr")
    planned = plan(inputs, output, lambda name: f"{Path(name).stem}.{container}")

    def work(job: Job, console: Console) -> str:
        job.check_target(force=force)
        data = job.read()
        source = read_raster(data)
        user_data = b"" if no_metadata else _user_data(source)
        if max_bytes is not None and len(user_data) > max_bytes // METADATA_SHARE:
            console.warn(
                job,
                f"{len(user_data):,} bytes of metadata left out: "
                f"more than 1/{METADATA_SHARE} of --max-bytes {max_bytes:,}",
            )
            user_data = b""
        wanted = mode
        if mode is None and source.mode == "indexed" and (quality or max_bytes):
            # Neighbouring numbers of a palette are not neighbouring colours: what is rounded is another colour.
            console.warn(job, "its palette cannot be coded with loss; encoded as rgb")
            wanted = "rgb"
        # Without its EXIF nothing would say which way up the picture is.
        raster = _to_encode(source, wanted, turn=not user_data)
        if raster.note:
            console.warn(job, raster.note)
        coded = pgfrs.encode(
            raster.pixels,
            quality=quality,
            levels=levels,
            roi=roi,
            mode=raster.mode,
            max_bytes=max_bytes,
            user_data=user_data or None,
            palette=raster.palette,
            format=container,
            **options,
        )
        job.write(coded, force=force)
        height, width = raster.pixels.shape[:2]
        bits = 8 * len(coded) / (width * height)
        return f"{_arrow(job)}: {width}x{height} {raster.mode}, {len(coded):,} bytes, {bits:.2f} bits per pixel"

    _run(planned, work, workers=jobs, quiet=quiet)


def _container_named(output: str | None) -> str | None:
    """The container that the name of an output says, if any; refuses names of other pictures."""
    if output is None or output == STDIO or directory(output) is not None:
        return None
    suffix = Path(output).suffix.lower()[1:]
    if suffix in ("pgf", "pgfr"):
        return suffix
    if any(suffix in each.extensions for each in FORMATS):
        raise click.UsageError(f"{output}: that is no name of a .pgf or .pgfr file; --format says which all the same")
    return None


def _user_data(raster: Raster) -> bytes:
    metadata = raster.metadata
    return raster.user_data or pack_metadata(
        exif=metadata.exif, iptc=metadata.iptc, xmp=metadata.xmp, icc_profile=metadata.icc_profile
    )


def _to_encode(raster: Raster, mode: str | None, *, turn: bool) -> Raster:
    if mode is not None:
        raster = relabel(raster, mode) if raster.unnamed else convert(raster, mode)
    return upright(raster) if turn else raster


def _arrow(job: Job) -> str:
    target = "standard output" if job.target == STDIO else job.target
    return f"{job.name} -> {target}"


@cli.command(short_help=".pgf and .pgfr to pictures.")
@_inputs
@_outputs
@click.option("--level", type=click.IntRange(min=0), metavar="N", default=0, help="Decode at 1/2^N of the size.")
@click.option("--region", metavar="L,T,R,B", callback=region, help="Decode only this rectangle of full-size pixels.")
@click.option(
    "--mode", type=click.Choice(_MODES), metavar="MODE", help="Convert to this mode (rgba to rgb, rgb48 to rgb, ...)."
)
@click.option(
    "--strict",
    is_flag=True,
    help="Fail for damaged and cut-off files instead of making the best of them. A .pgfr stream cut "
    "behind a whole segment is a whole stream.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice([each.name for each in FORMATS]),
    help="Output format. Default: by the name of --output, else png.",
)
@click.option("--no-metadata", is_flag=True, help="Leave out EXIF, IPTC, XMP and ICC.")
@click.option(
    "--max-pixels", type=click.IntRange(min=1), metavar="N", help="Refuse pictures that claim more pixels than this."
)
def decode(
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    quiet: bool,
    jobs: int | None,
    level: int,
    region: tuple[int, int, int, int] | None,
    mode: str | None,
    strict: bool,
    format_name: str | None,
    no_metadata: bool,
    max_pixels: int | None,
) -> None:
    """Decode .pgf files to PNG, JPEG, TIFF, WebP, BMP, PNM or NumPy arrays.

    Nothing is reduced without being asked for: a format that cannot hold the picture is an error that names those
    that can.
    """
    chosen = _chosen_format(output, format_name)
    planned = plan(inputs, output, lambda name: f"{Path(name).stem}.{chosen.extensions[0]}")
    limits = None if max_pixels is None else pgfrs.Limits(max_pixels=max_pixels)

    def work(job: Job, console: Console) -> str:
        if job.source == job.target != STDIO:
            raise RasterError("the result would replace the input; name another with --output")
        job.check_target(force=force)
        data = job.read()
        info = pgfrs.read_info(data)
        wanted = mode or chosen.mode_for(info.mode)
        pixels, report = pgfrs.decode_with_report(
            data, level=level, region=region, mode=wanted, strict=strict, limits=limits
        )
        if not report.complete:
            console.warn(job, _describe.loss(report))
        raster = Raster(pixels, wanted, info.palette if wanted == "indexed" else None)
        if not no_metadata:
            raster = replace(raster, metadata=unpack_metadata(info.user_data))
        written = write_raster(raster, chosen)
        job.write(written, force=force)
        return f"{_arrow(job)}: {pixels.shape[1]}x{pixels.shape[0]} {wanted}, {len(written):,} bytes"

    _run(planned, work, workers=jobs, quiet=quiet)


def _chosen_format(output: str | None, name: str | None) -> OutputFormat:
    if name is not None:
        return format_for_name(name)
    if output is None or output == STDIO or directory(output) is not None:
        return FORMATS[0]
    try:
        return format_for_name(output)
    except RasterError as error:
        raise click.UsageError(f"{error}; or name the format with --format") from error


@cli.command(short_help="What a file holds.")
@_inputs
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file and line.")
@click.option(
    "--check",
    is_flag=True,
    help="Decode the whole file and say what is damaged or missing; exit code 1 if any is.",
)
def info(inputs: tuple[str, ...], as_json: bool, check: bool) -> None:
    """Show what a .pgf or .pgfr file holds, level by level; also of the first part of one."""
    wrong = []

    def work(job: Job, _: Console) -> str:
        data = job.read()
        facts = _describe.facts(job.name, data, check=check)
        if check and (facts["report"]["damaged"] or not facts["report"]["complete"]):
            wrong.append(job)
        return json.dumps(facts) if as_json else _describe.table(facts)

    # One at a time: a table needs no more than the header.
    _run([Job(source, "") for source in inputs], work, workers=1, quiet=False, wrong=wrong)


@cli.command(short_help="Between .pgf and .pgfr.")
@_inputs
@_outputs
@click.option(
    "--format",
    "container",
    type=click.Choice(["pgf", "pgfr"]),
    help="Container of the result. Default: by the name of --output, else the other one.",
)
@click.option("--payload", type=click.Choice(["packed", "tokens"]), help="Of .pgfr: smallest, or bytes for models.")
@click.option("--bare/--not-bare", default=None, help="Of .pgfr: no small checks, a larger base, for models.")
def transcode(
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    quiet: bool,
    jobs: int | None,
    container: str | None,
    payload: str | None,
    bare: bool | None,
) -> None:
    """Change the container or the payload of the same coefficients; nothing is coded again."""
    named = container or _container_named(output)
    if payload and named == "pgf":
        raise click.UsageError("--payload goes with --format pgfr")
    if bare is not None and named == "pgf":
        raise click.UsageError("--bare goes with --format pgfr")

    def target(name: str) -> str:
        # An option of streams alone asks for one, whatever the source is.
        return named or ("pgfr" if payload or bare is not None or Path(name).suffix != ".pgfr" else "pgf")

    def renamed(name: str) -> str:
        kind = f".{target(name)}"
        return Path(name).stem + (f".{payload}" if payload else "") + kind

    planned = plan(inputs, output, renamed)

    def work(job: Job, _: Console) -> str:
        job.check_target(force=force)
        data = job.read()
        written = pgfrs.transcode(data, target(job.name), payload=payload, bare=bare)
        job.write(written, force=force)
        return f"{_arrow(job)}: {len(data):,} -> {len(written):,} bytes"

    _run(planned, work, workers=jobs, quiet=quiet)


@cli.command(short_help="A clean file from a damaged one.")
@_inputs
@_outputs
@click.option("--format", "container", type=click.Choice(["pgf", "pgfr"]), help="Default: that of each input.")
def repair(
    inputs: tuple[str, ...], output: str | None, force: bool, quiet: bool, jobs: int | None, container: str | None
) -> None:
    """Make a clean, complete file of a damaged or cut-off one, and say what was mended and what is lost.

    The result holds everything that could be read, without coding the picture again.
    """

    def renamed(name: str) -> str:
        kind = container or ("pgfr" if Path(name).suffix == ".pgfr" else "pgf")
        return f"{Path(name).stem}.repaired.{kind}"

    planned = plan(inputs, output, renamed)

    def work(job: Job, _: Console) -> str:
        job.check_target(force=force)
        data = job.read()
        report = pgfrs.decode_with_report(data)[1]
        repaired = pgfrs.repair(data, format=container)
        job.write(repaired, force=force)
        return f"{_arrow(job)}: {len(data):,} -> {len(repaired):,} bytes\n{_describe.report(report)}"

    _run(planned, work, workers=jobs, quiet=quiet)


@cli.command(short_help="Damage files, to test readers.")
@_inputs
@_outputs
@click.option("--kind", type=click.Choice(KINDS), default="substitute", show_default=True)
@click.option(
    "--edits", type=click.IntRange(min=1), metavar="N", default=1, show_default=True, help="Runs of bytes to change."
)
@click.option(
    "--length", type=click.IntRange(min=1), metavar="N", default=1, show_default=True, help="Bytes in each run."
)
@click.option(
    "--seed", type=int, metavar="N", default=0, show_default=True, help="The same seed gives the same damage."
)
@click.option(
    "--protect",
    default="0",
    show_default=True,
    metavar="N|header",
    help="Leave the first N bytes alone, or everything before the coded data.",
)
def damage(
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    quiet: bool,
    jobs: int | None,
    kind: DamageKind,
    edits: int,
    length: int,
    seed: int,
    protect: str,
) -> None:
    """Damage files in a repeatable way, to see what readers make of them, and print every edit."""
    if protect != "header" and not protect.isdecimal():
        raise click.BadParameter(f"{protect!r} is neither a number of bytes nor 'header'", param_hint="--protect")
    if kind == "cut" and (edits, length) != (1, 1):
        raise click.UsageError("--kind cut takes neither --edits nor --length")
    planned = plan(inputs, output, lambda name: f"{Path(name).stem}.damaged{Path(name).suffix}")

    def work(job: Job, _: Console) -> str:
        job.check_target(force=force)
        data = job.read()
        kept = _opening(data) if protect == "header" else int(protect)
        damaged, record = damage_with_record(data, seed=seed, kind=kind, edits=edits, length=length, protect=kept)
        job.write(damaged, force=force)
        return "\n".join([f"{_arrow(job)}: {len(data):,} -> {len(damaged):,} bytes", *(f"  {e}" for e in record)])

    _run(planned, work, workers=jobs, quiet=quiet)


def _opening(data: bytes) -> int:
    """Where the coded data begin: behind the header of a file, at the first segment of planes of a stream."""
    header = pgfrs.read_info(data)
    if header.format == "pgf":
        return header.data_offset
    return next((s.start for s in pgfrs.segments(data) if s.kind == "planes"), len(data))


@cli.command("render-steps", short_help="Pictures of a file as it arrives.")
@click.argument("source", metavar="INPUT")
@click.option("-o", "--output", metavar="DIR", help="Directory for the pictures. Default: INPUT's name with -steps.")
@click.option("--every", metavar="SIZE", callback=size, help="A picture every so many bytes: 2000, 2k.")
@click.option(
    "--steps",
    type=click.IntRange(2, _MOST_STEPS),
    metavar="N",
    help="So many pictures, each by the same factor larger. [12]",
)
@click.option("--reference", metavar="FILE", help="Picture to compare with. Default: what the whole file gives.")
@click.option("--columns", type=click.IntRange(min=1), metavar="N", help="Pictures in a row of the contact sheet.")
@click.option(
    "--width", type=click.IntRange(32, 4096), metavar="N", default=320, show_default=True, help="Size on the sheet."
)
@click.option("-f", "--force", is_flag=True, help="Replace files that exist.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
def render_steps(
    source: str,
    output: str | None,
    every: int | None,
    steps: int | None,
    reference: str | None,
    columns: int | None,
    width: int,
    force: bool,
    quiet: bool,
) -> None:
    """Show a file as it arrives: pictures of its first bytes, a contact sheet and a table.

    Writes step-001.png and so on, contact-sheet.png (bytes and PSNR under each picture) and steps.csv.
    """
    from pgfrs import render

    if every is not None and steps is not None:
        raise click.UsageError("--every and --steps exclude each other")
    stem = "standard-input" if source == STDIO else Path(source).with_suffix("")
    folder = Path(output or f"{stem}-steps")

    def work(job: Job, console: Console) -> str:
        refuse_existing(folder / "contact-sheet.png", force=force)
        data = job.read()
        if every is not None and len(data) > _MOST_STEPS * every:
            raise RasterError(f"--every {every}: {-(-len(data) // every):,} pictures; at most {_MOST_STEPS:,} are made")
        sizes = render.even_steps(data, every) if every else render.log_steps(data, steps or 12)
        against = None if reference is None else _reference(reference, data)
        tiles, rows = [], ["step,bytes,psnr_db,finest_complete_level"]
        for number, step in enumerate(render.render_steps(data, sizes, reference=against), 1):
            picture = write_raster(Raster(step.picture, "rgb"), FORMATS[0])
            write_whole(folder / f"step-{number:03}.png", picture, force=force)
            level = "" if step.level is None else step.level
            rows.append(f"{number},{step.bytes},{step.psnr:.3f},{level}")
            console.result(f"{number:4} {step.bytes:12,} bytes  {render.decibels(step.psnr):>10}")
            tiles.append(render.step_tile(step, len(data), largest=width))
        write_whole(folder / "steps.csv", "\n".join([*rows, ""]).encode(), force=force)
        sheet = render.contact_sheet(tiles, title=_sheet_title(job, data), columns=columns, width=width)
        write_whole(folder / "contact-sheet.png", render.to_png(sheet), force=force)
        return f"{job.name} -> {folder}/contact-sheet.png and {len(sizes)} pictures"

    _run([Job(source, str(folder))], work, workers=1, quiet=quiet)


def _reference(name: str, data: bytes) -> Any:
    """Pixels of the picture to compare with, in the mode of the file."""
    return convert(read_raster(Path(name).read_bytes()), pgfrs.read_info(data).mode).pixels


def _sheet_title(job: Job, data: bytes) -> str:
    header = pgfrs.read_info(data)
    return f"{Path(job.name).name}: {header.width} x {header.height} {header.mode}, {len(data):,} bytes"


cli.add_command(convert_corpus)


@cli.command(short_help="Pan and zoom pictures in a browser.", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS] FILE...")
def view(arguments: tuple[str, ...]) -> None:
    """Pan and zoom pictures in a browser, on a page that this machine serves; see pgfrs view -h."""
    from pgfrs.viewer import main

    click.get_current_context().exit(main(arguments))


@cli.command(short_help="Make regions of files cheap over a network.")
@_inputs
@click.option("--by-place", is_flag=True, help="Streams (.pgfr): also sort segments by level and place.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
def index(inputs: tuple[str, ...], by_place: bool, quiet: bool) -> None:
    """Put an index behind the last byte of .pgf and .pgfr files, where decoders do not look.

    With it, pgfrs.open fetches a region of a file over a network without looking for it. The segments of a stream come
    by their worth, those of a region all over the file; sorted by place they are near each other, but a prefix of the
    stream is no longer the best picture of its length.
    """
    from pgfrs.lazy import add_index

    def work(job: Job, _: Console) -> str:
        data = job.read()
        indexed = add_index(data, by_place=by_place)
        job.write(indexed, force=True)
        return f"{job.name}: {len(data):,} -> {len(indexed):,} bytes"

    _run([Job(source, source) for source in inputs], work, workers=1, quiet=quiet)
