"""From an image corpus to training-ready shards: :func:`convert` here, ``pgfrs convert`` on the command line."""

from pgfrs._pgfrs import ConvertedImage, convert_batch, prepare_image
from pgfrs.corpus.api import convert
from pgfrs.corpus.plan import PlanError
from pgfrs.corpus.recipe import FOR_MODELS, Recipe, convert_rows
from pgfrs.corpus.sinks import SINKS
from pgfrs.corpus.sources import Source, SourceError, find_source

__all__ = [
    "FOR_MODELS",
    "SINKS",
    "ConvertedImage",
    "PlanError",
    "Recipe",
    "Source",
    "SourceError",
    "convert",
    "convert_batch",
    "convert_rows",
    "find_source",
    "prepare_image",
]
