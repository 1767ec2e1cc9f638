"""How many of what: plans chosen so that the whole hall counts exactly what it should."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from affairs.census import count
from affairs.generator.compose import SITE, Place, Plan, form_of, item_of, pack_of
from affairs.generator.vocabulary import Numbers, QuestionWords, desks, numbers, words
from affairs.queue.services import Service
from hallkit.errors import HallError
from hallkit.model.bundle import Bundle, BundleMember
from hallkit.model.conditions import Test
from hallkit.model.content import Content
from hallkit.model.hall_map import HallMap
from hallkit.model.item import Item, Option, Question

GENERAL = "general"
"""The queue of windows that take everything: for desks that call no queue of their own."""
QUESTIONS = 2
"""At most so many are asked of a generated item."""
_AT_ONCE = ("query", "other", "replace", "renew", "cancel", "change", "new")
"""What is easiest decided without a person, first."""


class CannotFillError(HallError):
    """The authored content, or the words, do not allow the hall's numbers."""

    code = "generator"


def generate(
    authored: Content, hall: HallMap, services: Mapping[str, Service], *, seed: int = 1
) -> Content:
    """The authored content and as many made-up items, bundles, forms and rule packs as lack.

    `CannotFillError` names the number that the authored content goes beyond.
    """
    dice = random.Random(seed)  # noqa: S311  # nothing secret
    wanted = numbers()
    had = count(authored)
    lacking = {name: _lacking(wanted, had, name) for name in _COUNTED}
    plans = _plans(authored, hall, services, lacking["items"], dice)
    _comb(plans, lacking, dice)
    _mark(plans, lacking, authored, dice)
    bundled = _choose_members(plans, authored, lacking["bundles"], dice)
    items = {id(plan): item_of(plan, dice) for plan in plans}
    terminal = [plan for plan in plans if plan.terminal]
    whole = Content(
        items=(*authored.items, *items.values()),
        bundles=(
            *authored.bundles,
            *(
                _bundle(number, event, [items[id(plan)] for plan in members])
                for number, (event, members) in enumerate(bundled, start=1)
            ),
        ),
        forms=(*authored.forms, *map(form_of, terminal)),
        rule_packs=(*authored.rule_packs, *map(pack_of, terminal)),
        hall_map=authored.hall_map,
    )
    _check(wanted, count(whole))
    return whole


def written(content: Content) -> dict[str, Iterator[str]]:
    """The content as a folder's files: name → its lines."""
    return {
        f"{kind}.jsonl": (
            value.model_dump_json(by_alias=True, exclude_defaults=True) for value in values
        )
        for kind, values in (
            ("rule_packs", content.rule_packs),
            ("forms", content.forms),
            ("bundles", content.bundles),
            ("items", content.items),
        )
    }


_COUNTED = (
    "items",
    "combed",
    "materials",
    "situations",
    "bundles",
    "instant",
    "instant_terminal",
    "city_wide",
    "town",
)


def _lacking(wanted: Numbers, had: Mapping[str, int], name: str) -> int:
    lacking: int = getattr(wanted, name) - had[name]
    if lacking < 0:
        raise CannotFillError(
            f"{name}: {had[name]} are authored, the hall has {getattr(wanted, name)}"
        )
    return lacking


def _check(wanted: Numbers, got: Mapping[str, int]) -> None:
    for name in (*_COUNTED, "departments", "windows"):
        if got[name] != getattr(wanted, name):
            raise CannotFillError(f"{name}: {got[name]} instead of {getattr(wanted, name)}")


# ── Which items ───────────────────────────────────────────────────────────────────────────────


def _plans(
    authored: Content,
    hall: HallMap,
    services: Mapping[str, Service],
    wanted: int,
    dice: random.Random,
) -> list[Plan]:
    """So many plans, in the order of the words, with at least one of each matter."""
    taken = {item.task_name for item in authored.items}
    taken |= {item.main_code for item in authored.items}
    places = _places(hall, services)
    found: list[Plan] = []
    spare: list[Plan] = []
    number = 0
    for desk in desks():
        for matter in desk.parsed():
            number += 1
            first = True
            for handling, word in words().kinds[matter.kind].handlings():
                place = places[desk.business]
                plan = Plan(number, desk, matter, handling, word, place)
                if plan.task_name in taken or plan.main_code in taken:
                    continue
                found.append(plan)
                if not first:
                    spare.append(plan)
                first = False
    surplus = len(found) - wanted
    if surplus < 0 or surplus > len(spare):
        raise CannotFillError(
            f"items: {wanted} are to be made up, there are words for {len(found)}"
        )
    dropped = {id(plan) for plan in dice.sample(spare, surplus)}
    return [plan for plan in found if id(plan) not in dropped]


