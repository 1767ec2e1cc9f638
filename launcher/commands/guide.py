"""Ask an item's or bundle's questions as the terminal does: the next one, or the guide."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affairs.catalogue_source import CONTENT, load
from hallkit.errors import ConfigError
from hallkit.guide import bundle as bundles
from hallkit.guide import questions
from hallkit.guide.bundle import BundlePlan, BundleState, Planned, personal_plan
from hallkit.guide.conditions import fact_type
from hallkit.guide.forms import SOURCES
from hallkit.guide.mistakes import suggest
from hallkit.guide.questions import (
    GuideState,
    ListedMaterial,
    PersonalList,
    held_facts,
    personal_list,
)
from hallkit.guide.share import decode, encode, is_code
from hallkit.guide.sheet import copies_of, costs_and_time, sheet
from hallkit.lexicon.words import words
from hallkit.model.bundle import Bundle
from hallkit.model.conditions import FactValue
from hallkit.model.content import Content
from hallkit.model.item import Item, Question

HALL = "什邡市政务服务大厅"
HELP = "an item's next question, or the personal guide"

_MATERIAL_TYPES = {
    "original": "原件",
    "copy": "复印件",
    "original_and_copy": "原件和复印件",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "item", help="code or name of an item or bundle, or a slip's code; - reads one a line"
    )
    parser.add_argument(
        "--answers",
        default="",
        metavar="K=V,…",
        help="question=option, separated by commas; several options joined by +, none of them is -",
    )
    parser.add_argument(
        "--held", default="", metavar="KIND,…", help="cards and e-licences at hand: resident_card,…"
    )
    parser.add_argument(
        "--facts", default="", metavar="K=V,…", help="what is known: applicant.age=71,…"
    )
    parser.add_argument("--catalogue", type=Path, metavar="DIR", default=CONTENT, help="its folder")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="write the guide as a page, too")
    parser.epilog = (
        "A line read by - may carry its own answers: ITEM K=V,… "
        "Exit: 0 done, 1 an unknown item or an answer that doesn't fit, 2 wrong use."
    )


def run(args: argparse.Namespace) -> int:
    """0 done, 1 an unknown item or an answer that doesn't fit, 2 wrong use."""
    if not args.catalogue.is_dir():
        print(f"{args.catalogue}: there is no such folder", file=sys.stderr)
        return 2
    try:
        content = load(args.catalogue)
        answers = _pairs(args.answers, "--answers", "question=option")
        facts = _facts(args.facts, args.held)
    except (ConfigError, ValueError) as exc:
        print(exc, file=sys.stderr)
        return 2
    failed = False
    for text, wanted, given in _inputs(args.item):
        try:
            own = _pairs(given, "answers", "question=option")
            guide = _open(content, wanted, {**answers, **own}, facts)
        except ValueError as exc:
            failed = True
            _refuse(text, str(exc), as_json=args.json)
            continue
        if args.pdf is not None and guide.personal is not None:
            args.pdf.write_bytes(_page(guide.personal, _code(guide)))
        if args.json:
            print(json.dumps({"input": text, **_told(guide)}, ensure_ascii=False))
        elif args.item == "-":
            print(f"{text}\t{_line(guide)}")
        else:
            _print(guide)
    return 1 if failed else 0


@dataclass(frozen=True, slots=True)
class _Guide:
    """An item or bundle, and how far the answers lead."""

    item: Item | Bundle
    state: GuideState | BundleState

    @property
    def code(self) -> str:
        return self.item.catalog_code if isinstance(self.item, Item) else self.item.code

    @property
    def personal(self) -> PersonalList | BundlePlan | None:
        """The guide, if the answers lead to one."""
        if not self.state.is_done or self.state.ending is not None:
            return None
        if isinstance(self.item, Item) and isinstance(self.state, GuideState):
            return personal_list(self.item, self.state)
        return personal_plan(self.state) if isinstance(self.state, BundleState) else None


