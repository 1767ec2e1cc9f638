"""A hall's files: `config check` lists every mistake, `config show` where each value came from.

`check` reads the files as every process of the hall would, all sections, all machines, all
peripherals, and starts nothing. The folder holds `site.toml`, `devices/` (or `device.toml` on a
machine itself), and `affairs.toml` and `ops.toml` if those two have files of their own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hallkit.errors import ConfigError, ConfigProblem
from hallkit.runtime.config import files_from_environment
from launcher import site_files

HELP = "a hall's files: check, show"
DEMO = Path(__file__).resolve().parents[2] / "config" / "sites" / "demo"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    check = actions.add_parser("check", help="list every mistake in a hall's files")
    show = actions.add_parser("show", help="each key's effective value and where it came from")
    show.add_argument("--device", metavar="ID", help="a machine's; without it the central ones'")
    for action in (check, show):
        action.add_argument(
            "--site",
            type=Path,
            metavar="DIR",
            help="folder of the files; else that of HALLKIT_CONFIG, else the demo's",
        )
        action.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """0 all right, 1 mistakes in the files, 2 wrong use."""
    named = files_from_environment()
    folder: Path = args.site or (named[0].parent if named else DEMO)
    if not (folder / site_files.SITE_FILE).is_file():
        print(f"hall config: {folder} holds no {site_files.SITE_FILE}", file=sys.stderr)
        return 2
    if missing := site_files.missing_package():
        print(f"hall config: peripherals are left out, {missing} is not here", file=sys.stderr)
    if args.action == "check":
        return _check(folder, as_json=args.json)
    try:
        return _show(folder, args.device, as_json=args.json)
    except ConfigError as fault:
        return _tell(fault.problems, as_json=args.json)


def _check(folder: Path, *, as_json: bool) -> int:
    problems = site_files.mistakes_of_site(folder)
    if not problems and not as_json:
        count = len(site_files.machine_files(folder))
        print(f"{folder}: sound, {count} machine{'' if count == 1 else 's'}")
    return _tell(problems, as_json=as_json)


def _tell(problems: Sequence[ConfigProblem], *, as_json: bool) -> int:
    for problem in problems:
        print(json.dumps(asdict(problem), ensure_ascii=False) if as_json else problem)
    return 1 if problems else 0


def _show(folder: Path, device: str | None, *, as_json: bool) -> int:
    if device is None:
        rows = site_files.effective_of_site(folder)
    else:
        file = site_files.file_of_machine(folder, device)
        if file is None:
            print(f"hall config: no file of {folder} is of machine {device!r}", file=sys.stderr)
            return 2
        rows = site_files.effective_of_machine([folder / site_files.SITE_FILE, file])
    for row in rows:
        value = json.dumps(row.value, ensure_ascii=False)
        if as_json:
            told = {"key": row.key, "value": row.value}
            told |= asdict(row.origin) if row.origin else {"file": None, "line": None}
            print(json.dumps(told, ensure_ascii=False))
        else:
            print(f"{row.key} = {value}  # {row.origin or 'default'}")
    return 0
