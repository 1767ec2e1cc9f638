"""Submission: checked, kept, decided at once where the item's rules can, and what follows.

A submission stands on the disk before anything is asked of anybody. The decision has its id then,
so whoever finishes it, now, after a crash or because the machine asks again, finishes the same one.
What is not approved becomes a number for the window with the case attached, never a dead end.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field

import sqlalchemy as sa

from affairs.cases import rows
from affairs.cases.drafts import must_be_current, void_codes
from affairs.cases.facts import form_sources, overwritten, with_prefilled
from affairs.cases.room import Looked, Room
from affairs.cases.tables import cases, pushes
from affairs.decisions import Application, Decided, Decisions
from affairs.once import canonical
from affairs.problems import ProblemCode, Refused
from affairs.queue import rows as queue_rows
from affairs.queue.issuing import Desk
from affairs.queue.order import Order
from affairs.store import tickets
from hallkit.errors import HallError, TrustError, WireError
from hallkit.guide.deciding import way_of
from hallkit.guide.forms import check, form_facts
from hallkit.lexicon.words import Words
from hallkit.model.case import CaseState, HandedIn
from hallkit.model.decision import Decision, RuleOutcome, RuleStatus, Verdict, Way
from hallkit.model.form import FormDefinition
from hallkit.model.ids import new_id
from hallkit.model.item import Item
from hallkit.model.ticket import TicketState
from hallkit.runtime.clock import local, local_date
from hallkit.runtime.log import get_logger
from hallkit.wire.affairs_api import Applicant, FieldFault, TicketRequest
from hallkit.wire.cases_api import (
    CaseContent,
    CaseDraft,
    CaseMaterial,
    CaseOutcome,
    CasePrecheck,
    CaseReason,
)

NODE = "affairs"
"""Who did it, where no machine did."""
LOOK_EVERY_S = 5.0
LEFT_MS = 15_000
"""A submission that nobody has finished by then was left behind by a crash."""
PUSH_PAUSE_MS = 5_000
PUSH_PAUSE_CAP_MS = 3_600_000
PUSH_BATCH = 20
_WORKDAYS = 5
_FROM_HERE = frozenset({HandedIn.HELD, HandedIn.REUSED})


@dataclass(slots=True)
class _Turn:
    """Who finishes a case: one after the other."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: int = 0


