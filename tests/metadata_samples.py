"""Metadata blocks to save, and the exiv2 program to read them with; used by several test files."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path

import pytest
from PIL import ExifTags, Image, ImageCms

from material import shared_directory

XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="a test"'
    b' xmp:Rating="4"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def sample_exif() -> bytes:
    """An Exif block with a maker, a model and an exposure time."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Muster & Sons"
    exif[ExifTags.Base.Model] = "Box 9"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = 320
    return exif.tobytes()


def iptc_record(dataset: int, text: str) -> bytes:
    """One record of the IPTC-IIM application section 2."""
    data = text.encode()
    return struct.pack(">BBBH", 0x1C, 2, dataset, len(data)) + data


def sample_iptc() -> bytes:
    """City and two keywords, an odd number of bytes."""
    records = iptc_record(90, "Zweibrücken") + iptc_record(25, "river") + iptc_record(25, "fog")
    return records if len(records) % 2 else records + iptc_record(101, "Germany")


@cache  # a new profile carries the time of its making
def sample_icc() -> bytes:
    """An sRGB profile, the same one in every call."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def with_user_data(pgf: bytes, user_data: bytes) -> bytes:
    """A .pgf file (version 6 or 7, no colour table) with its user data replaced."""
    assert pgf[3] & 0x20
    assert pgf[20] != 2
    (header_size,) = struct.unpack_from("<I", pgf, 4)
    return pgf[:4] + struct.pack("<I", 16 + len(user_data)) + pgf[8:24] + user_data + pgf[8 + header_size :]


def user_data_of(pgf: bytes) -> bytes:
    """The user data of a .pgf file (version 6 or 7, no colour table)."""
    assert pgf[3] & 0x20
    (header_size,) = struct.unpack_from("<I", pgf, 4)
    return pgf[24 : 8 + header_size]


def exiv2(*arguments: str | Path) -> bytes:
    """What the exiv2 program prints. Skips the test where it is missing; with CI=true that is a failure."""
    program = shutil.which("exiv2")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("exiv2 is not installed: apt-get install exiv2")
        pytest.skip("exiv2 is not installed: apt-get install exiv2")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, timeout=60, check=False)
    # exiv2 ends with 253 when the file carries no metadata of the kind asked for.
    assert done.returncode in (0, 253), done.stderr.decode(errors="replace")
    return done.stdout


def shared_file(relative: str) -> Path:
    """A file of the optional shared material; skips the test where that is absent."""
    folder = shared_directory()
    if folder is None or not (folder / relative).exists():
        pytest.skip(f"the shared file {relative} is absent: set PGFRS_SHARED or provide ../shared")
    return folder / relative
