"""A wrong configuration lists all its mistakes at once, with file, key and a suggestion."""

from pathlib import Path

import pytest

from hallkit.errors import ConfigError
from hallkit.runtime.config import Origin, Places, Section, load


class Broker(Section):
    host: str = "127.0.0.1"
    port: int = 8883


class Settings(Section):
    broker: Broker = Broker()


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_later_files_win_and_every_value_says_where_it_came_from(tmp_path: Path) -> None:
    site = write(tmp_path, "site.toml", '[broker]\nhost = "hall"\nport = 1\n[ops]\nany = 1\n')
    device = write(tmp_path, "device.toml", "[broker]\nport = 2\n")
    loaded = load(Settings, [site, device])
    assert loaded.settings.broker == Broker(host="hall", port=2)
    assert loaded.provenance["broker.host"] == Origin("site.toml", 2)
    assert loaded.provenance["broker.port"] == Origin("device.toml", 2)


def test_all_mistakes_are_reported_together_with_a_suggestion(tmp_path: Path) -> None:
    site = write(tmp_path, "site.toml", '[broker]\nprot = 1\nport = "many"\n[boker]\n')
    with pytest.raises(ConfigError) as fault:
        load(Settings, [site, tmp_path / "gone.toml"])
    lines = str(fault.value).splitlines()
    assert "site.toml:4: boker: unknown section (did you mean 'broker'?)" in lines
    assert "site.toml:2: broker.prot: unknown key (did you mean 'port'?)" in lines
    assert any(line.startswith("site.toml:3: broker.port: Input should be") for line in lines)
    assert "gone.toml: -: the file does not exist" in lines


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"site\.toml:1: -: is not TOML"):
        load(Settings, [write(tmp_path, "site.toml", "[broker")])


def test_a_folder_in_place_of_a_file_is_a_mistake_like_others(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        load(Settings, [tmp_path])


class Listed(Section):
    peripherals: list[dict[str, Broker]] = []


class Named(Section):
    broker: dict[str, Broker] = {}


def test_a_mistake_in_a_table_whose_name_the_file_gives(tmp_path: Path) -> None:
    site = write(tmp_path, "site.toml", "[broker.first]\nprot = 1\n[broker]\nsecond = 2\n")
    with pytest.raises(ConfigError) as fault:
        load(Named, [site])
    lines = str(fault.value).splitlines()
    assert "site.toml:2: broker.first.prot: unknown key (did you mean 'port'?)" in lines
    assert any(line.startswith("site.toml:4: broker.second: must be a table") for line in lines)


def test_a_table_can_stand_in_a_file_beside(tmp_path: Path) -> None:
    write(tmp_path, "part.toml", '# ours\nhost = "hall"\nport = 1\n')
    text = '[[peripherals]]\none = { include = "part.toml" }\ntwo = { port = 2 }\n'
    loaded = load(Listed, [write(tmp_path, "device.toml", text)])
    assert loaded.settings.peripherals == [
        {"one": Broker(host="hall", port=1), "two": Broker(port=2)}
    ]
    assert loaded.provenance["peripherals[0].one.host"] == Origin("part.toml", 2)


def test_a_mistake_in_a_file_beside_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, "part.toml", "port = 1\nprot = 2\n")
    write(tmp_path, "torn.toml", "port =")
    text = (
        '[broker]\ninclude = "part.toml"\n[[peripherals]]\n'
        'one = { include = "gone.toml" }\ntwo = { include = "torn.toml" }\n'
    )
    with pytest.raises(ConfigError) as fault:
        load(Settings, [write(tmp_path, "device.toml", text)])
    lines = str(fault.value).splitlines()
    assert "part.toml:2: broker.prot: unknown key (did you mean 'port'?)" in lines
    assert "gone.toml: -: the file does not exist" in lines
    assert any(line.startswith("torn.toml:1: -: is not TOML") for line in lines)


def test_an_included_file_includes_none(tmp_path: Path) -> None:
    write(tmp_path, "part.toml", '[host]\ninclude = "part.toml"\n')
    device = write(tmp_path, "device.toml", '[broker]\ninclude = "part.toml"\n')
    with pytest.raises(ConfigError, match=r"part\.toml:1: broker\.host: Input should be"):
        load(Settings, [device])


def test_folders_come_from_our_variables_or_from_systemd() -> None:
    places = Places.from_environment(
        {
            "STATE_DIRECTORY": "/s",
            "HALLKIT_RUNTIME_DIR": "/r",
            "RUNTIME_DIRECTORY": "/other",
            "CREDENTIALS_DIRECTORY": "/c",
        }
    )
    assert (places.state, places.runtime, places.credentials) == (
        Path("/s"),
        Path("/r"),
        Path("/c"),
    )


def test_missing_folders_are_all_named_at_once() -> None:
    with pytest.raises(ConfigError) as fault:
        Places.from_environment({})
    assert len(fault.value.problems) == 3
