"""好差评: one for each ticket, case or visit; a bad one begins a call back; words are sealed."""

from __future__ import annotations

import datetime as dt

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError

from affairs.http.node import Node
from affairs.problems import ProblemCode, Refused
from affairs.queue.calling import Windows
from affairs.queue.issuing import Queue
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.giving import CaseStanding, Rater, Ratings
from affairs.ratings.summary import Satisfaction
from affairs.ratings.tables import ratings as table
from affairs.store import Store
from hallkit.lexicon.words import words
from hallkit.model.ids import new_id
from hallkit.model.rating import (
    TAGS,
    CallBackResult,
    CallBackState,
    RatedKind,
    RatingChannel,
    RatingLevel,
    RatingTag,
)
from hallkit.model.ticket import TicketState
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER, Applicant, TicketRequest, WindowOrder
from hallkit.wire.ratings_api import (
    RATINGS,
    OfflineRating,
    OfflineRatings,
    RatedSubject,
    RatingGiven,
    RatingRequest,
)
from hallkit.wire.sealed import seal
from tests.unit.affairs.hall import APPLICANT, DEVICE, ITEM, Cases, SettableClock, client

TERMINAL = Rater(DEVICE)
WORDS = "窗口的人让我跑了三趟"
PHONE = "138 1234 5678"
WINDOW = 12


def rating(
    subject: RatedSubject,
    level: RatingLevel = RatingLevel.SATISFIED,
    *,
    tags: tuple[RatingTag, ...] = (),
    said: str = "",
    contact: str = "",
    rated_ms: int = 0,
) -> RatingRequest:
    return RatingRequest(
        subject=subject,
        level=level,
        tags=tags,
        words=said,
        channel=RatingChannel.TERMINAL,
        rated_at_ms=rated_ms,
        contact=contact,
    )


def visit(name: str = "") -> RatedSubject:
    return RatedSubject(kind=RatedKind.VISIT, id=name or new_id())


class Hall:
    """Whoever comes is served at window 12, and thinks something of it."""

    def __init__(self, queue: Queue, windows: Windows, ratings: Ratings) -> None:
        self.queue = queue
        self.windows = windows
        self.ratings = ratings

    async def came(self, *, is_known: bool = False) -> RatedSubject:
        applicant = Applicant.model_validate(APPLICANT) if is_known else None
        request = TicketRequest(item=ITEM, applicant=applicant)
        issued = await self.queue.issue(request, device=DEVICE, key=new_id())
        return RatedSubject(kind=RatedKind.TICKET, id=issued.ticket.id)

    async def orders(self, *orders: str, ticket: str = "") -> None:
        for do in orders:
            order = WindowOrder.model_validate({"do": do, "ticket": ticket})
            await self.windows.do(WINDOW, order, device="window-12", key=new_id())

    async def served(self, *, is_known: bool = False) -> RatedSubject:
        subject = await self.came(is_known=is_known)
        await self.orders("open")
        await self.orders("call", "serve", "finish", ticket=subject.id)
        return subject

    async def rates(
        self, request: RatingRequest, *, rater: Rater = TERMINAL, key: str = ""
    ) -> RatingGiven:
        return await self.ratings.give(request, rater=rater, key=key or new_id())

    async def refuses(
        self, code: ProblemCode, request: RatingRequest, *, rater: Rater = TERMINAL, key: str = ""
    ) -> None:
        with pytest.raises(Refused) as fault:
            await self.rates(request, rater=rater, key=key)
        assert fault.value.problem_code is code

    async def state(self, subject: RatedSubject) -> TicketState:
        return (await self.queue.ticket(subject.id)).state


@pytest.fixture
def hall(queue: Queue, windows: Windows, ratings: Ratings) -> Hall:
    return Hall(queue, windows, ratings)


# ── One each ─────────────────────────────────────────────────────────────────────────────────


async def test_a_served_ticket_is_rated_once(hall: Hall) -> None:
    subject = await hall.served()
    request = rating(subject, tags=(RatingTag.QUICK,))
    given = await hall.rates(request, key="attempt-1")
    assert (given.again, given.call_back_by_ms) == (False, None)
    assert await hall.state(subject) is TicketState.RATED
    again = await hall.rates(request, key="attempt-1")
    assert again == given.model_copy(update={"again": True})
    await hall.refuses(ProblemCode.RATING_EXISTS, request, key="attempt-2")
    other = rating(subject, RatingLevel.DISSATISFIED)
    await hall.refuses(ProblemCode.RATING_EXISTS, other, rater=Rater("robot-01"))
    await hall.refuses(ProblemCode.KEY_REUSED, other, key="attempt-1")


