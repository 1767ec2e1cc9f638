"""The room put together: what the routes and the node's own loops work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.cases import rows
from affairs.cases.counter import Counter, open_case_of
from affairs.cases.decision_store import DatabaseDecisions
from affairs.cases.drafts import Drafts
from affairs.cases.holdings import Shelf
from affairs.cases.progress import Progress
from affairs.cases.room import Licences, Matters, NoLicences, Room, SystemsDown
from affairs.cases.submitting import Submissions
from affairs.decisions import Decisions
from affairs.once import Once
from affairs.problems import ProblemCode, Refused
from affairs.queue.issuing import Desk
from affairs.queue.order import Order
from affairs.sealing import Sealer
from affairs.store import Store
from affairs.upstreams.port import Upstreams
from hallkit.lexicon.words import Words
from hallkit.model.case import CaseState
from hallkit.runtime.clock import Clock
from hallkit.wire.affairs_api import TicketRequest


@dataclass(frozen=True, slots=True)
class Office:
    """Cases from the first tap to the result."""

    drafts: Drafts
    submissions: Submissions
    progress: Progress
    counter: Counter
    shelf: Shelf

    @classmethod
    def of(
        cls,
        store: Store,
        *,
        sealer: Sealer,
        once: Once,
        clock: Clock,
        matters: Matters,
        upstreams: Upstreams,
        signing_key: Ed25519PrivateKey,
        desk: Desk,
        order: Order,
        words: Words,
        systems_down: SystemsDown,
        licences: Licences | None = None,
    ) -> Self:
        shelf = Shelf(store, once=once, sealer=sealer, clock=clock)
        room = Room(
            store=store,
            sealer=sealer,
            once=once,
            clock=clock,
            matters=matters,
            shelf=shelf,
            licences=licences or NoLicences(),
            systems_down=systems_down,
        )
        decisions = Decisions(upstreams, DatabaseDecisions(store), sealer, signing_key, clock)
        return cls(
            drafts=Drafts(room),
            submissions=Submissions(room, decisions=decisions, desk=desk, order=order, words=words),
            progress=Progress(room),
            counter=Counter(room),
            shelf=shelf,
        )


@dataclass(frozen=True, slots=True)
class CaseFinder:
    """Says for which case somebody takes a number (`affairs.queue.issuing.CaseOf`)."""

    sealer: Sealer

    def __call__(
        self, connection: sa.Connection, request: TicketRequest, device: str
    ) -> str | None:
        if request.case:
            row = rows.case_row(connection, request.case)
            who = request.applicant
            is_theirs = (
                who is None
                or row.applicant_mac is None
                or row.applicant_mac == self.sealer.lookup(who.number)
            )
            is_over = row.state in (CaseState.DELIVERED, CaseState.WITHDRAWN)
            if row.holder != device or row.item != request.item or not is_theirs or is_over:
                raise Refused(ProblemCode.CASE_UNKNOWN)
            return request.case
        if request.applicant is None:
            return None
        mac = self.sealer.lookup(request.applicant.number)
        return open_case_of(connection, mac, request.item)
