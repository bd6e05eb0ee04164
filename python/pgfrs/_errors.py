"""Exceptions and warnings of the package."""

from __future__ import annotations

__all__ = ["DamageWarning", "FormatError", "LimitsError", "PgfError", "TruncatedError", "UnsupportedError"]


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


class DamageWarning(UserWarning):
    """The picture was made from cut or damaged data: the best that the bytes allow."""