async def test_what_is_not_over_is_not_rated_yet(hall: Hall) -> None:
    subject = await hall.came()
    await hall.orders("open")
    for orders in ((), ("call",), ("serve",)):
        await hall.orders(*orders, ticket=subject.id)
        await hall.refuses(ProblemCode.RATING_NOT_YET, rating(subject), key="attempt-1")
    await hall.orders("finish", ticket=subject.id)
    await hall.rates(rating(subject), key="attempt-1")  # what was refused left the key free


async def test_nobody_rates_what_there_is_not(hall: Hall) -> None:
    for kind in (RatedKind.TICKET, RatedKind.CASE):
        unknown = RatedSubject(kind=kind, id=new_id())
        await hall.refuses(ProblemCode.RATED_UNKNOWN, rating(unknown))


async def test_a_case_is_rated_once_it_is_decided(hall: Hall, cases: Cases) -> None:
    subject = RatedSubject(kind=RatedKind.CASE, id=new_id())
    cases.standing_of[subject.id] = CaseStanding(False, "market", is_known=True)
    await hall.refuses(ProblemCode.RATING_NOT_YET, rating(subject))
    cases.standing_of[subject.id] = CaseStanding(True, "market", is_known=True)
    await hall.rates(rating(subject))
    await hall.refuses(ProblemCode.RATING_EXISTS, rating(subject))


async def test_a_visit_without_a_number_is_rated_once(hall: Hall) -> None:
    subject = visit()
    await hall.rates(rating(subject))
    await hall.refuses(ProblemCode.RATING_EXISTS, rating(subject))


async def test_a_window_speaks_for_those_whom_it_served(hall: Hall) -> None:
    subject = await hall.served()
    for rater, wanted in ((Rater("window-05", 5), subject), (Rater("window-12", 12), visit())):
        await hall.refuses(ProblemCode.DEVICE_NOT_ALLOWED, rating(wanted), rater=rater)
    await hall.rates(rating(subject), rater=Rater("window-12", 12))


async def test_a_device_at_a_window_may_rate_and_a_stranger_may_not(hall: Hall, node: Node) -> None:
    body = rating(await hall.served()).model_dump(mode="json")
    statuses = []
    for peer in ("tv-01", "window-05", "window-12"):
        async with client(node, peer) as http:
            answer: httpx.Response = await http.post(
                RATINGS, json=body, headers={IDEMPOTENCY_HEADER: new_id()}
            )
            statuses.append(answer.status_code)
    assert statuses == [403, 403, 201]


# ── What may be said ─────────────────────────────────────────────────────────────────────────


def test_every_level_and_tag_has_words() -> None:
    for language in ("zh_CN", "en"):
        told = words(language)  # type: ignore[arg-type]  # of the two there are
        assert all(told.has(f"rating.{level.value}") for level in RatingLevel)
        assert all(told.has(f"rating.tag.{tag.value}") for tag in RatingTag)


def test_every_tag_can_be_ticked_and_bad_levels_have_no_praise() -> None:
    assert {tag for tags in TAGS.values() for tag in tags} == set(RatingTag)
    for level, tags in TAGS.items():
        assert (RatingTag.WARM in tags) is not level.is_bad
        assert tags
    with pytest.raises(ValidationError, match="tags"):
        rating(visit(), RatingLevel.DISSATISFIED, tags=(RatingTag.WARM,))
    with pytest.raises(ValidationError, match="tags"):
        rating(visit(), tags=(RatingTag.WARM, RatingTag.WARM))


@pytest.mark.parametrize("contact", ["", "13812345678", "+86 138 1234 5678", "0838-8201234"])
def test_a_telephone_is_digits(contact: str) -> None:
    assert rating(visit(), contact=contact).contact == contact


@pytest.mark.parametrize("contact", ["007", "call me", "1381234567x", "-" * 10, "1" * 40])
def test_what_is_no_telephone_is_refused(contact: str) -> None:
    with pytest.raises(ValidationError) as fault:
        rating(visit(), contact=contact)
    assert contact not in str(fault.value)


async def test_words_and_telephone_are_sealed_and_shown_nowhere(hall: Hall, store: Store) -> None:
    request = rating(visit(), RatingLevel.DISSATISFIED, said=WORDS, contact=PHONE)
    for shown in (repr(request), str(request), f"{request}"):
        assert WORDS not in shown
        assert PHONE not in shown
    given = await hall.rates(request)

    def kept(connection: sa.Connection) -> str:
        return str(connection.execute(sa.select(table)).one())

    row = await store.transaction(kept)
    assert given.rating in row
    assert WORDS not in row
    assert PHONE not in row


