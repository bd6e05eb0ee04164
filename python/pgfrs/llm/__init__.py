"""Streams for people who train and run byte-level language models: ids, training samples, shards.

Importing it needs numpy alone; what needs PyTorch or Pillow (:mod:`pgfrs.llm.shards`, :mod:`pgfrs.llm.jpeg`) is imported
when it is used.
"""

from __future__ import annotations

from pgfrs.llm.ids import BYTES, EVABYTE, Ids, from_ids, to_ids

__all__ = ["BYTES", "EVABYTE", "Ids", "from_ids", "to_ids"]