def _open(
    content: Content, wanted: str, answers: Mapping[str, str], facts: Mapping[str, FactValue]
) -> _Guide:
    if is_code(wanted):
        shared = decode(wanted)
        wanted, answers = shared.code, {**shared.answers, **answers}
    found = _find(content, wanted)
    if isinstance(found, Item):
        return _Guide(found, questions.replay(found, answers, facts))
    return _Guide(found, bundles.replay(found, content.items, answers, facts))


def _find(content: Content, wanted: str) -> Item | Bundle:
    for item in content.items:
        if wanted in (item.catalog_code, item.task_name, item.plain_name):
            return item
    for bundle in content.bundles:
        if wanted in (bundle.code, bundle.name, bundle.plain_name):
            return bundle
    codes = [item.catalog_code for item in content.items]
    codes += [bundle.code for bundle in content.bundles]
    names = [item.plain_name for item in content.items]
    close = difflib.get_close_matches(wanted, [*codes, *names], n=1)
    hint = f"did you mean {close[0]!r}?" if close else suggest(wanted, codes)
    raise ValueError(f"no item {wanted!r} ({hint})")


def _inputs(text: str) -> Iterator[tuple[str, str, str]]:
    """Input as given, item, answers of its own."""
    if text != "-":
        yield text, text, ""
        return
    for line in sys.stdin:
        whole = line.rstrip("\n")
        item, _, given = whole.rpartition(" ")
        if item and "=" in given and not is_code(given):
            yield whole, item.strip(), given
        else:
            yield whole, whole.strip(), ""


def _pairs(text: str, option: str, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        key, _, value = (part.strip() for part in pair.partition("="))
        if not key or not value:
            raise ValueError(f"{option}: {pair!r} is not {form}")
        pairs[key] = value
    return pairs


def _facts(text: str, held: str) -> dict[str, FactValue]:
    facts = held_facts(kind.strip() for kind in held.split(",") if kind.strip())
    for name, value in _pairs(text, "--facts", "fact=value").items():
        facts[name] = _fact(name, value)
    return facts


def _fact(name: str, text: str) -> FactValue:
    """The value as the fact's kind wants it."""
    known = fact_type(name, SOURCES)
    if known is None:
        raise ValueError(f"--facts: unknown fact {name!r} ({suggest(name, SOURCES)})")
    if known.kind in ("yes_no", "any") and text in ("true", "false"):
        return text == "true"
    if known.kind in ("number", "any"):
        try:
            return int(text) if text.lstrip("-").isdecimal() else float(text)
        except ValueError:
            if known.kind == "number":
                raise ValueError(f"--facts: {name} is a number, {text!r} is not") from None
    if known.kind == "yes_no":
        raise ValueError(f"--facts: {name} is true or false, not {text!r}")
    return text


# ── As JSON ──────────────────────────────────────────────────────────────────────────────────


def _told(guide: _Guide) -> dict[str, Any]:
    state, ending, personal = guide.state, guide.state.ending, guide.personal
    asked = state.question
    return {
        "item": guide.code,
        "error": None,
        "question": _question(state, asked) if asked is not None else None,
        "answered": [
            {**told.model_dump(mode="json"), "options": given.options, "from": given.known_from}
            for told, given in zip(state.told, state.answers, strict=True)
        ],
        "ending": {"go_to_item": ending.go_to_item or None, "stop": ending.stop or None}
        if ending is not None
        else None,
        "guide": _personal(personal, _code(guide)) if personal is not None else None,
    }


def _question(state: GuideState | BundleState, asked: Question) -> dict[str, Any]:
    return {
        "key": state.at,
        "text": asked.text,
        "why": asked.why,
        "multiple": asked.multiple,
        "none": asked.none_label or None,
        "options": [
            {"key": option.key, "label": option.label, "explain": option.explain}
            for option in asked.options
        ],
    }


def _personal(personal: PersonalList | BundlePlan, code: str) -> dict[str, Any]:
    told = personal.model_dump(mode="json", exclude={"item", "bundle", "plain_name", "materials"})
    plan = isinstance(personal, BundlePlan)
    return {
        "item": personal.bundle if isinstance(personal, BundlePlan) else personal.item,
        "kind": "bundle" if plan else "item",
        "name": personal.plain_name,
        "materials": [_material(listed, plan=plan) for listed in personal.materials],
        **told,
        "code": code,
    }


def _material(listed: ListedMaterial, *, plan: bool) -> dict[str, Any]:
    material = listed.material
    originals, copies = copies_of(material)
    told: dict[str, Any] = {
        "key": material.key,
        "name": material.material_name,
        "plain_name": material.plain_name or material.material_name,
        "type": material.material_type,
        "originals": originals,
        "copies": copies,
        "needed": material.is_need,
        "already_held": listed.already_held,
        "may_follow": listed.may_follow,
        "follow_days": material.follow_days if listed.may_follow else 0,
        "pledge": listed.pledge,
        "explain": material.fill_explain,
        "source": material.source,
        "form": material.form,
    }
    return {**told, "items": listed.items} if plan else told


def _code(guide: _Guide) -> str:
    """The text of the slip's QR; empty where it would not fit."""
    try:
        return encode(guide.code, guide.state.as_text)
    except ValueError:
        return ""


def _page(personal: PersonalList | BundlePlan, code: str) -> bytes:
    """The guide as a PDF."""
    from affairs.guide_document import pdf  # noqa: PLC0415  # only a page needs what it loads

    return pdf(sheet(personal, hall=HALL, code=code, words=words("zh_CN")))


def _refuse(text: str, why: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"input": text, "item": None, "error": why}, ensure_ascii=False))
    else:
        print(f"{text}: {why}", file=sys.stderr)


