"""Streams for people who train and run byte-level language models: ids, training samples, shards.

Importing it needs numpy alone. :mod:`pgfrs.llm.samples` makes training samples of streams, :mod:`pgfrs.llm.shards`
packs those of a conversion, :mod:`pgfrs.llm.torch` gives them to PyTorch, and :mod:`pgfrs.llm.jpeg` (Pillow) is the
baseline. :mod:`pgfrs.llm.positions` says where in the picture every byte stands, :mod:`pgfrs.llm.legal` which ids may
come next while a model writes, :mod:`pgfrs.llm.live` shows what it has written, and :func:`what_next` names what it
should write next.
"""

from __future__ import annotations

from pgfrs.llm.ids import BYTES, EVABYTE, Ids, from_ids, to_ids
from pgfrs.llm.refining import Prompt, what_next

__all__ = ["BYTES", "EVABYTE", "Ids", "Prompt", "from_ids", "to_ids", "what_next"]
