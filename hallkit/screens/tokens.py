"""The design tokens in the two technologies that draw: a QML singleton and CSS properties.

`python -m hallkit.screens.tokens` writes the generated QML (`Tokens.qml` from `tokens.toml`,
`IconSet.qml` from `icons/*.svg`); a test fails when it is stale.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
TOKENS_QML = HERE / "controls" / "Tokens.qml"
ICONS_QML = HERE / "controls" / "IconSet.qml"

_UNITS = {"type": "mm", "space": "mm", "motion": "ms"}
_UNITLESS = {("type", "large_factor"), ("type", "line_height")}
_PATH = re.compile(r'<path d="([^"]+)"/>')

Value = str | int | float
Tokens = Mapping[str, Mapping[str, Value]]


@cache
def tokens() -> Tokens:
    """The tokens by group and name, as they stand in `tokens.toml`."""
    with (HERE / "tokens.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def icons() -> Mapping[str, str]:
    """The stroke of each icon on a 24 by 24 grid, by name."""
    strokes = {}
    for file in sorted((HERE / "icons").glob("*.svg")):
        strokes[file.stem] = " ".join(_PATH.findall(file.read_text(encoding="utf-8")))
    return strokes


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
    """The icons' strokes as a QML singleton."""
    lines = [
        "// Generated from icons/*.svg by `python -m hallkit.screens.tokens`.",
        "pragma Singleton",
        "import QtQuick",
        "",
        "QtObject {",
        "    readonly property var strokes: ({",
        *(f'        "{name}": "{stroke}",' for name, stroke in icons().items()),
        "    })",
        "",
        "    // The stroke on a 24 by 24 grid; empty for a name that is not of the set.",
        "    function stroke(name: string): string {",
        '        return strokes[name] ?? "";',
        "    }",
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
