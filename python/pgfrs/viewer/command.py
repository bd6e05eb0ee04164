"""``pgfrs view``."""

from __future__ import annotations

import argparse
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence

import pgfrs
from pgfrs.viewer.server import Viewer
from pgfrs.viewer.streams import Streams
from pgfrs.viewer.tiles import TiledPictures, is_local

__all__ = ["main"]

LOOK_S = 0.1
"""Time between looks at a stream whose header is not there yet."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until interrupted; returns the exit code, 2 for arguments that make no sense."""
    parser = argparse.ArgumentParser(
        prog="pgfrs view",
        description="Pan and zoom pictures in a browser, and go along streams (.pgfr) byte by byte, "
        "also while they are being written, on a page that this machine serves.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help=".pgf or .pgfr file, or address (needs pgfrs[remote])")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port to serve on; default: any free one")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--wait", action="store_true", help="wait for files that are not there or have no header yet")
    options = parser.parse_args(arguments)
    viewer = Viewer()
    try:
        if options.wait:
            for name in options.files:
                _wait_for(name)
        Streams(options.files).add_to(viewer)
        TiledPictures(options.files).add_to(viewer)
        address = viewer.start(options.port)
    except (pgfrs.PgfError, OSError, ImportError, OverflowError, ValueError) as error:
        print(f"pgfrs view: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    try:
        print(f"{address}  (Ctrl-C ends)", flush=True)
        if not options.no_browser:
            webbrowser.open(address)
        threading.Event().wait()
    except KeyboardInterrupt:
        viewer.stop()
    return 0


def _wait_for(address: str) -> None:
    """Return when the header of a file is there, user data and all; addresses elsewhere are not waited for."""
    while is_local(address):
        try:
            # Only opening knows how far a header goes.
            pgfrs.open(address).close()
            return
        except (FileNotFoundError, pgfrs.TruncatedError):
            time.sleep(LOOK_S)
