"""One has a device at a time: by connection, by time, and never while another speaks to it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.devices.leases import Leases
from hallkit.errors import DeviceBusy, NotPermitted, NotSupported, Reason
from tests.fakes.clock import FakeClock

PRINTER, BAR = "ticket-printer", "bar"


class Peer:
    """A connection, as far as a lease knows it."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()


class Machine:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.printing = False
        self.taken: dict[str, bool] = {}
        self.leases = Leases(
            self.clock,
            devices=lambda: (PRINTER, BAR),
            used_by=lambda device: "print_queue" if self.printing and device == PRINTER else "",
            changed=self.taken.__setitem__,
        )

    def take(self, peer: Peer, device: str = PRINTER, seconds: float = 10) -> int:
        return self.leases.take(device, peer, role="technician", seconds=seconds)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_device_is_the_takers_until_the_time_is_over(machine: Machine) -> None:
    one, other = Peer(), Peer()
    until_ms = machine.take(one)
    assert until_ms == machine.clock.wall_ms() + 10_000
    with pytest.raises(DeviceBusy) as busy:
        machine.take(other)
    assert (busy.value.reason, busy.value.holder) == (Reason.OCCUPIED, "technician")
    assert busy.value.until_ms == until_ms
    machine.take(other, BAR)
    machine.clock.advance(10)
    machine.take(other)
    with pytest.raises(DeviceBusy):
        machine.leases.renew(PRINTER, one, seconds=10)


def test_taking_it_again_and_renewing_begin_the_time_anew(machine: Machine) -> None:
    one = Peer()
    for again in (machine.take, lambda peer: machine.leases.renew(PRINTER, peer, seconds=10)):
        machine.take(one)
        machine.clock.advance(8)
        assert again(one) == machine.clock.wall_ms() + 10_000


def test_it_ends_with_the_connection_or_when_it_is_given_back(machine: Machine) -> None:
    one, other = Peer(), Peer()
    machine.take(one)
    one.closed.set()
    machine.take(other)
    machine.leases.release(PRINTER, one)  # not its own any more
    with pytest.raises(DeviceBusy):
        machine.take(Peer())
    machine.leases.release(PRINTER, other)
    assert machine.taken == {PRINTER: False}
    machine.leases.release(PRINTER, other)
    machine.take(one := Peer())
    assert machine.taken == {PRINTER: True}


def test_a_slip_that_is_coming_out_is_not_taken_the_printer_from(machine: Machine) -> None:
    machine.printing = True
    with pytest.raises(DeviceBusy) as busy:
        machine.take(Peer())
    assert (busy.value.holder, busy.value.until_ms) == ("print_queue", None)
    assert machine.taken == {}


def test_a_device_that_is_not_there_can_not_be_had(machine: Machine) -> None:
    with pytest.raises(NotSupported):
        machine.take(Peer(), "camera")


def test_a_call_needs_the_lease_and_what_is_under_way_is_not_cut_off(machine: Machine) -> None:
    one = Peer()
    with pytest.raises(NotPermitted), machine.leases.using(PRINTER, one):
        pass
    machine.take(one)
    with pytest.raises(DeviceBusy), machine.leases.using(PRINTER, Peer()):
        pass
    assert not machine.leases.in_use
    with machine.leases.using(PRINTER, one):
        assert machine.leases.in_use
        machine.clock.advance(60)
        one.closed.set()
        machine.leases.release(PRINTER, one)
        with pytest.raises(DeviceBusy):
            machine.take(Peer())
        assert machine.taken == {PRINTER: True}
    assert machine.taken == {PRINTER: False}


async def test_an_end_is_noticed_without_anybody_asking(machine: Machine) -> None:
    running = asyncio.create_task(machine.leases.run())
    machine.take(Peer(), seconds=1)
    async with asyncio.timeout(5):
        while machine.taken[PRINTER]:
            machine.clock.advance(0.2)
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["take", "renew", "release", "use", "done", "die", "wait"]),
        st.integers(0, 2),
        st.sampled_from([PRINTER, BAR]),
    ),
    max_size=60,
)


class Crowd:
    """Three peers at two devices, who do anything in any order."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.peers = [Peer() for _ in range(3)]
        self.using: dict[tuple[int, str], AbstractContextManager[None]] = {}

    def does(self, act: str, who: int, device: str) -> None:
        peer, leases, key = self.peers[who], self.machine.leases, (who, device)
        match act:
            case "take":
                self.machine.take(peer, device, seconds=5)
            case "renew":
                leases.renew(device, peer, seconds=5)
            case "release":
                leases.release(device, peer)
            case "use" if key not in self.using:
                call = leases.using(device, peer)
                call.__enter__()
                self.using[key] = call
            case "done" if key in self.using:
                self.using.pop(key).__exit__(None, None, None)
            case "die":
                peer.closed.set()
            case "wait":
                self.machine.clock.advance(3)


@settings(max_examples=200, deadline=None)
@given(acts=ACTS)
def test_whatever_they_do_a_device_has_one_user_and_is_told_so(
    acts: list[tuple[str, int, str]],
) -> None:
    crowd = Crowd()
    for act in acts:
        with suppress(DeviceBusy, NotPermitted):
            crowd.does(*act)
        crowd.machine.leases.drop_ended()
        for device in (PRINTER, BAR):
            users = [at for _, at in crowd.using if at == device]
            assert len(users) <= 1, "two speak to it at once"
            assert not users or crowd.machine.taken[device], "in use, and told to be free"
