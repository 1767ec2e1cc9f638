"""Permits to print: one file, one machine, one visit, one person, once."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import pytest

from affairs.licences.printing import PERMIT_MS, Prints
from affairs.licences.register import Register
from affairs.licences.tables import licences, permits
from affairs.problems import ProblemCode, Refused
from affairs.store import Store
from hallkit.model.ids import new_id
from hallkit.model.licence import PermitState, PrintOutcome
from hallkit.wire.licences_api import (
    LicenceQuery,
    PermitOfPerson,
    PermitOutcome,
    PermitRedeemed,
    PermitRedemption,
    PrintPermit,
    PrintsSettlement,
    VisitEnd,
)
from tests.fakes.render import FakeRender
from tests.unit.affairs.hall import DEVICE, SettableClock
from tests.unit.affairs.licences_kit import (
    HOLDER,
    NAME,
    OTHER,
    VISIT,
    issued,
    refused_for,
    rows,
    wanted,
)

ELSEWHERE = "terminal-02"


def refused(code: ProblemCode) -> Any:
    return pytest.raises(Refused, match=f"^{code.value}$")


class At:
    """A machine with somebody before it."""

    def __init__(
        self, prints: Prints, device: str = DEVICE, visit: str = VISIT, number: str = HOLDER
    ) -> None:
        self.prints = prints
        self.device = device
        self.visit = visit
        self.number = number

    async def permit(self, licence: str, key: str = "") -> PrintPermit:
        request = wanted(licence, self.number, self.visit)
        return await self.prints.permit(request, device=self.device, key=key or new_id())

    async def file(self, permit: str) -> bytes:
        asked = PermitOfPerson(permit=permit, visit=self.visit, number=self.number)
        return await self.prints.file(asked, device=self.device)

    async def redeem(self, permit: str, sha256: str, key: str = "") -> PermitRedeemed:
        asked = PermitRedemption(permit=permit, visit=self.visit, number=self.number, sha256=sha256)
        return await self.prints.redeem(asked, device=self.device, key=key or new_id())

    async def tell(
        self, permit: str, outcome: PrintOutcome, attempt: int = 1, key: str = ""
    ) -> PermitState:
        told = PermitOutcome(permit=permit, visit=self.visit, attempt=attempt, outcome=outcome)
        said = await self.prints.outcome(told, device=self.device, key=key or new_id())
        return said.state

    async def find(self) -> list[tuple[str, int, bool]]:
        query = LicenceQuery(number=self.number, visit=self.visit)
        found = await self.prints.find(query, device=self.device)
        return [(one.licence, one.prints, one.unsettled) for one in found.licences]

    async def leave(self, key: str = "") -> int:
        end = VisitEnd(visit=self.visit)
        return (await self.prints.end_visit(end, device=self.device, key=key or new_id())).destroyed


@pytest.fixture
def at(prints: Prints) -> At:
    return At(prints)


@pytest.fixture
async def licence(store: Store, register: Register) -> str:
    return await issued(store, register)


async def state(store: Store) -> tuple[str, str, bool]:
    """Of the newest permit: state, why, and whether its file is still there."""
    row = (await rows(store))[-1]
    return str(row.state), str(row.why), bool(row.file)


async def test_a_licence_gets_on_paper(at: At, licence: str, store: Store) -> None:
    assert await at.find() == [(licence, 0, False)]
    permit = await at.permit(licence)
    content = await at.file(permit.permit)
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (permit.sha256, permit.size)
    redeemed = await at.redeem(permit.permit, permit.sha256)
    assert (redeemed.licence, redeemed.attempt, redeemed.again) == (licence, 1, False)
    assert await at.find() == [(licence, 0, True)]
    assert await at.tell(permit.permit, PrintOutcome.COMPLETED) is PermitState.COMPLETED
    assert await at.find() == [(licence, 1, False)]
    assert await state(store) == ("completed", "", False)
    assert await refused_for(store) == []
    assert (await at.permit(licence)).copy_number == 2


async def test_the_page_says_which_machine_and_which_copy(
    at: At, licence: str, render: FakeRender, register: Register
) -> None:
    await at.permit(licence)
    (paper,) = render.papers
    assert (paper.terminal, paper.copy) == (DEVICE, 1)
    assert paper.address == f"https://verify.example/v/{register.token(licence)}"
    assert NAME not in repr(paper)


async def test_the_list_masks_the_holder(prints: Prints, licence: str) -> None:
    found = await prints.find(LicenceQuery(number=HOLDER, visit=VISIT), device=DEVICE)
    assert [one.holder for one in found.licences] == ["诸***"]


# ── Who it is not for ────────────────────────────────────────────────────────────────────────

STRANGERS = {
    "person": ({"number": OTHER}, "other_person"),
    "visit": ({"visit": "visit-0002"}, "other_visit"),
    "device": ({"device": ELSEWHERE}, "other_device"),
}


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("does", ["file", "redeem"])
async def test_a_stranger_is_refused_and_the_file_destroyed(  # noqa: PLR0917  # fixtures
    at: At, licence: str, prints: Prints, store: Store, who: str, does: str
) -> None:
    how, why = STRANGERS[who]
    permit = await at.permit(licence)
    stranger = At(prints, **how)
    with refused(ProblemCode.PERMIT_REFUSED):
        if does == "file":
            await stranger.file(permit.permit)
        else:
            await stranger.redeem(permit.permit, permit.sha256)
    assert await state(store) == ("destroyed", why, False)
    assert await refused_for(store) == [why]
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256)


async def test_another_file_is_refused_and_destroys(at: At, licence: str, store: Store) -> None:
    permit = await at.permit(licence)
    with refused(ProblemCode.PERMIT_REFUSED):
        await at.redeem(permit.permit, "0" * 64)
    assert await state(store) == ("destroyed", "other_file", False)


async def test_a_licence_of_somebody_else_is_nobodys(
    prints: Prints, licence: str, store: Store
) -> None:
    stranger = At(prints, number=OTHER)
    with refused(ProblemCode.LICENCE_UNKNOWN):
        await stranger.permit(licence)
    assert await stranger.find() == []
    assert await refused_for(store) == ["not_theirs"]
    assert await rows(store) == []


async def test_a_second_person_in_a_visit_ends_it(
    at: At, licence: str, prints: Prints, store: Store, register: Register
) -> None:
    permit = await at.permit(licence)
    theirs = await issued(store, register, OTHER)
    with refused(ProblemCode.VISIT_OTHER_PERSON):
        await At(prints, number=OTHER).permit(theirs)
    assert await state(store) == ("destroyed", "other_person", False)
    with refused(ProblemCode.PERMIT_OVER):
        await at.file(permit.permit)
    with refused(ProblemCode.VISIT_OVER):
        await at.find()


async def test_a_permit_that_nobody_made_is_unknown(at: At) -> None:
    with refused(ProblemCode.PERMIT_UNKNOWN):
        await at.redeem(new_id(), "0" * 64)
    with refused(ProblemCode.PERMIT_UNKNOWN):
        await at.tell(new_id(), PrintOutcome.COMPLETED)


# ── Once ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_second_yes_is_refused_and_the_first_print_still_counts(
    at: At, licence: str, store: Store
) -> None:
    permit = await at.permit(licence)
    await at.redeem(permit.permit, permit.sha256)
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256)
    assert await state(store) == ("redeemed", "used", False)
    assert await at.tell(permit.permit, PrintOutcome.COMPLETED) is PermitState.COMPLETED
    assert await at.find() == [(licence, 1, False)]


async def test_many_yeses_at_once_are_one(at: At, licence: str) -> None:
    permit = await at.permit(licence)
    said = await asyncio.gather(
        *(at.redeem(permit.permit, permit.sha256) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(one, PermitRedeemed) for one in said) == 1


async def test_a_lost_yes_is_said_again_for_that_print_alone(at: At, licence: str) -> None:
    permit = await at.permit(licence)
    first = await at.redeem(permit.permit, permit.sha256, "redeem-1")
    again = await at.redeem(permit.permit, permit.sha256, "redeem-1")
    assert (again.attempt, again.again) == (first.attempt, True)
    await at.tell(permit.permit, PrintOutcome.NOT_STARTED)
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256, "redeem-1")
    assert (await at.redeem(permit.permit, permit.sha256, "redeem-2")).attempt == 2
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256, "redeem-1")


async def test_a_lost_yes_is_not_said_again_once_the_file_is_destroyed(
    at: At, licence: str, prints: Prints
) -> None:
    permit = await at.permit(licence)
    await at.redeem(permit.permit, permit.sha256, "redeem-1")
    with refused(ProblemCode.PERMIT_REFUSED):
        await At(prints, number=OTHER).redeem(permit.permit, permit.sha256)
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256, "redeem-1")
    assert await at.tell(permit.permit, PrintOutcome.NOT_STARTED) is PermitState.DESTROYED


async def test_a_yes_that_was_lost_for_good_is_settled_by_the_machine(
    at: At, licence: str, prints: Prints
) -> None:
    permit = await at.permit(licence)
    await at.redeem(permit.permit, permit.sha256, "redeem-1")
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256, "redeem-2")
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256, "redeem-1")
    with refused(ProblemCode.PERMIT_UNSETTLED):
        await at.permit(licence)
    await at.tell(permit.permit, PrintOutcome.NOT_STARTED, attempt=1)
    assert (await at.permit(licence)).copy_number == 1


async def test_the_same_key_is_the_same_permit(
    at: At, licence: str, store: Store, render: FakeRender
) -> None:
    first = await at.permit(licence, "permit-1")
    assert await at.permit(licence, "permit-1") == first
    assert len(render.papers) == 1
    same = await asyncio.gather(*(at.permit(licence, "permit-2") for _ in range(5)))
    assert len({one.permit for one in same}) == 1
    with refused(ProblemCode.PERMIT_OVER):
        await at.permit(licence, "permit-1")


async def test_one_file_of_a_licence_at_a_time(at: At, licence: str, store: Store) -> None:
    first = await at.permit(licence)
    second = await at.permit(licence)
    old, new = await rows(store)
    assert (old.id, old.state, old.why) == (first.permit, "destroyed", "superseded")
    assert (new.id, new.state) == (second.permit, "open")
    await at.redeem(second.permit, second.sha256)
    with refused(ProblemCode.PERMIT_UNSETTLED):
        await at.permit(licence)


# ── What came of it ──────────────────────────────────────────────────────────────────────────


async def test_what_did_not_start_is_free_for_one_more(at: At, licence: str, store: Store) -> None:
    permit = await at.permit(licence)
    await at.redeem(permit.permit, permit.sha256)
    assert await at.tell(permit.permit, PrintOutcome.NOT_STARTED) is PermitState.OPEN
    assert await at.find() == [(licence, 0, False)]
    again = await at.redeem(permit.permit, permit.sha256)
    assert again.attempt == 2
    # The outcome of the first attempt comes late, and says nothing about the second.
    with refused(ProblemCode.PERMIT_OVER):
        await at.tell(permit.permit, PrintOutcome.NOT_STARTED, attempt=1)
    assert await at.tell(permit.permit, PrintOutcome.COMPLETED, 2) is PermitState.COMPLETED


async def test_an_outcome_told_twice_counts_once(at: At, licence: str) -> None:
    permit = await at.permit(licence)
    await at.redeem(permit.permit, permit.sha256)
    for key in ("outcome-1", "outcome-1", "outcome-2"):
        await at.tell(permit.permit, PrintOutcome.COMPLETED, key=key)
    assert await at.find() == [(licence, 1, False)]
    for other in (PrintOutcome.NOT_STARTED, PrintOutcome.UNKNOWN):
        with refused(ProblemCode.PERMIT_OVER):
            await at.tell(permit.permit, other)


async def test_an_outcome_of_another_machine_counts_nothing(
    at: At, licence: str, prints: Prints, store: Store
) -> None:
    permit = await at.permit(licence)
    await at.redeem(permit.permit, permit.sha256)
    with refused(ProblemCode.PERMIT_REFUSED):
        await At(prints, device=ELSEWHERE).tell(permit.permit, PrintOutcome.NOT_STARTED)
    assert await state(store) == ("redeemed", "other_device", False)
    assert (await rows(store, licences))[0].prints == 0


async def test_what_nobody_knows_is_for_staff(at: At, licence: str, prints: Prints) -> None:
    permit = await at.permit(licence)
    await at.redeem(permit.permit, permit.sha256)
    assert await at.tell(permit.permit, PrintOutcome.UNKNOWN) is PermitState.UNKNOWN
    assert await at.find() == [(licence, 0, True)]
    with refused(ProblemCode.PERMIT_UNSETTLED):
        await at.permit(licence)
    found = PrintsSettlement(number=HOLDER, printed=True)
    settled = await prints.settle(found, device="window-12", key="settle-1")
    assert settled.settled == ("四川省老年人优待证",)
    assert (await prints.settle(found, device="window-12", key="settle-1")).settled == ()
    assert await at.find() == [(licence, 1, False)]
    with refused(ProblemCode.NOTHING_TO_SETTLE):
        await prints.settle(found, device="window-12", key="settle-2")


async def test_a_machine_that_never_says_anything_is_for_staff_too(
    at: At, licence: str, prints: Prints, clock: SettableClock
) -> None:
    permit = await at.permit(licence)
    await at.redeem(permit.permit, permit.sha256)
    found = PrintsSettlement(number=HOLDER, printed=False)
    with refused(ProblemCode.NOTHING_TO_SETTLE):  # it is being printed
        await prints.settle(found, device="window-12", key="settle-1")
    clock.now += dt.timedelta(milliseconds=PERMIT_MS)
    with refused(ProblemCode.PERMIT_UNSETTLED):
        await at.permit(licence)
    await prints.settle(found, device="window-12", key="settle-2")
    assert (await at.permit(licence)).copy_number == 1


async def test_a_machine_that_says_it_late_is_believed(
    at: At, licence: str, prints: Prints, clock: SettableClock
) -> None:
    permit = await at.permit(licence)
    await at.redeem(permit.permit, permit.sha256)
    clock.now += dt.timedelta(hours=2)
    await prints.expire()
    assert await at.tell(permit.permit, PrintOutcome.NOT_STARTED) is PermitState.DESTROYED
    assert await at.find() == [(licence, 0, False)]


# ── The end ──────────────────────────────────────────────────────────────────────────────────


async def test_the_end_of_a_visit_destroys_what_is_left(at: At, licence: str, store: Store) -> None:
    permit = await at.permit(licence)
    assert await at.leave("leave-01") == 1
    assert await at.leave("leave-01") == 0
    assert await state(store) == ("destroyed", "visit_over", False)
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256)
    with refused(ProblemCode.VISIT_OVER):
        await at.permit(licence)


async def test_a_visit_that_never_asked_is_over_all_the_same(at: At, licence: str) -> None:
    assert await at.leave() == 0
    with refused(ProblemCode.VISIT_OVER):
        await at.permit(licence)


async def test_a_visit_that_ends_while_the_file_is_made_gets_none(
    prints: Prints, licence: str, store: Store, render: FakeRender
) -> None:
    at = At(prints)
    loop = asyncio.get_running_loop()

    class Slow:
        def __call__(self, paper: Any) -> bytes:
            asyncio.run_coroutine_threadsafe(at.leave(), loop).result(10)
            return render(paper)

    prints._render = Slow()
    with refused(ProblemCode.VISIT_OVER):
        await at.permit(licence)
    assert await rows(store) == []


async def test_a_file_lives_for_minutes(
    at: At, licence: str, prints: Prints, store: Store, clock: SettableClock
) -> None:
    permit = await at.permit(licence)
    clock.now += dt.timedelta(milliseconds=PERMIT_MS - 1)
    assert await prints.expire() == 0
    await at.file(permit.permit)
    clock.now += dt.timedelta(milliseconds=1)
    with refused(ProblemCode.PERMIT_OVER):
        await at.file(permit.permit)
    assert await prints.expire() == 1
    assert await state(store) == ("destroyed", "expired", False)


async def test_a_file_that_is_late_is_not_redeemed(
    at: At, licence: str, store: Store, clock: SettableClock
) -> None:
    permit = await at.permit(licence)
    clock.now += dt.timedelta(milliseconds=PERMIT_MS)
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256)
    assert await state(store) == ("destroyed", "expired", False)


async def test_a_licence_that_is_revoked_meanwhile_is_not_printed(
    at: At, licence: str, store: Store, register: Register
) -> None:
    permit = await at.permit(licence)
    await store.transaction(lambda connection: register.revoke(connection, licence))
    with refused(ProblemCode.PERMIT_OVER):
        await at.redeem(permit.permit, permit.sha256)
    assert await state(store) == ("destroyed", "licence", False)
    with refused(ProblemCode.LICENCE_NOT_SO):
        await at.permit(licence)
    assert await at.find() == []


async def test_a_file_is_sealed_on_the_disk_and_gone_when_it_is_over(
    at: At, licence: str, store: Store, tmp_path: Path
) -> None:
    permit = await at.permit(licence)
    (row,) = await rows(store, permits)
    sealed = bytes(row.file)  # type: ignore[call-overload]
    assert b"%PDF" not in sealed
    await at.leave()
    await store.truncate_log()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("affairs.sqlite*"))
    assert permit.sha256.encode() in kept
    assert sealed[-16:] not in kept
    assert HOLDER.encode() not in kept
