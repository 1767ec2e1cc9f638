"""Drivers: `driver list`, `driver check` a device of a machine's file, `driver sim` its twin.

`find` says what is plugged in here and how a machine's file names it; it opens nothing. `check`
opens each peripheral of a device file, asks it how it is, and says so: exit 0 if every one works, 1
if one does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import runpy
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from drivers.plugged import plugged_in
from drivers.registry import DriverSpec, discover, parse_peripherals
from hallkit.errors import ConfigError
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceReport
from hallkit.runtime.clock import SystemClock

HELP = "list drivers, find what is plugged in, check a machine's peripherals, start a simulator"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("list", "find", "check", "sim"))
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="check FILE · sim DRIVER [options]")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Exit 0 done, 1 a device does not work, 2 wrong use."""
    specs = discover()
    as_json = args.json or "--json" in args.rest
    rest = [word for word in args.rest if word != "--json"]
    match args.what, rest:
        case "list", []:
            for spec in specs.values():
                _list(spec, as_json=as_json)
            return 0
        case "find", []:
            _find(specs, as_json=as_json)
            return 0
        case "check", [file]:
            return _check(Path(file), specs, as_json=as_json)
        case "sim", [key, *options] if key in specs:
            sys.argv = [key, *options]
            runpy.run_module(specs[key].simulator, run_name="__main__", alter_sys=True)
            return 0
    known = ", ".join(specs)
    print(f"hall driver: list · find · check FILE · sim DRIVER (of {known})", file=sys.stderr)
    return 2


def _list(spec: DriverSpec, *, as_json: bool) -> None:
    if as_json:
        fields = {
            "driver": spec.key,
            "port": spec.port,
            "family": spec.family,
            "transports": list(spec.transports),
            "quality": spec.quality,
            "rules": dict(spec.rules),
            "unproven": spec.unproven,
        }
        print(json.dumps(fields, ensure_ascii=False))
    else:
        wires = ", ".join(spec.transports)
        print(f"{spec.key:15} {spec.port:15} {wires:19} {spec.quality:7} {spec.family}")
        for rule, why in spec.unproven.items():
            print(f"    {rule}: {why}")


def _find(specs: Mapping[str, DriverSpec], *, as_json: bool) -> None:
    taken: Counter[str] = Counter()
    for one in plugged_in(specs):
        entry = ""
        if one.drivers:
            port = specs[one.drivers[0]].port
            taken[port] += 1
            number = f"-{taken[port]}" if taken[port] > 1 else ""
            entry = one.entry(port.replace("_", "-") + number, one.drivers[0])
        if as_json:
            fields = {
                "kind": one.kind,
                "where": one.where,
                "name": one.name,
                "drivers": list(one.drivers),
                "transport": dict(one.transport),
                "entry": entry,
            }
            print(json.dumps(fields, ensure_ascii=False))
        else:
            print(f"# {one.kind} {one.where} {one.name}".rstrip())
            if len(one.drivers) == 1:
                print(f"# {specs[one.drivers[0]].family}")
            print(entry or "# no driver of ours\n")


def _check(file: Path, specs: Mapping[str, DriverSpec], *, as_json: bool) -> int:
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8")).get("peripherals", [])
        peripherals = parse_peripherals(entries, specs, file=file.name)
    except (OSError, tomllib.TOMLDecodeError) as mistake:
        print(f"hall driver: {file}: {mistake}", file=sys.stderr)
        return 2
    except ConfigError as mistake:
        print(mistake, file=sys.stderr)
        return 2

    async def probe_all() -> list[DeviceReport]:
        reports = []
        for spec, config in peripherals:
            async with spec.open(config, SystemClock()) as driver:
                reports.append(await driver.probe())
        return reports

    reports = asyncio.run(probe_all())
    for report in reports:
        if as_json:
            print(report.model_dump_json(exclude_none=True))
        else:
            text = words("zh_CN")
            reason = text(f"reason.{report.reason}") if report.reason else ""
            print(f"{report.id:20} {report.status:14} {report.model} {report.serial} {reason}")
    return 0 if all(report.works for report in reports) else 1
