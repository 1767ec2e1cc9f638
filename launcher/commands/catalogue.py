"""The catalogue: check, sign, import from and export to other systems, generate a whole hall."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affairs.catalogue_source import CONTENT, REPORT, load
from affairs.census import count, digest
from affairs.exchange import folder
from affairs.exchange.registry import LAYOUTS
from affairs.exchange.registry import read as read_files
from affairs.exchange.tables import tables
from affairs.generator import CannotFillError, generate, written
from affairs.hall_content import MAP_FOLDER, check_hall, has_map, load_hall
from affairs.hall_map import MAP, load_hall_map
from affairs.queue.services import load_services
from hallkit.catalogue.snapshot import build, sign
from hallkit.errors import ConfigError, TrustError
from hallkit.runtime.keys import load_private
from hallkit.runtime.settings import listed_devices

SNAPSHOT = "catalogue.sqlite"
HELP = "the catalogue: verify, sign, import, export, generate"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    verify = actions.add_parser("verify", help="list every mistake, count what there is")
    verify.add_argument(
        "--site", type=Path, metavar="DIR", help="compare its machines with those on the map"
    )
    make = actions.add_parser("sign", help="build OUT, and OUT.json, its signed manifest")
    make.add_argument(
        "out", type=Path, nargs="?", metavar="OUT", help="catalogue.sqlite in DIR without it"
    )
    make.add_argument("--version", help="what machines see as its version; a digest without it")
    make.add_argument("--sequence", type=int, default=0, help="machines take no lower one (0)")
    make.add_argument("--key", required=True, type=Path, help="Ed25519 private key, PEM")
    take = actions.add_parser("import", help="items of other systems into a catalogue's folder")
    take.add_argument("files", type=Path, nargs="+", metavar="FILE")
    take.add_argument("--replace", action="store_true", help="instead of the items imported before")
    give = actions.add_parser("export", help="items as another system reads them, JSON lines")
    give.add_argument("--format", choices=sorted(LAYOUTS), default="national")
    give.add_argument("--out", type=Path, metavar="FILE", help="standard output without it")
    fill = actions.add_parser("generate", help="the authored items filled up to a whole hall")
    fill.add_argument("--seed", type=int, default=1, help="the same seed, the same bytes (1)")
    fill.add_argument("--replace", action="store_true", help="instead of what DIR holds")
    fill.add_argument(
        "--catalogue", type=Path, metavar="DIR", help="write it there; counts only without it"
    )
    fill.add_argument("--json", action="store_true", help="one JSON object a line")
    for action in (verify, make, take, give):
        must = action is take
        place = action.add_argument("--catalogue", type=Path, metavar="DIR", required=must)
        place.help = "folder of the catalogue" if must else "its folder; the authored one without"
        if not must:
            place.default = CONTENT
        action.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """0 done, 1 mistakes or losses, 2 wrong use."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "verify": _verify,
        "sign": _sign,
        "import": _import,
        "export": _export,
        "generate": _generate,
    }
    if args.action not in ("import", "generate") and not args.catalogue.is_dir():
        print(f"{args.catalogue}: there is no such folder", file=sys.stderr)
        return 2
    return actions[args.action](args)


def _verify(args: argparse.Namespace) -> int:
    try:
        devices = None if args.site is None else listed_devices([args.site / "site.toml"])
    except ConfigError as exc:
        return _refuse(args, exc)
    content, problems = check_hall(args.catalogue, services=load_services(), devices=devices)
    for problem in problems:
        _say(args, asdict(problem), str(problem))
    if not has_map(args.catalogue):
        without = f"no hall map: there is no folder {MAP_FOLDER}; windows are not checked"
        _say(args, {"hall_map": False}, without)
    errors = sum(problem.level == "error" for problem in problems)
    told = {**count(content), "errors": errors, "warnings": len(problems) - errors}
    counts = _words(told)
    _say(args, told, counts if errors else f"{counts}: sound")
    return 1 if errors else 0


