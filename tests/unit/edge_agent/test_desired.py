"""The machine takes the hub's word, and says what it has."""

from edge_agent.desired import DesiredState
from hallkit.errors import TrustError
from hallkit.wire.affairs_api import CatalogueManifest
from hallkit.wire.mqtt import CatalogueNotice, Desired
from tests.fakes.clock import FakeClock


def manifest(sequence: int) -> CatalogueManifest:
    return CatalogueManifest(
        version=f"v{sequence}", sequence=sequence, size=1, sha256=f"{sequence:064x}", signature=""
    )


def desired(version: int, sequence: int) -> Desired:
    notice = CatalogueNotice(
        version=f"v{sequence}", sequence=sequence, sha256=f"{sequence:064x}", ts=0
    )
    return Desired(version=version, catalogue=notice)


class Machine:
    def __init__(self) -> None:
        self.looks = 0
        self.told = 0
        self.state = DesiredState(FakeClock(), want_catalogue=self._look, changed=self._tell)

    def _look(self) -> None:
        self.looks += 1

    def _tell(self) -> None:
        self.told += 1


def test_a_new_word_makes_it_look_once() -> None:
    machine = Machine()
    machine.state.want(desired(1, 7))
    machine.state.want(desired(1, 7))
    assert machine.looks == 1
    reported = machine.state.reported
    assert (reported.version, reported.applied, reported.catalogue) == (1, False, None)


def test_it_says_so_when_it_has_what_is_wanted() -> None:
    machine = Machine()
    machine.state.want(desired(1, 7))
    machine.state.catalogue_is(manifest(7), None)
    assert machine.state.reported.applied
    assert machine.told == 2


def test_what_it_has_already_is_not_fetched_again() -> None:
    machine = Machine()
    machine.state.catalogue_is(manifest(7), None)
    machine.state.want(desired(3, 7))
    assert (machine.looks, machine.state.reported.applied) == (0, True)


def test_a_fault_is_told_once_and_taken_back() -> None:
    machine = Machine()
    machine.state.catalogue_is(manifest(7), None)
    machine.state.want(desired(2, 8))
    machine.state.catalogue_is(manifest(7), TrustError("not signed"))
    machine.state.catalogue_is(manifest(7), TrustError("not signed"))
    faults = machine.state.reported.faults
    assert [(fault.part, fault.code) for fault in faults] == [("catalogue", "trust")]
    assert machine.told == 3
    machine.state.catalogue_is(manifest(8), None)
    assert (machine.state.reported.faults, machine.state.reported.applied) == ((), True)
