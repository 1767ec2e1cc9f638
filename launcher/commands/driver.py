"""Drivers: `driver list`, `driver check` a device of a machine's file, `driver sim` its twin.

`check` opens each peripheral of a device file, asks it how it is, and says so: exit 0 if every one
works, 1 if one does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

from drivers.registry import DriverSpec, PeripheralConfig, discover, parse_peripherals
from hallkit.errors import ConfigError
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceReport
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.config import Stack, read

HELP = "list drivers, check a machine's peripherals, start a simulator"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("list", "check", "sim"))
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
        case "check", [file]:
            return _check(Path(file), specs, as_json=as_json)
        case "sim", [key, *options] if key in specs:
            sys.argv = [key, *options]
            runpy.run_module(specs[key].simulator, run_name="__main__", alter_sys=True)
            return 0
    known = ", ".join(specs)
    print(f"hall driver: list · check FILE · sim DRIVER (of {known})", file=sys.stderr)
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
        print(f"{spec.key:15} {spec.port:15} {wires:8} {spec.quality:7} {spec.family}")
        for rule, why in spec.unproven.items():
            print(f"    {rule}: {why}")


def _peripherals(
    stack: Stack, specs: Mapping[str, DriverSpec]
) -> list[tuple[DriverSpec, PeripheralConfig]]:
    if stack.problems:
        raise ConfigError(stack.problems)
    try:
        return parse_peripherals(stack.values.get("peripherals", []), specs, file="")
    except ConfigError as fault:
        raise ConfigError([stack.located(one) for one in fault.problems]) from None


def _check(file: Path, specs: Mapping[str, DriverSpec], *, as_json: bool) -> int:
    try:
        peripherals = _peripherals(read([file]), specs)
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