class Submissions:
    """Takes drafts in, and sees to it that each is settled."""

    def __init__(
        self, room: Room, *, decisions: Decisions, desk: Desk, order: Order, words: Words
    ) -> None:
        self._room = room
        self._decisions = decisions
        self._desk = desk
        self._order = order
        self._words = words
        self._finishing: dict[str, _Turn] = {}
        self._log = get_logger()

    async def precheck(self, content: CaseContent, *, device: str, key: str) -> CasePrecheck:
        """条件预检, before the form: what already speaks against it.

        Other systems are asked only about whose card was read.
        """
        room = self._room
        looked = await room.store.transaction(lambda connection: room.look(connection, content))
        down = room.down_for(looked.matter.item)
        if looked.matter.pack is None:
            return CasePrecheck(systems_down=down)
        is_read = content.applicant is not None and content.applicant.read == "card"
        asked_as = room.sealer.fingerprint(
            b"precheck", device.encode(), key.encode(), canonical(content)
        )
        checked = await self._decisions.precheck(
            _application("precheck", looked), key=asked_as, ask=is_read
        )
        return CasePrecheck(failed=_reasons(checked.failed), systems_down=down)

    async def submit(self, case_id: str, draft: CaseDraft, *, device: str, key: str) -> CaseOutcome:
        """Take a case in and settle it; once per key, and the same outcome again.

        `Refused` with the fields that must be put right, and for whatever a draft is refused for.
        """
        room = self._room

        def work(connection: sa.Connection) -> None:
            room.once.do(
                connection,
                device=device,
                key=key,
                kind=f"submit {case_id}",
                content=canonical(draft),
                work=lambda: self._take_in(connection, case_id, draft, device),
            )
            if rows.case_row(connection, case_id).holder != device:
                raise Refused(ProblemCode.CASE_ELSEWHERE)  # asked again, after it was passed on

        await room.store.transaction(work)
        await self.finish(case_id)
        return await self.outcome(case_id)

    def _take_in(
        self, connection: sa.Connection, case_id: str, draft: CaseDraft, device: str
    ) -> str:
        room = self._room
        row = room.editable(connection, case_id, device)
        must_be_current(row, draft)
        looked = room.look(connection, draft.content)
        content = with_prefilled(draft.content, looked.fields)
        self._must_be_sound(looked, content)
        now_ms = room.clock.wall_ms()
        at_once = looked.matter.pack is not None
        void_codes(connection, case_id, device)
        rows.move(
            connection,
            row,
            CaseState.SUBMITTED,
            at_ms=now_ms,
            by=device,
            sealer=room.sealer,
            revision=row.revision + 1,
            decision=new_id() if at_once else None,
            is_owed=at_once,
            verdict=None,
            promised_by=None if at_once else promised_by(looked.matter.item, local_date(now_ms)),
            **rows.sealed(case_id, content, room.sealer),
        )
        return case_id

    def _must_be_sound(self, looked: Looked, content: CaseContent) -> None:
        applicant = content.applicant
        if applicant is None or (looked.matter.pack is not None and applicant.read != "card"):
            raise Refused(ProblemCode.IDENTITY_NEEDED)
        if not looked.known.guide.is_done or looked.known.guide.ending is not None:
            raise Refused(ProblemCode.ANSWERS_MISSING)
        faults = [
            FieldFault(
                field=f"materials.{one.key}",
                text=self._words("form.not_held", field=_name_of(looked.matter.item, one.key)),
            )
            for one in content.materials
            if one.how in _FROM_HERE and not _stands_for(looked, one)
        ]
        form = looked.matter.form
        if form is not None:
            faults += self._faults_of(form, looked, content)
        if faults:
            raise Refused(ProblemCode.FORM_INCOMPLETE, tuple(faults))

    def _faults_of(
        self, form: FormDefinition, looked: Looked, content: CaseContent
    ) -> list[FieldFault]:
        labels = {field.key: field.plain_label or field.label for field in form.fields}
        faults = [
            FieldFault(field=key, text=self._words("form.not_yours", field=labels[key]))
            for key in overwritten(content, looked.fields)
        ]
        facts = {**looked.known.facts, **form_facts(content.values)}
        problems = check(
            form, content.values, today=self._room.today(), words=self._words, facts=facts
        )
        return faults + [FieldFault(field=one.field, text=one.text) for one in problems]

    # ── Deciding ─────────────────────────────────────────────────────────────────────────────

    async def finish(self, case_id: str) -> None:
        """Decide what is owed to a case, if anything is. May be called by anybody at any time."""
        turn = self._finishing.setdefault(case_id, _Turn())
        turn.wanted += 1
        try:
            async with turn.lock:
                await self._finish(case_id)
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._finishing[case_id]

    async def _finish(self, case_id: str) -> None:
        room = self._room

        def load(connection: sa.Connection) -> tuple[rows.Row, Looked] | None:
            row = rows.case_row(connection, case_id)
            if not row.is_owed:
                return None
            try:
                return row, room.look(connection, rows.content_of(row, room.sealer))
            except Refused as gone:
                # The catalogue knows the item, or its questions, no more: a person sees to it.
                self._log.error("case.to_window", case=case_id, why=gone.problem_code)
                self._owes_no_more(connection, row, Verdict.TO_WINDOW, None)
                return None

        owed = await room.store.transaction(load)
        if owed is None:
            return
        row, looked = owed
        decided = None
        if looked.matter.pack is not None:
            application = _application(case_id, looked)
            decided = await self._decisions.decide(application, decision_id=row.decision)
        await room.store.transaction(
            lambda connection: self._settle(connection, row, looked, decided)
        )

    def _settle(
        self, connection: sa.Connection, was: rows.Row, looked: Looked, decided: Decided | None
    ) -> None:
        mine = (cases.c.id == was.id, cases.c.is_owed.is_(True), cases.c.decision == was.decision)
        if connection.execute(cases.update().where(*mine).values(is_owed=False)).rowcount == 0:
            return  # somebody else has settled it
        row = rows.case_row(connection, was.id)
        content = looked.content
        now_ms = self._room.clock.wall_ms()
        if decided is not None and decided.decision.verdict is Verdict.APPROVED:
            self._approve(connection, row, content, decided, now_ms)
            return
        # Without rules any more (the catalogue changed meanwhile) a person decides.
        verdict = decided.decision.verdict if decided is not None else Verdict.TO_WINDOW
        way = decided.decision.way if decided is not None else None
        way = way or way_of(looked.matter.item, looked.known.facts)
        ticket_id = self._waiting(connection, row.ticket_id) or self._number_for(
            connection, row, content, way, now_ms
        )
        self._owes_no_more(connection, row, verdict, ticket_id)

    def _owes_no_more(
        self, connection: sa.Connection, row: rows.Row, verdict: Verdict, ticket_id: str | None
    ) -> None:
        connection.execute(
            cases.update()
            .where(cases.c.id == row.id)
            .values(is_owed=False, verdict=verdict.value, ticket_id=ticket_id)
        )

    def _waiting(self, connection: sa.Connection, ticket_id: str | None) -> str | None:
        """The number of an earlier submission, if it still waits: nobody is called twice."""
        if ticket_id is None:
            return None
        found: str | None = connection.execute(
            sa.select(tickets.c.id).where(
                tickets.c.id == ticket_id, tickets.c.state == TicketState.WAITING.value
            )
        ).scalar_one_or_none()
        return found

    def _approve(
        self,
        connection: sa.Connection,
        row: rows.Row,
        content: CaseContent,
        decided: Decided,
        now_ms: int,
    ) -> None:
        room, pack = self._room, decided.record.pack
        licence = None
        if pack.licence_kind:
            licence = room.licences.issue(connection, pack.licence_kind, content, row.id)
        for state in (CaseState.ACCEPTED, CaseState.DECIDED):
            rows.move(
                connection,
                rows.case_row(connection, row.id),
                state,
                at_ms=now_ms,
                by=NODE,
                sealer=room.sealer,
                verdict=Verdict.APPROVED.value,
                licence=licence,
            )
        if any(rule.kind == "push" for rule in pack.rules):
            connection.execute(
                pushes.insert().values(
                    decision=decided.record.id, case_id=row.id, tries=0, next_at_ms=now_ms
                )
            )

    def _number_for(
        self,
        connection: sa.Connection,
        row: rows.Row,
        content: CaseContent,
        way: Way,
        now_ms: int,
    ) -> str | None:
        """A number for the window with the case attached; none when it opens no more today."""
        service = self._desk.services.get(way.service)
        if service is None or service.opening.wait_s(local(now_ms), 0) is None:
            return None
        return self._desk.give(
            connection,
            ticket_request(content, row.id),
            service,
            order=self._order,
            device=row.holder,
            now_ms=now_ms,
            case=row.id,
        )

    # ── What became of it ────────────────────────────────────────────────────────────────────

    async def outcome(self, case_id: str) -> CaseOutcome:
        """How a submission stands now."""
        room = self._room

        def read(connection: sa.Connection) -> tuple[CaseOutcome, str | None]:
            row = rows.case_row(connection, case_id)
            ticket = queue_rows.printed(connection, row.ticket_id) if row.ticket_id else None
            outcome = CaseOutcome(
                case=row.id,
                number=row.number,
                state=CaseState(row.state),
                verdict=Verdict(row.verdict) if row.verdict else None,
                reasons=room.returned_for(connection, row),
                ticket=ticket,
                licences=(row.licence,) if row.licence else (),
                promised_by=row.promised_by,
            )
            return outcome, row.decision

        outcome, decision_id = await room.store.transaction(read)
        decided = await self._decisions.find(case_id, decision_id) if decision_id else None
        if decided is None:
            return outcome
        return outcome.model_copy(
            update={
                "receipt": decided.receipt,
                "way": decided.decision.way,
                "reasons": outcome.reasons or reasons_of(decided.decision),
            }
        )

    # ── What was left ────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Finish what a crash left and tell other systems what they are owed, until cancelled."""
        while True:
            try:
                await self.finish_left()
                await self.push_owed()
            except HallError as fault:
                self._log.error("cases.not_seen_to", fault=str(fault))  # expected
            await self._room.clock.sleep(LOOK_EVERY_S)

    async def finish_left(self) -> int:
        """Submissions that nobody works on any more; how many there were."""
        before_ms = self._room.clock.wall_ms() - LEFT_MS
        left = await self._room.store.transaction(
            lambda connection: (
                connection.execute(
                    sa.select(cases.c.id)
                    .where(cases.c.is_owed.is_(True), cases.c.state_at_ms <= before_ms)
                    .order_by(cases.c.state_at_ms)
                )
                .scalars()
                .all()
            )
        )
        for case_id in left:
            try:
                await self.finish(case_id)
            except HallError as fault:
                self._log.error("case.not_finished", case=case_id, fault=str(fault))  # expected
        return len(left)

    async def push_owed(self) -> int:
        """Tell other systems of approvals; how many decisions are told of now."""
        now_ms = self._room.clock.wall_ms()
        due = await self._room.store.transaction(
            lambda connection: connection.execute(
                sa.select(pushes)
                .where(pushes.c.next_at_ms <= now_ms)
                .order_by(pushes.c.next_at_ms)
                .limit(PUSH_BATCH)
            ).all()
        )
        told = 0
        for owed in due:
            told += await self._push(owed)
        return told

    async def _push(self, owed: rows.Row) -> bool:
        is_read = True
        rules: tuple[RuleOutcome, ...] = ()
        try:
            decided = await self._decisions.find(owed.case_id, owed.decision)
            rules = await self._decisions.push(decided) if decided is not None else ()
        except (TrustError, WireError) as fault:  # one that can't be read stops no other
            self._log.error("push.unreadable", decision=owed.decision, fault=str(fault))
            is_read = False
        open_ = [rule for rule in rules if rule.status is RuleStatus.UNKNOWN]
        mine = pushes.c.decision == owed.decision
        if is_read and not open_:
            refused = [rule.key for rule in rules if rule.status is RuleStatus.FAILED]
            if refused:
                self._log.error("push.refused", decision=owed.decision, rules=refused)
            await self._room.store.transaction(
                lambda connection: connection.execute(pushes.delete().where(mine))
            )
            return not refused
        pause_ms = min(PUSH_PAUSE_MS * 2**owed.tries, PUSH_PAUSE_CAP_MS)
        later = {"tries": owed.tries + 1, "next_at_ms": self._room.clock.wall_ms() + pause_ms}
        await self._room.store.transaction(
            lambda connection: connection.execute(pushes.update().where(mine).values(**later))
        )
        return False


