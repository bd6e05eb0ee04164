"""Exif, IPTC, XMP and ICC profiles in the user data of a .pgf file, as digiKam and Exiv2 keep them.

PGF has no metadata fields of its own, only one block of opaque *user data* behind its header. digiKam and
Exiv2 store a complete PNG file of 1x1 pixel there, whose chunks carry the metadata:

========  =====================================================  =========================================
metadata  chunk written here                                     also read
========  =====================================================  =========================================
Exif      ``zTXt`` "Raw profile type exif" (hexadecimal text)    ``tEXt``, ``iTXt``, "APP1", ``eXIf``
IPTC      ``zTXt`` "Raw profile type iptc", in a Photoshop       ``tEXt``, ``iTXt``, "8bim", bare records
          image resource block (``8BIM``, resource 0x0404)
XMP       ``iTXt`` "XML:com.adobe.xmp", not compressed           ``zTXt``, ``tEXt``, "xmp", "APP1"
ICC       ``iCCP``                                               "icc", "icm"
========  =====================================================  =========================================

The module is pure Python and depends on nothing outside the standard library.

>>> user_data = pack_metadata(xmp=b"<x:xmpmeta/>")
>>> unpack_metadata(user_data).xmp
b'<x:xmpmeta/>'
"""

from __future__ import annotations

import binascii
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["METADATA_SHARE", "Metadata", "pack_metadata", "unpack_metadata"]

Buffer: TypeAlias = bytes | bytearray | memoryview

METADATA_SHARE: Final = 4
"""Of a budget of bytes for a whole file metadata get at most the so-many-th part; what needs more is left out."""

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_EXIF_PREFIX: Final = b"Exif\0\0"
_TIFF_MAGICS: Final = (b"II*\0", b"MM\0*")
_XMP_KEYWORD: Final = "XML:com.adobe.xmp"
_XMP_APP1_PREFIX: Final = b"http://ns.adobe.com/xap/1.0/\0"
_RAW_PROFILE: Final = "Raw profile type "
_IPTC_RESOURCE: Final = 0x0404
_MAX_CHUNK: Final = 2**31 - 1
_MAX_UNPACKED: Final = 64 * 2**20
_HEX_BYTES_PER_LINE: Final = 36

# One white RGB pixel (8 bits per sample, no filter), already compressed.
_IHDR: Final = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
_IDAT: Final = bytes.fromhex("08d763f8ffff3f0005fe02fe")


@dataclass(frozen=True)
class Metadata:
    """The four blocks of metadata that photographs carry; ``None`` where a block is absent.

    ``exif``
        The Exif block as JPEG and Pillow hold it: ``b"Exif\\0\\0"`` and then a TIFF structure.
    ``iptc``
        IPTC-IIM records (each starts with byte 0x1C), without the Photoshop resource block around them.
    ``xmp``
        The XMP packet, UTF-8.
    ``icc_profile``
        The ICC colour profile.
    """

    exif: bytes | None = None
    iptc: bytes | None = None
    xmp: bytes | None = None
    icc_profile: bytes | None = None


# --- writing ------------------------------------------------------------------------------------------------


def pack_metadata(
    *,
    exif: Buffer | None = None,
    iptc: Buffer | None = None,
    xmp: Buffer | str | None = None,
    icc_profile: Buffer | None = None,
) -> bytes:
    """Build the user data that carries the given blocks; ``b""`` when all of them are absent or empty.

    ``exif`` is a TIFF structure with or without ``b"Exif\\0\\0"`` before it; ``iptc`` bare IPTC-IIM records
    or a whole Photoshop resource block (then kept as it is); ``xmp`` bytes in UTF-8 or a ``str``;
    ``icc_profile`` any bytes.

    Exiv2 looks for the result directly behind the 16 header bytes, so it does not find it in files of mode
    ``"indexed"``, where the colour table comes first. Exiv2 0.27 shows the Exif, IPTC and XMP of a .pgf file,
    but not its ICC profile.

    Raises ``ValueError`` if ``exif`` does not begin with a TIFF structure, if ``iptc`` begins with neither a
    record nor a resource block, or if a block exceeds the 2^31 - 1 bytes of a PNG chunk; ``TypeError`` for
    anything but a buffer.
    """
    exif_bytes, iptc_bytes, icc_bytes = (_as_bytes(block) for block in (exif, iptc, icc_profile))
    xmp_bytes = xmp.encode() if isinstance(xmp, str) else _as_bytes(xmp)
    if not (exif_bytes or iptc_bytes or xmp_bytes or icc_bytes):
        return b""
    chunks = [_chunk(b"IHDR", _IHDR)]
    # A PNG states its colour space once: a profile, or else sRGB as digiKam and Exiv2 write it.
    chunks.append(_chunk(b"iCCP", _iccp(icc_bytes)) if icc_bytes else _chunk(b"sRGB", b"\0"))
    if exif_bytes:
        chunks.append(_chunk(b"zTXt", _raw_profile("exif", _with_exif_prefix(exif_bytes))))
    if iptc_bytes:
        chunks.append(_chunk(b"zTXt", _raw_profile("iptc", _with_resource_block(iptc_bytes))))
    if xmp_bytes:
        # keyword, not compressed, method 0, empty language tag, empty translated keyword
        chunks.append(_chunk(b"iTXt", _XMP_KEYWORD.encode() + b"\0\0\0\0\0" + xmp_bytes))
    chunks += [_chunk(b"IDAT", _IDAT), _chunk(b"IEND", b"")]
    return _PNG_SIGNATURE + b"".join(chunks)


