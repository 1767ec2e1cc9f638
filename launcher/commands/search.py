"""Find items by letters (spjyxkz, shipinjingying) or by words, as the terminal does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from affairs.catalogue_source import load_items
from hallkit.catalogue.search import Hit
from hallkit.catalogue.snapshot import Catalogue
from hallkit.errors import HallError

HELP = "find items by letters or words"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", help="what somebody types or says; - reads one a line")
    parser.add_argument("--limit", type=int, default=6, help="at most so many items (6)")
    parser.add_argument(
        "--snapshot", type=Path, help="a snapshot file; without it the authored items are indexed"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """0 found, 1 something was not found, 2 wrong use."""
    try:
        catalogue = (
            Catalogue.unverified(args.snapshot)
            if args.snapshot
            else Catalogue.in_memory(load_items())
        )
    except HallError as exc:
        print(exc, file=sys.stderr)
        return 2
    missed = False
    with closing(catalogue):
        for text in _inputs(args.text):
            hits = catalogue.search(text, args.limit)
            missed |= not hits
            if args.json:
                found = {"input": text, "hits": [asdict(hit) for hit in hits]}
                print(json.dumps(found, ensure_ascii=False), flush=args.text == "-")
            else:
                _print(text, hits, echo=args.text == "-")
    return 1 if missed else 0


def _inputs(text: str) -> Iterator[str]:
    if text != "-":
        yield text
    else:
        for line in sys.stdin:
            yield line.rstrip("\n")


def _print(text: str, hits: list[Hit], *, echo: bool) -> None:
    if echo:
        # One line for one input.
        print(f"{text}\t{' '.join(hit.code for hit in hits) or '-'}", flush=True)
        return
    for hit in hits:
        print(f"{hit.score:5.2f}  {hit.code:26} {hit.plain_name}（{hit.task_name}）")
    if not hits:
        print("nothing found", file=sys.stderr)
