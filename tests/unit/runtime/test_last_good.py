"""A process at the edge starts on what was good, says so, and forgets it when all is well."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from hallkit.errors import ConfigError
from hallkit.runtime.config import Section, Stack, read
from hallkit.runtime.last_good import LastGood, to_toml, wrong_files


class Kiosk(Section):
    idle_s: float = 60.0
    popular: tuple[str, ...] = ()


class Settings(Section):
    kiosk: Kiosk = Kiosk()


def parse(stack: Stack) -> Settings:
    return stack.settled(Settings)


class Machine:
    """A state folder, and a file that people edit."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.file = folder / "device.toml"

    def starts(self, text: str, *, serves: bool = True) -> tuple[Settings, LastGood]:
        self.file.write_text(text, encoding="utf-8")
        kept = LastGood(self.state, "kiosk")
        settings = kept.parse(read([self.file]), parse)
        if serves:
            kept.started(Settings.model_fields)
        return settings, kept


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


GOOD = '[kiosk]\nidle_s = 30\npopular = ["a b", "取号"]\n[ops]\nport = 1\n'
WRONG = "[kiosk]\nidle = 30\npopular = 3\n"


def test_wrong_files_are_told_and_the_last_good_ones_hold(machine: Machine) -> None:
    good, _ = machine.starts(GOOD)
    with capture_logs() as logs:
        again, kept = machine.starts(WRONG)
    assert again == good
    assert not kept.healed
    [told] = [line for line in logs if line["event"] == "config.last_known_good"]
    assert told["log_level"] == "error"
    assert told["mistakes"] == [
        "device.toml:2: kiosk.idle: unknown key (did you mean 'idle_s'?)",
        "device.toml:3: kiosk.popular: Input should be a valid tuple (write a list in brackets)",
    ]
    [wrong] = wrong_files(machine.state)
    assert (wrong.process, wrong.works) == ("kiosk", True)
    assert [str(problem) for problem in wrong.problems] == told["mistakes"]


def test_what_a_file_beside_said_is_kept_with_the_rest(machine: Machine, tmp_path: Path) -> None:
    beside = tmp_path / "beside.toml"
    beside.write_text("idle_s = 30\n", encoding="utf-8")
    good, _ = machine.starts('[kiosk]\ninclude = "beside.toml"\n')
    assert good.kiosk.idle_s == 30
    beside.write_text("idel_s = 30\n", encoding="utf-8")
    again, _ = machine.starts('[kiosk]\ninclude = "beside.toml"\n')
    assert again == good
    [wrong] = wrong_files(machine.state)
    assert str(wrong.problems[0]).startswith("beside.toml:1: kiosk.idel_s: unknown key")


def test_right_files_heal_without_more(machine: Machine) -> None:
    machine.starts(GOOD)
    machine.starts(WRONG)
    settings, kept = machine.starts("[kiosk]\nidle_s = 40\n")
    assert settings.kiosk.idle_s == 40
    assert kept.healed
    assert wrong_files(machine.state) == ()
    again, _ = machine.starts(WRONG)
    assert again == settings, "what was good last is what counts"


def test_without_anything_good_it_does_not_start_and_leaves_word(machine: Machine) -> None:
    with pytest.raises(ConfigError) as fault:
        machine.starts(WRONG)
    assert len(fault.value.problems) == 2
    [wrong] = wrong_files(machine.state)
    assert not wrong.works


def test_a_process_that_never_served_leaves_nothing_good(machine: Machine) -> None:
    machine.starts(GOOD, serves=False)
    with pytest.raises(ConfigError):
        machine.starts(WRONG)


def test_a_kept_copy_that_is_broken_is_none(machine: Machine) -> None:
    machine.starts(GOOD)
    (machine.state / "config" / "kiosk.toml").write_text("[kio")
    with pytest.raises(ConfigError, match=r"device\.toml:2: kiosk\.idle"):
        machine.starts(WRONG)


def test_only_the_process_s_own_sections_are_kept_with_their_origin(machine: Machine) -> None:
    machine.starts(GOOD)
    copy = machine.state / "config" / "kiosk.toml"
    text = copy.read_text(encoding="utf-8")
    assert "idle_s = 30  # device.toml:2" in text
    assert "ops" not in text
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_state_folder_that_refuses_stops_nobody(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.state.write_text("a file in its place")
    settings, kept = machine.starts(GOOD)
    assert settings.kiosk.idle_s == 30
    assert kept.started(Settings.model_fields) is None


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.dates()
    | st.times()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8
)


@given(st.dictionaries(TEXT, VALUES))
def test_what_is_kept_reads_back_the_same(values: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(values, {})) == values