def _as_bytes(block: Buffer | None) -> bytes:
    if block is None:
        return b""
    return block if isinstance(block, bytes) else bytes(memoryview(block))


def _chunk(kind: bytes, payload: bytes) -> bytes:
    if len(payload) > _MAX_CHUNK:
        raise ValueError(f"PNG chunk {kind.decode()}: {len(payload)} bytes, at most {_MAX_CHUNK} fit")
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)


def _iccp(profile: bytes) -> bytes:
    return b"ICC Profile\0\0" + zlib.compress(profile)


def _raw_profile(name: str, payload: bytes) -> bytes:
    """A ``zTXt`` payload in ImageMagick's form: name, decimal length, hexadecimal digits on lines of 72."""
    digits = binascii.hexlify(payload)
    width = 2 * _HEX_BYTES_PER_LINE
    lines = [digits[i : i + width] for i in range(0, len(digits), width)]
    text = b"\n".join([b"", name.encode(), b"%8d" % len(payload), *lines, b""])
    return (_RAW_PROFILE + name).encode() + b"\0\0" + zlib.compress(text)


def _with_exif_prefix(exif: bytes) -> bytes:
    block = exif if exif.startswith(_EXIF_PREFIX) else _EXIF_PREFIX + exif
    if block[6:10] not in _TIFF_MAGICS:
        raise ValueError(f"exif: expected a TIFF structure (II*\\0 or MM\\0*), found {block[6:10]!r}")
    return block


def _with_resource_block(iptc: bytes) -> bytes:
    if iptc.startswith(b"8BIM"):
        return iptc
    if not iptc.startswith(b"\x1c"):
        raise ValueError(f"iptc: expected IPTC records (0x1c) or a Photoshop block (8BIM), found {iptc[:4]!r}")
    # signature, resource number, empty name padded to two bytes, length; data padded to an even length
    head = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc))
    return head + iptc + b"\0" * (len(iptc) % 2)


# --- reading ------------------------------------------------------------------------------------------------