# ── For people ───────────────────────────────────────────────────────────────────────────────


def _line(guide: _Guide) -> str:
    state, personal = guide.state, guide.personal
    if state.question is not None:
        options = " ".join(option.key for option in state.question.options)
        return f"{state.at}: {options}"
    if personal is not None:
        return " ".join(listed.material.key for listed in personal.materials)
    ending = state.ending
    return (ending.stop or f"→ {ending.go_to_item}") if ending is not None else ""


def _print(guide: _Guide) -> None:
    state, personal = guide.state, guide.personal
    for told in state.told:
        if told.known:
            print(f"{told.text}：{told.label}（已知，不用问）")
    if state.question is not None:
        _print_question(state.at, state.question)
    elif personal is not None:
        _print_list(personal)
    elif state.ending is not None:
        print(state.ending.stop or f"要办的是另一件事：{state.ending.go_to_item}")


def _print_question(key: str, question: Question) -> None:
    print(f"{question.text}？  [{key}]\n{question.why}")
    for option in question.options:
        explain = f"  {option.explain}" if option.explain else ""
        print(f"  {option.key:14} {option.label}{explain}")
    if question.multiple:
        print(
            "  可以选几个，用 + 连接"
            + (f"；{question.none_label}写 -" if question.none_label else "")
        )


def _print_list(personal: PersonalList | BundlePlan) -> None:
    official = personal.name if isinstance(personal, BundlePlan) else personal.task_name
    print(f"{personal.plain_name}（{official}）")
    if personal.situation:
        print(" · ".join(personal.situation))
    print("\n要带的")
    for listed in personal.materials:
        _print_material(listed)
    print("\n要做的")
    for number, step in enumerate(personal.steps, start=1):
        print(f"  {number} {step}")
    if isinstance(personal, BundlePlan):
        _print_plan(personal.timeline)
    print(f"\n{personal.window}。{costs_and_time(personal, words())}")


def _print_material(listed: ListedMaterial) -> None:
    material = listed.material
    mark = "免提交" if listed.already_held else _MATERIAL_TYPES[material.material_type]
    later = "，可以后补" if listed.may_follow or not material.is_need else ""
    print(f"  {material.plain_name or material.material_name}（{mark}{later}）")
    if material.fill_explain:
        print(f"    {material.fill_explain}")
    if listed.pledge:
        print(f"    也可以签承诺书代替：{listed.pledge}")


def _print_plan(timeline: Iterable[Planned]) -> None:
    print("\n谁来办、什么时候好")
    for one in timeline:
        when = f"第 {one.to_day} 天前" if one.to_day else "当场"
        print(f"  {one.plain_name}：{one.dept_name}，{when}，{one.fee}")
