"""Optuna's dashboard over a sweep, in the browser of this machine, also while the sweep runs.

What to use when
----------------
- `dashboard`: serve the pages until Ctrl-C.
- `townsend.sweep.export_journal.export_journal`: a file instead, for Optuna's own commands elsewhere.

The dashboard shows a copy in memory: what is noted or deleted in it is gone with the next trial that ends, and the
records of the sweep stay as they are.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Lock
from typing import TYPE_CHECKING, Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from townsend.errors import InputError
from townsend.sweep.export_journal import journal_of
from townsend.sweep.history import read_history

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from optuna.storages.journal import BaseJournalBackend

__all__ = ["HOST", "dashboard"]

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_REFRESH_S = 10.0


def dashboard(run: Path, port: int = 8080, ready: Callable[[str], None] = lambda address: None) -> None:
    """Serve Optuna's dashboard of a sweep on 127.0.0.1 until Ctrl-C; trials that end later appear within 10 s.

    Only this machine can connect, but every user of it can.

    Arguments:
        run: folder of a sweep with a trial that has ended.
        port: 1 to 65535, or 0 for any free one.
        ready: called with the address once it can be opened.

    Raises InputError when the package optuna-dashboard is not installed, the port is in use, or `run` holds no sweep
    or no trial that has ended.
    """
    pages = _Pages(run)
    try:
        server = make_server(HOST, port, pages, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        rule = f"port must be free on {HOST}"
        msg = f"{rule} (got {port}: {error.strerror}); stop the other program, or say --port 0 for any free one"
        raise InputError(msg) from None
    pages.port = server.server_port
    with server:
        ready(f"http://{HOST}:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            log.info("the dashboard of %s was stopped", run)


class _Pages:
    """The dashboard as a WSGI application, made anew when records have changed."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.port = 0
        self._lock = Lock()
        self._seen = _state(run)
        self._looked_at = time.monotonic()
        self._application = _application(run)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("HTTP_HOST", "") not in (f"{HOST}:{self.port}", f"localhost:{self.port}"):
            # A page from elsewhere whose name was made to mean this machine must not read the sweep.
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [f"open http://{HOST}:{self.port}/ instead\n".encode()]
        with self._lock:
            self._refresh()
        return self._application(environ, start_response)

    def _refresh(self) -> None:
        if time.monotonic() - self._looked_at < _REFRESH_S:
            return
        state = _state(self.run)
        if state != self._seen:
            try:
                self._application = _application(self.run)
                self._seen = state
            except (InputError, OSError) as error:
                log.warning("the dashboard keeps what it shows: %s", error)
        self._looked_at = time.monotonic()


def _state(run: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (run / "records").glob("*.json")}


def _application(run: Path) -> WSGIApplication:
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        rule = "the dashboard needs the package optuna-dashboard"
        msg = f'{rule} (it is not installed); say pip install "townsend[dashboard]"'
        raise InputError(msg) from None
    from optuna.storages import JournalStorage

    application: Any = wsgi(JournalStorage(cast("BaseJournalBackend", journal_of(read_history(run)))))
    return cast("WSGIApplication", application)


class _Server(ThreadingMixIn, WSGIServer):
    """Browsers keep several connections open."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Logs requests where one asks for them, never to the terminal."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        log.debug(format, *args)