def unpack_metadata(user_data: Buffer, *, max_bytes: int = _MAX_UNPACKED) -> Metadata:
    """Read the metadata that ``user_data`` carries.

    Anything but a PNG file gives an empty :class:`Metadata`. In a damaged or hostile one every block that can
    be read whole is returned and the others are ``None``; nothing is raised. ``max_bytes`` bounds the bytes
    that all decompression in this call may produce together. If a block occurs more than once, the first
    whole one counts.
    """
    view = memoryview(user_data).cast("B")
    if bytes(view[:8]) != _PNG_SIGNATURE:
        return Metadata()
    collector = _Collector(max_bytes)
    for kind, payload in _chunks(view[8:]):
        collector.take(kind, payload)
    return Metadata(**collector.found)


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks of a PNG file in order; a wrong checksum is no reason to lose a readable one."""
    at = 0
    while at + 8 <= len(view):
        length, kind = struct.unpack_from(">I4s", view, at)
        at += 8
        if length > len(view) - at:
            return
        yield kind, view[at : at + length]
        at += length + 4


class _Inflater:
    """zlib decompression with one budget of output bytes for many streams."""

    def __init__(self, budget: int) -> None:
        self._budget = budget

    def __call__(self, data: memoryview) -> bytes | None:
        """The whole decompressed stream, or ``None`` if it is damaged, cut or beyond the budget."""
        stream = zlib.decompressobj()
        try:
            # One byte more than allowed, because 0 would mean "no limit".
            out = stream.decompress(data, self._budget + 1)
        except zlib.error:
            return None
        fits = len(out) <= self._budget
        self._budget = max(0, self._budget - len(out))
        return out if fits and stream.eof else None


class _Collector:
    """Keeps the first whole block of each kind."""

    def __init__(self, budget: int) -> None:
        self.found: dict[str, bytes] = {}
        self._inflate = _Inflater(budget)

    def take(self, kind: bytes, payload: memoryview) -> None:
        if kind == b"eXIf":
            self._keep("exif", _clean_exif(bytes(payload)))
        elif kind == b"iCCP":
            self._take_iccp(payload)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            self._take_text(kind, payload)

    def _keep(self, name: str, block: bytes | None) -> None:
        if block:
            self.found.setdefault(name, block)

    def _take_iccp(self, payload: memoryview) -> None:
        _, rest = _split_at_nul(payload, 80)
        if "icc_profile" not in self.found and rest is not None and bytes(rest[:1]) == b"\0":
            self._keep("icc_profile", self._inflate(rest[1:]))

    def _take_text(self, kind: bytes, payload: memoryview) -> None:
        keyword, rest = _split_at_nul(payload, 80)
        if rest is None or not self._wanted(keyword):
            return
        text = self._text(kind, rest)
        if text is None:
            return
        if keyword == _XMP_KEYWORD:
            self._keep("xmp", text)
        else:
            self._take_raw_profile(keyword.removeprefix(_RAW_PROFILE).lower(), text)

    def _wanted(self, keyword: str) -> bool:
        """Whether the block under this keyword is ours and not found yet: others are never decompressed."""
        if keyword == _XMP_KEYWORD:
            return "xmp" not in self.found
        if not keyword.startswith(_RAW_PROFILE):
            return False
        fields = _PROFILE_FIELDS.get(keyword.removeprefix(_RAW_PROFILE).lower(), ())
        return any(field not in self.found for field in fields)

    def _text(self, kind: bytes, rest: memoryview) -> bytes | None:
        """The decompressed text behind the keyword of a text chunk; ``None`` if it is malformed."""
        if kind == b"tEXt":
            return bytes(rest)
        if kind == b"zTXt":
            return self._inflate(rest[1:]) if bytes(rest[:1]) == b"\0" else None
        compressed, tail = bytes(rest[:1]), rest[2:]
        for _ in range(2):  # language tag, translated keyword
            _, remainder = _split_at_nul(tail, len(tail))
            if remainder is None:
                return None
            tail = remainder
        if compressed == b"\0":
            return bytes(tail)
        return self._inflate(tail) if compressed == b"\1" else None

    def _take_raw_profile(self, name: str, text: bytes) -> None:
        block = _parse_raw_profile(text)
        if block is None:
            return
        for field in _PROFILE_FIELDS[name]:
            self._keep(field, _CLEANERS[field](block))


def _split_at_nul(payload: memoryview, limit: int) -> tuple[str, memoryview | None]:
    """Text before the first NUL within ``limit`` bytes, and what follows it (``None`` without a NUL)."""
    head = bytes(payload[:limit])
    end = head.find(b"\0")
    if end < 0:
        return "", None
    return head[:end].decode("latin-1"), payload[end + 1 :]


_RAW_PROFILE_HEAD: Final = re.compile(rb"\s*[^\s]{1,80}\s+([0-9]{1,10})\s")


def _parse_raw_profile(text: bytes) -> bytes | None:
    """The bytes of an ImageMagick raw profile; ``None`` unless as many are there as it states."""
    head = _RAW_PROFILE_HEAD.match(text)
    if head is None:
        return None
    try:
        block = binascii.unhexlify(text[head.end() :].translate(None, b" \t\r\n\0"))
    except binascii.Error:
        return None
    length = int(head[1])
    return block[:length] if len(block) >= length else None


def _clean_exif(block: bytes) -> bytes | None:
    tiff = block.removeprefix(_EXIF_PREFIX)
    return _EXIF_PREFIX + tiff if tiff[:4] in _TIFF_MAGICS else None


def _clean_iptc(block: bytes) -> bytes | None:
    if block.startswith(b"8BIM"):
        return b"".join(_resources(block, _IPTC_RESOURCE)) or None
    return block if block.startswith(b"\x1c") else None


def _clean_xmp(block: bytes) -> bytes | None:
    packet = block.removeprefix(_XMP_APP1_PREFIX)
    return packet if packet.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else None


def _clean_icc(block: bytes) -> bytes | None:
    return block or None


def _resources(block: bytes, wanted: int) -> Iterator[bytes]:
    """The data of each Photoshop image resource numbered ``wanted``, as far as the chain is sound."""
    at = 0
    while block[at : at + 4] == b"8BIM" and at + 7 <= len(block):
        number = int.from_bytes(block[at + 4 : at + 6], "big")
        name_length = block[at + 6] + 1
        at += 6 + name_length + name_length % 2
        if at + 4 > len(block):
            return
        length = int.from_bytes(block[at : at + 4], "big")
        at += 4
        if length > len(block) - at:
            return
        if number == wanted:
            yield block[at : at + length]
        at += length + length % 2


_PROFILE_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "exif": ("exif",),
    "app1": ("exif", "xmp"),
    "iptc": ("iptc",),
    "8bim": ("iptc",),
    "xmp": ("xmp",),
    "icc": ("icc_profile",),
    "icm": ("icc_profile",),
}

_CLEANERS: Final[dict[str, Callable[[bytes], bytes | None]]] = {
    "exif": _clean_exif,
    "iptc": _clean_iptc,
    "xmp": _clean_xmp,
    "icc_profile": _clean_icc,
}
