"""The authored items: check them, or build and sign the snapshot that machines download."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from affairs.catalogue_source import CONTENT, load_items
from hallkit.catalogue.snapshot import build, sign
from hallkit.errors import ConfigError, TrustError
from hallkit.guide.questions import paths
from hallkit.runtime.keys import load_private

HELP = "authored items: verify, build"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    verify = actions.add_parser("verify", help="list every mistake in the authored items")
    make = actions.add_parser("build", help="write OUT and OUT.json, its signed manifest")
    make.add_argument("out", type=Path, metavar="OUT")
    make.add_argument("--version", required=True, help="what machines see as its version")
    make.add_argument("--key", required=True, type=Path, help="Ed25519 private key, PEM")
    for action in (verify, make):
        action.add_argument("--content", type=Path, default=CONTENT, help="folder of the items")
        action.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """0 sound, 1 mistakes in the items, 2 wrong use."""
    try:
        items = load_items(args.content)
    except ConfigError as exc:
        for problem in exc.problems:
            line = json.dumps(asdict(problem), ensure_ascii=False) if args.json else str(problem)
            print(line)
        return 1
    if args.action == "verify":
        told = {
            "items": len(items),
            "situations": sum(1 for item in items for _ in paths(item)),
            "materials": sum(len(item.materials) for item in items),
        }
        counts = ", ".join(f"{number} {what}" for what, number in told.items())
        print(json.dumps(told) if args.json else f"{counts}: sound")
        return 0
    try:
        key = load_private(args.key)
        build(items, args.out, version=args.version)
        manifest = sign(args.out, key)
        args.out.with_name(f"{args.out.name}.json").write_bytes(manifest.to_bytes())
    except (TrustError, OSError) as exc:
        print(exc, file=sys.stderr)
        return 2
    print(
        manifest.model_dump_json()
        if args.json
        else f"{args.out.name}: {len(items)} items, version {manifest.version}"
    )
    return 0