# ── Bad ones ─────────────────────────────────────────────────────────────────────────────────


async def bad(hall: Hall, *, is_known: bool = False, contact: str = "") -> str:
    request = rating(
        await hall.served(is_known=is_known),
        RatingLevel.VERY_DISSATISFIED,
        tags=(RatingTag.MANY_VISITS,),
        said=WORDS,
        contact=contact,
    )
    return (await hall.rates(request)).rating


async def test_a_bad_one_asks_for_a_call_back_within_a_working_day(
    hall: Hall, call_backs: CallBacks, clock: SettableClock
) -> None:
    """It is Thursday noon; whoever left a telephone or showed a card is known."""
    for known in ({"is_known": True}, {"contact": PHONE}):
        await bad(hall, **known)  # type: ignore[arg-type]
    anonymous = await bad(hall)
    assert call_backs.changed.is_set()
    listed = await call_backs.listed()
    friday = dt.datetime(2025, 1, 3, 9, tzinfo=dt.UTC)  # five in the afternoon in the hall
    due_ms = int(friday.timestamp() * 1000)
    assert [one.due_at_ms for one in listed[:2]] == [due_ms, due_ms]
    assert listed[2].rating == anonymous
    assert listed[2].due_at_ms > due_ms
    first = listed[0]
    assert (first.service, first.window, first.state) == ("market", WINDOW, CallBackState.OPEN)
    assert first.tags == (RatingTag.MANY_VISITS,)


async def test_a_good_one_asks_for_none(hall: Hall, call_backs: CallBacks) -> None:
    await hall.rates(rating(await hall.served(), RatingLevel.BASICALLY_SATISFIED))
    assert await call_backs.listed() == ()


async def test_who_takes_it_reads_it_and_says_what_came_of_it(
    hall: Hall, call_backs: CallBacks, clock: SettableClock
) -> None:
    name = await bad(hall, contact=PHONE)
    with pytest.raises(Refused):
        await call_backs.read(name, by="wang")
    taken = await call_backs.take(name, by="wang", key="take-it-1")
    assert (taken.state, taken.taken_by) == (CallBackState.TAKEN, "wang")
    assert await call_backs.take(name, by="wang", key="take-it-1") == taken
    file = await call_backs.read(name, by="wang")
    assert (file.said.words, file.said.contact) == (WORDS, PHONE)
    assert WORDS not in repr(file)
    assert PHONE not in repr(file)
    for late in (
        call_backs.take(name, by="li", key=new_id()),
        call_backs.read(name, by="li"),
        call_backs.done(name, by="li", key=new_id(), result=CallBackResult.SOLVED, words=""),
    ):
        with pytest.raises(Refused) as fault:
            await late
        assert fault.value.problem_code is ProblemCode.CALL_BACK_NOT_SO
    solved = CallBackResult.SOLVED
    done = await call_backs.done(name, by="wang", key="done-1", result=solved, words="材料补好了")
    assert (done.state, done.result) == (CallBackState.DONE, CallBackResult.SOLVED)
    again = await call_backs.done(
        name, by="wang", key="done-1", result=CallBackResult.SOLVED, words="材料补好了"
    )
    assert again == done
    assert (await call_backs.read(name, by="wang")).report == "材料补好了"
    assert await call_backs.listed() == ()
    assert await call_backs.listed(done_since_ms=clock.wall_ms()) == (done,)


async def test_what_was_given_back_somebody_else_takes(hall: Hall, call_backs: CallBacks) -> None:
    name = await bad(hall)
    await call_backs.take(name, by="wang", key="take-it-1")
    assert (await call_backs.give_back(name, by="wang", key="back-1")).state is CallBackState.OPEN
    assert (await call_backs.take(name, by="li", key="take-it-2")).taken_by == "li"


async def test_a_call_back_that_there_is_not(call_backs: CallBacks) -> None:
    with pytest.raises(Refused) as fault:
        await call_backs.take(new_id(), by="wang", key=new_id())
    assert fault.value.problem_code is ProblemCode.CALL_BACK_UNKNOWN


async def test_what_is_late_is_told_once_stays_marked_and_can_still_be_done(
    hall: Hall, call_backs: CallBacks, clock: SettableClock
) -> None:
    name = await bad(hall, contact=PHONE)
    assert await call_backs.see_overdue() == 0
    clock.now += dt.timedelta(days=2)
    call_backs.changed.clear()
    assert await call_backs.see_overdue() == 1
    assert call_backs.changed.is_set()
    assert await call_backs.see_overdue() == 0
    await call_backs.take(name, by="wang", key="take-it-1")
    unreachable = CallBackResult.UNREACHABLE
    done = await call_backs.done(name, by="wang", key="done-1", result=unreachable, words="")
    assert done.is_overdue


