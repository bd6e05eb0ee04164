"""A local page that shows pictures: ``pgfrs view``.

:class:`~pgfrs.viewer.server.Viewer` serves the page, its scripts and the answers to what they ask;
:mod:`pgfrs.viewer.tiles` is the part that pans and zooms large pictures. Another mode of the page is another module
with routes and a script beside ``page.html``.
"""

from pgfrs.viewer.command import main
from pgfrs.viewer.server import Viewer

__all__ = ["Viewer", "main"]
