"""Passwords, accounts, sessions and brakes of the staff pages."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from affairs.audit import AuditLog, latest
from affairs.sealing import Sealer
from affairs.staff.accounts import Account, AccountMistake, Accounts, AccountState
from affairs.staff.limits import (
    FIRST_PAUSE_MS,
    FREE_OF_ACCOUNT,
    FREE_OF_ADDRESS,
    LONGEST_PAUSE_MS,
    WRITES,
    LoginBrake,
    WriteBrake,
    pause_ms,
)
from affairs.staff.passwords import Cost, Passwords, mistake_in, one_time
from affairs.staff.rights import RIGHTS, Right, Role, rights_of
from affairs.staff.sessions import Session, Sessions, delete_ended
from affairs.staff.settings import StaffSection
from affairs.staff.tables import accounts as account_table
from affairs.staff.tables import attempts
from affairs.staff.tables import sessions as session_table
from affairs.store import Store
from tests.unit.affairs.hall import SettableClock

CHEAP = Cost(memory_kib=64, iterations=1)
FIRST = "only-for-the-first-day"


@pytest.fixture
def accounts(store: Store, clock: SettableClock) -> Accounts:
    return Accounts(store, passwords=Passwords(CHEAP), log=AuditLog(clock), clock=clock)


@pytest.fixture
def sessions(clock: SettableClock) -> Sessions:
    return Sessions(clock)


async def add(accounts: Accounts, name: str = "xiaoman", **more: object) -> Account:
    told: dict[str, object] = {
        "display_name": "王小满",
        "roles": [Role.WINDOW],
        "windows": [12],
        "password": FIRST,
        "by": "test",
    }
    return await accounts.add(name, **(told | more))  # type: ignore[arg-type]


# ── Passwords ────────────────────────────────────────────────────────────────────────────────


async def test_a_password_is_kept_as_argon2id_with_its_parameters() -> None:
    passwords = Passwords(CHEAP)
    kept = await passwords.made("grey heron at the weir")
    assert kept.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert "heron" not in kept
    assert await passwords.holds(kept, "grey heron at the weir")
    assert not await passwords.holds(kept, "grey heron at the weir ")


async def test_a_password_is_the_same_whichever_keyboard_composes_it() -> None:
    passwords = Passwords(CHEAP)
    kept = await passwords.made("caf\u00e9 at the weir")
    assert await passwords.holds(kept, "cafe\u0301 at the weir")


async def test_a_password_of_yesterdays_cost_still_holds_and_is_dated() -> None:
    kept = await Passwords(CHEAP).made("grey heron at the weir")
    dearer = Passwords(Cost(memory_kib=128, iterations=1))
    assert await dearer.holds(kept, "grey heron at the weir")
    assert dearer.is_dated(kept)
    assert not Passwords(CHEAP).is_dated(kept)


async def test_with_nothing_to_compare_nothing_holds() -> None:
    assert not await Passwords(CHEAP).holds(None, "anything at all")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "staff.password.short"),
        ("x" * 201, "staff.password.long"),
        ("my-XIAOMAN-2026", "staff.password.is_name"),
        ("aaaaaaaaaaaa", "staff.password.simple"),
        ("grey heron at the weir", None),
    ],
)
def test_what_a_new_password_must_be(password: str, why: str | None) -> None:
    assert mistake_in(password, name="xiaoman") == why


def test_a_one_time_password_is_good_enough_and_never_the_same() -> None:
    made = {one_time() for _ in range(50)}
    assert len(made) == 50
    assert not any(mistake_in(one, name="xiaoman") for one in made)


# ── Accounts ─────────────────────────────────────────────────────────────────────────────────


async def test_a_new_account_has_to_change_its_password_first(accounts: Accounts) -> None:
    added = await add(accounts)
    assert (added.must_change, added.state) == (True, AccountState.ACTIVE)
    assert await accounts.all() == [added]
    assert added.may_stand_at(12)
    assert not added.may_stand_at(13)
    assert (await add(accounts, "lixia", windows=None)).may_stand_at(156)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "X"},
        {"name": "Xiao Man"},
        {"display_name": ""},
        {"roles": []},
        {"password": "short"},
        {"password": "xiaoman-xiaoman"},
    ],
)
async def test_what_cannot_be_an_account(accounts: Accounts, wrong: dict[str, object]) -> None:
    with pytest.raises(AccountMistake):
        await add(accounts, **wrong)  # type: ignore[arg-type]
    assert await accounts.all() == []


async def test_a_name_is_never_two_peoples(accounts: Accounts) -> None:
    await add(accounts)
    await accounts.set_state("xiaoman", AccountState.RETIRED, by="test")
    with pytest.raises(AccountMistake):
        await add(accounts)
    with pytest.raises(AccountMistake):
        await accounts.set_state("xiaoman", AccountState.ACTIVE, by="test")


async def test_every_change_of_an_account_is_in_the_log(accounts: Accounts, store: Store) -> None:
    added = await add(accounts)
    await accounts.set_password("xiaoman", "another-one-time", by="test")
    await accounts.set_state("xiaoman", AccountState.LOCKED, by="test")
    rows = await store.transaction(latest)
    assert [(row.kind, row.actor, row.subject) for row in reversed(rows)] == [
        ("account.added", "test", added.id),
        ("password.changed", "test", added.id),
        ("account.changed", "test", added.id),
    ]
    assert "王小满" not in str(rows)


# ── Sessions ─────────────────────────────────────────────────────────────────────────────────


class Login:
    """Somebody's login, and time that passes."""

    def __init__(self, store: Store, sessions: Sessions, clock: SettableClock, token: str) -> None:
        self.store = store
        self.sessions = sessions
        self.clock = clock
        self.token = token

    async def session(self) -> Session | None:
        return await self.store.transaction(lambda one: self.sessions.find(one, self.token))

    async def stands_after(self, minutes: float) -> bool:
        self.clock.now += dt.timedelta(minutes=minutes)
        return await self.session() is not None