def ticket_request(content: CaseContent, case_id: str) -> TicketRequest:
    """What a number for this case says of it."""
    who = content.applicant
    return TicketRequest(
        item=content.item,
        answers=content.answers,
        materials=tuple(one.key for one in content.materials if one.how is HandedIn.TO_BRING),
        applicant=Applicant(name=who.name, number=who.number, card_kind=who.card_kind)
        if who is not None
        else None,
        priority=content.priority,
        visit=content.visit,
        case=case_id,
    )


def _stands_for(looked: Looked, material: CaseMaterial) -> bool:
    """What is held of this person, of the kind that stands for the material."""
    kinds = {one.key: one.held_as for one in looked.matter.item.materials}
    return any(
        one.holding == material.holding and one.kind == kinds.get(material.key)
        for one in looked.held
    )


def _name_of(item: Item, key: str) -> str:
    return next(one.plain_name or one.material_name for one in item.materials if one.key == key)


def promised_by(item: Item, today: dt.date) -> dt.date | None:
    """承诺办结日, counted from the next day; of working days Monday to Friday.

    Public holidays are not known here: the day told may be too early by them.
    """
    days = item.promise_day
    if not days:
        return None
    if item.promise_type == "calendar":
        return today + dt.timedelta(days=days)
    day = today
    while days:
        day += dt.timedelta(days=1)
        days -= day.weekday() < _WORKDAYS
    return day


def reasons_of(decision: Decision) -> tuple[CaseReason, ...]:
    """Why it was not approved."""
    return _reasons(decision.reasons) if decision.verdict is not Verdict.APPROVED else ()


def _reasons(rules: tuple[RuleOutcome, ...]) -> tuple[CaseReason, ...]:
    return tuple(
        CaseReason(
            status=rule.status,
            text=rule.text,
            said=rule.said,
            what_to_do=rule.what_to_do,
            systems=rule.systems,
        )
        for rule in rules
    )


def _application(case_id: str, looked: Looked) -> Application:
    if looked.matter.pack is None:
        raise ValueError("an item without rules is decided by a person")
    sources = dict(looked.known.sources) | form_sources(looked.content, looked.fields)
    return Application(
        case=case_id,
        item=looked.matter.item,
        pack=looked.matter.pack,
        facts=looked.known.facts,
        sources=sources,
    )
