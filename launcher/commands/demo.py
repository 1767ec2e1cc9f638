"""Run the demo hall: broker, business node, operations centre, one terminal with its peripherals.

With a display the terminal's window opens; without one it runs on a virtual panel. Ctrl-C stops
everything. `--once` drives one whole visit with its faults and writes a report.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
from pathlib import Path

from hallkit.errors import ConfigError
from launcher.hall import Hall, running_hall
from launcher.installation import CHECKOUT, Installation
from launcher.processes import StartError
from launcher.report import Report, Step

HELP = "run the hall; --once drives one whole visit"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--headless", action="store_true", help="use the virtual panel")
    parser.add_argument("--once", action="store_true", help="drive one whole visit, then stop")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the visit's report")
    parser.add_argument(
        "--root",
        type=Path,
        help="the installation's folder: var/demo, or var/visit with --once, which empties its "
        "state first",
    )
    parser.add_argument(
        "--free-ports", action="store_true", help="use free ports in place of the site's own"
    )


def run(args: argparse.Namespace) -> int:
    """Exit 0 when stopped or when every step held, 1 when one did not, 2 when it can't start."""
    root: Path = args.root or CHECKOUT / "var" / ("visit" if args.once else "demo")
    installation = Installation(root)
    report = Report()
    try:
        with installation.lock():
            # A rehearsal starts from an empty hall, so that its counts are its own.
            if args.once:
                shutil.rmtree(root / "state", ignore_errors=True)
                shutil.rmtree(root / "receipts", ignore_errors=True)
            installation.prepare(move_ports=args.free_ports, witness=args.once)
            if busy := installation.busy_ports():
                for endpoint in busy:
                    print(
                        f"hall: port {endpoint.port} of {endpoint.name} is in use by another "
                        "program; stop it or start with --free-ports",
                        file=sys.stderr,
                    )
                return 2
            return asyncio.run(_run(args, installation, report))
    except asyncio.CancelledError:
        return 1 if args.once else 0
    except ConfigError as mistake:
        for problem in mistake.problems:
            print(f"hall: {problem}", file=sys.stderr)
        return 2


async def _run(args: argparse.Namespace, installation: Installation, report: Report) -> int:
    _stop_on_signals()
    try:
        async with running_hall(installation, headless=args.headless or args.once) as hall:
            if args.once:
                return await _once(args, hall, report)
            print(f"The hall is open. Console: {installation.console_url()}")
            print("Staff pages:", installation.staff_url())
            print("Their accounts, with one-time passwords:", installation.staff_accounts)
            print("Lay a card on the reader: ./hall sim reader card.lay   (then card.lift)")
            print("What the printer printed:", installation.receipts)
            print("Ctrl-C stops it.", flush=True)
            await asyncio.Event().wait()  # until a signal
            return 0
    except BaseExceptionGroup as group:
        starts, others = group.split(StartError)
        if starts is None or others is not None:
            raise
        for fault in starts.exceptions:
            print(f"hall: {fault}", file=sys.stderr)
        return 2


def _stop_on_signals() -> None:
    """The first Ctrl-C or SIGTERM ends this task and, in order, what it started."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    signals = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        print("Stopping …", flush=True)
        for number in signals:
            loop.add_signal_handler(number, lambda: None)  # a second one must not break the order
        if task is not None:
            task.cancel()

    for number in signals:
        loop.add_signal_handler(number, stop)


async def _once(args: argparse.Namespace, hall: Hall, report: Report) -> int:
    from launcher.visit import whole_visit  # noqa: PLC0415  # only the visit needs a browser

    path: Path = args.report or hall.installation.root / "report" / "report.json"
    pictures = path.parent
    try:
        await whole_visit(hall, report, pictures)
    except Exception as fault:  # noqa: BLE001  # boundary: the report says what happened
        print(f"hall: the visit ended early: {fault}", file=sys.stderr)
        if report.ok:  # it ended between two steps: the report must not say that all held
            report.steps.append(
                Step("the visit goes on to its end", evidence={"fault": str(fault)})
            )
    report.write(path)
    print(f"Report: {path}")
    return 0 if report.ok else 1
