"""问诊式 guidance: a few plain questions, then the list that fits this person.

    state = start(item, facts)
    while (question := state.question) is not None:
        state = answer(state, chosen_option_key)
    if state.ending is None:
        personal = personal_list(item, state)

`back` takes the last answer back, `change` asks any earlier one again and keeps the answers behind
it where they still fit, `learn` takes up what has become known since. A question whose answer
follows from known facts (`Option.when`) is not asked; its answer says what it was known from, and
can be changed like others.

Rules of an item's data: `materials` names everything that may be asked for, `base_materials` what
everyone brings, an option what its answer adds. `steps` names every step in order; a step that an
option names is for that answer only, the others are everyone's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from hallkit.guide.conditions import evaluate, facts_of
from hallkit.guide.mistakes import suggest
from hallkit.model.base import Value
from hallkit.model.conditions import Facts, FactValue
from hallkit.model.item import Item, Material, Option, Question

NONE_OF_THEM = "-"
"""Written for the answer of a multiple question that chooses nothing."""
JOIN = "+"
"""Between the options of one answer, where answers are written as text."""


class Answer(Value):
    """One question answered."""

    question: str
    options: tuple[str, ...]
    """One option's key; of a multiple question any number, none for none of them."""
    known_from: tuple[str, ...] = ()
    """Facts from which it was known; empty if the person said so."""

    @property
    def text(self) -> str:
        """`place`, `meat+fish`, `-`."""
        return JOIN.join(self.options) or NONE_OF_THEM


class Told(Value):
    """An answer in the words on the screen."""

    question: str
    text: str
    label: str
    known: bool
    """Not asked, because it was known."""


