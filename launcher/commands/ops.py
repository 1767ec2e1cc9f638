"""The operations centre: run it, or print the broker's access list of a site."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hallkit.errors import ConfigError

HELP = "the operations centre: serve, acl"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("serve", help="run the centre until it is told to stop")
    acl = actions.add_parser("acl", help="print the broker's access list of a site")
    acl.add_argument("site_file", type=Path, help="config/sites/<site>/site.toml")
    acl.add_argument(
        "devices", nargs="*", help="ids of machines beyond those in the site's device folder"
    )


def run(args: argparse.Namespace) -> int:
    """0 done, 1 stopped by a fault, 2 wrong use, 78 the configuration is wrong."""
    # Imported here: other commands must not pay for a web framework.
    if args.action == "serve":
        from ops.app import main  # noqa: PLC0415

        return main()
    return _print_acl(args.site_file, args.devices)


def _print_acl(site_file: Path, more: list[str]) -> int:
    from hallkit.model.ids import DeviceId, SiteId  # noqa: PLC0415
    from hallkit.runtime.config import Mistakes, Section, load  # noqa: PLC0415
    from hallkit.runtime.settings import SiteSection, listed_devices  # noqa: PLC0415
    from ops.broker import acl_text  # noqa: PLC0415

    class SiteFile(Section):
        site: SiteSection

    try:
        mistakes = Mistakes()
        with mistakes.collected():
            site = load(SiteFile, [site_file]).settings.site
        with mistakes.collected():
            devices = [*listed_devices([site_file]), *map(DeviceId, more)]
        mistakes.settle()
        print(acl_text(SiteId(site.id), devices), end="")
    except ConfigError as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0