@pytest.fixture
async def login(
    accounts: Accounts, store: Store, sessions: Sessions, clock: SettableClock
) -> Login:
    added = await add(accounts)
    token = await store.transaction(lambda one: sessions.open(one, added.id))
    return Login(store, sessions, clock, token)


async def test_the_database_holds_no_token(login: Login, store: Store) -> None:
    rows = await store.transaction(lambda one: one.execute(sa.select(session_table)).all())
    session = await login.session()
    assert session is not None
    assert login.token not in str(rows)
    assert session.form_token not in str(rows)


async def test_a_session_ends_after_half_an_hour_without_use(login: Login) -> None:
    assert await login.stands_after(29)
    assert await login.stands_after(29)
    assert not await login.stands_after(30)


async def test_a_session_ends_after_twelve_hours_whatever_is_done(login: Login) -> None:
    for _ in range(12 * 3 - 1):
        assert await login.stands_after(20)
    assert not await login.stands_after(20)


async def test_looking_whether_it_stands_does_not_keep_it(login: Login, store: Store) -> None:
    session = await login.session()
    assert session is not None
    for _ in range(3):
        login.clock.now += dt.timedelta(minutes=9)
        assert await store.transaction(lambda one: login.sessions.stands(one, session.id))
    assert not await login.stands_after(4)


@pytest.mark.parametrize("state", [AccountState.LOCKED, AccountState.RETIRED])
async def test_a_lock_logs_out_everywhere(
    login: Login, accounts: Accounts, state: AccountState
) -> None:
    assert await login.session() is not None
    await accounts.set_state("xiaoman", state, by="test")
    assert await login.session() is None


async def test_a_new_password_logs_out_everywhere(login: Login, accounts: Accounts) -> None:
    await accounts.set_password("xiaoman", "another-one-time", by="test")
    assert await login.session() is None


async def test_a_session_outlives_a_restart(
    login: Login, store: Store, clock: SettableClock
) -> None:
    fresh = Sessions(clock)
    assert await store.transaction(lambda one: fresh.find(one, login.token)) is not None


async def test_ended_sessions_are_deleted(login: Login, store: Store) -> None:
    def sweep(connection: sa.Connection) -> int:
        return delete_ended(connection, login.clock.wall_ms(), None).gone

    login.clock.now += dt.timedelta(hours=11)
    assert await store.transaction(sweep) == 0
    login.clock.now += dt.timedelta(hours=2)
    assert await store.transaction(sweep) == 1


# ── Brakes ───────────────────────────────────────────────────────────────────────────────────


def test_pauses_grow_and_have_an_end() -> None:
    assert [pause_ms(n, 4) for n in range(4)] == [0, 0, 0, 0]
    assert [pause_ms(n, 4) / FIRST_PAUSE_MS for n in (4, 5, 6, 7)] == [1, 2, 4, 8]
    assert pause_ms(1000, 4) == LONGEST_PAUSE_MS


