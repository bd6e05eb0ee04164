"""Streams for people who train and run byte-level language models: ids, training samples, shards.

Importing it needs numpy alone. :mod:`pgfrs.llm.samples` makes training samples of streams, :mod:`pgfrs.llm.shards`
packs those of a conversion, :mod:`pgfrs.llm.torch` gives them to PyTorch, and :mod:`pgfrs.llm.jpeg` (Pillow) is the
baseline.
"""

from __future__ import annotations

from pgfrs.llm.ids import BYTES, EVABYTE, Ids, from_ids, to_ids

__all__ = ["BYTES", "EVABYTE", "Ids", "from_ids", "to_ids"]