def _sign(args: argparse.Namespace) -> int:
    try:
        content = load_hall(args.catalogue, services=load_services())
    except ConfigError as exc:
        return _refuse(args, exc)
    own = args.catalogue / SNAPSHOT if args.catalogue != CONTENT else Path(SNAPSHOT)
    out: Path = args.out or own
    version = args.version or digest(content)
    try:
        key = load_private(args.key)
        build(content, out, version=version)
        manifest = sign(out, key, sequence=args.sequence)
        folder.write(out.parent, {f"{out.name}.json": [manifest.to_bytes().decode()]})
    except (TrustError, OSError) as exc:
        print(exc, file=sys.stderr)
        return 2
    done = f"{out.name}: {len(content.items)} items, version {manifest.version}"
    _say(args, manifest.model_dump(mode="json"), done)
    return 0


def _import(args: argparse.Namespace) -> int:
    absent = [path for path in args.files if not path.is_file()]
    if absent or (args.catalogue.exists() and not args.catalogue.is_dir()):
        for path in absent or [args.catalogue]:
            print(f"{path}: is no {'file' if absent else 'folder'}", file=sys.stderr)
        return 2
    batch = read_files(args.files)
    try:
        done = folder.merge(args.catalogue, batch.items, replace=args.replace and bool(batch.items))
    except ConfigError as exc:
        return _refuse(args, exc)
    except OSError as exc:
        print(exc, file=sys.stderr)
        return 2
    notes = (*batch.notes, *done.notes)
    for note in notes:
        _say(args, asdict(note), str(note))
    counts = {
        "added": done.added,
        "updated": done.updated,
        "unchanged": done.unchanged,
        "repeated": batch.repeated,
        "lost": sum(note.loss for note in notes),
        "warnings": sum(len(line.warnings) for line in done.told),
        "items": done.items,
    }
    _report(args, done, counts)
    return 1 if counts["lost"] or not done.told else 0


def _report(args: argparse.Namespace, done: folder.Done, counts: dict[str, int]) -> None:
    if args.json:
        for line in done.told:
            print(line.model_dump_json(exclude={"kept"}))
        print(json.dumps({**counts, "missing": dict(done.missing)}))
        return
    for line in done.told:
        for warning in line.warnings:
            print(f"{line.file}:{line.line}: {warning}")
    print(_words(counts))
    for name, times in done.missing.items():
        print(f"{times:6} without {tables().elements[name]}")


def _export(args: argparse.Namespace) -> int:
    try:
        items = load(args.catalogue).items
    except ConfigError as exc:
        return _refuse(args, exc)
    rows = folder.export(items, args.format, folder.report(args.catalogue))
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    if args.out is None:
        for line in lines:
            print(line)
        return 0
    try:
        folder.write(args.out.parent, {args.out.name: lines})
    except OSError as exc:
        print(exc, file=sys.stderr)
        return 2
    _say(args, {"items": len(items), "format": args.format}, f"{len(items)} items")
    return 0


def _generate(args: argparse.Namespace) -> int:
    place: Path | None = args.catalogue
    if place is not None and (mistake := _occupied(place, replace=args.replace)):
        print(f"{place}: {mistake}", file=sys.stderr)
        return 2
    try:
        services = load_services()
        content = generate(load(), load_hall_map(), services, seed=args.seed)
    except ConfigError as exc:
        return _refuse(args, exc)
    except CannotFillError as exc:
        _say(args, {"error": str(exc)}, str(exc))
        return 1
    if place is not None:
        try:
            place.mkdir(parents=True, exist_ok=True)
            folder.write(place, written(content))
            shutil.copytree(MAP, place / MAP_FOLDER, dirs_exist_ok=True)
        except OSError as exc:
            print(exc, file=sys.stderr)
            return 2
    told = count(content)
    _say(args, told, _words(told))
    return 0


def _occupied(place: Path, *, replace: bool) -> str:
    """Why nothing may be generated into this folder."""
    if place.exists() and not place.is_dir():
        return "is no folder"
    if any(place.glob("*.toml")) or (place / REPORT).exists():
        return "holds authored or imported items; a generated hall needs a folder of its own"
    if any(place.glob("*.jsonl")) and not replace:
        return "holds items; --replace puts the generated ones in their place"
    return ""


def _words(told: dict[str, int]) -> str:
    return ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in told.items())


def _refuse(args: argparse.Namespace, exc: ConfigError) -> int:
    for problem in exc.problems:
        _say(args, asdict(problem), str(problem))
    return 1


def _say(args: argparse.Namespace, told: dict[str, Any], words: str) -> None:
    print(json.dumps(told, ensure_ascii=False, default=str) if args.json else words)
