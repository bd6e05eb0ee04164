"""Pictures between files and PGF: read PNG, JPEG, TIFF and others, write them, show and compare them.

A :class:`Raster` is what :func:`pgfrs.encode` takes and :func:`pgfrs.decode` gives, with its mode named and its
metadata beside it. The command line is built on this; the codec itself never needs it.
"""

from pgfrs.raster._convert import convert, relabel, upright
from pgfrs.raster._model import Pixels, Raster, RasterError
from pgfrs.raster._read import read_raster
from pgfrs.raster._view import peak_of, preview, psnr
from pgfrs.raster._write import FORMATS, OutputFormat, format_for_name, write_raster

__all__ = [
    "FORMATS",
    "OutputFormat",
    "Pixels",
    "Raster",
    "RasterError",
    "convert",
    "format_for_name",
    "peak_of",
    "preview",
    "psnr",
    "read_raster",
    "relabel",
    "upright",
    "write_raster",
]
