"""The command line: what it writes, what it says, how it ends."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

import pgfrs
from material import SAMPLES
from pgfrs import _outputs
from pgfrs.cli import cli
from pgfrs.damage import damage_with_record
from pgfrs.metadata import unpack_metadata
from pgfrs.raster import psnr


def run(*words: object, stdin: bytes | None = None) -> Result:
    """Run one command in this process; exceptions that it should have caught come through."""
    return CliRunner().invoke(cli, [str(word) for word in words], input=stdin, catch_exceptions=False)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def steps_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "steps.csv").read_text())))


@pytest.fixture
def cat(tmp_path: Path, chelsea: NDArray[np.uint8]) -> Path:
    """A small lossless .pgf file of the cat."""
    path = tmp_path / "cat.pgf"
    path.write_bytes(pgfrs.encode(chelsea))
    return path


class TestEncode:
    def test_default_is_lossless_and_beside_the_input(self, tmp_path: Path, chelsea: NDArray[np.uint8]) -> None:
        source = tmp_path / "cat.png"
        source.write_bytes((SAMPLES / "chelsea.png").read_bytes())
        result = run("encode", source)
        assert result.exit_code == 0
        data = (tmp_path / "cat.pgf").read_bytes()
        np.testing.assert_array_equal(pgfrs.decode(data), chelsea)
        assert f"cat.pgf: 451x300 rgb, {len(data):,} bytes" in result.stdout

    def test_options_reach_the_encoder(self, tmp_path: Path, chelsea: NDArray[np.uint8]) -> None:
        target = tmp_path / "out.pgf"
        words = ["--quality", 5, "--levels", 3, "--roi", "--no-metadata"]
        assert run("encode", SAMPLES / "chelsea.png", "-o", target, *words).exit_code == 0
        assert target.read_bytes() == pgfrs.encode(chelsea, quality=5, levels=3, roi=True)

    @pytest.mark.parametrize(("text", "size"), [("9000", 9000), ("9k", 9000), ("0.02M", 20000), ("12kB", 12000)])
    def test_max_bytes(self, text: str, size: int, tmp_path: Path) -> None:
        target = tmp_path / "out.pgf"
        assert run("encode", SAMPLES / "camera.png", "-o", target, "--max-bytes", text).exit_code == 0
        assert 0.7 * size < target.stat().st_size <= size

    def test_mode_converts(self, tmp_path: Path, chelsea: NDArray[np.uint8]) -> None:
        target = tmp_path / "out.pgf"
        assert run("encode", SAMPLES / "chelsea.png", "-o", target, "--mode", "gray").exit_code == 0
        np.testing.assert_array_equal(
            pgfrs.decode(target.read_bytes()), np.asarray(Image.fromarray(chelsea).convert("L"))
        )

    def test_metadata_is_kept_or_left_out(self, tmp_path: Path, chelsea: NDArray[np.uint8]) -> None:
        source = tmp_path / "turned.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(chelsea).save(source, exif=exif, xmp=b"<x:xmpmeta/>", icc_profile=b"profile", quality=100)
        assert run("encode", source).exit_code == 0
        kept = pgfrs.read_info((tmp_path / "turned.pgf").read_bytes())
        metadata = unpack_metadata(kept.user_data)
        assert (metadata.xmp, metadata.icc_profile) == (b"<x:xmpmeta/>", b"profile")
        assert metadata.exif == exif.tobytes()
        assert (kept.width, kept.height) == (451, 300)
        assert run("encode", source, "--force", "--no-metadata").exit_code == 0
        bare = pgfrs.read_info((tmp_path / "turned.pgf").read_bytes())
        assert bare.user_data == b""
        assert (bare.width, bare.height) == (300, 451), "without EXIF the picture itself must be upright"

    def test_user_data_of_a_pgf_file_survives_byte_for_byte(self, tmp_path: Path, camera: NDArray[np.uint8]) -> None:
        source = tmp_path / "a.pgf"
        source.write_bytes(pgfrs.encode(camera, user_data=b"something private"))
        assert run("encode", source, "-o", tmp_path / "b.pgf", "--quality", 6).exit_code == 0
        info = pgfrs.read_info((tmp_path / "b.pgf").read_bytes())
        assert (info.quality, info.user_data) == (6, b"something private")

    def test_several_inputs_one_broken(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"not a picture")
        inputs = [SAMPLES / "chelsea.png", broken, tmp_path / "absent.png", SAMPLES / "camera.png"]
        result = run("encode", *inputs, "-o", f"{tmp_path}/out/", "--jobs", 2)
        assert result.exit_code == 1
        assert files(tmp_path / "out") == ["camera.pgf", "chelsea.pgf"]
        assert f"pgfrs: {broken}: not a picture" in result.stderr
        assert "absent.png: no such file or directory" in result.stderr
        assert len(result.stdout.splitlines()) == 2

    def test_the_number_of_jobs_changes_nothing(self, tmp_path: Path) -> None:
        inputs = sorted(SAMPLES.glob("*.png"))[:5]
        for jobs in (1, 4):
            assert run("encode", *inputs, "-o", f"{tmp_path}/{jobs}/", "-j", jobs, "--quality", 4, "-q").stdout == ""
        assert files(tmp_path / "1") == files(tmp_path / "4") == sorted(f"{path.stem}.pgf" for path in inputs)
        for name in files(tmp_path / "1"):
            assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()

    def test_standard_streams(self, chelsea: NDArray[np.uint8]) -> None:
        result = run("encode", "-", stdin=(SAMPLES / "chelsea.png").read_bytes())
        assert result.exit_code == 0
        np.testing.assert_array_equal(pgfrs.decode(result.stdout_bytes), chelsea)
        assert "standard input -> standard output: 451x300 rgb" in result.stderr

    @pytest.mark.parametrize(
        "words",
        [
            [],
            ["a.png", "--quality", 31],
            ["a.png", "--lossless", "--quality", 3],
            ["a.png", "--lossless", "--max-bytes", "10k"],
            ["a.png", "--max-bytes", "lots"],
            ["a.png", "--mode", "sepia"],
            ["a.png", "--jobs", 0],
            ["a.png", "b.png", "-o", "c.pgf"],
            ["x/a.png", "y/a.jpg", "-o", "z/"],
            ["-", "-"],
            ["-", "-o", "z/"],
            ["a.jpg", "-o", "b.png"],
        ],
    )
    def test_usage(self, words: list[object]) -> None:
        result = run("encode", *words)
        assert result.exit_code == 2
        assert "Error: " in result.stderr

    @pytest.mark.parametrize("container", ["pgf", "pgfr"])
    def test_a_budget_is_for_the_picture(self, tmp_path: Path, container: str) -> None:
        """Metadata larger than a quarter of it is left out, and the picture turned as its EXIF said."""
        exif = Image.Exif()
        exif[0x0112] = 6
        with Image.open(SAMPLES / "chelsea.png") as cat:
            cat.convert("RGB").save(tmp_path / "in.png", exif=exif, icc_profile=np.random.default_rng(1).bytes(5000))
        for words, kept in ((("--max-bytes", "9k"), False), (("--max-bytes", "60k"), True), ((), True)):
            result = run("encode", tmp_path / "in.png", "-o", tmp_path / f"out.{container}", "-f", *words)
            assert result.exit_code == 0
            data = (tmp_path / f"out.{container}").read_bytes()
            info = pgfrs.read_info(data)
            assert (unpack_metadata(info.user_data).icc_profile is not None) is kept
            assert (info.width, info.height) == ((451, 300) if kept else (300, 451))
            assert ("bytes of metadata left out" in result.stderr) is not kept
            assert words == () or len(data) <= int(words[1][:-1]) * 1000

    @pytest.mark.parametrize("words", [["--quality", 5], ["--max-bytes", 5000]])
    def test_palettes_are_not_quantised(self, tmp_path: Path, words: list[object]) -> None:
        with Image.open(SAMPLES / "chelsea.png") as cat:
            cat.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "in.png")
        result = run("encode", tmp_path / "in.png", *words)
        assert result.exit_code == 0 and "encoded as rgb" in result.stderr
        with Image.open(tmp_path / "in.png") as picture:
            assert psnr(pgfrs.decode((tmp_path / "in.pgf").read_bytes()), np.asarray(picture.convert("RGB"))) > 23
        assert run("encode", tmp_path / "in.png", "-f").exit_code == 0
        assert pgfrs.read_info((tmp_path / "in.pgf").read_bytes()).mode == "indexed"


class TestFiles:
    def test_existing_files_need_force(self, tmp_path: Path) -> None:
        target = tmp_path / "out.pgf"
        target.write_bytes(b"precious")
        result = run("encode", SAMPLES / "camera.png", "-o", target)
        assert result.exit_code == 1
        assert "out.pgf exists; --force replaces it" in result.stderr
        assert target.read_bytes() == b"precious"
        assert run("encode", SAMPLES / "camera.png", "-o", target, "--force").exit_code == 0
        assert pgfrs.check(target.read_bytes())
        assert files(tmp_path) == ["out.pgf"]

    def test_a_failed_write_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class FullDisk(io.FileIO):
            def write(self, data: object, /) -> int:
                super().write(b"half")
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "open", lambda path, mode: FullDisk(path, mode.replace("b", "")))
        result = run("encode", SAMPLES / "camera.png", "-o", tmp_path / "out.pgf")
        assert result.exit_code == 1
        assert "no space left on device" in result.stderr
        assert files(tmp_path) == []

    def test_a_file_made_in_the_meantime_is_not_replaced(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        target = tmp_path / "out.bin"
        monkeypatch.setattr(_outputs, "refuse_existing", lambda path, force: path.write_bytes(b"first"))
        with pytest.raises(FileExistsError, match="exists"):
            _outputs.write_whole(target, b"second", force=False)
        assert target.read_bytes() == b"first"
        assert files(tmp_path) == ["out.bin"]

    def test_errors_name_the_file_that_was_asked_for(self, tmp_path: Path) -> None:
        result = run("encode", SAMPLES / "camera.png", "-o", "/proc/x.pgf")
        assert result.exit_code == 1
        assert result.stderr.endswith("camera.png: no such file or directory: /proc/x.pgf\n")
        assert run("info", tmp_path).stderr == f"pgfrs: {tmp_path}: is a directory\n"

    @pytest.mark.parametrize("force", [False, True])
    def test_file_systems_without_links(self, force: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_links(*_: object) -> None:
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(_outputs.os, "link", no_links)
        _outputs.write_whole(tmp_path / "new", b"data", force=force)
        assert (tmp_path / "new").read_bytes() == b"data"
        if not force:
            with pytest.raises(FileExistsError):
                _outputs.write_whole(tmp_path / "new", b"other", force=False)
        assert files(tmp_path) == ["new"]


class TestDecode:
    def test_png_by_default(self, cat: Path, chelsea: NDArray[np.uint8]) -> None:
        result = run("decode", cat)
        assert result.exit_code == 0
        np.testing.assert_array_equal(pixels_of(cat.with_suffix(".png")), chelsea)
        assert "cat.png: 451x300 rgb" in result.stdout

    @pytest.mark.parametrize("name", ["out.tif", "out.webp", "out.bmp", "out.ppm", "out.npy"])
    def test_format_by_extension(self, name: str, cat: Path, chelsea: NDArray[np.uint8], tmp_path: Path) -> None:
        assert run("decode", cat, "-o", tmp_path / name).exit_code == 0
        decoded = np.load(tmp_path / name) if name.endswith("npy") else pixels_of(tmp_path / name)
        np.testing.assert_array_equal(decoded, chelsea)

    def test_level_and_region(self, cat: Path, tmp_path: Path) -> None:
        words = ["--level", 1, "--region", "100,50,301,250"]
        assert run("decode", cat, "-o", tmp_path / "part.png", *words).exit_code == 0
        expected = pgfrs.decode(cat.read_bytes(), level=1, region=(100, 50, 301, 250))
        np.testing.assert_array_equal(pixels_of(tmp_path / "part.png"), expected)

    def test_several_to_a_directory_in_a_named_format(self, cat: Path, tmp_path: Path) -> None:
        other = tmp_path / "dog.pgf"
        other.write_bytes(cat.read_bytes())
        assert run("decode", cat, other, "-o", f"{tmp_path}/out/", "--format", "jpg").exit_code == 0
        assert files(tmp_path / "out") == ["cat.jpg", "dog.jpg"]

    def test_standard_streams(self, cat: Path, chelsea: NDArray[np.uint8]) -> None:
        result = run("decode", "-", "--format", "ppm", "-q", stdin=cat.read_bytes())
        assert result.exit_code == 0
        assert result.stdout_bytes.endswith(chelsea.tobytes())
        assert result.stderr == ""

    @pytest.mark.parametrize(("dtype", "shape"), [(np.uint16, (40, 50)), (np.uint16, (40, 50, 3)), (bool, (40, 50))])
    def test_depth_is_kept(self, dtype: type, shape: tuple[int, ...], tmp_path: Path) -> None:
        array = np.random.default_rng(2).integers(0, 2 if dtype is bool else 65536, shape).astype(dtype)
        np.save(tmp_path / "in.npy", array)
        assert run("encode", tmp_path / "in.npy").exit_code == 0
        assert run("decode", tmp_path / "in.pgf").exit_code == 0
        assert run("encode", tmp_path / "in.png", "-o", tmp_path / "again.pgf").exit_code == 0
        np.testing.assert_array_equal(pgfrs.decode((tmp_path / "again.pgf").read_bytes()), array)

    def test_raw_planes_go_through_npy(self, tmp_path: Path) -> None:
        planes = np.random.default_rng(3).integers(-500, 500, (30, 40, 2), dtype=np.int32)
        np.save(tmp_path / "in.npy", planes)
        assert run("encode", tmp_path / "in.npy", "--mode", "duotone16").exit_code == 0
        refused = run("decode", tmp_path / "in.pgf", "-o", tmp_path / "out.png")
        assert refused.exit_code == 1
        assert "png cannot hold a duotone16 picture; these can: npy" in refused.stderr
        assert run("decode", tmp_path / "in.pgf", "-o", tmp_path / "out.npy").exit_code == 0
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), planes)

    def test_alpha_is_dropped_only_on_request(self, tmp_path: Path, chelsea: NDArray[np.uint8]) -> None:
        source = tmp_path / "in.pgf"
        source.write_bytes(pgfrs.encode(np.dstack([chelsea, chelsea[..., 0]])))
        refused = run("decode", source, "-o", tmp_path / "out.jpg")
        assert refused.exit_code == 1
        assert "jpg cannot hold a rgba picture" in refused.stderr
        assert run("decode", source, "-o", tmp_path / "out.jpg", "--mode", "rgb").exit_code == 0
        assert psnr(pixels_of(tmp_path / "out.jpg"), chelsea) > 35

    def test_palette(self, tmp_path: Path, chelsea: NDArray[np.uint8]) -> None:
        image = Image.fromarray(chelsea).quantize(100)
        image.save(tmp_path / "in.png")
        assert run("encode", tmp_path / "in.png").exit_code == 0
        for name in ("out.png", "out.tif", "out.jpg", "out.webp"):
            assert run("decode", tmp_path / "in.pgf", "-o", tmp_path / name).exit_code == 0
            with Image.open(tmp_path / name) as decoded:
                shown = np.asarray(decoded.convert("RGB"))
            assert psnr(shown, np.asarray(image.convert("RGB"))) > 34

    def test_metadata_is_carried_over(self, tmp_path: Path, chelsea: NDArray[np.uint8]) -> None:
        exif = Image.Exif()
        exif[0x010F] = "Maker"
        Image.fromarray(chelsea).save(tmp_path / "in.jpg", exif=exif, icc_profile=b"profile", xmp=b"<x:xmpmeta/>")
        assert run("encode", tmp_path / "in.jpg").exit_code == 0
        assert run("decode", tmp_path / "in.pgf", "-o", tmp_path / "out.jpg").exit_code == 0
        with Image.open(tmp_path / "out.jpg") as image:
            assert image.getexif()[0x010F] == "Maker"
            assert (image.info["icc_profile"], image.info["xmp"]) == (b"profile", b"<x:xmpmeta/>")
        assert run("decode", tmp_path / "in.pgf", "-o", tmp_path / "bare.jpg", "--no-metadata").exit_code == 0
        with Image.open(tmp_path / "bare.jpg") as image:
            assert not image.getexif()
            assert "icc_profile" not in image.info

    def test_cut_files_give_their_best_picture(self, cat: Path, chelsea: NDArray[np.uint8]) -> None:
        cat.write_bytes(cat.read_bytes()[:40000])
        result = run("decode", cat)
        assert result.exit_code == 0
        assert "cat.pgf: cut off: " in result.stderr
        assert psnr(pixels_of(cat.with_suffix(".png")), chelsea) > 20
        strict = run("decode", cat, "--strict", "-o", cat.with_name("strict.png"))
        assert strict.exit_code == 1
        assert not cat.with_name("strict.png").exists()

    def test_pixel_limit(self, cat: Path) -> None:
        result = run("decode", cat, "--max-pixels", 451 * 300 - 1)
        assert result.exit_code == 1
        assert files(cat.parent) == ["cat.pgf"]
        assert run("decode", cat, "--max-pixels", 451 * 300).exit_code == 0

    @pytest.mark.parametrize(
        "words",
        [["--region", "1,2,3"], ["--region", "5,0,5,9"], ["-o", "out.xyz"], ["--format", "pdf"], ["--level", -1]],
    )
    def test_usage(self, words: list[object], cat: Path) -> None:
        assert run("decode", cat, *words).exit_code == 2


class TestWords:
    """What a person is told who gives a command the wrong file."""

    def test_no_picture(self, tmp_path: Path) -> None:
        (tmp_path / "notes.png").write_bytes(b"Dear diary")
        result = run("encode", tmp_path / "notes.png")
        assert result.exit_code == 1
        assert "the data begin with 44 65 61 72 20 64 69 61" in result.stderr and "BytesIO" not in result.stderr

    def test_a_picture_is_not_decoded_onto_itself(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes((SAMPLES / "chelsea.png").read_bytes())
        result = run("decode", tmp_path / "a.png")
        assert result.exit_code == 1 and "would replace the input" in result.stderr
        assert "begin with 89 50 4e" in run("decode", tmp_path / "a.png", "-o", tmp_path / "b.png").stderr

    def test_thousands_of_steps(self, cat: Path) -> None:
        result = run("render-steps", cat, "--every", 10)
        assert result.exit_code == 1 and "at most 1,000 are made" in result.stderr
        assert not cat.with_name("cat-steps").exists()


class TestInfo:
    def test_table(self, cat: Path) -> None:
        result = run("info", cat)
        assert result.exit_code == 0
        info = pgfrs.read_info(cat.read_bytes())
        for text in ("451 x 300 pixels", "rgb: 3 channels of 8 bits", "0 (lossless)", "version 7, flags 0x76"):
            assert text in result.stdout
        assert f"{info.levels - 1:>5} {'x'.join(f' {n} ' for n in info.level_size(info.levels - 1)).strip():>15}" in (
            result.stdout
        )
        assert "not all here" not in result.stdout

    def test_json_agrees_with_read_info(self, cat: Path) -> None:
        result = run("info", cat, cat, "--json")
        first, second = map(json.loads, result.stdout.splitlines())
        assert first == second
        info = pgfrs.read_info(cat.read_bytes())
        for field in ("format", "version", "width", "height", "mode", "quality", "roi", "data_offset"):
            assert first[field] == getattr(info, field)
        assert [level["bytes"] for level in first["levels"]] == list(info.level_lengths)
        assert [level["level"] for level in first["levels"]] == list(range(info.levels - 1, -1, -1))
        assert first["levels"][-1]["end"] == first["file_bytes"] == cat.stat().st_size

    def test_first_part_of_a_file(self, cat: Path) -> None:
        data = cat.read_bytes()
        info = pgfrs.read_info(data)
        end_of_two = info.data_offset + sum(info.level_lengths[:2])
        result = run("info", "-", "--json", "--check", stdin=data[: end_of_two + 10])
        facts = json.loads(result.stdout)
        assert [level["here"] for level in facts["levels"]] == [True, True] + [False] * (info.levels - 2)
        assert facts["report"]["truncated"] is True
        assert facts["report"]["finest_complete_level"] == info.levels - 2
        table = run("info", "-", stdin=data[: info.data_offset])
        assert table.exit_code == 0
        assert table.stdout.count("not all here") == info.levels

    def test_check_of_a_whole_file(self, cat: Path) -> None:
        result = run("info", cat, "--check")
        assert result.exit_code == 0 and "nothing wrong" in result.stdout

    def test_check_fails_for_damage(self, cat: Path, tmp_path: Path) -> None:
        data = bytearray(cat.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
        (tmp_path / "hit.pgf").write_bytes(data)
        (tmp_path / "cut.pgf").write_bytes(cat.read_bytes()[:-9])
        for name in ("hit.pgf", "cut.pgf"):
            assert run("info", tmp_path / name, cat, "--check").exit_code == 1
            assert run("info", tmp_path / name, cat).exit_code == 0

    def test_a_stream_says_whether_all_detail_is_there(self, cat: Path, tmp_path: Path) -> None:
        data = pgfrs.encode(pgfrs.decode(cat.read_bytes()), format="pgfr")
        for length, words in (
            (len(data), ""),
            (9000, "blocks without the lowest planes (cut, or made for fewer bytes)"),
            (100, "base values not there"),
        ):
            (tmp_path / "cat.pgfr").write_bytes(data[:length])
            result = run("info", tmp_path / "cat.pgfr", "--check")
            assert words in result.stdout and ("not all detail" in result.stdout) is bool(words)
            assert "quality    0 (lossless if whole)" in result.stdout

    def test_metadata_and_palette(self, tmp_path: Path) -> None:
        image = Image.new("P", (20, 20))
        image.putpalette([10, 20, 30] * 256)
        image.save(tmp_path / "in.png", icc_profile=b"p" * 77)
        assert run("encode", tmp_path / "in.png").exit_code == 0
        facts = json.loads(run("info", tmp_path / "in.pgf", "--json").stdout)
        assert facts["palette"] is True
        assert facts["metadata_bytes"] == {"icc_profile": 77}
        assert "ICC profile 77" in run("info", tmp_path / "in.pgf").stdout

    def test_what_is_no_pgf(self, tmp_path: Path, cat: Path) -> None:
        (tmp_path / "x.pgf").write_bytes(b"nothing of the kind, and long enough to tell")
        result = run("info", tmp_path / "x.pgf", cat)
        assert result.exit_code == 1
        assert f"pgfrs: {tmp_path}/x.pgf: " in result.stderr
        assert "451 x 300" in result.stdout


class TestRepair:
    def test_a_damaged_file_becomes_clean(self, cat: Path, chelsea: NDArray[np.uint8]) -> None:
        data = bytearray(cat.read_bytes())
        data[pgfrs.read_info(data).data_offset] ^= 4  # the length of the first macroblock
        del data[-3000:]
        cat.write_bytes(data)
        result = run("repair", cat)
        assert result.exit_code == 0
        repaired = cat.with_name("cat.repaired.pgf").read_bytes()
        clean, report = pgfrs.decode_with_report(repaired, strict=True)
        assert report.complete
        assert not report.damage
        with pytest.warns(pgfrs.DamageWarning):
            np.testing.assert_array_equal(clean, pgfrs.decode(data))
        assert f"{len(data):,} -> {len(repaired):,} bytes" in result.stdout
        assert "macroblocks: " in result.stdout

    def test_a_clean_file_says_so(self, cat: Path, tmp_path: Path) -> None:
        result = run("repair", cat, "-o", tmp_path / "same.pgf")
        assert "nothing wrong" in result.stdout
        assert (tmp_path / "same.pgf").read_bytes() == cat.read_bytes()

    def test_standard_streams(self, cat: Path) -> None:
        result = run("repair", "-", stdin=cat.read_bytes()[:-500])
        assert result.exit_code == 0
        assert pgfrs.decode_with_report(result.stdout_bytes, strict=True)[1].complete
        assert "bytes used" in result.stderr

    def test_beyond_repair(self, tmp_path: Path) -> None:
        (tmp_path / "x.pgf").write_bytes(b"PGF")
        result = run("repair", tmp_path / "x.pgf")
        assert result.exit_code == 1
        assert files(tmp_path) == ["x.pgf"]


class TestDamage:
    def test_does_and_prints_what_the_function_does(self, cat: Path) -> None:
        words = ["--kind", "mixed", "--edits", 5, "--length", 4, "--seed", 9]
        result = run("damage", cat, *words)
        expected, record = damage_with_record(cat.read_bytes(), seed=9, kind="mixed", edits=5, length=4)
        assert cat.with_name("cat.damaged.pgf").read_bytes() == expected
        assert result.stdout.splitlines()[1:] == [f"  {edit}" for edit in record]

    def test_the_opening_of_a_stream_can_be_protected(self, cat: Path, tmp_path: Path) -> None:
        data = pgfrs.encode(pgfrs.decode(cat.read_bytes()), format="pgfr", user_data=bytes(300))
        opening = next(segment.start for segment in pgfrs.segments(data) if segment.kind == "planes")
        (tmp_path / "cat.pgfr").write_bytes(data)
        words = ["--protect", "header", "--edits", 30, "--length", 20, "-f"]
        assert run("damage", tmp_path / "cat.pgfr", "-o", tmp_path / "hit.pgfr", *words).exit_code == 0
        damaged = (tmp_path / "hit.pgfr").read_bytes()
        assert damaged[:opening] == data[:opening] and damaged != data

    def test_header_can_be_protected(self, cat: Path, tmp_path: Path) -> None:
        data = cat.read_bytes()
        offset = pgfrs.read_info(data).data_offset
        for seed in range(20):
            target = tmp_path / f"{seed}.pgf"
            assert (
                run("damage", cat, "-o", target, "--kind", "cut", "--seed", seed, "--protect", "header").exit_code == 0
            )
            damaged = target.read_bytes()
            assert offset <= len(damaged) < len(data)
            assert data.startswith(damaged)

    @pytest.mark.parametrize(
        "words", [["--kind", "burn"], ["--edits", 0], ["--protect", "tail"], ["--kind", "cut", "--edits", 2]]
    )
    def test_usage(self, words: list[object], cat: Path) -> None:
        assert run("damage", cat, *words).exit_code == 2

    def test_too_much_damage(self, cat: Path) -> None:
        result = run("damage", cat, "--kind", "delete", "--length", 10**7)
        assert result.exit_code == 1
        assert "need 10000000 bytes" in result.stderr


class TestRenderSteps:
    def test_pictures_table_and_sheet(self, cat: Path, chelsea: NDArray[np.uint8]) -> None:
        result = run("render-steps", cat, "--steps", 6)
        assert result.exit_code == 0
        folder = cat.with_name("cat-steps")
        assert files(folder) == ["contact-sheet.png", *(f"step-{n:03}.png" for n in range(1, 7)), "steps.csv"]
        np.testing.assert_array_equal(pixels_of(folder / "step-006.png"), chelsea)
        rows = steps_of(folder)
        sizes = [int(row["bytes"]) for row in rows]
        values = [float(row["psnr_db"]) for row in rows]
        assert sizes == sorted(sizes)
        assert sizes[-1] == cat.stat().st_size
        assert values == sorted(values)
        assert values[-1] == float("inf")
        assert values[0] < 25
        third = pixels_of(folder / "step-003.png")
        assert psnr(third, chelsea) == pytest.approx(values[2], abs=0.001)
        with pytest.warns(pgfrs.DamageWarning):
            np.testing.assert_array_equal(third, pgfrs.decode(cat.read_bytes()[: sizes[2]]))

    def test_every(self, cat: Path, tmp_path: Path) -> None:
        folder = tmp_path / "out"
        assert run("render-steps", cat, "-o", folder, "--every", "50k", "-q").stdout == ""
        sizes = [int(row["bytes"]) for row in steps_of(folder)]
        assert sizes[:-1] == [50_000 * n for n in range(1, len(sizes))]
        assert sizes[-1] == cat.stat().st_size
        assert len(list(folder.glob("step-*.png"))) == len(sizes)

    def test_reference(self, tmp_path: Path, chelsea: NDArray[np.uint8]) -> None:
        lossy = tmp_path / "lossy.pgf"
        lossy.write_bytes(pgfrs.encode(chelsea, quality=8))
        words = ["--steps", 2, "--reference", SAMPLES / "chelsea.png"]
        assert run("render-steps", lossy, *words).exit_code == 0
        rows = steps_of(tmp_path / "lossy-steps")
        assert float(rows[-1]["psnr_db"]) == pytest.approx(psnr(pgfrs.decode(lossy.read_bytes()), chelsea), abs=0.001)
        other = run("render-steps", lossy, "--reference", SAMPLES / "coffee.png", "-o", tmp_path / "other")
        assert other.exit_code == 1
        assert "cannot be compared" in other.stderr

    def test_existing_results_need_force(self, cat: Path) -> None:
        assert run("render-steps", cat, "--steps", 2).exit_code == 0
        assert run("render-steps", cat, "--steps", 2).exit_code == 1
        assert run("render-steps", cat, "--steps", 2, "--force").exit_code == 0

    @pytest.mark.parametrize("shape", [(9, 9, 3), (10, 200, 3), (40, 30)])
    @pytest.mark.parametrize("every", [None, 40])
    def test_small_pictures(self, shape: tuple[int, ...], every: int | None, tmp_path: Path) -> None:
        data = pgfrs.encode(np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8))
        (tmp_path / "small.pgf").write_bytes(data)
        words = ["--every", every] if every else []
        assert run("render-steps", tmp_path / "small.pgf", *words).exit_code == 0
        with Image.open(tmp_path / "small-steps" / "contact-sheet.png") as sheet:
            assert min(sheet.size) > 100

    def test_usage(self, cat: Path) -> None:
        assert run("render-steps", cat, "--every", 10, "--steps", 3).exit_code == 2
        assert run("render-steps", cat, "--steps", 1).exit_code == 2


class TestIndex:
    def test_both_containers(self, cat: Path, tmp_path: Path) -> None:
        data = pgfrs.encode(pgfrs.decode(cat.read_bytes()), format="pgfr")
        for words in ((), ("--by-place",)):
            (tmp_path / "cat.pgfr").write_bytes(data)
            assert run("index", tmp_path / "cat.pgfr", *words).exit_code == 0
            indexed = (tmp_path / "cat.pgfr").read_bytes()
            assert indexed.startswith(data) is not bool(words)
            assert np.array_equal(pgfrs.decode(indexed, strict=True), pgfrs.decode(data))
        before = cat.read_bytes()
        assert run("index", cat).exit_code == 0
        assert cat.read_bytes().startswith(before) and cat.stat().st_size > len(before)

    def test_what_cannot_be_indexed_stays(self, cat: Path, tmp_path: Path) -> None:
        data = pgfrs.encode(pgfrs.decode(cat.read_bytes()), format="pgfr")[:-1]
        (tmp_path / "cut.pgfr").write_bytes(data)
        assert run("index", tmp_path / "cut.pgfr").exit_code == 1
        assert (tmp_path / "cut.pgfr").read_bytes() == data
        assert run("index", "--by-place", cat).exit_code != 0

    def test_links_and_permissions_stay(self, cat: Path, tmp_path: Path) -> None:
        cat.chmod(0o600)
        (tmp_path / "link.pgf").symlink_to(cat)
        before = cat.stat().st_size
        assert run("index", tmp_path / "link.pgf").exit_code == 0
        assert (tmp_path / "link.pgf").is_symlink()
        assert cat.stat().st_size > before and cat.stat().st_mode & 0o777 == 0o600

    def test_links_in_a_circle(self, cat: Path, tmp_path: Path) -> None:
        (tmp_path / "one.png").symlink_to(tmp_path / "two.png")
        (tmp_path / "two.png").symlink_to(tmp_path / "one.png")
        result = run("decode", cat, "-o", tmp_path / "one.png")
        assert result.exit_code == 1 and "one.png" in result.stderr
        assert (tmp_path / "one.png").is_symlink() and (tmp_path / "two.png").is_symlink()


class TestProgram:
    def test_help_lists_what_exists(self) -> None:
        result = run("--help")
        assert result.exit_code == 0
        assert set(cli.commands) == {
            "encode",
            "decode",
            "info",
            "transcode",
            "repair",
            "render-steps",
            "damage",
            "convert",
            "view",
            "index",
        }
        assert all(name in result.stdout for name in cli.commands)

    @pytest.mark.parametrize("name", sorted(cli.commands))
    def test_every_command_has_help(self, name: str) -> None:
        result = run(name, "-h")
        assert result.exit_code == 0
        assert "Usage: " in result.stdout

    def test_as_a_module(self, cat: Path) -> None:
        done = subprocess.run([sys.executable, "-m", "pgfrs", "info", str(cat)], capture_output=True, check=False)
        assert done.returncode == 0
        assert b"451 x 300" in done.stdout
        done = subprocess.run([sys.executable, "-m", "pgfrs", "melt"], capture_output=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(b"Usage: pgfrs ")

    def test_a_reader_that_leaves_ends_the_program_quietly(self, cat: Path) -> None:
        command = [sys.executable, "-m", "pgfrs", "info", *[str(cat)] * 500]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            assert program.stdout is not None
            assert program.stderr is not None
            assert program.stdout.readline() == f"{cat}\n".encode()
            program.stdout.close()
            assert program.stderr.read() == b""
            assert program.wait() == 1

    def test_without_its_libraries_it_says_how_to_get_them(self) -> None:
        code = "import sys; sys.modules['click'] = None; from pgfrs.__main__ import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "pip install 'pgfrs[cli]'" in done.stderr

    def test_progress_bar_on_a_terminal_only(self, tmp_path: Path, cat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        jobs = [_outputs.Job(str(cat), "") for _ in range(3)]

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        def work(job: _outputs.Job) -> str:
            if job is jobs[1]:
                raise ValueError("broken")
            return "done"

        for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
            monkeypatch.setattr(sys, "stderr", stream)
            assert _outputs.Console(jobs, quiet=False).run(jobs, work, workers=2) == 1
            assert ("3/3" in stream.getvalue()) is shown
            assert "broken" in stream.getvalue()
