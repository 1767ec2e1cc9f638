"""Drivers: `driver list`, `driver check` a device, `driver sim` its twin.

`find` says what is plugged in here and how a machine's file names it; it opens nothing.
`check FILE` opens each peripheral of a machine's file, asks it how it is, and says so.
`check KEY --device URL` runs the suite of the driver's port on one device, with somebody at it
(`--attended`) or without, and writes the report that a vendor can send; `--device sim` runs it on
the driver's own twins. Exit 0 if every peripheral works, or all that was tried holds; 1 if not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import runpy
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from drivers.plugged import plugged_in
from drivers.registry import DriverSpec, PeripheralConfig, discover, parse_peripherals
from hallkit.errors import ConfigError
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceReport
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.config import Stack, read
from launcher.conformance import SIMULATOR, check
from launcher.device_url import entry_of

HELP = "list drivers, find and check devices, start a simulator"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=("list", "find", "check", "sim"))
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        help="check FILE · check KEY --device URL|sim [--attended] [--set KEY=VALUE …] "
        "[--report FILE] [--language en] · sim DRIVER [options]",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _conformance_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hall driver check KEY")
    parser.add_argument("--device", required=True, help="serial:///dev/ttyUSB0, tcp://…, or sim")
    parser.add_argument("--attended", action="store_true", help="somebody is at the device")
    parser.add_argument("--hands", metavar="PROGRAM", help="does what the person would")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--entry", type=Path, help="TOML with the rest of its settings")
    parser.add_argument("--report", type=Path, help="where the report goes, as .json and .md")
    parser.add_argument("--language", choices=("zh_CN", "en"), default="zh_CN")
    return parser


def run(args: argparse.Namespace) -> int:
    """Exit 0 done, 1 a device does not work, 2 wrong use."""
    specs = discover()
    as_json = args.json or "--json" in args.rest
    rest = [word for word in args.rest if word != "--json"]
    match args.what, rest:
        case "list", []:
            _list(list(specs.values()), as_json=as_json)
            return 0
        case "find", []:
            _find(specs, as_json=as_json)
            return 0
        case "check", [file]:
            return _check(Path(file), specs, as_json=as_json)
        case "check", [key, *options] if key in specs:
            return _conforms(specs[key], options, as_json=as_json)
        case "sim", [key, *options] if key in specs:
            sys.argv = [key, *options]
            runpy.run_module(specs[key].simulator, run_name="__main__", alter_sys=True)
            return 0
    known = ", ".join(specs)
    print(
        f"hall driver: list · find · check FILE · check KEY --device URL · sim KEY (of {known})",
        file=sys.stderr,
    )
    return 2


def _list(specs: Sequence[DriverSpec], *, as_json: bool) -> None:
    if as_json:
        for spec in specs:
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
        return
    rows = [(spec.key, spec.port, ", ".join(spec.transports), spec.quality) for spec in specs]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for spec, row in zip(specs, rows, strict=True):
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join([*cells, spec.family]))
        for rule, why in spec.unproven.items():
            print(f"    {rule}: {why}")


def _conforms(spec: DriverSpec, options: list[str], *, as_json: bool) -> int:
    args = _conformance_options().parse_args(options)
    if args.device != SIMULATOR:
        try:
            entry = entry_of(spec, args.device, args.set, file=args.entry)
            parse_peripherals([entry], {spec.key: spec}, file="--device")
        except ConfigError as mistake:
            print(mistake, file=sys.stderr)
            return 2
    result = check(
        spec,
        args.device,
        settings=args.set,
        entry=args.entry,
        attended=args.attended,
        hands=args.hands,
        language=args.language,
    )
    if args.report is not None:
        result.write(args.report)
    print(json.dumps(result.facts(), ensure_ascii=False) if as_json else result.page())
    return 1 if result.verdict == "does not conform" else 0


def _peripherals(
    stack: Stack, specs: Mapping[str, DriverSpec]
) -> list[tuple[DriverSpec, PeripheralConfig]]:
    if stack.problems:
        raise ConfigError(stack.problems)
    try:
        return parse_peripherals(stack.values.get("peripherals", []), specs, file="")
    except ConfigError as fault:
        raise ConfigError([stack.located(one) for one in fault.problems]) from None


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
