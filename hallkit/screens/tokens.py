"""The design tokens in the two technologies that draw: a QML singleton and CSS properties.

`python -m hallkit.screens.tokens` writes the generated QML (`Tokens.qml` from `tokens.toml`,
`IconSet.qml` from the files in `icons/`); a test fails when it is stale.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
TOKENS_QML = HERE / "controls" / "Tokens.qml"
ICONS_QML = HERE / "controls" / "IconSet.qml"

_UNITS = {"type": "mm", "space": "mm", "size": "mm", "motion": "ms"}
_UNITLESS = {("type", "large_factor"), ("type", "line_height")}

Value = str | int | float
Tokens = Mapping[str, Mapping[str, Value]]


@cache
def tokens() -> Tokens:
    """The tokens by group and name, as they stand in `tokens.toml`."""
    with (HERE / "tokens.toml").open("rb") as file:
        return tomllib.load(file)


def icons() -> list[str]:
    """The names of the icons of the set."""
    return sorted(file.stem for file in (HERE / "icons").glob("*.svg"))


def css() -> str:
    """The tokens as CSS custom properties of `:root`; `--hk-<group>-<name>`."""
    lines = [":root {"]
    for group, values in tokens().items():
        lines += [
            f"  --hk-{group}-{name.replace('_', '-')}: {_css_value(group, name, value)};"
            for name, value in values.items()
        ]
    return "\n".join([*lines, "}", ""])


def tokens_qml() -> str:
    """The tokens as a QML singleton."""
    lines = [
        "// Generated from tokens.toml by `python -m hallkit.screens.tokens`.",
        "pragma Singleton",
        "import QtQuick",
        "",
        "QtObject {",
    ]
    for group, values in tokens().items():
        lines += [
            f"    readonly property {_qml_type(group, value)} {_qml_name(group, name)}: "
            f"{_qml_value(value)}"
            for name, value in values.items()
        ]
    return "\n".join([*lines, "}", ""])


def icons_qml() -> str:
    """The icons' names as a QML singleton."""
    lines = [
        "// Generated from icons/*.svg by `python -m hallkit.screens.tokens`.",
        "pragma Singleton",
        "import QtQuick",
        "",
        "QtObject {",
        "    readonly property list<string> names: [",
        ",\n".join(f'        "{name}"' for name in icons()),
        "    ]",
        "}",
        "",
    ]
    return "\n".join(lines)


def _css_value(group: str, name: str, value: Value) -> str:
    if group == "colour":
        return _css_colour(str(value))
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:g}{'' if (group, name) in _UNITLESS else _UNITS.get(group, '')}"


def _css_colour(value: str) -> str:
    """QML writes alpha first, CSS last."""
    return f"#{value[3:]}{value[1:3]}" if len(value) == len("#AARRGGBB") else value


def _qml_name(group: str, name: str) -> str:
    head, *rest = name.split("_")
    words = [head, *(word.capitalize() for word in rest)]
    if group == "colour":
        return "".join(words)
    return group + "".join(word[0].upper() + word[1:] for word in words)


def _qml_type(group: str, value: Value) -> str:
    if group == "colour":
        return "color"
    if isinstance(value, str):
        return "string"
    return "int" if isinstance(value, int) else "real"


def _qml_value(value: Value) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


if __name__ == "__main__":
    TOKENS_QML.write_text(tokens_qml(), encoding="utf-8")
    ICONS_QML.write_text(icons_qml(), encoding="utf-8")
