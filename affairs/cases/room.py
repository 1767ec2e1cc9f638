"""What the parts of the room share: the database, keys, the catalogue, what is held of a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa

from affairs.cases import rows
from affairs.cases.facts import (
    HeldLicence,
    Known,
    known_of,
    prefilled,
)
from affairs.cases.holdings import Shelf
from affairs.once import Once
from affairs.problems import ProblemCode, Refused
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.model.case import EDITABLE, CaseState
from hallkit.model.decision import RuleStatus
from hallkit.model.form import FormDefinition
from hallkit.model.item import Item
from hallkit.model.rules import RulePack
from hallkit.runtime.clock import Clock, local_date
from hallkit.wire.cases_api import Case, CaseContent, CaseReason, Holding, PrefilledField


class Matters(Protocol):
    """What the catalogue says of an item."""

    def item(self, code: str) -> Item | None:
        """None if nobody knows it."""
        ...

    def form(self, code: str) -> FormDefinition | None: ...

    def pack(self, code: str) -> RulePack | None: ...


class Licences(Protocol):
    """E-licences of this hall."""

    def of_person(
        self, connection: sa.Connection, applicant_mac: str, today: dt.date
    ) -> Sequence[HeldLicence]:
        """Those in date."""
        ...

    def issue(
        self, connection: sa.Connection, kind: str, content: CaseContent, case: str
    ) -> str | None:
        """Issue one for a case, once; its id. None where this hall issues none of the kind."""
        ...


class NoLicences:
    """A hall that issues none."""

    def of_person(
        self, _connection: sa.Connection, _applicant_mac: str, _today: dt.date
    ) -> Sequence[HeldLicence]:
        return ()

    def issue(
        self, _connection: sa.Connection, _kind: str, _content: CaseContent, _case: str
    ) -> str | None:
        return None


class SystemsDown(Protocol):
    """Which other systems don't answer now."""

    def __call__(self) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True)
class Matter:
    """An item with its form and, where it is decided at once, its rules."""

    item: Item
    form: FormDefinition | None
    pack: RulePack | None


@dataclass(frozen=True, slots=True)
class Looked:
    """A content with all that is known beside it."""

    matter: Matter
    content: CaseContent
    known: Known
    fields: tuple[PrefilledField, ...]
    held: tuple[Holding, ...]
    """May stand for materials."""


@dataclass(frozen=True, slots=True)
class Room:
    """Shared by drafts, submissions, progress and the desk."""

    store: Store
    sealer: Sealer
    once: Once
    clock: Clock
    matters: Matters
    shelf: Shelf
    licences: Licences
    systems_down: SystemsDown

    def today(self) -> dt.date:
        return local_date(self.clock.wall_ms())

    def matter(self, code: str) -> Matter:
        """`Refused` for an item that nobody knows."""
        item = self.matters.item(code)
        if item is None:
            raise Refused(ProblemCode.ITEM_UNKNOWN)
        form = self.matters.form(item.form) if item.form else None
        pack = self.matters.pack(item.rule_pack) if item.is_instant and item.rule_pack else None
        return Matter(item, form, pack)

    def look(self, connection: sa.Connection, content: CaseContent) -> Looked:
        """`Refused` if the answers fit no way through the item's questions."""
        matter, today = self.matter(content.item), self.today()
        held, licences = self._held(connection, content, today)
        if {one.key for one in content.materials} - {one.key for one in matter.item.materials}:
            raise Refused(ProblemCode.REQUEST_INVALID)
        try:
            known = known_of(content, matter.item, held=held, licences=licences, today=today)
        except ValueError:
            raise Refused(ProblemCode.REQUEST_INVALID) from None
        return Looked(matter, content, known, prefilled(matter.form, known), held)

    def view(self, connection: sa.Connection, case_id: str) -> Case:
        """The case for whoever works on it."""
        row = rows.case_row(connection, case_id)
        content = rows.content_of(row, self.sealer)
        looked = self.look(connection, content)
        held, _ = self._held(connection, content, self.today())
        return Case(
            case=row.id,
            number=row.number,
            state=CaseState(row.state),
            revision=row.revision,
            content=content,
            prefilled=looked.fields,
            held=held,
            systems_down=self.down_for(looked.matter.item),
            reasons=self.returned_for(connection, row),
        )

    def _held(
        self, connection: sa.Connection, content: CaseContent, today: dt.date
    ) -> tuple[tuple[Holding, ...], tuple[HeldLicence, ...]]:
        """What of a person may be used now, and the licences among it.

        Only of whose card was read: a number can be typed by anybody.
        """
        if content.applicant is None or content.applicant.read != "card":
            return (), ()
        mac = self.sealer.lookup(content.applicant.number)
        licences = tuple(self.licences.of_person(connection, mac, today))
        held = self.shelf.usable(connection, mac, licences, today)
        allowed = {one.holding for one in held}
        return held, tuple(one for one in licences if one.holding.holding in allowed)

    def returned_for(self, connection: sa.Connection, row: rows.Row) -> tuple[CaseReason, ...]:
        """Why a person sent it back or refused it; empty if none did."""
        if row.state not in (CaseState.RETURNED, CaseState.DECIDED, CaseState.DELIVERED):
            return ()
        state = CaseState.RETURNED if row.state == CaseState.RETURNED else CaseState.DECIDED
        words = rows.last_words(connection, row.id, state, self.sealer)
        return (CaseReason(status=RuleStatus.FAILED, text=words),) if words else ()

    def down_for(self, item: Item) -> tuple[str, ...]:
        """Systems that an instant decision of the item would wait for now."""
        down = frozenset(self.systems_down())
        return tuple(one for one in item.upstream if one in down) if item.is_instant else ()

    def editable(self, connection: sa.Connection, case_id: str, device: str) -> rows.Row:
        """The row, if this machine may change it now; else `Refused` says why not."""
        row = rows.case_row(connection, case_id)
        if row.holder != device:
            raise Refused(ProblemCode.CASE_ELSEWHERE)
        if row.state not in EDITABLE:
            raise Refused(ProblemCode.CASE_NOT_SO)
        return row
