"""The hall's queues: numbers that are issued once, tickets, how many wait.

A number belongs to a service and a business day. Counter, ticket and idempotency key are written
in one transaction before anybody hears of the ticket, so that neither many machines at once nor
a power cut can issue a number twice.
"""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, ValidationError

from affairs.problems import ProblemCode, Refused
from affairs.sealing import Sealer
from affairs.store import Store, counters, tickets, writes
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.model.ids import new_id
from hallkit.model.ticket import Ticket, TicketState
from hallkit.runtime.clock import Clock, local_date
from hallkit.runtime.config import Section
from hallkit.runtime.toml_lines import lines_of
from hallkit.wire.affairs_api import QueueServices, ServiceWait, TicketIssued, TicketRequest
from hallkit.wire.ticket_code import TicketCode, sign_code


class Service(Section):
    """One queue of the hall."""

    key: Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
    name: str
    letter: Annotated[str, Field(pattern=r"^[A-Z]$")]
    windows: str
    open_windows: Annotated[int, Field(ge=0)]


class _ServicesFile(Section):
    services: Annotated[tuple[Service, ...], Field(min_length=1)]


SERVICES_FILE = Path(__file__).with_name("services.toml")


def load_services(path: Path = SERVICES_FILE) -> dict[str, Service]:
    """Services by key, in the file's order; `ConfigError` if two share a key or a letter."""
    try:
        file = _ServicesFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError([ConfigProblem(path.name, "-", str(exc))]) from exc
    except ValidationError as exc:
        raise ConfigError(
            [
                ConfigProblem(path.name, ".".join(map(str, error["loc"])), error["msg"])
                for error in exc.errors(include_url=False, include_input=False)
            ]
        ) from None
    services = {service.key: service for service in file.services}
    if len(services) < len(file.services):
        raise ConfigError([ConfigProblem(path.name, "services", "two have the same key")])
    if len({service.letter for service in file.services}) < len(file.services):
        raise ConfigError([ConfigProblem(path.name, "services", "two have the same letter")])
    return services


def line_of_service(key: str, field: str = "key", path: Path = SERVICES_FILE) -> int | None:
    """Where the author wrote a field of a service; None if the file has no such service."""
    text = path.read_text(encoding="utf-8")
    lines = lines_of(text)
    for place, service in enumerate(tomllib.loads(text)["services"]):
        if service["key"] == key:
            return lines.get(f"services[{place}].{field}")
    return None


def spoken_number(letter: str, sequence: int) -> str:
    """What is called: `A001`; the thousandth of a day is `A1000`."""
    return f"{letter}{sequence:03d}"