def _places(hall: HallMap, services: Mapping[str, Service]) -> dict[str, Place]:
    """Each desk's place, by what its windows say that they do."""
    names = {occupant.id: occupant.properties.name.zh for occupant in hall.departments}
    order = sorted(names)
    windows: dict[str, list[str]] = {}
    found: dict[str, Place] = {}
    for window in hall.windows:
        about = window.properties
        business = about.business.zh
        windows.setdefault(business, []).append(str(about.number))
        called = [key for key in about.services if key in services]
        service = services[called[0] if called else GENERAL]
        found[business] = Place(
            department=names[about.department_id],
            department_number=order.index(about.department_id) + 1,
            service=service.key,
            transact_addr=service.windows,
            windows=tuple(windows[business]),
        )
    missing = [desk.business for desk in desks() if desk.business not in found]
    if missing:
        raise CannotFillError(f"the hall map has no desk {', '.join(missing)}")
    return found


# ── Situations and materials ──────────────────────────────────────────────────────────────────


def _comb(plans: Sequence[Plan], lacking: Mapping[str, int], dice: random.Random) -> None:
    """Choose the combed ones; give them questions and materials to the last one."""
    combed = _sample(plans, lacking["combed"], "combed", dice)
    for plan in combed:
        plan.combed = True
    rest = lacking["situations"] - len(combed)
    if rest < 0:
        raise CannotFillError(
            f"situations: {lacking['situations']} are left for {len(combed)} items"
        )
    for plan in combed:
        if not rest:
            break
        choices = [(ways, chosen) for ways, chosen in _asked(plan) if ways - 1 <= rest]
        ways, plan.questions = dice.choice(choices)
        rest -= ways - 1
    if rest:
        raise CannotFillError(f"situations: {rest} more than the questions make")
    _share_materials(combed, lacking["materials"], dice)
    for plan in plans:
        if not plan.combed:
            plan.more_materials = dice.choice((0, 0, 1, 1, 2, 3))


def _asked(plan: Plan) -> Iterator[tuple[int, tuple[QuestionWords, ...]]]:
    """Every way to ask one or two of the fitting questions, with the number of ways it makes."""
    fitting = plan.fitting_questions()
    for place, first in enumerate(fitting):
        yield len(first.options), (first,)
        for second in fitting[place + 1 :] if QUESTIONS > 1 else ():
            yield len(first.options) * len(second.options), (first, second)


def _share_materials(plans: Sequence[Plan], wanted: int, dice: random.Random) -> None:
    needed = {id(plan): 2 + len(plan.option_materials()) for plan in plans}
    rest = wanted - sum(needed.values())
    room = [plan for plan in plans for _ in plan.fitting_materials()[2:]]
    if not 0 <= rest <= len(room):
        raise CannotFillError(f"materials: {wanted} do not fit {len(plans)} items")
    for plan in dice.sample(room, rest):
        plan.more_materials += 1


# ── Marks ─────────────────────────────────────────────────────────────────────────────────────


def _mark(
    plans: Sequence[Plan], lacking: Mapping[str, int], authored: Content, dice: random.Random
) -> None:
    at_once = _ranked(plans, lambda plan: _AT_ONCE.index(plan.handling), dice)
    for plan in _first(at_once, lacking["instant"], "instant"):
        plan.instant = True
    fit = [plan for plan in _shuffled(plans, dice) if plan.instant and plan.combed]
    for plan in _first(_one_a_matter(fit), lacking["instant_terminal"], "instant_terminal"):
        plan.terminal = True
    city = _ranked(plans, lambda plan: not plan.instant, dice)
    for plan in _first(city, lacking["city_wide"], "city_wide"):
        plan.city_wide = True
    town = _ranked(plans, lambda plan: (not plan.desk.town, not plan.combed), dice)
    for plan in _first(town, lacking["town"], "town"):
        plan.town = True
    visits = int(numbers().items * (1 - numbers().scene_share))
    visits -= sum(item.limit_scene_num > 0 for item in authored.items)
    for plan in _shuffled([plan for plan in plans if not plan.instant], dice)[: max(0, visits)]:
        plan.visit = True


