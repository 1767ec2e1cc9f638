"""What the hall publishes: catalogue and map, checked against each other and against the hall."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from affairs.catalogue_source import CONTENT
from affairs.hall_content import MAP_FOLDER, check_hall, load_hall
from affairs.live_catalogue import LiveCatalogue
from affairs.queue.services import SERVICES_FILE, load_services
from affairs.upstream import load_upstream
from hallkit.catalogue.snapshot import Catalogue
from hallkit.errors import ConfigError
from hallkit.guide.routes import Routes
from launcher.cli import main
from tests.unit.affairs.hall import SettableClock

SERVICES = load_services()

ITEM = """
[[item]]
catalog_code = "510682-001"
task_name = "居民身份证补领"
plain_name = "身份证丢了"
dept_name = "什邡市公安局"
theme = "户籍办理"
service = "public_security"
transact_addr = "1楼D区 5-8号窗口"
windows = ["5"]
peripherals = ["ticket_printer"]
upstream = ["population"]
materials = [{ key = "card", material_name = "居民身份证" }]
base_materials = ["card"]
steps = ["到窗口取号，当面核对。"]
sample = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One item and the map of the demo hall."""
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "items.toml").write_text(ITEM, encoding="utf-8")
    shutil.copytree(CONTENT / MAP_FOLDER, tmp_path / "content" / MAP_FOLDER)
    return tmp_path / "content"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def told(folder: Path) -> list[str]:
    return [str(one) for one in check_hall(folder, services=SERVICES)[1] if one.level == "error"]


def test_the_demo_hall_is_sound() -> None:
    content, problems = check_hall(services=SERVICES)
    assert [str(one) for one in problems] == []
    assert content.hall_map is not None
    assert len(content.hall_map.windows) == 156


def test_a_folder_without_a_map_has_none_and_the_command_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(folder / MAP_FOLDER)
    content = load_hall(folder, services=SERVICES)
    assert content.hall_map is None
    assert len(content.items) == 1
    assert main(["catalogue", "verify", "--catalogue", str(folder)]) == 0
    assert "no hall map: there is no folder hall" in capsys.readouterr().out
    assert main(["catalogue", "verify", "--catalogue", str(folder), "--json"]) == 0
    assert '{"hall_map": false}' in capsys.readouterr().out


def test_machines_of_a_site_are_compared_with_the_map(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    (site / "devices").mkdir(parents=True)
    (site / "devices" / "terminal-77.toml").write_text(
        '[device]\nid = "terminal-77"\nname = "77号"\nrole = "terminal"\n', encoding="utf-8"
    )
    ask = ["catalogue", "verify", "--catalogue", str(folder), "--site", str(site)]
    assert main(ask) == 0, "a warning refuses nothing"
    told = capsys.readouterr().out
    assert "terminal-77: is in the configuration and not on the map" in told
    assert "machines.toml:" in told


def test_a_queue_that_the_map_has_not_is_told_with_its_line(folder: Path) -> None:
    edit(folder / MAP_FOLDER / "windows.toml", 'services = ["public_security"]', "services = []")
    lines = SERVICES_FILE.read_text(encoding="utf-8").splitlines()
    line = lines.index('key = "public_security"') + 1
    assert f"services.toml:{line}: public_security.key: no window serves it" in told(folder)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"public_security"', '"publc_security"', "did you mean 'public_security'?"),
        ('["5"]', '["157"]', "unknown window '157'"),
        ('["5"]', '["12"]', "window 12 does not serve 'public_security'"),
        ("5-8号", "5-9号", "public_security is at '1楼D区 5-8号窗口'"),
        ('["ticket_printer"]', '["coffee_machine"]', "unknown port 'coffee_machine'"),
        ('["population"]', '["popular"]', "did you mean 'population'?"),
    ],
)
def test_what_the_hall_has_not_is_told_with_its_line(
    folder: Path, old: str, new: str, expected: str
) -> None:
    edit(folder / "items.toml", old, new)
    lines = (folder / "items.toml").read_text(encoding="utf-8").split("\n")
    line = next(number for number, text in enumerate(lines, 1) if new in text)
    [wrong] = told(folder)
    assert wrong.startswith(f"items.toml:{line}: ")
    assert expected in wrong


def test_mistakes_of_map_and_catalogue_come_together_each_with_its_line(folder: Path) -> None:
    edit(folder / "items.toml", '"public_security"', '"public"')
    edit(folder / MAP_FOLDER / "windows.toml", '16 = { row = "A1"', '16 = { row = "A9"')
    with pytest.raises(ConfigError) as caught:
        load_hall(folder, services=SERVICES)
    files = {(one.file, one.line is not None) for one in caught.value.problems}
    assert files == {("items.toml", True), ("windows.toml", True)}


def test_the_map_travels_with_the_catalogue_and_a_broken_one_changes_nothing(
    folder: Path, tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    live = LiveCatalogue(
        folder,
        folder=tmp_path / "published",
        services=SERVICES,
        signing_key=signing_key,
        clock=clock,
    )
    first = live.publication
    with Catalogue.open(first.path, first.manifest, [signing_key.public_key()]) as catalogue:
        hall = catalogue.hall_map()
    assert hall is not None
    assert hall == load_hall(folder, services=SERVICES).hall_map
    route = Routes(hall).route("terminal-01", "window-5", step_free=True)
    assert route is not None
    assert route.metres > 0


async def test_a_broken_map_is_refused_and_the_former_one_stands(
    folder: Path, tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    live = LiveCatalogue(
        folder,
        folder=tmp_path / "published",
        services=SERVICES,
        signing_key=signing_key,
        clock=clock,
    )
    first = live.publication
    path = folder / MAP_FOLDER / "windows.toml"
    whole = path.read_text(encoding="utf-8")
    edit(path, '16 = { row = "A1"', '16 = { row = "A9"')
    line = whole[: whole.index('16 = { row = "A1"')].count("\n") + 1
    with capture_logs() as logs:
        assert not await live.reload()
    (refused,) = [one for one in logs if one["event"] == "catalogue.refused"]
    assert refused["mistakes"][0].startswith(f"windows.toml:{line}: windows.16.row: unknown 'A9'")
    assert live.publication == first
    path.write_text(whole.replace('zh = "户籍居住证"', 'zh = "户籍"'), encoding="utf-8")
    assert await live.reload()
    assert live.publication.manifest.sequence > first.manifest.sequence


async def test_a_disk_that_refuses_leaves_the_former_catalogue_and_the_node(
    folder: Path, tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    published = tmp_path / "published"
    live = LiveCatalogue(
        folder, folder=published, services=SERVICES, signing_key=signing_key, clock=clock
    )
    first = live.publication
    edit(folder / "items.toml", "身份证丢了", "身份证不见了")
    (published / "fresh.sqlite").mkdir()
    with capture_logs() as logs:
        assert not await live.reload()
    assert [one["event"] for one in logs] == ["catalogue.not_published"]
    assert live.publication == first
    (published / "fresh.sqlite").rmdir()
    assert await live.reload()


def test_the_log_says_that_there_is_no_map_or_that_a_machine_is_not_on_it(
    folder: Path, tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    def publish(**more: list[str]) -> dict[str, object]:
        with capture_logs() as logs:
            LiveCatalogue(
                folder,
                folder=tmp_path / "published",
                services=SERVICES,
                signing_key=signing_key,
                clock=clock,
                **more,
            )
        return {one["event"]: one for one in logs}

    assert publish() == {}
    warned = publish(devices=["terminal-77"])["catalogue.warned"]
    assert "terminal-77: is in the configuration and not on the map" in str(warned)
    shutil.rmtree(folder / MAP_FOLDER)
    assert list(publish(devices=["terminal-77"])) == ["catalogue.without_map"]


def test_upstream_systems_have_a_name_for_people() -> None:
    assert all(name and not name.isascii() for name in load_upstream().values())


def test_a_table_of_systems_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "upstream.toml"
    path.write_text("[systems]\ntax = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"upstream\.toml"):
        load_upstream(path)
