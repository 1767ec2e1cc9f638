"""Serving pages inside our own life cycle: plain HTTP for loopback, or HTTPS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from hallkit.errors import HallError, TrustError

GRACE_S = 2
"""How long requests in flight may take when the process is asked to stop."""

BACKLOG = 128


def https_context(credentials: Path) -> ssl.SSLContext:
    """A context with our own certificate, for browsers; `TrustError` if it cannot be used."""
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(str(credentials / "cert.pem"), str(credentials / "key.pem"))
    except (OSError, ssl.SSLError) as exc:
        raise TrustError(f"credentials in {credentials.name}: {exc}") from exc
    return context


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to hallkit.runtime.lifecycle.
        yield


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    context: ssl.SSLContext | None,
    ready: Callable[[], None],
    before_stop: Callable[[], None],
) -> None:
    """Serve until cancelled; `HallError` if the address is taken.

    `before_stop` ends what would never end by itself: event streams.
    """
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        ssl_context_factory=(lambda _config, _default: context) if context else None,
        log_config=None,
        access_log=False,  # its lines would hold the token of a link
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config, ready)
    with _listen(host, port) as listener:
        serving = asyncio.create_task(server.serve([listener]), name="pages")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            before_stop()
            server.should_exit = True
            await serving
            raise


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as exc:
        raise HallError(f"cannot listen on {host}:{port}: {exc.strerror}") from exc
    return listener
