"""The hall's business node over HTTPS, as the machines of the hall use it.

    async with AffairsClient(base_url(settings.affairs), client_context(credentials)) as affairs:
        issued = await affairs.issue_ticket(request, idempotency_key=new_id())

Faults: `LinkDown` when nobody answers in time or the node cannot work now, `Rejected` with the
problem's code when it says no.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import ValidationError

from hallkit.errors import LinkDown, Rejected, WireError
from hallkit.model.ids import new_id
from hallkit.model.ticket import Ticket
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.clock import Clock, SystemClock
from hallkit.runtime.settings import AffairsSection
from hallkit.wire.affairs_api import (
    BLOCKS,
    CATALOGUE_DELTA,
    CATALOGUE_MANIFEST,
    CATALOGUE_SNAPSHOT,
    IDEMPOTENCY_HEADER,
    QUEUE_CALLS,
    QUEUE_SERVICES,
    TICKETS,
    WINDOWS,
    Calls,
    CatalogueManifest,
    Lease,
    LeaseRequest,
    OfflineTickets,
    OfflineTicketsTaken,
    Problem,
    QueueServices,
    TicketCase,
    TicketIssued,
    TicketProgress,
    TicketRequest,
    WindowOrder,
    WindowStatus,
)
from hallkit.wire.base import Message

DEADLINE_S = 3.0
"""For one attempt, from connecting to the last byte."""
RETRY_FOR_S = 10.0
"""For all attempts of one write together."""
SNAPSHOT_DEADLINE_S = 60.0
SNAPSHOT_LIMIT = 256 * 1024 * 1024
MESSAGE_LIMIT = 1024 * 1024

_CANNOT_NOW = frozenset({429, 502, 503, 504})

Answer = TypeVar("Answer", bound=Message)


def base_url(section: AffairsSection) -> str:
    """Where the site file says that the node listens."""
    host = f"[{section.host}]" if ":" in section.host else section.host
    return f"https://{host}:{section.port}"


class AffairsClient:
    """One connection pool to the node; use it as a context manager."""

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext,
        *,
        deadline_s: float = DEADLINE_S,
        clock: Clock | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._clock = clock or SystemClock()
        self._http = httpx.AsyncClient(
            base_url=url,
            verify=context,
            timeout=deadline_s,
            trust_env=False,  # a proxy of the environment must not see citizens' data
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def issue_ticket(
        self, request: TicketRequest, idempotency_key: str, *, retry_for_s: float = RETRY_FOR_S
    ) -> TicketIssued:
        """Take a number. Asks again under the same key while the link is down and time is left.

        After `LinkDown` a ticket may have been issued: repeat with the same key, never another.
        """
        return await self.write(
            TicketIssued, TICKETS, request, idempotency_key, retry_for_s=retry_for_s
        )

    async def lease_numbers(self, request: LeaseRequest, idempotency_key: str) -> Lease:
        """Numbers for the time without the node: all that this machine holds then."""
        return await self.write(Lease, BLOCKS, request, idempotency_key, retry_for_s=0)

    async def take_offline(self, given: OfflineTickets) -> OfflineTicketsTaken:
        """Who got a number while the node was away. To tell it twice changes nothing."""
        path = f"{BLOCKS}/tickets"
        return await self.write(OfflineTicketsTaken, path, given, new_id(), retry_for_s=0)

    async def order_window(
        self,
        number: int,
        order: WindowOrder,
        idempotency_key: str,
        *,
        retry_for_s: float = RETRY_FOR_S,
    ) -> WindowStatus:
        """Call, serve, skip … at the window where this device stands; the window as it is then."""
        path = f"{WINDOWS}/{number}/orders"
        return await self.write(WindowStatus, path, order, idempotency_key, retry_for_s=retry_for_s)

    async def window(self, number: int) -> WindowStatus:
        """The window where this device stands."""
        return await self.ask(WindowStatus, "GET", f"{WINDOWS}/{number}")

    async def window_case(self, number: int) -> TicketCase:
        """What whoever is at the window has said so far. Personal."""
        return await self.ask(TicketCase, "GET", f"{WINDOWS}/{number}/case")

    async def calls(self) -> Calls:
        """The latest calls of today."""
        return await self.ask(Calls, "GET", QUEUE_CALLS)

    async def progress(self, ticket_id: str) -> TicketProgress:
        """Where the holder of a ticket stands, and how long it takes."""
        return await self.ask(TicketProgress, "GET", f"{TICKETS}/{ticket_id}/progress")

    async def ticket(self, ticket_id: str) -> Ticket:
        """A ticket as it stands now."""
        async with self._answer("GET", f"{TICKETS}/{ticket_id}", self._deadline_s) as response:
            content = await _read(response)
        try:
            return Ticket.model_validate_json(content)
        except ValidationError:
            raise LinkDown("the answer is no ticket") from None

    async def queue_services(self) -> QueueServices:
        """The hall's queues and how many wait in each."""
        return await self.ask(QueueServices, "GET", QUEUE_SERVICES)

    async def manifest(self) -> CatalogueManifest:
        """Which catalogue the hall offers now."""
        return await self.ask(CatalogueManifest, "GET", CATALOGUE_MANIFEST)

    async def download_snapshot(self, to: Path, *, deadline_s: float = SNAPSHOT_DEADLINE_S) -> None:
        """Fetch the catalogue; `to` is replaced at once or not at all.

        Whether it is the hall's own is for `Catalogue.open` to say, with the manifest.
        """
        part = to.with_name(f"{to.name}.part")
        try:
            async with self._answer("GET", CATALOGUE_SNAPSHOT, deadline_s) as response:
                await _save(response, part)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    async def download_delta(
        self, from_sha256: str, to: Path, *, deadline_s: float = SNAPSHOT_DEADLINE_S
    ) -> None:
        """Fetch what turns that catalogue into the one offered. `Rejected` if there is none."""
        async with self._answer("GET", f"{CATALOGUE_DELTA}/{from_sha256}", deadline_s) as response:
            await _save(response, to)

    async def write(
        self, kind: type[Answer], path: str, request: Message, key: str, *, retry_for_s: float
    ) -> Answer:
        """Tell the node under a key, again while the link is down and time is left. For the clients
        of a room (`ratings.py`, `help.py`), which share this one's connections.
        """
        give_up_at_s = self._clock.mono_s() + retry_for_s
        backoff = Backoff(base_s=0.2, cap_s=2.0)
        content = request.model_dump_json().encode()
        headers = {IDEMPOTENCY_HEADER: key, "Content-Type": "application/json"}
        while True:
            try:
                return await self.ask(kind, "POST", path, headers=headers, content=content)
            except LinkDown:
                pause_s = backoff.next_s()
                if self._clock.mono_s() + pause_s >= give_up_at_s:
                    raise
                await self._clock.sleep(pause_s)

    async def ask(
        self,
        kind: type[Answer],
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Ask once."""
        async with self._answer(
            method, path, self._deadline_s, headers=headers, content=content
        ) as response:
            said = await _read(response)
        try:
            return kind.from_bytes(said, limit=MESSAGE_LIMIT)
        except WireError as exc:
            raise LinkDown(f"the answer makes no sense: {exc}") from exc

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        deadline_s: float,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> AsyncIterator[httpx.Response]:
        try:
            async with (
                asyncio.timeout(deadline_s),
                self._http.stream(method, path, headers=headers, content=content) as response,
            ):
                if not response.is_success:
                    raise _fault(response.status_code, await _read(response))
                yield response
        except TimeoutError as exc:
            raise LinkDown(f"no answer within {deadline_s:g} s") from exc
        except httpx.HTTPError as exc:
            raise LinkDown(f"{type(exc).__name__}: {exc}") from exc


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MESSAGE_LIMIT:
            raise LinkDown("the answer does not end")
    return bytes(content)


async def _save(response: httpx.Response, path: Path) -> None:
    written = 0
    with path.open("wb") as file:  # page cache; each chunk is microseconds
        async for chunk in response.aiter_bytes():
            written += len(chunk)
            if written > SNAPSHOT_LIMIT:
                raise LinkDown("the catalogue does not end")
            file.write(chunk)
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())


def _fault(status: int, content: bytes) -> LinkDown | Rejected:
    """What an answer other than success means for the caller."""
    if status in _CANNOT_NOW:
        return LinkDown(f"the node cannot work now (status {status})")
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        return Rejected(f"http_{status}", "", status)
    return Rejected(problem.code, problem.detail, status)
