"""A write that is asked for twice is done once: used keys are kept beside what they made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from pydantic import BaseModel

from affairs.problems import ProblemCode, Refused
from affairs.sealing import Sealer
from affairs.store import writes
from hallkit.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Done:
    """What a write made, and whether an earlier request made it."""

    subject: str
    again: bool


class Once:
    """Remembers in the transaction of the effect, so that there is never one without the other."""

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock

    def do(
        self,
        connection: sa.Connection,
        *,
        device: str,
        key: str,
        kind: str,
        content: bytes,
        work: Callable[[], str],
    ) -> Done:
        """Run `work`, which says what it made (26 characters at most), unless the key was used.

        `Refused` if the key stands for another request. If `work` raises, the key stays free.
        """
        key_mac = self._sealer.fingerprint(b"key", key.encode())
        request_mac = self._sealer.fingerprint(kind.encode(), content)
        used = connection.execute(
            sa.select(writes.c.request_mac, writes.c.subject).where(
                writes.c.device == device, writes.c.key_mac == key_mac
            )
        ).one_or_none()
        if used is not None:
            if used.request_mac != request_mac:
                raise Refused(ProblemCode.KEY_REUSED)
            return Done(used.subject, again=True)
        subject = work()
        connection.execute(
            writes.insert().values(
                device=device,
                key_mac=key_mac,
                request_mac=request_mac,
                subject=subject,
                written_at_ms=self._clock.wall_ms(),
            )
        )
        return Done(subject, again=False)

    def subject(self, connection: sa.Connection, *, device: str, key: str) -> str | None:
        """What a key made, if it was used."""
        key_mac = self._sealer.fingerprint(b"key", key.encode())
        found: str | None = connection.execute(
            sa.select(writes.c.subject).where(
                writes.c.device == device, writes.c.key_mac == key_mac
            )
        ).scalar_one_or_none()
        return found

    def is_of(
        self,
        connection: sa.Connection,
        subject: str,
        *,
        device: str,
        key: str,
        kind: str,
        content: bytes,
    ) -> None:
        """From now on this key made `subject`, whatever it made before."""
        key_mac = self._sealer.fingerprint(b"key", key.encode())
        mine = (writes.c.device == device, writes.c.key_mac == key_mac)
        values = {
            "request_mac": self._sealer.fingerprint(kind.encode(), content),
            "subject": subject,
            "written_at_ms": self._clock.wall_ms(),
        }
        if connection.execute(writes.update().where(*mine).values(**values)).rowcount == 0:
            connection.execute(writes.insert().values(device=device, key_mac=key_mac, **values))


def canonical(request: BaseModel) -> bytes:
    """Equal for requests that mean the same, whatever the order of their fields."""
    fields = request.model_dump(mode="json")
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
