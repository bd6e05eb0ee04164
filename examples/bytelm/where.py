"""Where bytes stand, for models that are told so beside the bytes: of token streams what `pgfrs.llm.positions` says, of
JPEG as much (block, coefficient, bits of the code that is read), so that the comparison stays fair.
"""

from __future__ import annotations

import functools
import struct
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import codings
from pgfrs.llm import jpeg
from pgfrs.llm.positions import COLUMNS, NEXT, Positions

MARKER, ADDRESS, HEADER, CONTENT = (NEXT.index(name) for name in ("marker", "address", "header", "content"))


class Follower(Protocol):
    """Takes bytes, says where the next one stands."""

    def advance(self, data: bytes, /) -> NDArray[np.int32]: ...

    def position(self) -> NDArray[np.int32]: ...


def coding(name: str) -> str:
    """The encoding of a name that may say that the model is told."""
    return name.removesuffix(codings.TOLD)


def baseline(name: str) -> str:
    """JPEG, told where its bytes stand if the other is."""
    return "jpeg" + codings.TOLD * name.endswith(codings.TOLD)


def follower(name: str) -> Follower | None:
    """Of the name of an encoding; ``None`` for models that are not told."""
    if not name.endswith(codings.TOLD):
        return None
    return JpegPositions() if coding(name) == "jpeg" else Positions(limits=codings.LIMITS)


@functools.cache
def _codes() -> dict[tuple[int, int], dict[tuple[int, int], int]]:
    """By class (0 DC, 1 AC) and table: (length, code) to symbol, of the tables that all files share."""
    found = {}
    data, at = jpeg.fixed_tables(), 0
    while at < len(data):
        kind, size = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        piece, at = data[at + 4 : at + 2 + size], at + 2 + size
        while kind == 0xC4 and piece:  # DHT, T.81 B.2.4.2 and annex C
            counts, symbols = piece[1:17], iter(piece[17 : 17 + sum(piece[1:17])])
            table, code = {}, 0
            for length, count in enumerate(counts, 1):
                for _ in range(count):
                    table[length, code] = next(symbols)
                    code += 1
                code <<= 1
            found[piece[0] >> 4, piece[0] & 15] = table
            piece = piece[17 + sum(counts) :]
    return found


class JpegPositions:
    """Follows a baseline JPEG file as ``pgfrs.llm.jpeg`` writes it: gray or 4:2:0, a restart marker behind every MCU.

    Of :data:`pgfrs.llm.positions.COLUMNS` ``channel`` is the component, ``band`` how many bits of the code that is
    read are there, ``weight`` the coefficient in zigzag order, ``row`` and ``column`` the middle of the block. Never
    raises.
    """

    def __init__(self) -> None:
        self.header = b""
        self.scanning = self.marker = False
        self.width = self.units = 0
        #: Component and place in the MCU, in blocks, of its blocks.
        self.blocks: list[tuple[int, int, int]] = []
        self._restart()

    def _restart(self) -> None:
        self.block = self.coefficient = self.code = self.length = self.skip = 0

    def advance(self, data: bytes, /) -> NDArray[np.int32]:
        rows = np.full((len(data), len(COLUMNS)), -1, np.int32)
        for row, byte in zip(rows, data, strict=True):
            if not self.scanning:
                self._head(byte)
            elif self.marker:
                self.marker = byte == 0xFF
                if byte == 0:
                    self._bits(0xFF)
                elif 0xD0 <= byte <= 0xD7:
                    self.units += 1
                    self._restart()
            elif byte == 0xFF:
                self.marker = True
            else:
                self._bits(byte)
            row[:] = self.position()
        return rows

    def _head(self, byte: int) -> None:
        self.header += bytes([byte])
        at = 2
        while at + 4 <= len(self.header):
            kind, size = self.header[at + 1], struct.unpack(">H", self.header[at + 2 : at + 4])[0]
            if len(self.header) < at + 2 + size:
                return
            if kind == 0xC0 and size >= 9:  # SOF0
                self.width = struct.unpack(">H", self.header[at + 7 : at + 9])[0]
                gray = self.header[at + 9] == 1
                luma = [(0, 0, 0)] if gray else [(0, y, x) for y in (0, 1) for x in (0, 1)]
                self.blocks = luma if gray else [*luma, (1, 0, 0), (2, 0, 0)]
            if kind == 0xDA:  # SOS
                self.scanning = True
                return
            at += 2 + max(2, size)

    def _bits(self, byte: int) -> None:
        for shift in range(7, -1, -1):
            if self.block >= len(self.blocks):
                return
            if self.skip:
                self.skip -= 1
                self.length += 1
                if not self.skip:
                    self._next()
                continue
            self.code, self.length = self.code << 1 | byte >> shift & 1, self.length + 1
            table = _codes()[min(self.coefficient, 1), min(self.blocks[self.block][0], 1)]
            symbol = table.get((self.length, self.code))
            if symbol is None:
                continue
            run, self.skip = symbol >> 4, symbol & 15
            if self.coefficient and not self.skip:
                # Sixteen zeros, or none but zeros.
                self.coefficient = self.coefficient + 15 if run == 15 else 63
            else:
                self.coefficient += run if self.coefficient else 0
            if not self.skip:
                self._next()

    def _next(self) -> None:
        self.coefficient, self.code, self.length = self.coefficient + 1, 0, 0
        if self.coefficient > 63:
            self.block, self.coefficient = self.block + 1, 0

    def position(self) -> NDArray[np.int32]:
        if self.marker:
            return np.array([ADDRESS, -1, -1, -1, -1, -1, -1], np.int32)
        if not self.scanning:
            return np.array([HEADER if self.header else MARKER, -1, -1, -1, -1, -1, -1], np.int32)
        if self.block >= len(self.blocks):
            return np.array([MARKER, -1, -1, -1, -1, -1, -1], np.int32)
        component, down, right = self.blocks[self.block]
        side = 8 if len(self.blocks) == 1 else 16
        half = side // 2 if component or side == 8 else 4
        line, place = divmod(self.units, max(1, -(-self.width // side)))
        row, column = side * line + 8 * down + half, side * place + 8 * right + half
        return np.array([CONTENT, component, 0, self.length, self.coefficient, row, column], np.int32)
