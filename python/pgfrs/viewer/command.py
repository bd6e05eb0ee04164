"""``pgfrs view``."""

from __future__ import annotations

import argparse
import sys
import threading
import webbrowser
from collections.abc import Sequence

import pgfrs
from pgfrs.viewer.server import Viewer
from pgfrs.viewer.tiles import TiledPictures

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until interrupted; returns the exit code, 2 for arguments that make no sense."""
    parser = argparse.ArgumentParser(
        prog="pgfrs view", description="Pan and zoom pictures in a browser, on a page that this machine serves."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help=".pgf or .pgfr file, or address (needs pgfrs[remote])")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port to serve on; default: any free one")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(arguments)
    viewer = Viewer()
    try:
        TiledPictures(options.files).add_to(viewer)
        address = viewer.start(options.port)
    except (pgfrs.PgfError, OSError, ImportError, OverflowError) as error:
        print(f"pgfrs view: {error}", file=sys.stderr)
        return 1
    try:
        print(f"{address}  (Ctrl-C ends)", flush=True)
        if not options.no_browser:
            webbrowser.open(address)
        threading.Event().wait()
    except KeyboardInterrupt:
        viewer.stop()
    return 0
