"""Exceptions and warnings of the package."""

from __future__ import annotations

__all__ = [
    "DamageWarning",
    "FormatError",
    "IngestError",
    "LimitsError",
    "PgfError",
    "TruncatedError",
    "UnsupportedError",
    "WholeFileWarning",
]


class PgfError(Exception):
    """Any error about the data of a file or stream.

    Attributes:
        field: the field of the format that is wrong, or ``None`` where no single one is.
        offset: its byte offset from the start of the data, or ``None``.
    """

    field: str | None = None
    offset: int | None = None


class FormatError(PgfError, ValueError):
    """The data contradict the format."""


class TruncatedError(FormatError):
    """The data end too early: inside the header, or anywhere with ``strict=True``."""


class LimitsError(PgfError):
    """The data ask for more than the caller's :class:`Limits` allow; nothing was allocated."""


class UnsupportedError(PgfError, NotImplementedError):
    """A part of a format, or a conversion, that this package does not offer."""


class IngestError(PgfError):
    """A row of a corpus that did not become a picture.

    Attributes:
        kind: ``"unreadable"``, ``"empty"``, ``"unknown_format"``, ``"truncated"``, ``"corrupt"``, ``"unsupported"``,
            ``"limits"``, ``"too_small"``, ``"too_large"``, ``"aspect"`` or ``"encode"``.
        message: what is wrong, with value and bound.
        skipped: whether the picture is fine and was left out because the selection says so.
    """

    def __init__(self, kind: str, message: str, skipped: bool = False) -> None:
        super().__init__(kind, message, skipped)
        self.kind = kind
        self.message = message
        self.skipped = skipped

    def __str__(self) -> str:
        """Kind and message in one line."""
        return f"{self.kind}: {self.message}"


class DamageWarning(UserWarning):
    """The picture was made from cut or damaged data: the best that the bytes allow."""


class WholeFileWarning(UserWarning):
    """All of a file was fetched where a part was wanted: its server has no byte ranges."""
