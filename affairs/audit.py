"""Who did what: rows that are only ever added, each chained to the one before by its hash.

A row is written in the transaction of what it records. Of persons it holds ids and keyed macs
alone. Whoever can write the database could still rewrite the whole chain, or cut its end off; so
now and then the newest hash is signed with the node's key, kept, and told to the log: a signed head
vouches for all rows up to it. What retention drops, a signed checkpoint stands for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Literal

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from affairs.staff.tables import audit, audit_heads
from affairs.store import Store
from hallkit.errors import StoreError
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.store.retention import BATCH_ROWS, DAY_MS, Batch, Step

FIRST = "0" * 64
"""What the first row is chained to."""
SIGN_EVERY_S = 600.0
_READ_ROWS = 1000


class AuditKind(StrEnum):
    """What happened."""

    LOGIN = "login"
    LOGIN_FAILED = "login.failed"
    LOGOUT = "logout"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105  # no password
    ACCOUNT_ADDED = "account.added"
    ACCOUNT_CHANGED = "account.changed"
    SEAT_TAKEN = "seat.taken"
    SEAT_TAKEN_OVER = "seat.taken_over"
    SEAT_LEFT = "seat.left"
    WINDOW_ORDER = "window.order"
    CASE_SEEN = "case.seen"
    CASE_ORDER = "case.order"
    IDENTITY_SEEN = "identity.seen"
    HELP_ORDER = "help.order"
    HELP_SEEN = "help.seen"
    """What was done at a machine before somebody came to help."""
    CALL_BACK_ORDER = "call_back.order"
    CALL_BACK_SEEN = "call_back.seen"
    """Words and telephone of whoever gave a bad rating."""
    AUDIT_SEEN = "audit.seen"
    EXPORTED = "exported"
    """By parts of the node that give data out."""


Detail = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row."""

    seq: int
    at_ms: int
    kind: str
    actor: str
    subject: str
    detail: str
    previous: str
    hash: str

    def computed(self) -> str:
        """The hash that the row must have."""
        row = [self.seq, self.at_ms, self.kind, self.actor, self.subject, self.detail]
        canonical = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(f"{self.previous}\n{canonical}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Head:
    """How far the log went, signed; or what stands for everything up to there."""

    kind: str
    seq: int
    at_ms: int
    hash: str
    signature: str

    @property
    def signed_text(self) -> bytes:
        return f"hallkit audit {self.kind} v1\n{self.seq}\n{self.at_ms}\n{self.hash}".encode()

    def holds(self, key: Ed25519PublicKey) -> bool:
        try:
            key.verify(base64.b64decode(self.signature, validate=True), self.signed_text)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


Fault = Literal["changed", "missing", "broken", "truncated", "rewritten", "unsigned"]
"""`changed`: a row is not what its hash says; `missing`: numbers are left out; `broken`: a row does
not follow the one before (inserted, removed, put elsewhere); `truncated`: a signed head lies beyond
the last row; `rewritten`: the row of a head has another hash; `unsigned`: a signature fails."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Where the log does not hold."""

    fault: Fault
    seq: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the whole log found."""

    rows: int
    first: int
    last: int
    heads: int
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        return not self.findings


class AuditLog:
    """Adds rows."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def add(
        self,
        connection: sa.Connection,
        kind: AuditKind,
        *,
        actor: str,
        subject: str = "",
        detail: Detail | None = None,
    ) -> None:
        """Write one row in the transaction of what it records."""
        at = _last(connection)
        entry = Entry(
            seq=at.seq + 1,
            at_ms=self._clock.wall_ms(),
            kind=kind.value,
            actor=actor,
            subject=subject,
            detail=_canonical(detail or {}),
            previous=at.hash,
            hash="",
        )
        values = {name: getattr(entry, name) for name in _COLUMNS}
        connection.execute(audit.insert().values(values | {"hash": entry.computed()}))


