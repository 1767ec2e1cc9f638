"""The hall's business node: run it, or print its contract."""

from __future__ import annotations

import argparse
import json

HELP = "the hall's business node: serve, openapi"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("serve", help="run the node until it is told to stop")
    actions.add_parser("openapi", help="print the OpenAPI document")


def run(args: argparse.Namespace) -> int:
    """0 done, 1 stopped by a fault, 78 the configuration is wrong."""
    # Imported here: other commands must not pay for a web framework.
    if args.action == "serve":
        from affairs.app import main  # noqa: PLC0415

        return main()
    from affairs.api import document  # noqa: PLC0415

    print(json.dumps(document(), ensure_ascii=False, indent=2, sort_keys=True))
    return 0
