"""Serving inside our own life cycle: plain HTTP for loopback, HTTPS, or HTTPS for known peers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from hallkit.errors import HallError, TrustError

BACKLOG = 256


@dataclass(frozen=True, slots=True)
class Manners:
    """How connections are treated; the defaults are for browsers."""

    protocol: type[asyncio.Protocol] | Literal["auto"] = "auto"
    """uvicorn's HTTP, or a subclass of one of its protocols."""
    keep_alive_s: int = 5
    grace_s: int = 2
    """How long requests in flight may take when the process is asked to stop."""


def https_context(credentials: Path, *, known_peers: bool = False) -> ssl.SSLContext:
    """A context that shows our certificate; `TrustError` if it cannot be used.

    `credentials` holds `cert.pem` and `key.pem`. With `known_peers` the peer must show one too, of
    the site's own CA (`ca.pem`).
    """
    try:
        context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=str(credentials / "ca.pem") if known_peers else None
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED if known_peers else ssl.CERT_NONE
        context.load_cert_chain(str(credentials / "cert.pem"), str(credentials / "key.pem"))
    except (OSError, ssl.SSLError) as exc:
        raise TrustError(f"credentials in {credentials.name}: {exc}") from exc
    return context


class _Server(uvicorn.Server):
    """A server that lives inside our own life cycle."""

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
    before_stop: Callable[[], None] | None = None,
    manners: Manners = Manners(),
) -> None:
    """Serve until cancelled, then answer the requests in flight; `HallError` if it cannot listen.

    `before_stop` ends what would never end by itself: event streams.
    """
    config = uvicorn.Config(
        app,
        http=manners.protocol,
        ws="none",
        lifespan="off",
        ssl_context_factory=(lambda _config, _default: context) if context else None,
        log_config=None,
        access_log=False,  # its lines would hold the token of a link
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=manners.keep_alive_s,
        timeout_graceful_shutdown=manners.grace_s,
    )
    server = _Server(config, ready)
    with _listen(host, port) as listener:
        serving = asyncio.create_task(server.serve([listener]), name="server")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            if before_stop is not None:
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
