"""Every driver has its parts, and its quality record says the truth about each rule."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

from drivers.driver import Driver, status_of
from drivers.registry import PORT_FOLDERS, DriverSpec, PeripheralConfig, discover
from hallkit.errors import Reason
from hallkit.lexicon.faults import for_citizens, for_technicians
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceReport

TIERS = {
    "bronze": ("contract", "config", "simulator"),
    "silver": ("log_once", "reconnect", "timeouts", "attention"),
    "gold": ("diagnostics", "hardware", "guidance"),
}
"""Rules of the quality scale, as docs/drivers.md explains them."""

RULES = tuple(rule for rules in TIERS.values() for rule in rules)
SPECS = discover()


@pytest.fixture(params=sorted(SPECS))
def spec(request: pytest.FixtureRequest) -> DriverSpec:
    return SPECS[request.param]


def test_the_scale_is_explained(checkout: Path) -> None:
    text = (checkout / "docs" / "drivers.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)`", text, flags=re.MULTILINE) == list(RULES)


def test_every_folder_of_a_port_is_searched(checkout: Path) -> None:
    """Folders that hold no drivers of a port are named here; any other is a port's."""
    found = {path.parent.name for path in (checkout / "drivers").glob("*/__init__.py")}
    assert found - {"documents", "sim", "sound", "transport"} == set(PORT_FOLDERS)


def test_its_port_is_a_protocol_of_ours(spec: DriverSpec) -> None:
    assert spec.port in PORT_FOLDERS
    assert importlib.util.find_spec(f"hallkit.ports.{spec.port}") is not None


def test_it_has_a_configuration(spec: DriverSpec) -> None:
    assert issubclass(spec.config, PeripheralConfig)
    assert spec.config is not PeripheralConfig
    assert spec.config.model_config["extra"] == "forbid"
    assert spec.config.model_config["frozen"] is True


def test_it_says_over_which_wires_it_speaks(spec: DriverSpec) -> None:
    wire = spec.config.model_fields["transport"].annotation
    models = get_args(wire) or (wire,)
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in models}
    assert set(spec.transports) == kinds
    assert spec.family


def test_it_has_a_simulator_that_is_a_process(spec: DriverSpec) -> None:
    module = importlib.import_module(spec.simulator)
    assert spec.simulator.startswith("drivers.sim.")
    tree = ast.parse(inspect.getsource(module))
    guards = [node for node in tree.body if isinstance(node, ast.If)]
    assert any("__main__" in ast.unparse(node.test) for node in guards), "python -m starts it"


def test_it_stands_in_the_contract_suite_of_its_port(spec: DriverSpec, checkout: Path) -> None:
    suite = (checkout / "tests" / "contract" / f"test_{spec.port}.py").read_text(encoding="utf-8")
    benches = re.findall(r"@pytest\.fixture\(\s*params=\[([^\]]*)\]\s*\)", suite)
    assert any(f'"{spec.key}"' in bench and '"fake"' in bench for bench in benches)


def test_it_has_a_page(spec: DriverSpec, checkout: Path) -> None:
    page = checkout / "docs" / "drivers" / f"{spec.key}.md"
    assert page.read_text(encoding="utf-8").startswith("# ")
    index = (checkout / "docs" / "drivers.md").read_text(encoding="utf-8")
    assert f"(drivers/{spec.key}.md)" in index


def test_its_record_names_every_rule(spec: DriverSpec) -> None:
    assert tuple(spec.rules) == RULES
    for rule, verdict in spec.rules.items():
        assert verdict == "done" or re.match(r"exempt: \w.{9,}", verdict), f"{rule}: {verdict!r}"


def test_its_tier_is_earned(spec: DriverSpec) -> None:
    """A tier is held when each of its rules, and each of those below, is done."""
    earned = "none"
    for tier, rules in TIERS.items():
        if any(spec.rules[rule] != "done" for rule in rules):
            break
        earned = tier
    assert spec.quality == earned


def test_done_means_that_it_is_there(spec: DriverSpec) -> None:
    driver = spec.open
    assert isinstance(driver, type)
    assert issubclass(driver, Driver)
    if spec.rules["diagnostics"] == "done":
        assert not getattr(driver.diagnostics, "__isabstractmethod__", False)
    if spec.rules["reconnect"] == "done":
        assert driver._drop is not Driver._drop, "it closes its wire to start afresh"
    if spec.rules["timeouts"] == "done":
        assert "timeout" in inspect.getsource(inspect.getmodule(driver) or driver)


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_reason_has_a_name_and_says_what_to_do(language: str, reason: Reason) -> None:
    table = words(language)  # type: ignore[arg-type]
    assert table.has(f"reason.{reason.value}")
    assert table.has(f"advice.{reason.value}")


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
def test_a_citizen_is_told_of_every_fault(spec: DriverSpec, reason: Reason) -> None:
    status, action = status_of(reason)
    report = DeviceReport(
        id="part", port=spec.port, driver=spec.key, status=status, reason=reason, action=action
    )
    assert words("zh_CN").has(for_citizens(report))
    advice = for_technicians(report)
    assert advice is not None
    assert words("zh_CN").has(advice)
