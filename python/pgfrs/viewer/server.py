"""The server behind the page: one process, this machine only, nothing from elsewhere."""

from __future__ import annotations

import contextlib
import http.server
import importlib.resources
import json
import re
import socket
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pgfrs

__all__ = ["Answer", "Changed", "NotThere", "Query", "Viewer"]

Query = dict[str, str]
"""The arguments of an address; the last of each name counts."""


@dataclass(frozen=True)
class Answer:
    """A body with its type and further headers."""

    body: bytes
    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: Any) -> Answer:
        """A value as JSON."""
        return cls(json.dumps(value).encode(), "application/json")


class NotThere(LookupError):
    """An address behind which nothing is."""


class Changed(Exception):
    """A file is no longer the one that a page asks about."""


Handler = Callable[[tuple[str, ...], Query], Answer]
"""Answers a request: the groups of the route's pattern, the arguments. ``ValueError`` says what is wrong with them."""

_THIS_MACHINE = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]+)?", re.IGNORECASE)
"""Hosts that are answered. Browsers leave out port 80, and a tunnel may lead here from any port."""


class Viewer:
    """The page and its server.

    A part of the page adds routes with :meth:`route` and a script of this package with :meth:`script`; the scripts
    are loaded in that order and find each other in ``window.pgfrs``.
    """

    def __init__(self) -> None:
        self._routes: list[tuple[re.Pattern[str], Handler]] = []
        self._scripts: list[str] = []
        self._server: _Server | None = None
        self.route("/", self._page)
        self.route(r"/scripts/([a-z]+\.js)", self._script)

    def route(self, pattern: str, handler: Handler) -> None:
        """Answer requests for addresses that match a pattern from end to end."""
        self._routes.append((re.compile(pattern), handler))

    def script(self, name: str) -> None:
        """Load a file of this package with the page."""
        self._scripts.append(name)

    def start(self, port: int = 0) -> str:
        """Serve from a thread of its own, on this machine only; returns the page's address.

        Raises:
            OSError: the port is taken.
        """
        self._server = _Server(self, port)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def stop(self) -> None:
        """Stop serving."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    def answer(self, address: str) -> Answer:
        """The answer to a request.

        Raises:
            NotThere: no route fits.
            ValueError: the arguments do not.
        """
        parts = urllib.parse.urlsplit(address)
        query = dict(urllib.parse.parse_qsl(parts.query))
        for pattern, handler in self._routes:
            match = pattern.fullmatch(parts.path)
            if match:
                return handler(match.groups(), query)
        raise NotThere(parts.path)

    def _page(self, _: Sequence[str], __: Query) -> Answer:
        tags = "".join(f'<script src="scripts/{name}"></script>\n' for name in self._scripts)
        return Answer(_file("page.html").replace(b"<!-- scripts -->\n", tags.encode()), "text/html; charset=utf-8")

    def _script(self, groups: Sequence[str], _: Query) -> Answer:
        if groups[0] not in self._scripts:
            raise NotThere(groups[0])
        return Answer(_file(groups[0]), "text/javascript; charset=utf-8")


def _file(name: str) -> bytes:
    return importlib.resources.files("pgfrs.viewer").joinpath(name).read_bytes()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, viewer: Viewer, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.viewer = viewer
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that browsers keep: they would go on being answered."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers hang up whenever they like; that is no error."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        # Answers may fail as connections to elsewhere do: only what fails while sending is the browser hanging up.
        self._send(*self._answer())

    def _answer(self) -> tuple[HTTPStatus, Answer]:
        # A page from elsewhere whose name leads here must not read what is shown.
        if not _THIS_MACHINE.fullmatch(self.headers.get("Host") or ""):
            return _words(HTTPStatus.FORBIDDEN, "not for other hosts")
        try:
            return HTTPStatus.OK, self.server.viewer.answer(self.path)
        except NotThere as error:
            return _words(HTTPStatus.NOT_FOUND, f"nothing at {error}")
        except Changed as error:
            return _words(HTTPStatus.CONFLICT, str(error))
        except (ValueError, KeyError, NotImplementedError, pgfrs.PgfError) as error:
            return _words(HTTPStatus.BAD_REQUEST, str(error))
        except OSError as error:
            return _words(HTTPStatus.BAD_GATEWAY, str(error))
        except Exception as error:
            # The page has to hear of anything else too: a connection that just ends says nothing.
            return _words(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        self.send_response(status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _words(status: HTTPStatus, text: str) -> tuple[HTTPStatus, Answer]:
    # Names of files need not be text: what is not is shown as question marks.
    return status, Answer(text.encode(errors="replace"), "text/plain; charset=utf-8")