class Guesser:
    """Somebody who tries names and passwords."""

    def __init__(self, store: Store, brake: LoginBrake) -> None:
        self.store = store
        self.brake = brake

    async def wait_s(self, name: str = "xiaoman", address: str = "10.0.0.9") -> int:
        whose = self.brake.whose(name, address)
        return await self.store.transaction(lambda one: self.brake.wait_s(one, whose))

    async def succeeds(self, name: str = "xiaoman", address: str = "10.0.0.9") -> None:
        whose = self.brake.whose(name, address)
        await self.store.transaction(lambda one: self.brake.succeeded(one, whose))


@pytest.fixture
def guesser(store: Store, sealer: Sealer, clock: SettableClock) -> Guesser:
    return Guesser(store, LoginBrake(sealer, clock))


async def test_an_account_that_is_guessed_at_pauses(guesser: Guesser, clock: SettableClock) -> None:
    # From ever other addresses: it is the account that is protected.
    for number in range(FREE_OF_ACCOUNT):
        assert await guesser.wait_s(address=f"10.0.1.{number}") == 0
    assert await guesser.wait_s(address="10.0.2.1") == 5
    clock.now += dt.timedelta(seconds=5)
    assert await guesser.wait_s(address="10.0.2.1") == 0
    assert await guesser.wait_s(address="10.0.2.2") == 10


async def test_an_address_that_tries_many_names_pauses(guesser: Guesser) -> None:
    for number in range(FREE_OF_ADDRESS):
        assert await guesser.wait_s(f"name{number}") == 0
    assert await guesser.wait_s("another") == 5
    assert await guesser.wait_s("another", address="10.0.0.10") == 0


async def test_pauses_outlive_a_restart(
    guesser: Guesser, store: Store, sealer: Sealer, clock: SettableClock
) -> None:
    for _ in range(FREE_OF_ACCOUNT):
        await guesser.wait_s()
    assert await Guesser(store, LoginBrake(sealer, clock)).wait_s() == 5


async def test_a_right_password_begins_anew(guesser: Guesser) -> None:
    for _ in range(3 * FREE_OF_ADDRESS):
        assert await guesser.wait_s() == 0
        await guesser.succeeds()


async def test_a_clock_that_is_set_back_makes_no_pause_longer(
    guesser: Guesser, clock: SettableClock
) -> None:
    for _ in range(FREE_OF_ACCOUNT):
        await guesser.wait_s()
    clock.now -= dt.timedelta(days=3)
    assert await guesser.wait_s() == 5


async def test_names_and_addresses_are_not_readable_in_the_database(
    guesser: Guesser, store: Store
) -> None:
    await guesser.wait_s()
    rows = await store.transaction(lambda one: one.execute(sa.select(attempts)).all())
    assert len(rows) == 2
    assert "xiaoman" not in str(rows)
    assert "10.0.0" not in str(rows)


def test_a_session_may_write_so_often_a_minute(clock: SettableClock) -> None:
    brake = WriteBrake(clock)
    assert all(brake.wait_s("one") == 0 for _ in range(WRITES))
    clock.now += dt.timedelta(seconds=20)
    assert brake.wait_s("one") == 40
    assert brake.wait_s("two") == 0
    clock.now += dt.timedelta(seconds=40)
    assert brake.wait_s("one") == 0


# ── Roles and settings ───────────────────────────────────────────────────────────────────────


def test_every_role_has_rights_and_no_role_has_all() -> None:
    assert set(RIGHTS) == set(Role)
    for role in Role:
        assert rights_of([role]) > {Right.ANYONE, Right.LOGGED_IN}
    assert rights_of([]) == {Right.ANYONE, Right.LOGGED_IN}
    assert rights_of(Role) == set(Right)


def test_nothing_in_clear_over_a_network() -> None:
    assert StaffSection().tls
    for host in ("127.0.0.1", "::1", "localhost"):
        assert not StaffSection(host=host, tls=False).tls
    with pytest.raises(ValueError, match="this machine itself"):
        StaffSection(host="10.0.0.5", tls=False)


async def test_accounts_outlive_the_process(accounts: Accounts, store: Store) -> None:
    await add(accounts)
    count = sa.select(sa.func.count()).select_from(account_table)
    assert await store.transaction(lambda one: one.execute(count).scalar_one()) == 1
