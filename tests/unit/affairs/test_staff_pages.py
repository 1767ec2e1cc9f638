"""The staff pages without network: who gets what, forms, orders, conflicts, what is noted."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.audit import Heads, latest, verify
from affairs.problems import ProblemCode
from affairs.staff.accounts import AccountState
from affairs.staff.limits import FREE_OF_ACCOUNT, WRITES
from affairs.staff.rights import RIGHTS, Right, Role
from affairs.staff.site import COOKIE, Page
from hallkit.lexicon.words import words
from hallkit.model.ids import new_id
from hallkit.model.ticket import TicketState
from tests.unit.affairs.hall import NAME, NUMBER
from tests.unit.affairs.staff_place import CHEAP, FIRST, OWN, Place, Visitor

# ── Who gets what ────────────────────────────────────────────────────────────────────────────

EXPECTED = {
    "GET /login": Right.ANYONE,
    "POST /login": Right.ANYONE,
    "GET /assets/{name}": Right.ANYONE,
    "POST /logout": Right.LOGGED_IN,
    "GET /password": Right.LOGGED_IN,
    "POST /password": Right.LOGGED_IN,
    "GET /": Right.LOGGED_IN,
    "GET /windows": Right.SERVE,
    "POST /windows/{number:int}/stand": Right.SERVE,
    "POST /leave": Right.SERVE,
    "GET /windows/{number:int}": Right.SERVE,
    "GET /windows/{number:int}/events": Right.SERVE,
    "POST /windows/{number:int}/orders": Right.SERVE,
    "POST /windows/{number:int}/case": Right.SERVE,
    "POST /windows/{number:int}/identity": Right.SEE_PERSON,
    "GET /hall": Right.WATCH_HALL,
    "GET /hall/events": Right.WATCH_HALL,
    "GET /help": Right.GUIDE,
    "GET /help/events": Right.GUIDE,
    "POST /help/{call}/orders": Right.GUIDE,
    "POST /help/{call}/identity": Right.GUIDE,
    "GET /call-backs": Right.CALL_BACK,
    "POST /call-backs/{rating}/orders": Right.CALL_BACK,
    "GET /audit": Right.READ_AUDIT,
}
WHO = {
    Right.SERVE: {Role.WINDOW},
    Right.SEE_PERSON: {Role.WINDOW},
    Right.GUIDE: {Role.GUIDE, Role.SUPERVISOR},
    Right.WATCH_HALL: {Role.SUPERVISOR},
    Right.CALL_BACK: {Role.SUPERVISOR},
    Right.READ_AUDIT: {Role.AUDITOR},
    Right.MANAGE_ACCOUNTS: {Role.ADMIN},
}


def test_every_page_names_the_right_that_it_is_meant_to(place: Place) -> None:
    pages = {f"{page.method} {page.path}": page.right for page in place.staff.site.pages}
    assert pages == EXPECTED


def test_rights_of_roles_are_as_meant() -> None:
    assert {right: {role for role in Role if right in RIGHTS[role]} for right in WHO} == WHO


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_gets_its_own_pages_and_no_other(place: Place, role: Role) -> None:
    await place.add("somebody", role)
    for page in place.staff.site.pages:
        if page.path in {"/login", "/logout"} or page.path.endswith("/events"):
            continue
        may = page.right in {Right.ANYONE, Right.LOGGED_IN} or role in WHO[page.right]
        assert (await _status(place, page, "somebody") != 403) is may, f"{role} {page.path}"


async def test_event_streams_are_behind_the_same_gate(place: Place) -> None:
    await place.add("xiaoman", Role.WINDOW)
    await place.add("zhiban", Role.SUPERVISOR)
    assert (await (await place.visitor("zhiban")).get("/windows/12/events")).status_code == 403
    assert (await (await place.visitor("xiaoman")).get("/hall/events")).status_code == 403
    nobody = await place.visitor()
    for path in ("/windows/12/events", "/hall/events"):
        answer = await nobody.get(path, headers={"Accept": "text/event-stream"})
        assert answer.status_code == 401


async def test_nobody_gets_in_without_a_login(place: Place) -> None:
    nobody = await place.visitor()
    for page in place.staff.site.pages:
        if page.right is Right.ANYONE:
            continue
        path = page.path.replace("{number:int}", "12")
        answer = await nobody.http.request(page.method, path, data={"do": "open"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login"), page.path


async def _status(place: Place, page: Page, name: str) -> int:
    visitor = await place.visitor(name)
    await visitor.get("/password")
    path = page.path.replace("{number:int}", "12").replace("{name}", "staff.css")
    if page.method == "GET":
        return (await visitor.get(path)).status_code
    answer = await visitor.post(path, old="not this one", new="x", again="x")
    if page.path == "/password":
        return 200 if answer.status_code == 403 else 500  # the password is wrong, not the right
    return answer.status_code


async def test_a_window_is_for_those_who_may_stand_there(place: Place) -> None:
    await place.add("xiaoman", Role.WINDOW, windows=[5])
    visitor = await place.visitor("xiaoman")
    page = await visitor.get("/windows")
    assert 'data-window="5"' in page.text
    assert 'data-window="12"' not in page.text
    for path in ("/windows/12", "/windows/12/events", "/windows/999"):
        assert (await visitor.get(path)).status_code == 403
    await visitor.get("/windows/5")
    for what in ("stand", "orders", "case", "identity"):
        assert (await visitor.post(f"/windows/12/{what}")).status_code == 403


# ── In and out ───────────────────────────────────────────────────────────────────────────────


async def test_the_first_password_is_changed_before_anything_else(place: Place) -> None:
    await place.add("xiaoman", Role.WINDOW, first=True)
    visitor = await place.visitor()
    answer = await visitor.log_in("xiaoman", FIRST)
    assert answer.headers["location"] == "/password"
    for path in ("/", "/windows", "/windows/12"):
        assert (await visitor.get(path)).headers["location"] == "/password"
    await visitor.get("/password")
    assert (await visitor.post("/windows/12/stand")).headers["location"] == "/password"
    for wrong, status in (("short", 422), (FIRST, 422), ("xiaoman is me", 422)):
        answer = await visitor.post("/password", old=FIRST, new=wrong, again=wrong)
        assert answer.status_code == status
    answer = await visitor.post("/password", old=FIRST, new=OWN, again="another one")
    assert answer.status_code == 422
    answer = await visitor.post("/password", old=FIRST, new=OWN, again=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await visitor.get("/windows")).status_code == 200


async def test_a_changed_password_ends_every_other_login(place: Place) -> None:
    await place.add("xiaoman", Role.WINDOW)
    here, there = await place.visitor("xiaoman"), await place.visitor("xiaoman")
    await here.get("/password")
    other = "three herons at the weir"
    assert (await here.post("/password", old=OWN, new=other, again=other)).status_code == 303
    assert (await here.get("/windows")).status_code == 200
    assert (await there.get("/windows")).status_code == 401
    assert (await (await place.visitor()).log_in("xiaoman", OWN)).status_code == 403


async def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(place: Place) -> None:
    await place.add("xiaoman", Role.WINDOW)
    await place.add("locked", Role.WINDOW)
    await place.accounts.set_state("locked", AccountState.LOCKED, by="test")
    visitor = await place.visitor()
    answers = [
        await visitor.log_in("xiaoman", "wrong"),
        await visitor.log_in("unknown", "wrong"),
        await visitor.log_in("locked", OWN),
    ]
    assert {answer.status_code for answer in answers} == {403}
    pages = {
        answer.text.replace(name, "")
        for answer, name in zip(answers, ("xiaoman", "unknown", "locked"), strict=True)
    }
    assert len(pages) == 1
    failed = await place.noted("login.failed")
    assert len(failed) == 3
    assert "xiaoman" not in str(failed)
    assert "10.0.0.9" not in str(failed)


async def test_an_unknown_name_costs_as_much_as_a_known_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bool] = []
    real = CHEAP.holds

    async def holds(kept: str | None, password: str) -> bool:
        compared.append(kept is not None)
        return await real(kept, password)

    monkeypatch.setattr(CHEAP, "holds", holds)
    await place.add("xiaoman", Role.WINDOW)
    visitor = await place.visitor()
    await visitor.log_in("xiaoman", "wrong")
    await visitor.log_in("unknown", "wrong")
    assert compared == [True, False]


async def test_guessing_is_braked_and_says_how_long(place: Place) -> None:
    await place.add("xiaoman", Role.WINDOW)
    visitor = await place.visitor()
    for _ in range(FREE_OF_ACCOUNT):
        assert (await visitor.log_in("xiaoman", "wrong")).status_code == 403
    answer = await visitor.log_in("xiaoman", OWN)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert "5 秒" in answer.text
    place.clock.now += dt.timedelta(seconds=6)
    assert (await visitor.log_in("xiaoman")).status_code == 303


async def test_logging_out_ends_the_session_and_frees_the_window(
    place: Place, clerk: Visitor
) -> None:
    assert (await clerk.post("/logout")).headers["location"] == "/login"
    assert (await clerk.get("/windows")).headers["location"] == "/login"
    kinds = [kind for kind, _, _ in await place.noted()]
    assert kinds[-2:] == ["seat.left", "logout"]


async def test_a_login_in_the_same_browser_takes_the_place_of_the_former(
    place: Place, clerk: Visitor
) -> None:
    before = clerk.http.cookies[COOKIE]
    await place.add("lixia", Role.WINDOW)
    assert (await clerk.log_in("lixia")).status_code == 303
    assert "&lt;lixia&gt;" in (await clerk.get("/windows")).text
    old = await place.visitor()
    old.http.cookies.set(COOKIE, before)
    assert (await old.get("/windows")).status_code == 401


async def test_the_cookie_is_for_nobody_else(place: Place) -> None:
    await place.add("xiaoman", Role.WINDOW)
    answer = await (await place.visitor()).log_in("xiaoman")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


async def test_a_login_that_ended_says_that_nothing_was_done(place: Place, clerk: Visitor) -> None:
    place.clock.now += dt.timedelta(minutes=31)
    answer = await clerk.post("/windows/12/orders", do="open", key=new_id())
    assert answer.status_code == 401
    assert words()("staff.expired_title") in answer.text
    assert "seat" not in answer.headers.get("location", "")
    assert not await place.noted("window.order")


async def test_a_role_without_pages_is_told_so(place: Place) -> None:
    await place.add("guanli", Role.ADMIN)
    answer = await (await place.visitor("guanli")).get("/")
    assert words()("staff.nothing_here_title") in answer.text


# ── Forms ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("origin", ["", "null", "http://elsewhere", "https://staff"])
async def test_a_form_from_elsewhere_does_nothing(
    place: Place, clerk: Visitor, origin: str
) -> None:
    answer = await clerk.http.post(
        "/windows/12/orders",
        data={"form": clerk.form, "do": "open", "key": new_id()},
        headers={"Origin": origin},
    )
    assert answer.status_code == 403
    assert not await place.noted("window.order")


async def test_a_form_of_another_session_does_nothing(place: Place, clerk: Visitor) -> None:
    await place.add("lixia", Role.WINDOW)
    other = await place.visitor("lixia")
    await other.get("/windows")
    for token in ("", "0" * 64, other.form, "é"):
        answer = await clerk.http.post(
            "/windows/12/orders", data={"form": token, "do": "open", "key": new_id()}
        )
        assert answer.status_code == 403
    assert not await place.noted("window.order")


async def test_who_writes_too_often_is_told_to_wait(clerk: Visitor) -> None:
    answers = [await clerk.order(12, "again", ticket="x") for _ in range(WRITES)]
    answer = await clerk.post("/windows/12/orders", script=True, do="open", key=new_id())
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "秒" in answer.json()["text"]
    assert not any(told["ok"] for told in answers)


async def test_long_forms_and_unknown_pages(clerk: Visitor) -> None:
    answer = await clerk.post("/windows/12/orders", do="x" * 20_000)
    assert answer.status_code == 413
    many = {f"field{number}": "x" for number in range(160)}
    assert (await clerk.post("/windows/12/orders", **many)).status_code == 413
    assert (await clerk.post("/windows")).status_code == 404  # no such form
    assert (await clerk.get("/nothing")).status_code == 404


# ── At a window ──────────────────────────────────────────────────────────────────────────────


async def test_a_ticket_from_the_call_to_the_end_by_forms_alone(
    place: Place, clerk: Visitor
) -> None:
    ticket = await place.take()
    for do, told in (
        ("open", {}),
        ("next", {}),
        ("again", {"ticket": ticket}),
        ("serve", {"ticket": ticket}),
        ("finish", {"ticket": ticket}),
        ("close", {}),
    ):
        page = (await clerk.get("/windows/12")).text
        assert f'name="do" value="{do}"' in page, do
        keys = re.findall(r'name="key" value="([^"]+)"', page)
        assert len(keys) == len(set(keys))
        answer = await clerk.post("/windows/12/orders", do=do, key=keys[0], **told)
        assert (answer.status_code, answer.headers["location"]) == (303, "/windows/12")
    assert (await place.queue.ticket(ticket)).state is TicketState.SERVED
    assert [(subject, detail) for _, subject, detail in await place.noted("window.order")] == [
        ("", {"do": "open", "window": 12}),
        (ticket, {"do": "next", "window": 12}),
        (ticket, {"do": "again", "window": 12}),
        (ticket, {"do": "serve", "window": 12}),
        (ticket, {"do": "finish", "window": 12}),
        ("", {"do": "close", "window": 12}),
    ]


async def test_one_press_that_is_sent_twice_is_done_once(place: Place, clerk: Visitor) -> None:
    await place.take()
    await place.take()
    await clerk.order(12, "open")
    key = new_id()
    assert (await clerk.order(12, "next", key=key))["ok"]
    assert (await clerk.order(12, "next", key=key))["ok"]
    assert len(await place.noted("window.order")) == 2
    page = (await clerk.get("/windows/12")).text
    assert "A001" in page
    assert 'data-number="A002"' in page


async def test_who_was_skipped_comes_back_or_is_called(place: Place, clerk: Visitor) -> None:
    first, second = await place.take(), await place.take()
    await clerk.order(12, "open")
    for ticket in (first, second):
        await clerk.order(12, "next")
        await clerk.order(12, "skip", ticket=ticket)
    page = (await clerk.get("/windows/12")).text
    assert f'id="return-{first}"' in page
    assert f'id="call-{second}"' in page
    assert (await clerk.order(12, "return", ticket=first))["ok"]
    assert (await clerk.order(12, "call", ticket=second))["ok"]
    assert (await place.queue.ticket(first)).state is TicketState.WAITING
    assert (await place.queue.ticket(second)).state is TicketState.CALLED


async def test_passing_on_keeps_what_was_chosen_when_it_cannot_be(
    place: Place, clerk: Visitor
) -> None:
    ticket = await place.take()
    await clerk.order(12, "open")
    await clerk.order(12, "next")
    answer = await clerk.post(
        "/windows/12/orders", do="transfer", key=new_id(), ticket=new_id(), service="social"
    )
    where = answer.headers["location"]
    assert where == "/windows/12?said=window_not_so&service=social"
    page = (await clerk.get(where)).text
    assert '<option value="social" selected>' in page
    assert "窗口现在不能这样操作" in page
    assert (await clerk.order(12, "transfer", ticket=ticket, service="social"))["ok"]
    assert (await place.queue.ticket(ticket)).service == "social"


async def test_an_order_that_cannot_be_says_why_and_what_to_do(
    place: Place, clerk: Visitor
) -> None:
    told = await clerk.order(12, "next")
    assert (told["ok"], told["title"]) == (False, "窗口现在不能这样操作")
    assert (await clerk.order(12, "next", key="short"))["title"] == "防重复提交的编号不合规定"
    assert (await clerk.order(12, "dance"))["title"] == "提交的内容不完整或格式不对"
    assert not await place.noted("window.order")


def test_every_refusal_can_be_said() -> None:
    for code in ProblemCode:
        assert re.fullmatch(r"[a-z_]+", code.value)
    for key in ("not_standing", "expired", "stale", "too_fast", "no_right", "store", "failed"):
        for part in ("title", "text"):
            assert words().has(f"staff.{key}_{part}")


# ── Two people at one window ─────────────────────────────────────────────────────────────────


async def test_the_second_sees_who_is_there_and_can_only_look(place: Place, clerk: Visitor) -> None:
    await place.take(with_card=True)
    await clerk.order(12, "open")
    await clerk.order(12, "next")
    await place.add("lixia", Role.WINDOW)
    second = await place.visitor("lixia")
    await second.stand(12)
    assert "&lt;xiaoman&gt;" in second.page
    assert 'name="take_over" value="yes"' in second.page
    assert "data-order" not in second.page
    assert "002X" not in second.page
    told = await second.order(12, "pause")
    assert (told["ok"], told["title"]) == (False, words()("staff.not_standing_title"))


async def test_taking_over_is_noted_and_the_first_can_only_look_then(
    place: Place, clerk: Visitor
) -> None:
    await place.add("lixia", Role.WINDOW)
    second = await place.visitor("lixia")
    await second.stand(12, take_over="yes")
    assert (await second.order(12, "open"))["ok"]
    assert not (await clerk.order(12, "pause"))["ok"]
    page = (await clerk.get("/windows/12")).text
    assert "&lt;lixia&gt;" in page
    kind, _, detail = (await place.noted("seat.taken_over"))[0]
    assert (kind, detail["window"]) == ("seat.taken_over", 12)
    assert len(str(detail["from"])) == 26


async def test_one_person_stands_at_one_window(place: Place, clerk: Visitor) -> None:
    await clerk.stand(5)
    assert not (await clerk.order(12, "open"))["ok"]
    assert (await clerk.order(5, "open"))["ok"]
    seats = [(kind, detail["window"]) for kind, _, detail in await place.noted() if "seat" in kind]
    assert seats == [("seat.taken", 12), ("seat.left", 12), ("seat.taken", 5)]


async def test_who_leaves_gives_no_orders(clerk: Visitor) -> None:
    assert (await clerk.post("/leave")).headers["location"] == "/windows"
    assert not (await clerk.order(12, "open"))["ok"]


# ── What somebody said ───────────────────────────────────────────────────────────────────────


async def test_the_case_is_told_in_the_catalogues_words_and_masked(
    place: Place, clerk: Visitor
) -> None:
    ticket = await place.take(with_card=True)
    await clerk.order(12, "open")
    assert "002X" not in (await clerk.get("/windows/12")).text
    await clerk.order(12, "next")
    page = (await clerk.get("/windows/12")).text
    for seen in ("您要卖什么", "做餐饮", "身份证", "开小吃店", "002X"):
        assert seen in page
    assert NUMBER not in page
    assert NAME not in page
    await clerk.get("/windows/12")
    assert await place.noted("case.seen") == [("case.seen", ticket, {"window": 12})]


async def test_the_whole_number_is_shown_on_request_and_each_look_is_noted(
    place: Place, clerk: Visitor
) -> None:
    ticket = await place.take(with_card=True)
    await clerk.order(12, "open")
    await clerk.order(12, "next")
    answer = await clerk.post("/windows/12/identity", ticket=ticket)
    assert NUMBER in answer.text
    assert NAME in answer.text
    told = await clerk.post("/windows/12/identity", script=True, ticket=ticket)
    assert told.json() == {"ok": True, "name": NAME, "number": NUMBER}
    assert await place.noted("identity.seen") == [("identity.seen", ticket, {"window": 12})] * 2
    assert NUMBER not in (await clerk.get("/windows/12")).text


async def test_a_request_that_comes_late_does_not_show_the_next_person(
    place: Place, clerk: Visitor
) -> None:
    first, _ = await place.take(), await place.take(with_card=True)
    await clerk.order(12, "open")
    await clerk.order(12, "next")
    await clerk.order(12, "skip", ticket=first)
    await clerk.order(12, "next")
    answer = await clerk.post("/windows/12/identity", script=True, ticket=first)
    assert answer.status_code == 409
    assert NUMBER not in answer.text
    assert not await place.noted("identity.seen")


async def test_nothing_of_a_person_is_in_the_log(place: Place, clerk: Visitor) -> None:
    ticket = await place.take(with_card=True)
    await clerk.order(12, "open")
    await clerk.order(12, "next")
    await clerk.post("/windows/12/identity", ticket=ticket)
    rows = str(await place.store.transaction(lambda one: latest(one, limit=1000)))
    for personal in (NAME, NUMBER, "meals", "<xiaoman>"):
        assert personal not in rows


# ── The whole hall, the log ──────────────────────────────────────────────────────────────────


async def test_the_supervisor_sees_queues_windows_and_long_waits(
    place: Place, clerk: Visitor
) -> None:
    await place.add("zhiban", Role.SUPERVISOR)
    await place.take(with_card=True)
    place.clock.now += dt.timedelta(minutes=31)
    await place.take()
    supervisor = await place.visitor("zhiban")
    page = (await supervisor.get("/hall")).text
    assert '<dd data-sum="waiting">2</dd>' in page
    assert re.search(r'data-number="A001" data-tone="attention"', page)
    assert 'data-number="A002"' not in page
    assert words()("staff.hall.no_window") in page
    await clerk.log_in("xiaoman")
    await clerk.get("/windows/12")
    await clerk.order(12, "open")
    await clerk.order(12, "next")
    page = (await supervisor.get("/hall")).text
    assert 'data-window="12"' in page
    assert "&lt;xiaoman&gt;" in page
    assert NAME not in page


@pytest.mark.parametrize(
    ("wait_s", "said"),
    [
        (20, "现在来就能办"),
        (61, "现在来约等 1 分钟"),
        (13 * 60, "现在来约等 13 分钟"),
        (43 * 60, "现在来约等 45 分钟"),
        (59 * 60, "现在来约等 60 分钟"),
        (92 * 60, "现在来约等 1.5 小时"),
        (172 * 60, "现在来约等 3 小时"),
    ],
)
def test_a_forecast_is_said_as_people_say_it(place: Place, wait_s: float, said: str) -> None:
    assert place.staff.whole_hall.forecast(wait_s) == said


async def test_the_auditor_reads_the_log_and_that_is_noted(place: Place, clerk: Visitor) -> None:
    await clerk.order(12, "open")
    await place.add("shenji", Role.AUDITOR)
    auditor = await place.visitor("shenji")
    page = (await auditor.get("/audit?before=junk")).text
    for seen in ("xiaoman", words()("staff.do.open"), words()("staff.audit.kind.seat.taken")):
        assert seen in page
    assert (await place.noted())[-1][0] == "audit.seen"


async def test_the_log_holds_after_a_day_of_work(
    place: Place, clerk: Visitor, signing_key: Ed25519PrivateKey
) -> None:
    ticket = await place.take(with_card=True)
    for do, told in (("open", {}), ("next", {}), ("serve", {"ticket": ticket})):
        await clerk.order(12, do, **told)
    await Heads(place.store, signing_key, place.clock).sign()
    verdict = await verify(place.store, signing_key.public_key())
    assert verdict.holds
    assert verdict.rows >= 6