class Queue:
    """Issues tickets and knows who waits."""

    def __init__(
        self,
        store: Store,
        *,
        services: dict[str, Service],
        service_of_item: Callable[[str], str | None],
        sealer: Sealer,
        signing_key: Ed25519PrivateKey,
        clock: Clock,
    ) -> None:
        self._store = store
        self._services = services
        self._service_of_item = service_of_item
        self._sealer = sealer
        self._signing_key = signing_key
        self._clock = clock

    async def issue(self, request: TicketRequest, *, device: str, key: str) -> TicketIssued:
        """Give a number, or the ticket that this key was given before.

        `Refused` if the item is unknown or the key stands for another request.
        """
        content = _canonical(request)
        key_mac = self._sealer.fingerprint(b"key", key.encode())
        request_mac = self._sealer.fingerprint(b"ticket", content)

        def work(connection: sa.Connection) -> TicketIssued:
            used = connection.execute(
                sa.select(writes.c.request_mac, writes.c.subject).where(
                    writes.c.device == device, writes.c.key_mac == key_mac
                )
            ).one_or_none()
            if used is not None:
                if used.request_mac != request_mac:
                    raise Refused(ProblemCode.KEY_REUSED)
                return TicketIssued(ticket=_printed(connection, used.subject), again=True)
            ticket_id = self._insert(connection, request, content, device)
            connection.execute(
                writes.insert().values(
                    device=device,
                    key_mac=key_mac,
                    request_mac=request_mac,
                    subject=ticket_id,
                    written_at_ms=self._clock.wall_ms(),
                )
            )
            return TicketIssued(ticket=_printed(connection, ticket_id))

        return await self._store.transaction(work)

    async def ticket(self, ticket_id: str) -> Ticket:
        """A ticket as it stands now; `Refused` if there is none."""

        def work(connection: sa.Connection) -> Ticket:
            row = _row(connection, ticket_id)
            ahead = 0
            if row.state == TicketState.WAITING:
                ahead = _count_waiting(connection, row.service, row.day, before=row.sequence)
            return _ticket(row, waiting_ahead=ahead)

        return await self._store.transaction(work)

    async def waiting(self) -> QueueServices:
        """Every queue of the hall and how many wait in it today."""
        now_ms = self._clock.wall_ms()
        day = local_date(now_ms)

        def work(connection: sa.Connection) -> dict[str, int]:
            rows = connection.execute(
                sa.select(tickets.c.service, sa.func.count().label("waiting"))
                .where(tickets.c.day == day, tickets.c.state == TicketState.WAITING.value)
                .group_by(tickets.c.service)
            )
            return {row.service: row.waiting for row in rows}

        counts = await self._store.transaction(work)
        return QueueServices(
            services=tuple(
                ServiceWait(
                    service=service.key,
                    service_name=service.name,
                    windows=service.windows,
                    waiting=counts.get(service.key, 0),
                    open_windows=service.open_windows,
                    as_of_ms=now_ms,
                )
                for service in self._services.values()
            )
        )

    def _insert(
        self, connection: sa.Connection, request: TicketRequest, content: bytes, device: str
    ) -> str:
        service = self._services.get(self._service_of_item(request.item) or "")
        if service is None:
            raise Refused(ProblemCode.ITEM_UNKNOWN)
        now_ms = self._clock.wall_ms()
        day = local_date(now_ms)
        sequence = _next_sequence(connection, service.key, day)
        number = spoken_number(service.letter, sequence)
        ticket_id = new_id()
        applicant = request.applicant
        connection.execute(
            tickets.insert().values(
                id=ticket_id,
                service=service.key,
                service_name=service.name,
                windows=service.windows,
                day=day,
                sequence=sequence,
                number=number,
                code=sign_code(TicketCode(ticket_id, day, number), self._signing_key),
                item=request.item,
                device=device,
                state=TicketState.WAITING.value,
                issued_at_ms=now_ms,
                waiting_ahead=_count_waiting(connection, service.key, day, before=sequence),
                applicant_mac=self._sealer.lookup(applicant.number) if applicant else None,
                request=self._sealer.seal(ticket_id, content),
            )
        )
        return ticket_id


def _canonical(request: TicketRequest) -> bytes:
    """Equal for requests that mean the same, whatever the order of their answers."""
    fields = request.model_dump(mode="json")
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _next_sequence(connection: sa.Connection, service: str, day: dt.date) -> int:
    mine = (counters.c.service == service, counters.c.day == day)
    grown = connection.execute(counters.update().where(*mine).values(last=counters.c.last + 1))
    if grown.rowcount == 0:
        connection.execute(counters.insert().values(service=service, day=day, last=1))
    return int(connection.execute(sa.select(counters.c.last).where(*mine)).scalar_one())


def _count_waiting(connection: sa.Connection, service: str, day: dt.date, *, before: int) -> int:
    return connection.execute(
        sa.select(sa.func.count()).where(
            tickets.c.service == service,
            tickets.c.day == day,
            tickets.c.state == TicketState.WAITING.value,
            tickets.c.sequence < before,
        )
    ).scalar_one()


def _row(connection: sa.Connection, ticket_id: str) -> sa.Row[tuple[object, ...]]:
    row = connection.execute(sa.select(tickets).where(tickets.c.id == ticket_id)).one_or_none()
    if row is None:
        raise Refused(ProblemCode.TICKET_UNKNOWN)
    return row


def _printed(connection: sa.Connection, ticket_id: str) -> Ticket:
    """The ticket as its paper says it, so that a repeated answer prints the same paper."""
    row = _row(connection, ticket_id)
    return _ticket(row, waiting_ahead=row.waiting_ahead)


def _ticket(row: sa.Row[tuple[object, ...]], *, waiting_ahead: int) -> Ticket:
    return Ticket(
        id=row.id,
        number=row.number,
        service=row.service,
        service_name=row.service_name,
        windows=row.windows,
        issued_at_ms=row.issued_at_ms,
        waiting_ahead=waiting_ahead,
        code=row.code,
        state=TicketState(row.state),
    )