def _one_a_matter(plans: Sequence[Plan]) -> list[Plan]:
    """The first of each matter, then the others."""
    seen: set[int] = set()
    first = []
    for plan in plans:
        if plan.number not in seen:
            seen.add(plan.number)
            first.append(plan)
    chosen = {id(plan) for plan in first}
    return first + [plan for plan in plans if id(plan) not in chosen]


def _ranked(
    plans: Sequence[Plan], rank: Callable[[Plan], object], dice: random.Random
) -> list[Plan]:
    """By rank, in no order among equals."""
    return sorted(_shuffled(plans, dice), key=rank)  # type: ignore[arg-type]  # ranks compare


def _shuffled(plans: Iterable[Plan], dice: random.Random) -> list[Plan]:
    found = list(plans)
    dice.shuffle(found)
    return found


def _first(plans: Sequence[Plan], wanted: int, name: str) -> Sequence[Plan]:
    if wanted > len(plans):
        raise CannotFillError(f"{name}: {wanted} are to be made up, {len(plans)} can be")
    return plans[:wanted]


def _sample(plans: Sequence[Plan], wanted: int, name: str, dice: random.Random) -> Sequence[Plan]:
    return _first(_shuffled(plans, dice), wanted, name)


# ── Bundles ───────────────────────────────────────────────────────────────────────────────────


def _choose_members(
    plans: Sequence[Plan], authored: Content, wanted: int, dice: random.Random
) -> list[tuple[str, list[Plan]]]:
    """So many life events with their items, one of each desk that the event leads to."""
    by_desk: dict[str, list[Plan]] = {}
    for plan in plans:
        if plan.combed and not plan.terminal and plan.handling in ("new", "query", "change"):
            by_desk.setdefault(plan.desk.business, []).append(plan)
    taken = {bundle.plain_name for bundle in authored.bundles}
    known = (text.split("|") for text in words().bundles.events)
    events = [(plain, of) for plain, of in known if plain not in taken]
    if len(events) < wanted:
        raise CannotFillError(f"bundles: {wanted} are to be made up, there are {len(events)}")
    found = []
    for plain, of in events[:wanted]:
        members = [
            min(_shuffled(by_desk[desk], dice), key=lambda plan: plan.handling != "new")
            for desk in of.split(",")
            if by_desk.get(desk)
        ]
        if len(members) < 2:
            raise CannotFillError(f"bundles: {plain} has {len(members)} items")
        for plan in members:
            plan.in_bundle = True
        found.append((plain, members))
    return found


def _bundle(number: int, plain: str, members: Sequence[Item]) -> Bundle:
    """The event: its first two items always, the others if they are wanted."""
    said = words().bundles
    sure, maybe = members[:2], members[2:]
    sited = [item for item in members if any(one.key == SITE for one in item.questions)]
    questions = []
    if len(maybe) > 1:
        questions.append(_which(maybe, SITE if sited else ""))
    if sited:
        questions.append(_site())
    asked_for = {item.catalog_code: f"m{place}" for place, item in enumerate(maybe, start=1)}
    return Bundle(
        code=f"made-{number:02}",
        name=said.name.format(plain=plain),
        plain_name=plain,
        theme=said.theme,
        lead_dept=members[0].dept_name,
        summary=said.summary,
        members=tuple(
            BundleMember(
                item=item.catalog_code,
                when=Test(fact="answer.more", op="contains", value=asked_for[item.catalog_code])
                if item.catalog_code in asked_for and len(maybe) > 1
                else None,
                answers_from={SITE: SITE} if item in sited else {},
                after=() if item in sure else (members[0].catalog_code,),
            )
            for item in members
        ),
        first_question=questions[0].key if questions else "",
        questions=tuple(questions),
        service=members[0].service,
        transact_addr=members[0].transact_addr,
    )


def _which(items: Sequence[Item], next_question: str) -> Question:
    said = words().bundles
    return Question(
        key="more",
        text=said.more_text,
        why=said.more_why,
        multiple=True,
        none_label=said.more_none,
        next_question=next_question,
        options=tuple(
            Option(key=f"m{place}", label=item.plain_name)
            for place, item in enumerate(items, start=1)
        ),
    )


def _site() -> Question:
    said = words().bundles
    return Question(
        key=SITE,
        text=said.site_text,
        why=said.site_why,
        options=(Option(key="own", label=said.own), Option(key="rented", label=said.rented)),
    )
