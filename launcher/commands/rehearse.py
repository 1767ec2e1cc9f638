"""Rehearse what a hall may meet: faults, nonsense, long days, many machines.

Writes seed, commit, machine, raw counts and what held to var/rehearsals/NAME-SEED.json.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import pkgutil
import random
import shutil
import sys
from pathlib import Path
from types import ModuleType

from hallkit.runtime.log import configure_logging
from launcher import rehearsals
from launcher.installation import CHECKOUT
from launcher.rehearsals.record import Plan, Record

HELP = "rehearse faults, nonsense, long days, many machines"

FOLDER = CHECKOUT / "var" / "rehearsals"
HELPERS = frozenset({"record", "citizen", "nonsense"})
"""So are the parts of `fuzz`, whose names begin with its own."""
SEEDS = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", choices=names(), help=" | ".join(names()))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(f"{name:6} {module(name).HELP}" for name in names())
    parser.add_argument("--seed", type=int, help="repeat an earlier rehearsal")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long (default: 2)")
    parser.add_argument("--machines", type=int, default=200, help="simulated machines of `load`")
    parser.add_argument(
        "--requests", type=int, default=100_000, help="of `print-guard` (default: 100000)"
    )
    parser.add_argument("--only", default="", metavar="PART", help="of `fuzz`: targets so named")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the result goes")


def run(args: argparse.Namespace) -> int:
    """Exit 0 if everything held, 1 if something did not."""
    seed = random.SystemRandom().randrange(SEEDS) if args.seed is None else args.seed
    root = FOLDER / f"{args.name}-{seed}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    plan = Plan(
        args.name,
        seed,
        args.minutes,
        root,
        machines=args.machines,
        requests=args.requests,
        only=args.only,
    )
    path: Path = args.report or root.with_suffix(".json")
    print(f"{args.name}, seed {seed}, {args.minutes:g} min …", flush=True)
    record = asyncio.run(rehearse(plan))
    record.write(path)
    for invariant in record.invariants.values():
        print(f"  {'✓' if invariant.holds else '✗'} {invariant.what}")
        if not invariant.holds:
            print(f"    {invariant.evidence}")
    print(f"  {dict(sorted(record.counts.items()))}")
    print(f"Result: {path}", file=sys.stderr)
    if record.ok:
        shutil.rmtree(root, ignore_errors=True)  # else its logs say why
    return 0 if record.ok else 1


async def rehearse(plan: Plan) -> Record:
    """Run one rehearsal; a fault of the rehearsal itself is an invariant that did not hold."""
    configure_logging(os.environ.get("HALLKIT_LOG_LEVEL", "critical"), process="rehearse")
    record = Record(plan)
    try:
        await module(plan.name).run(plan, record)
    except Exception as fault:  # noqa: BLE001  # boundary: the record says what happened
        record.expect("the rehearsal runs to its end", False, fault=_said(fault))
    else:
        record.expect("the rehearsal runs to its end", True)
    return record


def names() -> list[str]:
    found = (info.name for info in pkgutil.iter_modules(rehearsals.__path__))
    parts = (name for name in set(found) - HELPERS if not name.startswith("fuzz_"))
    return sorted(name.replace("_", "-") for name in parts)


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{rehearsals.__name__}.{name.replace('-', '_')}")


def _said(fault: BaseException) -> str:
    if isinstance(fault, BaseExceptionGroup):
        return "; ".join(_said(one) for one in fault.exceptions)
    return f"{type(fault).__name__}: {fault}"
