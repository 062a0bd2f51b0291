"""uvicorn in a thread of its own, so that one process can run the API beside ingest and end both in order."""

import socket
import threading
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from courtyard.collector import LongLived
from devices.errors import SettingsError

_START_S = 15.0
_STOP_S = 10.0


class ApiServer:
    """Serves an application until it is stopped.

    Attributes:
        url: the address that answers.
    """

    def __init__(self, app: FastAPI, host: str, port: int, tls: tuple[Path, Path] | None = None) -> None:
        """Prepare to serve `app` on `host`:`port`, over TLS 1.2 or later with a certificate and its key."""
        certificate, key = tls or (None, None)
        self.url = f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"
        self._host = host
        self._port = port
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
                server_header=False,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="api", daemon=True)
        self._failure: BaseException | None = None
        self._objects = LongLived()

    def start(self) -> None:
        """Serve, and return when the server answers.

        Raises:
            SettingsError: the port is taken, or the server does not come up.
        """
        self._check_port()
        self._thread.start()
        deadline = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise SettingsError(f"the API does not start on {self.url}: {self._failure or 'see the log'}")
            time.sleep(0.02)
        self._objects.begin()

    @property
    def is_alive(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Answer what is under way, then end. Safe to call twice."""
        self._objects.end()
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)

    def _check_port(self) -> None:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host, self._port))
            except OSError as exc:
                raise SettingsError(
                    f"{self._host}:{self._port} cannot be listened on ({exc.strerror}); "
                    "end what uses it, or set COURTYARD_API_HOST and COURTYARD_API_PORT"
                ) from exc

    def _serve(self) -> None:
        try:
            self._server.run()
        except (Exception, SystemExit) as exc:  # noqa: BLE001  (uvicorn exits; `start` and `is_alive` tell)
            self._failure = exc