# ── What a machine kept ──────────────────────────────────────────────────────────────────────


class Machine:
    """It keeps ratings, sealed to the node."""

    def __init__(self, ratings: Ratings, key: X25519PrivateKey) -> None:
        self.ratings = ratings
        self.key = key.public_key()

    def keeps(self, request: RatingRequest, name: str = "") -> OfflineRating:
        name = name or new_id()
        content = request.model_dump_json().encode()
        return OfflineRating(rating=name, sealed=seal(content, self.key, subject=name))

    async def tells(self, *kept: OfflineRating) -> tuple[tuple[str, ...], dict[str, str]]:
        told = await self.ratings.take(OfflineRatings(ratings=kept), rater=TERMINAL)
        return told.taken, told.refused


@pytest.fixture
def machine(ratings: Ratings, submissions_key: X25519PrivateKey) -> Machine:
    return Machine(ratings, submissions_key)


async def test_what_a_machine_kept_stands_once_however_often_it_is_told(
    machine: Machine, store: Store, clock: SettableClock
) -> None:
    an_hour_ago = clock.wall_ms() - 3_600_000
    kept = machine.keeps(rating(visit(), rated_ms=an_hour_ago))
    for _ in range(2):
        assert await machine.tells(kept, kept) == ((kept.rating, kept.rating), {})
    summary = await Satisfaction(store, clock).of_day()
    assert summary.total == 1


async def test_told_online_and_kept_under_the_same_key_it_is_one(
    machine: Machine, hall: Hall
) -> None:
    request = rating(await hall.served())
    kept = machine.keeps(request)
    await hall.rates(request, key=kept.rating)
    assert await machine.tells(kept) == ((kept.rating,), {})


async def test_each_is_taken_or_refused_for_itself(machine: Machine, hall: Hall) -> None:
    first, waiting = await hall.served(), await hall.came()
    good = machine.keeps(rating(first))
    second = machine.keeps(rating(first, RatingLevel.DISSATISFIED))
    early = machine.keeps(rating(waiting))
    moved = machine.keeps(rating(visit())).model_copy(update={"rating": new_id()})
    last = machine.keeps(rating(visit()))
    assert await machine.tells(good, second, early, moved, last) == (
        (good.rating, last.rating),
        {
            second.rating: "rating_exists",
            early.rating: "rating_not_yet",
            moved.rating: "request_unreadable",
        },
    )
    await hall.orders("open")
    await hall.orders("call", "serve", "finish", ticket=waiting.id)
    assert await machine.tells(early) == ((early.rating,), {})


# ── Counted ──────────────────────────────────────────────────────────────────────────────────


async def test_a_day_is_counted_by_service(
    hall: Hall, store: Store, clock: SettableClock, call_backs: CallBacks
) -> None:
    satisfaction = Satisfaction(store, clock)
    nothing = await satisfaction.of_day()
    assert (nothing.total, nothing.satisfied_share, nothing.services) == (0, None, ())
    yesterday_ms = clock.wall_ms() - 24 * 3_600_000
    await hall.rates(rating(visit(), rated_ms=yesterday_ms))
    now_ms = clock.wall_ms()
    await hall.rates(rating(visit(), RatingLevel.VERY_SATISFIED, rated_ms=now_ms))
    for level in (RatingLevel.SATISFIED, RatingLevel.SATISFIED, RatingLevel.DISSATISFIED):
        await hall.rates(rating(await hall.served(), level, rated_ms=now_ms))
    today = await satisfaction.of_day()
    assert (today.total, today.satisfied_share) == (4, 0.75)
    assert (today.counts.satisfied, today.counts.dissatisfied) == (2, 1)
    assert [(one.service, one.total) for one in today.services] == [("", 1), ("market", 3)]
    assert (today.call_backs_open, today.call_backs_overdue) == (1, 0)
    clock.now += dt.timedelta(days=30)
    await call_backs.see_overdue()
    earlier = await satisfaction.of_day(dt.date(2025, 1, 1))
    assert (earlier.total, earlier.call_backs_overdue) == (1, 1)


async def test_a_wrong_clock_rates_no_later_than_now(
    hall: Hall, store: Store, clock: SettableClock
) -> None:
    await hall.rates(rating(visit(), rated_ms=clock.wall_ms() + 10**9))
    assert (await Satisfaction(store, clock).of_day()).total == 1
