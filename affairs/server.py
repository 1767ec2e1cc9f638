"""Who asks: the name in the peer's certificate stands in the ASGI scope, so that rights go by it.

`hallkit.web.server` lets nobody in without a certificate of the site's CA.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from affairs.problems import ProblemCode, problem
from hallkit.model.ids import is_name
from hallkit.web.server import Manners
from hallkit.wire.affairs_api import PROBLEM_TYPE

PEER = "hallkit.peer"
"""Key under the scope's `extensions`: the common name of the peer's certificate, or empty."""


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


MACHINES = Manners(
    protocol=PeerProtocol,
    keep_alive_s=30,  # longer than clients keep idle connections: none closes under a new request
    grace_s=5,
)
