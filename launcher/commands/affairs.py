"""The hall's business node: run it, print its contract, decide an application, decide it again,
show a licence; accounts of the hall's people, and the log of what they did.

Facts of the applicant come from a JSON file, not from the command line, where everybody on the
machine could read them: {"applicant.age": 71, "form.signature": true, …}.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from pathlib import Path

from launcher import staff

HELP = "the hall's business node: serve, openapi, decide, replay, person, licence, staff, audit"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("serve", help="run the node until it is told to stop")
    actions.add_parser("openapi", help="print the OpenAPI document")
    _configure_decide(actions.add_parser("decide", help="what an item's rule pack decides (秒批)"))
    _configure_person(actions.add_parser("person", help="what is kept of somebody: told, deleted"))
    _configure_replay(actions.add_parser("replay", help="decide again what a record holds"))
    _configure_licence(actions.add_parser("licence", help="a made-up e-licence, to look at"))
    staff.configure(actions.add_parser("staff", help="accounts for the staff pages"))
    staff.configure_audit(actions.add_parser("audit", help="who did what: verify, list, anchor"))


def _configure_person(parser: argparse.ArgumentParser) -> None:
    parser.description = "The ID number comes on standard input."
    parser.epilog = "Exit: 0 done, 1 nothing is kept of them, 2 wrong use."
    parser.add_argument("do", choices=("export", "erase"))
    parser.add_argument("--state", type=Path, metavar="DIR", required=True, help="the node's")
    parser.add_argument("--data-key", type=Path, metavar="FILE", required=True)


def _configure_decide(parser: argparse.ArgumentParser) -> None:
    from affairs.catalogue_source import CONTENT  # noqa: PLC0415  # as in run

    parser.epilog = "Exit: 0 approved, 1 not, 2 wrong use. A line read by - is ITEM FILE."
    parser.add_argument("item", help="code or name of an instant item; - reads one a line")
    parser.add_argument("--facts", type=Path, metavar="FILE", help="JSON: what is known")
    parser.add_argument(
        "--upstream",
        metavar="URL",
        help="ask the systems there (python -m launcher.standins.upstream); without it their"
        " answers are facts of the file",
    )
    parser.add_argument("--catalogue", type=Path, metavar="DIR", default=CONTENT, help="its folder")
    parser.add_argument(
        "--today", type=dt.date.fromisoformat, metavar="DATE", help="today if left out"
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help="PEM: sign the receipt with it")
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="write the receipt")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write the record: everything, in clear"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _configure_replay(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit: 0 the same, and a receipt that holds; 1 not; 2 wrong use."
    parser.add_argument(
        "record",
        metavar="RECORD|CASE",
        help="its file, or with --state a case's number or id; - reads one a line",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="the node's folder: every decision of the case, from its database; wants --data-key,"
        " and with --key the receipts' signatures are checked too",
    )
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="compare it as well")
    parser.add_argument("--key", type=Path, metavar="FILE", help="PEM: who may have signed it")
    parser.add_argument("--data-key", type=Path, metavar="FILE", help="the record is sealed by it")
    parser.add_argument("--id", default="", metavar="ID", help="the row it is sealed for: its name")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _configure_licence(parser: argparse.ArgumentParser) -> None:
    from affairs.licences.kinds import load_kinds  # noqa: PLC0415  # as in run

    kinds = load_kinds()
    parser.add_argument("kind", metavar="KIND", choices=kinds, help=" | ".join(kinds))
    parser.add_argument("out", type=Path, metavar="OUT", help="a .pdf, or a .png of it")


def run(args: argparse.Namespace) -> int:
    """0 done, 1 a negative outcome or stopped by a fault, 2 wrong use, 78 wrong configuration."""
    # Imported here: other commands must not pay for a web framework, nor `serve` for a client.
    if args.action == "serve":
        from affairs.app import main  # noqa: PLC0415

        return main()
    if args.action in ("staff", "audit"):
        return staff.run(args) if args.action == "staff" else staff.run_audit(args)
    if args.action in ("decide", "replay"):
        from launcher.instant import decide, replay_records  # noqa: PLC0415

        return decide(args) if args.action == "decide" else replay_records(args)
    if args.action == "person":
        from launcher.persons import person  # noqa: PLC0415

        return person(args)
    if args.action == "licence":
        return _licence(args.kind, args.out)
    from affairs.api import document  # noqa: PLC0415

    print(json.dumps(document(), ensure_ascii=False, indent=2, sort_keys=True))
    return 0


def _licence(key: str, out: Path) -> int:
    from affairs.licences.document import Renderer  # noqa: PLC0415  # as in run
    from affairs.licences.kinds import load_kinds  # noqa: PLC0415
    from affairs.licences.made_up import made_up_paper  # noqa: PLC0415
    from hallkit.lexicon.words import words  # noqa: PLC0415
    from hallkit.runtime.clock import SystemClock, local_date  # noqa: PLC0415

    if out.suffix not in {".pdf", ".png"}:
        print(f"{out.name}: must end in .pdf or .png", file=sys.stderr)
        return 2
    now_ms = SystemClock().wall_ms()
    paper = made_up_paper(load_kinds()[key], at_ms=now_ms, today=local_date(now_ms))
    render = Renderer(words("zh_CN"))
    out.write_bytes(render(paper) if out.suffix == ".pdf" else render.png(paper))
    return 0
