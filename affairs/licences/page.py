"""The page behind the code on a licence: anybody may see it, nobody needs a certificate.

What stands in the address is a random token and no personal data; it is told to no log.
"""

from __future__ import annotations

from collections import OrderedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from affairs.licences.verifying import Verification
from hallkit.errors import StoreError
from hallkit.lexicon.words import Words
from hallkit.model.licence import LicenceState
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.web.headers import StrictHeaders
from hallkit.web.pages import Assets, environment

LOOKS = 30
"""Pages an address may see in a row; afterwards as many a minute."""
ADDRESSES = 4096
"""Addresses remembered; who is forgotten begins anew."""

_MARKS = {"valid": "✓", "expired": "!", "revoked": "✕", "unknown": "?", "busy": "…"}
_STATUS = {"unknown": 404, "busy": 429}


class Throttle:
    """So many looks a minute from one address, by a bucket that fills again."""

    def __init__(self, clock: Clock, *, looks: int = LOOKS, addresses: int = ADDRESSES) -> None:
        self._clock = clock
        self._looks = looks
        self._addresses = addresses
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        now_s = self._clock.mono_s()
        left, at_s = self._left.pop(address, (float(self._looks), now_s))
        left = min(self._looks, left + (now_s - at_s) * self._looks / 60)
        allowed = left >= 1
        self._left[address] = (left - 1 if allowed else left, now_s)
        if len(self._left) > self._addresses:
            self._left.popitem(last=False)
        return allowed


def verify_page(verification: Verification, *, words: Words, hall: str, clock: Clock) -> ASGIApp:
    """`GET /v/{token}`, and what the page is made of."""
    template = environment("affairs.licences", words).get_template("app/verify.html")
    assets = Assets("hallkit.web", "affairs.licences")
    throttle = Throttle(clock)

    def page(verdict: str, rows: tuple[tuple[str, str], ...] = ()) -> Response:
        said = template.render(verdict=verdict, mark=_MARKS[verdict], rows=rows, hall=hall)
        return HTMLResponse(said, _STATUS.get(verdict, 200))

    async def verify(request: Request) -> Response:
        address = request.client.host if request.client is not None else ""
        if not throttle.allows(address):
            return page("busy")
        try:
            found = await verification.look(request.path_params["token"])
        except StoreError as fault:
            get_logger().error("verify.failed", fault=str(fault))
            return Response("", 503)
        if found is None:
            return page("unknown")
        return page(LicenceState(found.state).value, found.rows)

    async def asset(request: Request) -> Response:
        return assets.answer(request.path_params["name"])

    return Starlette(
        routes=[
            Route("/v/{token}", verify, methods=["GET"]),
            Route("/assets/{name}", asset, methods=["GET"]),
        ],
        middleware=[Middleware(StrictHeaders)],
    )