class GuideState(Value):
    """Where the guidance stands. `facts` may be personal; the rest says nothing about who answers.

    Made by the functions of this module only: `answers` and `at` follow from the others.
    """

    questions: tuple[Question, ...]
    first: str = ""
    facts: dict[str, FactValue] = {}
    said: tuple[Answer, ...] = ()
    """All that the person said, on the way or not: a changed answer may lead back to it."""
    changing: str = ""
    """The earlier question that is asked again."""
    answers: tuple[Answer, ...] = ()
    """On the way from the first question to where it stands."""
    at: str = ""
    """Key of the question now asked; empty when there is none."""

    @property
    def question(self) -> Question | None:
        """The question to ask now, or None when there is no more."""
        return question_of(self.questions, self.at) if self.at else None

    @property
    def is_done(self) -> bool:
        return not self.at

    @property
    def ending(self) -> Option | None:
        """The answer that leads to another item or says that it cannot be done here, if one did."""
        return next((option for option in self.chosen if option.go_to_item or option.stop), None)

    @property
    def chosen(self) -> tuple[Option, ...]:
        """The options of all answers on the way."""
        return tuple(
            option_of(question_of(self.questions, given.question), key)
            for given in self.answers
            for key in given.options
        )

    @property
    def remaining(self) -> int:
        """How many questions the longest way from here still asks, this one included."""
        return longest(self.questions, self.at)

    @property
    def told(self) -> tuple[Told, ...]:
        return tuple(
            tell(question_of(self.questions, given.question), given) for given in self.answers
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The answers so far, in the words on the screen."""
        return tuple(told.label for told in self.told)

    @property
    def as_text(self) -> dict[str, str]:
        """Question → option key, or keys joined by `+`: what `replay` takes."""
        return {given.question: given.text for given in self.answers}

    @property
    def all_facts(self) -> dict[str, FactValue]:
        """What is known, answers included; at the end a question not asked has an empty one."""
        open_ = unasked(self.questions) if self.is_done else {}
        return {**self.facts, **open_, **_answer_facts(self.questions, self.answers)}


class ListedMaterial(Value):
    """A material that this person needs."""

    material: Material
    already_held: bool
    """An e-licence or card at hand stands for it (免提交)."""
    may_follow: bool = False
    """It is not at hand, and may be handed in later (容缺)."""
    pledge: str = ""
    """It is not at hand, and signing this may stand for it (告知承诺)."""
    items: tuple[str, ...] = ()
    """Of a bundle: the items that need it."""


class PersonalList(Value):
    """What this person brings and does, and where."""

    item: str
    plain_name: str
    task_name: str
    situation: tuple[str, ...]
    """The answers that led here."""
    materials: tuple[ListedMaterial, ...]
    steps: tuple[str, ...]
    service: str
    window: str
    fee: str
    days: int | None
    """Within which it is done; 0 on the spot, None if the catalogue promises nothing."""
    """承诺办结时限; 0 is while you wait."""
    day_type: str = "working"
    visits: int = 0
    """到办事现场次数."""
    result: str = ""
    """What the person has in the end."""


def start(item: Item, facts: Facts | None = None) -> GuideState:
    """Before the first answer. Done at once if the item asks nothing, or all of it is known."""
    return _walked(
        GuideState(questions=item.questions, first=item.first_question, facts=dict(facts or {}))
    )


def answer(state: GuideState, *options: str) -> GuideState:
    """The state after this answer. `ValueError` if the options don't fit the question."""
    question = state.question
    if question is None:
        raise ValueError(f"nothing is asked any more, got {JOIN.join(options)!r}")
    given = Answer(question=question.key, options=in_order(question, options))
    others = tuple(one for one in state.said if one.question != question.key)
    return _walked(state.model_copy(update={"said": (*others, given), "changing": ""}))


def back(state: GuideState) -> GuideState:
    """Take the person's last answer back; leave a change as it was. At the start nothing."""
    if state.changing:
        return _walked(state.model_copy(update={"changing": ""}))
    last = next((given for given in reversed(state.answers) if not given.known_from), None)
    if last is None:
        return state
    kept = tuple(given for given in state.said if given.question != last.question)
    return _walked(state.model_copy(update={"said": kept}))


def change(state: GuideState, question: str) -> GuideState:
    """Ask an answered question again; the later answers are kept where they still fit.

    `ValueError` if it is not among the answers.
    """
    if question not in {given.question for given in state.answers}:
        raise ValueError(f"question {question!r} is not answered")
    return _walked(state.model_copy(update={"changing": question}))


def learn(state: GuideState, facts: Facts) -> GuideState:
    """The same guidance with these facts and no others; what the person said stays."""
    return _walked(state.model_copy(update={"facts": dict(facts)}))


def replay(item: Item, answers: Mapping[str, str], facts: Facts | None = None) -> GuideState:
    """The state after answers given as question → option keys joined by `+`, as far as they reach.

    `ValueError` names an answer to a question that is not on the way or an unknown option.
    """
    state = start(item, facts)
    said = []
    for question in item.questions:
        if question.key in answers:
            options = in_order(question, split(answers[question.key]))
            said.append(Answer(question=question.key, options=options))
    state = _walked(state.model_copy(update={"said": tuple(said)}))
    spare = answers.keys() - {given.question for given in state.answers}
    if spare:
        known = [question.key for question in item.questions]
        first = min(spare)
        raise ValueError(f"no question {first!r} on this way ({suggest(first, known)})")
    return state


def personal_list(item: Item, state: GuideState) -> PersonalList:
    """What this person brings and does.

    Materials and steps stand in the item's own order, each once. `ValueError` before the end, and
    where an answer ended the guidance without a list.
    """
    if not state.is_done:
        raise ValueError(f"question {state.at!r} is not answered yet")
    if state.ending is not None:
        raise ValueError(f"answer {state.ending.key!r} leads to no list")
    chosen = state.chosen
    wanted = set(item.base_materials).union(*(option.materials for option in chosen))
    ours = set[str]().union(*(option.steps for option in chosen), everyones_steps(item))
    facts = state.all_facts
    days = [option.promise_day for option in chosen if option.promise_day is not None]
    return PersonalList(
        item=item.catalog_code,
        plain_name=item.plain_name,
        task_name=item.task_name,
        situation=state.labels,
        materials=tuple(
            list_material(material, facts)
            for material in item.materials
            if material.key in wanted
            and (material.when is None or evaluate(material.when, facts) is not False)
        ),
        steps=tuple(step for step in item.steps if step in ours),
        service=_last((option.service for option in chosen), item.service),
        window=_last((option.transact_addr for option in chosen), item.transact_addr),
        fee=_last((option.fee_text for option in chosen), item.fee_text),
        days=days[-1] if days else _promised(item),
        day_type=item.promise_type,
        visits=item.limit_scene_num,
        result=item.result_name,
    )


def _promised(item: Item) -> int | None:
    """Working or calendar days. Without any, only what is done on the spot promises something."""
    return item.promise_day or (0 if item.project_type == "instant" else None)


def paths(item: Item) -> Iterator[GuideState]:
    """Finished ways through the questions (情形), first options first; the item must be verified.

    Of a multiple question none, each one, and all are followed. There may be very many: take as
    many as wanted.
    """
    waiting = [start(item)]
    while waiting:
        state = waiting.pop()
        question = state.question
        if question is None:
            yield state
        else:
            waiting += [answer(state, *options) for options in reversed(choices(question))]


def choices(question: Question) -> list[tuple[str, ...]]:
    """Answers worth trying: each option; of a multiple question also none and all."""
    keys = tuple(option.key for option in question.options)
    each: list[tuple[str, ...]] = [(key,) for key in keys]
    if not question.multiple:
        return each
    return [*([()] if question.none_label else []), *each, keys]


# ── What the guidance of a bundle uses as well ───────────────────────────────────────────────


def walk(
    questions: tuple[Question, ...],
    first: str,
    said: Mapping[str, tuple[str, ...]],
    facts: Facts,
    *,
    until: str = "",
) -> tuple[tuple[Answer, ...], str]:
    """The answers on the way from the first question, and the question where it stops.

    What the person said counts before what is known. It stops at `until` in any case.
    """
    answers: list[Answer] = []
    known = dict(facts)
    at, seen = first, set[str]()
    while at and at != until and at not in seen:
        seen.add(at)
        question = question_of(questions, at)
        if at in said and fits(question, said[at]):
            given = Answer(question=at, options=said[at])
        else:
            found = _known(question, known)
            if found is None:
                return tuple(answers), at
            given = found
        answers.append(given)
        known |= _answer_facts((question,), (given,))
        at = next_question(question, given.options)
    return tuple(answers), at if at == until else ""


def next_question(question: Question, options: tuple[str, ...]) -> str:
    """Where an answer leads; empty at the end."""
    chosen = [option_of(question, key) for key in options]
    if any(option.go_to_item or option.stop for option in chosen):
        return ""
    return question.next_question if question.multiple else chosen[0].next_question


def in_order(question: Question, options: Iterable[str]) -> tuple[str, ...]:
    """The options as the question lists them. `ValueError` if they don't answer it."""
    wanted = [option_of(question, key).key for key in options]
    found = tuple(option.key for option in question.options if option.key in wanted)
    if not fits(question, found):
        asked = "at least one" if question.multiple else "one"
        raise ValueError(f"question {question.key!r} takes {asked}, got {len(found)}")
    return found


def fits(question: Question, options: tuple[str, ...]) -> bool:
    """True if these options may answer the question."""
    known = {option.key for option in question.options}
    if question.multiple:
        return known.issuperset(options) and bool(options or question.none_label)
    return len(options) == 1 and options[0] in known


def split(text: str) -> tuple[str, ...]:
    """The option keys of an answer written as text."""
    return () if text == NONE_OF_THEM else tuple(text.split(JOIN))


def tell(question: Question, given: Answer) -> Told:
    labels = [option_of(question, key).label for key in given.options]
    return Told(
        question=question.key,
        text=question.text,
        label="、".join(labels) or question.none_label,
        known=bool(given.known_from),
    )


def list_material(material: Material, facts: Facts) -> ListedMaterial:
    held = bool(material.held_as) and facts.get(f"held.{material.held_as}") is True
    return ListedMaterial(
        material=material,
        already_held=held,
        may_follow=material.may_follow and not held,
        pledge="" if held else material.pledge,
    )


def held_facts(kinds: Iterable[str]) -> dict[str, FactValue]:
    """Facts for kinds of e-licence or card at hand."""
    return {f"held.{kind}": True for kind in kinds}


def unasked(questions: Iterable[Question]) -> dict[str, FactValue]:
    """Facts of questions whose turn never came: an answer that equals no option."""
    return {f"answer.{question.key}": "" for question in questions}


def question_of(questions: Iterable[Question], key: str) -> Question:
    for question in questions:
        if question.key == key:
            return question
    raise ValueError(f"no question {key!r}")


def option_of(question: Question, key: str) -> Option:
    for option in question.options:
        if option.key == key:
            return option
    known = [option.key for option in question.options]
    raise ValueError(f"question {question.key!r} has no option {key!r} ({suggest(key, known)})")


def everyones_steps(item: Item) -> tuple[str, ...]:
    options = chain.from_iterable(question.options for question in item.questions)
    conditional = {step for option in options for step in option.steps}
    return tuple(step for step in item.steps if step not in conditional)


def longest(questions: tuple[Question, ...], at: str) -> int:
    """How many questions the longest way from here asks. The questions must not loop."""
    by_key = {question.key: question for question in questions}
    known: dict[str, int] = {"": 0}

    def way(key: str) -> int:
        if key not in known:
            question = by_key[key]
            known[key] = 1 + max(
                way(next_question(question, (option.key,))) for option in question.options
            )
        return known[key]

    return way(at)


def _walked(state: GuideState) -> GuideState:
    said = {given.question: given.options for given in state.said}
    answers, at = walk(state.questions, state.first, said, state.facts, until=state.changing)
    changing = state.changing if at == state.changing else ""  # it may have left the way
    return state.model_copy(update={"answers": answers, "at": at, "changing": changing})


def _known(question: Question, facts: Facts) -> Answer | None:
    """The answer that follows from what is known, or None."""
    truths = [
        None if option.when is None else evaluate(option.when, facts) for option in question.options
    ]
    options = tuple(
        option for option, truth in zip(question.options, truths, strict=True) if truth is True
    )
    keys = tuple(option.key for option in options)
    decided = None not in truths if question.multiple else len(options) == 1
    if not decided or not fits(question, keys):
        return None
    used = options or question.options
    asked = chain.from_iterable(facts_of(option.when) for option in used if option.when is not None)
    names = tuple(name for name in dict.fromkeys(asked) if name in facts)
    return Answer(question=question.key, options=keys, known_from=names or ("always",))


def _answer_facts(questions: Iterable[Question], answers: Iterable[Answer]) -> dict[str, FactValue]:
    many = {question.key for question in questions if question.multiple}
    return {
        f"answer.{given.question}": given.options if given.question in many else given.options[0]
        for given in answers
    }


def _last(texts: Iterable[str], otherwise: str) -> str:
    return ([text for text in texts if text] or [otherwise])[-1]
