"""Ask an item's questions as the terminal does: the next question, or the personal list."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator
from typing import Any

from affairs.catalogue_source import load_items
from hallkit.errors import ConfigError
from hallkit.guide.questions import (
    GuideState,
    PersonalList,
    held_facts,
    learn,
    personal_list,
    replay,
)
from hallkit.model.item import Item, Question

HELP = "an item's next question, or the personal list"

_MATERIAL_TYPES = {
    "original": "原件",
    "copy": "复印件",
    "original_and_copy": "原件和复印件",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item", help="code or name of an item; - reads one a line")
    parser.add_argument(
        "--answers", default="", metavar="K=V,…", help="question=option, separated by commas"
    )
    parser.add_argument(
        "--held", default="", metavar="KIND,…", help="cards and e-licences at hand: resident_card,…"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.epilog = "A line read by - may carry its own answers: ITEM K=V,…"


def run(args: argparse.Namespace) -> int:
    """0 done, 1 an unknown item or an answer that doesn't fit, 2 wrong use."""
    try:
        items = load_items()
        answers = _answers(args.answers)
    except (ConfigError, ValueError) as exc:
        print(exc, file=sys.stderr)
        return 2
    held = frozenset(filter(None, args.held.split(",")))
    failed = False
    for text, wanted, given in _inputs(args.item):
        try:
            item = _find(items, wanted)
            state = replay(item, {**answers, **_answers(given)})
        except ValueError as exc:
            failed = True
            _refuse(text, str(exc), as_json=args.json)
            continue
        if args.json:
            print(json.dumps({"input": text, **_answer(item, state, held)}, ensure_ascii=False))
        elif args.item == "-":
            print(f"{text}\t{_line(item, state, held)}")
        else:
            _print(item, state, held)
    return 1 if failed else 0


def _inputs(text: str) -> Iterator[tuple[str, str, str]]:
    """Input as given, item, answers of its own."""
    if text != "-":
        yield text, text, ""
        return
    for line in sys.stdin:
        whole = line.rstrip("\n")
        item, _, given = whole.rpartition(" ")
        if item and "=" in given:
            yield whole, item.strip(), given
        else:
            yield whole, whole.strip(), ""


def _answers(text: str) -> dict[str, str]:
    answers: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        question, equals, option = pair.partition("=")
        if not equals or not question or not option:
            raise ValueError(f"--answers: {pair!r} is not question=option")
        answers[question.strip()] = option.strip()
    return answers


def _find(items: list[Item], wanted: str) -> Item:
    for item in items:
        if wanted in (item.catalog_code, item.task_name, item.plain_name):
            return item
    codes = [item.catalog_code for item in items]
    close = difflib.get_close_matches(wanted, codes, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(codes)
    raise ValueError(f"no item {wanted!r} ({hint})")


def _answer(item: Item, state: GuideState, held: frozenset[str]) -> dict[str, Any]:
    known = {"item": item.catalog_code, "done": state.is_done, "error": None}
    if state.question is not None:
        return {
            **known,
            "question": state.question.model_dump(mode="json"),
            "remaining": state.remaining,
            "list": None,
        }
    personal = personal_list(item, learn(state, held_facts(held)))
    return {
        **known,
        "question": None,
        "remaining": 0,
        "list": personal.model_dump(mode="json"),
    }


def _refuse(text: str, why: str, *, as_json: bool) -> None:
    if as_json:
        refused = {"input": text, "item": None, "done": False, "error": why}
        print(json.dumps(refused, ensure_ascii=False))
    else:
        print(f"{text}: {why}", file=sys.stderr)


def _line(item: Item, state: GuideState, held: frozenset[str]) -> str:
    if state.question is not None:
        options = " ".join(option.key for option in state.question.options)
        return f"{state.question.key}: {options}"
    materials = personal_list(item, learn(state, held_facts(held))).materials
    return " ".join(listed.material.key for listed in materials)


def _print(item: Item, state: GuideState, held: frozenset[str]) -> None:
    if state.question is not None:
        _print_question(state.question)
    else:
        _print_list(personal_list(item, learn(state, held_facts(held))))


def _print_question(question: Question) -> None:
    print(f"{question.text}？  [{question.key}]\n{question.why}")
    for option in question.options:
        explain = f"  {option.explain}" if option.explain else ""
        print(f"  {option.key:14} {option.label}{explain}")


def _print_list(personal: PersonalList) -> None:
    print(f"{personal.plain_name}（{personal.task_name}）")
    if personal.situation:
        print(" · ".join(personal.situation))
    print("\n要带的")
    for listed in personal.materials:
        material = listed.material
        mark = "免提交" if listed.already_held else _MATERIAL_TYPES[material.material_type]
        later = "" if material.is_need else "，可以后补"
        print(f"  {material.plain_name or material.material_name}（{mark}{later}）")
        if material.fill_explain:
            print(f"    {material.fill_explain}")
    print("\n要做的")
    for number, step in enumerate(personal.steps, start=1):
        print(f"  {number} {step}")
    days = f"{personal.days} 个工作日内" if personal.days else "当场"
    print(f"\n{personal.window}。{personal.fee}，{days}办好。")
