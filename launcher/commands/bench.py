"""Measure: each figure stands beside its limit or beside a peer measured in the same run.

NAME picks figures by their beginning (`terminal`, `bus.round_trip`); without one all are measured.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from hallkit.runtime.log import configure_logging
from launcher.figures import Figure, Measure
from launcher.installation import CHECKOUT
from launcher.report import commit, machine

HELP = "measure; figures beside limits and peers"

FOLDER = CHECKOUT / "benchmarks"
DOCUMENT = CHECKOUT / "docs" / "benchmarks.md"
BUSY_LOAD = 1.0
"""Load average above which something else runs, and makes the figures worse than they could be."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginnings of figures' names")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write docs/benchmarks.md; with names, only the rows that were measured",
    )


def run(args: argparse.Namespace) -> int:
    """Exit 0 if every figure is within its limit, 1 if one is not, 2 for an unknown name."""
    measures = _measures()
    chosen = {name: measure for name, measure in measures.items() if _wanted(name, args.names)}
    if not chosen:
        print(f"hall bench: known names: {', '.join(measures)}", file=sys.stderr)
        return 2
    configure_logging("error", process="bench")
    load, words = os.getloadavg()[0], machine()
    figures: list[Figure] = []
    for name, measure in chosen.items():
        print(f"… {name}", file=sys.stderr, flush=True)
        for figure in _measured(measure):
            if _wanted(figure.name, args.names):
                figures.append(figure)
                print(_line(figure, words, as_json=args.json), flush=True)
    if args.write:
        before = DOCUMENT.read_text(encoding="utf-8") if args.names else ""
        written = _renewed(before, figures, load) if before else _document(figures, words, load)
        DOCUMENT.write_text(written, encoding="utf-8")
        print(f"hall bench: wrote {DOCUMENT.relative_to(CHECKOUT)}", file=sys.stderr)
    return 0 if all(figure.holds for figure in figures) else 1


def _measures() -> dict[str, Measure]:
    """What the modules of `benchmarks/` measure, in the order of their files."""
    found: dict[str, Measure] = {}
    for path in sorted(FOLDER.glob("*.py")):
        found |= _load(path).MEASURES
    return found


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmarks_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _wanted(name: str, wanted: Sequence[str]) -> bool:
    """True if one of the names begins this one, or lies within it."""
    return not wanted or any(
        f"{name}.".startswith(f"{one}.") or f"{one}.".startswith(f"{name}.") for one in wanted
    )


def _measured(measure: Measure) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="hall-bench-") as folder:
        return asyncio.run(_await(measure, Path(folder)))


async def _await(measure: Measure, folder: Path) -> list[Figure]:
    return await measure(folder)


def _line(figure: Figure, words: str, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(figure.line(words), ensure_ascii=False)
    mark = " " if figure.holds else "✗"
    return f"{mark} {figure.name:34} {figure.value:>10,.1f} {figure.unit:4} {_beside(figure)}"


def _beside(figure: Figure) -> str:
    parts = []
    if figure.limit is not None:
        parts.append(f"limit {figure.limit:,.0f}")
    if figure.peer_value is not None:
        parts.append(f"{figure.ratio}x of {figure.peer_value:,.1f} ({figure.peer})")
    elif figure.peer:
        parts.append(figure.peer)
    return "; ".join(parts)


def _document(figures: Sequence[Figure], words: str, load: float) -> str:
    """docs/benchmarks.md as a whole: nothing in it is written by hand."""
    busy = (
        "Other work ran on the machine meanwhile: the figures are worse than they could be."
        if load > BUSY_LOAD
        else "The machine was not busy then; what ran later beside the measuring is not known."
    )
    rows = [_row(figure) for figure in figures]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `./hall bench --write`; what each figure means stands in `benchmarks/`.",
            "",
            f"- Date: {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, commit {commit() or 'none'}",
            f"- Machine: {words}",
            f"- Load average at the start: {load:.2f}. {busy}",
            "",
            "| figure | value | limit | peer, measured in the same run | peer's value | ratio |",
            "|---|---:|---:|---|---:|---:|",
            *rows,
            "",
        ]
    )


def _renewed(before: str, figures: Sequence[Figure], load: float) -> str:
    """The document with these figures' rows replaced, and a line that says when."""
    rows = {figure.name: _row(figure) for figure in figures}
    renewed = (
        f"- Measured again {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, "
        f"commit {commit() or 'none'}, load {load:.2f}: {', '.join(f'`{name}`' for name in rows)}"
    )
    lines: list[str] = []
    for line in before.splitlines():
        if line.startswith("| figure "):
            lines[-1:] = [renewed, ""]
        name = line.split("`")[1] if line.startswith("| `") else ""
        lines.append(rows.pop(name, line))
    return "\n".join([*lines, *rows.values(), ""])


def _row(figure: Figure) -> str:
    return (
        f"| `{figure.name}` | {figure.value:,.1f} {figure.unit} | {_cell(figure.limit, 0)} "
        f"| {figure.peer or '–'} | {_cell(figure.peer_value, 1)} | {_cell(figure.ratio, 3)} |"
    )


def _cell(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
