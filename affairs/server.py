"""HTTPS with mutual TLS: nobody without a certificate of the site's CA reaches the application.

The name in the peer's certificate stands in the ASGI scope, so that rights can go by it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from affairs.problems import ProblemCode, problem
from hallkit.errors import HallError, TrustError
from hallkit.model.ids import is_name
from hallkit.wire.affairs_api import PROBLEM_TYPE

PEER = "hallkit.peer"
"""Key under the scope's `extensions`: the common name of the peer's certificate, or empty."""

GRACE_S = 5
"""How long requests in flight may take when the process is asked to stop."""

BACKLOG = 256
KEEP_ALIVE_S = 30
"""Longer than clients keep idle connections, so that none is closed under a new request."""


def server_context(credentials: Path) -> ssl.SSLContext:
    """A context that shows our certificate and demands one of the site's own CA.

    `credentials` holds `ca.pem`, `cert.pem` and `key.pem`. `TrustError` if they cannot be used.
    """
    try:
        context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=str(credentials / "ca.pem")
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(str(credentials / "cert.pem"), str(credentials / "key.pem"))
    except (OSError, ssl.SSLError) as exc:
        raise TrustError(f"credentials in {credentials.name}: {exc}") from exc
    return context


def peer_name(certificate: object) -> str:
    """The one common name of a certificate as `SSLObject.getpeercert` shows it, or empty.

    Two names are none: it would depend on the reader which of them holds rights.
    """
    subject = certificate.get("subject", ()) if isinstance(certificate, dict) else ()
    names = [value for part in subject for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 and is_name(names[0]) else ""


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the peer's name in every request's scope."""

    def connection_made(  # type: ignore[override]  # uvicorn narrows the argument the same way
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        name = peer_name(tls.getpeercert()) if tls is not None else ""
        self.app = cast("Any", with_peer(self.app, name))

    def shutdown(self) -> None:
        """End the connection; one on which nothing happens is not waited for.

        An idle peer reads nothing, so it would never answer TLS's goodbye.
        """
        idle = self.cycle is None or self.cycle.response_complete
        super().shutdown()
        if idle and self.transport.get_write_buffer_size() == 0:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # it stays in the log
        """What is no HTTP at all is answered with a problem too."""
        body = problem(ProblemCode.REQUEST_UNREADABLE).model_dump_json().encode()
        headers = [("content-type", PROBLEM_TYPE), ("connection", "close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def with_peer(app: Any, name: str) -> Callable[..., Any]:
    """The same application, told by the scope who asks."""

    async def named(scope: dict[str, Any], receive: object, send: object) -> None:
        scope.setdefault("extensions", {})[PEER] = name
        await app(scope, receive, send)

    return named


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
    app: Any, *, host: str, port: int, context: ssl.SSLContext, ready: Callable[[], None]
) -> None:
    """Serve until cancelled; then requests in flight are answered first.

    `HallError` if the address is taken.
    """
    config = uvicorn.Config(
        app,
        http=PeerProtocol,
        ws="none",
        lifespan="off",
        ssl_context_factory=lambda _config, _default: context,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config, ready)
    with _listen(host, port) as listener:
        serving = asyncio.create_task(server.serve([listener]), name="https")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
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
