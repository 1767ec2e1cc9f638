"""一件事一次办: several items asked once, filled in once, with one list of materials and one plan.

    state = start(bundle, items)
    while (question := state.question) is not None:
        state = answer(state, chosen_option_key)
    plan = personal_plan(state)

The bundle's own questions come first, then what its members still need to know. A member's
question is not asked if the bundle says its answer, takes it from one of its own, or if another
member already asked the same in the same words. A member's question is named `<item>.<question>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hallkit.guide.conditions import evaluate
from hallkit.guide.merging import merged_materials
from hallkit.guide.mistakes import suggest
from hallkit.guide.questions import (
    JOIN,
    Answer,
    GuideState,
    ListedMaterial,
    PersonalList,
    Told,
    fits,
    held_facts,
    in_order,
    option_of,
    personal_list,
    question_of,
    split,
    tell,
    unasked,
    walk,
)
from hallkit.model.base import Value
from hallkit.model.bundle import Bundle, BundleMember
from hallkit.model.conditions import Facts, FactValue
from hallkit.model.item import Item, Option, Question

_FREE: str = Item.model_fields["fee_text"].default
"""What an item costs if its author says nothing."""


class BundleState(Value):
    """Where the guidance through a bundle stands. Made by the functions of this module only."""

    bundle: Bundle
    items: tuple[Item, ...]
    """The members' items, in the bundle's order."""
    facts: dict[str, FactValue] = {}
    said: tuple[Answer, ...] = ()
    changing: str = ""
    answers: tuple[Answer, ...] = ()
    at: str = ""
    needed: tuple[str, ...] = ()
    """Items that this person needs, as far as it is known."""

    @property
    def question(self) -> Question | None:
        """The question to ask now; its key is that within its item."""
        return self._question(self.at) if self.at else None

    @property
    def is_done(self) -> bool:
        return not self.at

    @property
    def ending(self) -> Option | None:
        """The answer to one of the bundle's own questions that says that it is not for here."""
        chosen = (
            option_of(self._question(given.question), key)
            for given in self.answers
            if _item_of(given.question) == ""
            for key in given.options
        )
        return next((option for option in chosen if option.go_to_item or option.stop), None)

    @property
    def told(self) -> tuple[Told, ...]:
        return tuple(
            tell(self._question(given.question), given).model_copy(
                update={"question": given.question}
            )
            for given in self.answers
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The answers in the words on the screen; what followed from others is not said twice."""
        return tuple(told.label for told in self.told if not told.known)

    @property
    def as_text(self) -> dict[str, str]:
        """What `replay` takes: the answers that do not follow from others."""
        return {given.question: given.text for given in self.answers if not given.known_from}

    @property
    def all_facts(self) -> dict[str, FactValue]:
        """What is known, answers included: `answer.<question>`, `answer.<item>.<question>`."""
        found = dict(self.facts)
        if self.is_done or _item_of(self.at):
            found |= unasked(self.bundle.questions)
        for given in self.answers:
            many = self._question(given.question).multiple
            found[f"answer.{given.question}"] = given.options if many else given.options[0]
        return found

    def item(self, code: str) -> Item:
        return next(item for item in self.items if item.catalog_code == code)

    def member(self, code: str) -> BundleMember:
        return next(member for member in self.bundle.members if member.item == code)

    def of_item(self, code: str) -> GuideState:
        """The guidance of one member, as if it had been asked alone."""
        item = self.item(code)
        own = tuple(
            given.model_copy(update={"question": _question_key(given.question)})
            for given in self.answers
            if _item_of(given.question) == code
        )
        return GuideState(
            questions=item.questions,
            first=item.first_question,
            facts=self.facts,
            said=own,
            answers=own,
        )

    def _question(self, key: str) -> Question:
        code = _item_of(key)
        questions = self.item(code).questions if code else self.bundle.questions
        return question_of(questions, _question_key(key))


class Planned(Value):
    """One item of the plan: who decides what, where and when."""

    item: str
    plain_name: str
    task_name: str
    dept_name: str
    service: str
    window: str
    fee: str
    after: tuple[str, ...] = ()
    """Items whose result it needs first."""
    days: int | None
    from_day: int
    to_day: int
    """Days after handing in; what runs beside each other overlaps."""
    result: str = ""
    steps: tuple[str, ...] = ()


class Left(Value):
    """A member that an answer ended: it is done elsewhere, or not at all."""

    item: str
    plain_name: str
    go_to_item: str = ""
    stop: str = ""


class BundlePlan(Value):
    """What this person brings once, and what comes of it when."""

    bundle: str
    name: str
    plain_name: str
    situation: tuple[str, ...]
    materials: tuple[ListedMaterial, ...]
    """Each thing once; `items` says who needs it."""
    timeline: tuple[Planned, ...]
    """In the order in which they are finished."""
    left: tuple[Left, ...] = ()
    steps: tuple[str, ...]
    service: str
    window: str
    fee: str
    days: int | None
    """The longest way through the timeline; calendar days count as they are. None if a member's
    time is not known and the bundle promises none of its own."""
    visits: int


def start(bundle: Bundle, items: Iterable[Item], facts: Facts | None = None) -> BundleState:
    """Before the first answer. `items` hold those of the members, and may hold others."""
    by_code = {item.catalog_code: item for item in items}
    members = tuple(by_code[member.item] for member in bundle.members)
    return _walked(BundleState(bundle=bundle, items=members, facts=dict(facts or {})))


def answer(state: BundleState, *options: str) -> BundleState:
    """The state after this answer. `ValueError` if the options don't fit the question."""
    question = state.question
    if question is None:
        raise ValueError(f"nothing is asked any more, got {JOIN.join(options)!r}")
    given = Answer(question=state.at, options=in_order(question, options))
    others = tuple(one for one in state.said if one.question != state.at)
    return _walked(state.model_copy(update={"said": (*others, given), "changing": ""}))


def back(state: BundleState) -> BundleState:
    """Take the person's last answer back; leave a change as it was. At the start nothing."""
    if state.changing:
        return _walked(state.model_copy(update={"changing": ""}))
    last = next((given for given in reversed(state.answers) if not given.known_from), None)
    if last is None:
        return state
    kept = tuple(given for given in state.said if given.question != last.question)
    return _walked(state.model_copy(update={"said": kept}))


def change(state: BundleState, question: str) -> BundleState:
    """Ask an answered question again; the later answers are kept where they still fit.

    `ValueError` if it is not among the answers, or follows from another one: change that.
    """
    given = next((one for one in state.answers if one.question == question), None)
    if given is None:
        raise ValueError(f"question {question!r} is not answered")
    if any(name.startswith("answer.") for name in given.known_from):
        raise ValueError(f"question {question!r} follows from {', '.join(given.known_from)}")
    return _walked(state.model_copy(update={"changing": question}))


def learn(state: BundleState, facts: Facts) -> BundleState:
    """The same guidance with these facts and no others."""
    return _walked(state.model_copy(update={"facts": dict(facts)}))


def replay(
    bundle: Bundle,
    items: Iterable[Item],
    answers: Mapping[str, str],
    facts: Facts | None = None,
) -> BundleState:
    """The state after answers given as question → option keys, as far as they reach."""
    state = start(bundle, items, facts)
    said = []
    known = [question.key for question in bundle.questions]
    for item in state.items:
        known += [f"{item.catalog_code}.{question.key}" for question in item.questions]
    for key, text in answers.items():
        if key not in known:
            raise ValueError(f"no question {key!r} ({suggest(key, known)})")
        code = _item_of(key)
        questions = state.item(code).questions if code else bundle.questions
        options = in_order(question_of(questions, _question_key(key)), split(text))
        said.append(Answer(question=key, options=options))
    state = _walked(state.model_copy(update={"said": tuple(said)}))
    spare = answers.keys() - {given.question for given in state.answers}
    if spare:
        raise ValueError(f"no question {min(spare)!r} on this way")
    return state


def personal_plan(state: BundleState) -> BundlePlan:
    """What this person brings, does and gets. `ValueError` before the end."""
    if not state.is_done:
        raise ValueError(f"question {state.at!r} is not answered yet")
    if state.ending is not None:
        raise ValueError(f"answer {state.ending.key!r} leads to no list")
    bundle = state.bundle
    lists, left = _lists(state)
    timeline = _timeline(state, lists)
    longest = max((planned.to_day for planned in timeline), default=0)
    unknown = any(one.days is None for one in lists.values())
    fees = tuple(dict.fromkeys(one.fee for one in lists.values()))
    paid = tuple(f"{one.plain_name}：{one.fee}" for one in lists.values() if one.fee != _FREE)
    return BundlePlan(
        bundle=bundle.code,
        name=bundle.name,
        plain_name=bundle.plain_name,
        situation=state.labels,
        materials=merged_materials(lists),
        timeline=timeline,
        left=left,
        steps=tuple(dict.fromkeys(step for planned in timeline for step in planned.steps)),
        service=bundle.service,
        window=bundle.transact_addr,
        fee=fees[0] if len(fees) == 1 else "；".join(paid),
        days=bundle.promise_day or (None if unknown else longest),
        visits=bundle.limit_scene_num,
    )


def _lists(state: BundleState) -> tuple[dict[str, PersonalList], tuple[Left, ...]]:
    """The list of each needed member, and the members that an answer ended."""
    lists: dict[str, PersonalList] = {}
    left = []
    for code in state.needed:
        item, own = state.item(code), state.of_item(code)
        if own.ending is None:
            own = own.model_copy(update={"facts": {**own.facts, **_yielded(state, code)}})
            lists[code] = personal_list(item, own)
        else:
            end = own.ending
            left.append(
                Left(
                    item=code,
                    plain_name=item.plain_name,
                    go_to_item=end.go_to_item,
                    stop=end.stop,
                )
            )
    return lists, tuple(left)


def _yielded(state: BundleState, code: str) -> dict[str, FactValue]:
    """Licences that are there by then: results of the members that come first."""
    first = [one for one in state.member(code).after if one in state.needed]
    kinds = (state.item(one).licence_kind for one in first if state.of_item(one).ending is None)
    return held_facts(filter(None, kinds))


def _timeline(state: BundleState, lists: Mapping[str, PersonalList]) -> tuple[Planned, ...]:
    """Each item as soon as what it needs is there."""
    ends: dict[str, int] = {}

    def end(code: str) -> int:
        if code not in ends:
            ends[code] = begin(code) + (lists[code].days or 0)
        return ends[code]

    def begin(code: str) -> int:
        return max((end(one) for one in state.member(code).after if one in lists), default=0)

    planned = [
        Planned(
            item=code,
            plain_name=one.plain_name,
            task_name=one.task_name,
            dept_name=state.item(code).dept_name,
            service=one.service,
            window=one.window,
            fee=one.fee,
            after=tuple(before for before in state.member(code).after if before in lists),
            days=one.days,
            from_day=begin(code),
            to_day=end(code),
            result=one.result,
            steps=one.steps,
        )
        for code, one in lists.items()
    ]
    return tuple(_in_turn(planned))


def _in_turn(planned: Sequence[Planned]) -> list[Planned]:
    """By the day on which they are finished, each behind what it needs."""
    waiting, done = sorted(planned, key=lambda one: (one.to_day, one.from_day)), list[Planned]()
    while waiting:
        finished = {one.item for one in done}
        ready = next((one for one in waiting if finished.issuperset(one.after)), waiting[0])
        waiting.remove(ready)
        done.append(ready)
    return done


# ── The way through all questions ────────────────────────────────────────────────────────────

_Asked = tuple[str, bool, tuple[tuple[str, str], ...]]
"""What makes two questions the same: words, kind and options."""


def _walked(state: BundleState) -> BundleState:
    said = {given.question: given.options for given in state.said}
    bundle = state.bundle
    own = {key: options for key, options in said.items() if not _item_of(key)}
    answers, at = walk(
        bundle.questions, bundle.first_question, own, state.facts, until=state.changing
    )
    state = state.model_copy(update={"answers": answers, "at": at, "needed": ()})
    if not at and state.ending is None:
        state = _through_members(state, said)
    changing = state.changing if state.at == state.changing else ""
    return state.model_copy(update={"changing": changing})


def _through_members(state: BundleState, said: Mapping[str, tuple[str, ...]]) -> BundleState:
    asked: dict[_Asked, Answer] = {
        _asked(question_of(state.bundle.questions, given.question)): given
        for given in state.answers
    }
    facts = state.all_facts
    answers = list(state.answers)
    needed: list[str] = []
    at = ""
    for member, item in zip(state.bundle.members, state.items, strict=True):
        if member.when is not None and evaluate(member.when, facts) is False:
            continue
        needed.append(member.item)
        given_for = _given(state, member, item, asked)
        own = {
            _question_key(key): options
            for key, options in said.items()
            if _item_of(key) == member.item
        }
        own |= {key: given.options for key, given in given_for.items()}
        until = _question_key(state.changing) if _item_of(state.changing) == member.item else ""
        found, stop = walk(item.questions, item.first_question, own, state.facts, until=until)
        for given in found:
            source = given_for.get(given.question)
            known_from = source.known_from if source is not None else given.known_from
            one = Answer(
                question=f"{member.item}.{given.question}",
                options=given.options,
                known_from=known_from,
            )
            answers.append(one)
            asked.setdefault(_asked(question_of(item.questions, given.question)), one)
        if stop:
            at = f"{member.item}.{stop}"
            break
    return state.model_copy(update={"answers": tuple(answers), "at": at, "needed": tuple(needed)})


def _given(
    state: BundleState, member: BundleMember, item: Item, asked: Mapping[_Asked, Answer]
) -> dict[str, Answer]:
    """The member's questions that need not be asked: their answers, and what they follow from."""
    own = {given.question: given for given in state.answers if not _item_of(given.question)}
    found: dict[str, Answer] = {}
    for question in item.questions:
        key = question.key
        if key in member.answers:
            options, source = split(member.answers[key]), f"answer.{state.bundle.code}"
        elif member.answers_from.get(key, "") in own:
            given = own[member.answers_from[key]]
            options, source = given.options, f"answer.{given.question}"
        elif (same := asked.get(_asked(question))) is not None:
            options, source = same.options, f"answer.{same.question}"
        else:
            continue
        if fits(question, options):
            found[key] = Answer(question=key, options=options, known_from=(source,))
    return found


def _asked(question: Question) -> _Asked:
    options = tuple((option.key, option.label) for option in question.options)
    return question.text, question.multiple, options


def _item_of(key: str) -> str:
    return key.rpartition(".")[0]


def _question_key(key: str) -> str:
    return key.rpartition(".")[2]
