"""What a conversion writes: one module a layout, all with the interface of :mod:`pgfrs.corpus.sinks.base`."""

from __future__ import annotations

import importlib
from typing import Any

from pgfrs.corpus.sinks.base import Layout, Sink

_MODULES = {
    "tar": "pgfrs.corpus.sinks.tar:TarSink",
    "parquet": "pgfrs.corpus.sinks.parquet:ParquetSink",
    "megatron": "pgfrs.corpus.sinks.ids:MegatronSink",
    "memmap": "pgfrs.corpus.sinks.ids:MemmapSink",
    "mds": "pgfrs.corpus.sinks.mds:MdsSink",
    "files": "pgfrs.corpus.sinks.folder:FolderSink",
}
SINKS = tuple(_MODULES)
#: Those that write ids rather than bytes.
ID_SINKS = ("megatron", "memmap")


def make_sink(name: str, layout: Layout) -> Sink:
    """The sink of a name; raises ``ValueError`` for an unknown one or options that do not fit."""
    if name not in _MODULES:
        raise ValueError(f"sink {name!r}: {', '.join(SINKS)} are possible")
    module, _, kind = _MODULES[name].partition(":")
    try:
        sink: Any = getattr(importlib.import_module(module), kind)(layout)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"sink {name!r} needs {error.name}: pip install 'pgfrs[corpus]'") from None
    if not isinstance(sink, Sink):
        raise TypeError(f"{kind} is no Sink")
    return sink


__all__ = ["ID_SINKS", "SINKS", "Layout", "Sink", "make_sink"]
