"""Tell the demo's emulated peripherals what to do: lay a card, take the paper away.

./hall sim reader card.lay                        lay the sample card on the reader
./hall sim reader card.lift
./hall sim printer fault.set fault=paper_out      and: cover_open, cutter, offline, …
./hall sim printer fault.clear · paper.refill · state
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from drivers.sim.control import order
from launcher.installation import CHECKOUT, Installation

HELP = "lay a card on the demo's reader, empty its printer, …"

SOCKETS = {"reader": "sim-reader.sock", "printer": "sim-printer.sock"}
"""Control sockets in the installation's runtime folder."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("peripheral", choices=sorted(SOCKETS))
    parser.add_argument("order", help="see the top of drivers/sim/sdt.py and drivers/sim/escpos.py")
    parser.add_argument("arguments", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--root", type=Path, default=CHECKOUT / "var" / "demo")


def run(args: argparse.Namespace) -> int:
    """Exit 0 when done, 1 if the simulator says no, 2 if there is none."""
    path = Installation(args.root).runtime / SOCKETS[args.peripheral]
    try:
        answer = asyncio.run(order(path, args.order, **dict(map(_pair, args.arguments))))
    except OSError:
        print("hall sim: no hall runs in this folder; start ./hall demo", file=sys.stderr)
        return 2
    except (RuntimeError, ValueError) as refusal:
        print(f"hall sim: {refusal}", file=sys.stderr)
        return 1
    print(json.dumps(answer, ensure_ascii=False))
    return 0


def _pair(text: str) -> tuple[str, object]:
    """`lines=8` as a number, `fault=paper_out` as text, `card={…}` as JSON."""
    key, sign, value = text.partition("=")
    if not sign:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
