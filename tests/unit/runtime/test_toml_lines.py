"""Each key's line, found in whatever way TOML lets people write it."""

from __future__ import annotations

import tomllib

import pytest

from hallkit.runtime.toml_lines import line_of_fault, lines_of, parent

TEXT = '''# a comment
[site]
id = "x"   # behind
many = [
    "a",  # ]
    "b",
]
long = """
[not.a.table]
key = 1
"""

[a.b]
c.d = 1
"quoted key" = 2

[[peripherals]]
id = "one"
transport = { kind = "tcp", port = 1 }

[[peripherals]]
id = "two"
[peripherals.transport]
port = 2
'''


def test_every_way_of_writing_a_key() -> None:
    tomllib.loads(TEXT)
    found = lines_of(TEXT)
    assert {
        path: found[path]
        for path in (
            *("site", "site.id", "site.many", "site.many[1]", "site.long"),
            *("a", "a.b", "a.b.c", "a.b.c.d", "a.b.quoted key"),
            *("peripherals", "peripherals[0]", "peripherals[0].transport.port"),
            *("peripherals[1].id", "peripherals[1].transport", "peripherals[1].transport.port"),
        )
    } == {
        "site": 2,
        "site.id": 3,
        "site.many": 4,
        "site.many[1]": 4,
        "site.long": 8,
        "a": 13,
        "a.b": 13,
        "a.b.c": 14,
        "a.b.c.d": 14,
        "a.b.quoted key": 15,
        "peripherals": 17,
        "peripherals[0]": 17,
        "peripherals[0].transport.port": 19,
        "peripherals[1].id": 22,
        "peripherals[1].transport": 23,
        "peripherals[1].transport.port": 24,
    }
    assert not any(path.startswith("not") for path in found)


def test_an_empty_text_and_windows_line_ends() -> None:
    assert lines_of("") == {}
    assert lines_of("[a]\r\nb = 1\r\n") == {"a": 1, "a.b": 2}


@pytest.mark.parametrize(("text", "line"), [("a = 1\nb = \n", 2), ("[a\n", 1), ("a = [\n1,\n", 3)])
def test_where_a_text_stops_being_toml(text: str, line: int) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as fault:
        tomllib.loads(text)
    assert line_of_fault(fault.value, text) == line


def test_the_way_up() -> None:
    steps = ["peripherals[1].transport.port"]
    while steps[-1]:
        steps.append(parent(steps[-1]))
    assert steps[1:] == ["peripherals[1].transport", "peripherals[1]", "peripherals", ""]