class Heads:
    """Signs how far the log went; `run` it in a task."""

    def __init__(self, store: Store, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._store = store
        self._key = key
        self._clock = clock

    async def run(self) -> None:
        """Sign now and then, if there is something new, until cancelled."""
        while True:
            try:
                await self.sign()
            except StoreError as fault:
                get_logger().error("audit.not_signed", fault=str(fault))  # expected
            await self._clock.sleep(SIGN_EVERY_S)

    async def sign(self) -> Head | None:
        """The head of the log as it is now, kept and told to the log; None: there are no rows."""

        def work(connection: sa.Connection) -> tuple[Head | None, bool]:
            at = _last(connection)
            if not at.seq:
                return None, False
            known = _heads(connection, "head", seq=at.seq)
            if known and known[0].holds(self._key.public_key()) and known[0].hash == at.hash:
                return known[0], False
            head = signed("head", at.seq, at.hash, key=self._key, at_ms=self._clock.wall_ms())
            _keep(connection, head)
            return head, True

        head, is_new = await self._store.transaction(work)
        if head is not None and is_new:
            # The journal is another file of another user: it remembers what was cut off here.
            get_logger().info(
                "audit.head",
                seq=head.seq,
                at_ms=head.at_ms,
                hash=head.hash,
                signature=head.signature,
            )
        return head


def signed(kind: str, seq: int, digest: str, *, key: Ed25519PrivateKey, at_ms: int) -> Head:
    """A head or a checkpoint with its signature."""
    bare = Head(kind, seq, at_ms, digest, "")
    signature = base64.b64encode(key.sign(bare.signed_text)).decode()
    return Head(kind, seq, at_ms, digest, signature)


async def verify(store: Store, key: Ed25519PublicKey, *, anchors: Iterable[Head] = ()) -> Verdict:
    """Look at every row and every signed head, and at heads that were kept elsewhere.

    In batches, so that the node goes on writing meanwhile.
    """
    start, heads, batch, ghost = await store.transaction(_begin)
    vouching = [*heads, *anchors]
    findings = [Finding("unsigned", one.seq) for one in vouching if not one.holds(key)]
    if start.seq and not start.holds(key):
        findings.append(Finding("unsigned", start.seq))
    if ghost is not None:
        findings.append(Finding("broken", ghost))  # the checkpoint stands for it already
    # What the checkpoint stands for is gone: a head from before it has nothing to vouch for.
    true = [one for one in vouching if one.seq >= start.seq and one.holds(key)]
    vouched = {one.seq for one in true}
    hashes = {start.seq: start.hash}
    seq, digest, rows = start.seq, start.hash, 0
    while batch:
        for entry in batch:
            findings += _faults(entry, seq, digest)
            seq, digest, rows = entry.seq, entry.hash, rows + 1
            hashes |= {seq: digest} if seq in vouched else {}
        batch = await store.transaction(partial(_entries, after=seq))
    for one in true:
        if one.seq > seq:
            findings.append(Finding("truncated", seq + 1))
        elif hashes.get(one.seq) != one.hash:
            findings.append(Finding("rewritten", one.seq))
    return Verdict(
        rows=rows,
        first=start.seq + 1,
        last=seq,
        heads=len(vouching),
        findings=tuple(dict.fromkeys(findings)),
    )


def _begin(connection: sa.Connection) -> tuple[Head, list[Head], list[Entry], int | None]:
    """Where to start, the signed heads, the first rows, and a row that must not be there."""
    start = _start(connection)
    ghost = sa.select(sa.func.min(audit.c.seq)).where(audit.c.seq <= start.seq)
    return (
        start,
        _heads(connection, "head"),
        _entries(connection, start.seq),
        connection.execute(ghost).scalar_one(),
    )


def _faults(entry: Entry, seq: int, digest: str) -> list[Finding]:
    """What is wrong with a row that comes after this number and this hash."""
    found: list[Finding] = []
    if entry.seq != seq + 1:
        found.append(Finding("missing", seq + 1))
    elif entry.previous != digest:
        found.append(Finding("broken", entry.seq))
    if entry.computed() != entry.hash:
        found.append(Finding("changed", entry.seq))
    return found


def latest(
    connection: sa.Connection, *, before: int | None = None, limit: int = 100
) -> list[Entry]:
    """The newest rows first, or those before one."""
    asked = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if before is not None:
        asked = asked.where(audit.c.seq < before)
    return [_entry(row) for row in connection.execute(asked)]


def retention_step(days: int, key: Ed25519PrivateKey) -> Step:
    """What the janitor does: old rows go from the front, and a signed checkpoint stands for them.

    The newest row always stays: the chain must have something to go on from.
    """

    def step(connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
        start = _start(connection).seq
        last = _last(connection).seq
        old: list[Entry] = []
        for entry in _entries(connection, start, limit=BATCH_ROWS):
            if entry.at_ms >= now_ms - days * DAY_MS or entry.seq == last:
                break
            old.append(entry)
        if not old:
            return Batch(0)
        end = old[-1]
        connection.execute(audit.delete().where(audit.c.seq > start, audit.c.seq <= end.seq))
        connection.execute(
            audit_heads.delete().where(audit_heads.c.seq < end.seq, audit_heads.c.seq > -1)
        )
        _keep(connection, signed("checkpoint", end.seq, end.hash, key=key, at_ms=now_ms))
        return Batch(len(old), next=True if len(old) == BATCH_ROWS else None)

    return step


_COLUMNS = ("seq", "at_ms", "kind", "actor", "subject", "detail", "previous")


def _canonical(detail: Detail) -> str:
    return json.dumps(dict(detail), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _start(connection: sa.Connection) -> Head:
    """What the first row follows: the newest checkpoint, or nothing."""
    checkpoints = _heads(connection, "checkpoint")
    return checkpoints[-1] if checkpoints else Head("checkpoint", 0, 0, FIRST, "")


def _last(connection: sa.Connection) -> Head:
    """Where the next row is chained to."""
    asked = sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    row = connection.execute(asked).one_or_none()
    if row is None:
        return _start(connection)
    return Head("head", row.seq, 0, row.hash, "")


def _entries(connection: sa.Connection, after: int, *, limit: int = _READ_ROWS) -> list[Entry]:
    found = connection.execute(
        sa.select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(limit)
    )
    return [_entry(row) for row in found]


def _entry(row: Any) -> Entry:
    return Entry(**{name: getattr(row, name) for name in (*_COLUMNS, "hash")})


def _heads(connection: sa.Connection, kind: str, *, seq: int | None = None) -> list[Head]:
    asked = sa.select(audit_heads).where(audit_heads.c.kind == kind, audit_heads.c.seq > -1)
    if seq is not None:
        asked = asked.where(audit_heads.c.seq == seq)
    return [
        Head(row.kind, row.seq, row.at_ms, row.hash, row.signature)
        for row in connection.execute(asked.order_by(audit_heads.c.seq))
    ]


def _keep(connection: sa.Connection, head: Head) -> None:
    same = (audit_heads.c.seq == head.seq, audit_heads.c.kind == head.kind)
    connection.execute(audit_heads.delete().where(*same))
    connection.execute(
        audit_heads.insert().values(
            seq=head.seq,
            kind=head.kind,
            at_ms=head.at_ms,
            hash=head.hash,
            signature=head.signature,
        )
    )
