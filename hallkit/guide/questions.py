"""问诊式 guidance: a few plain questions, then the list that fits this person.

    state = start(item)
    while (question := state.question) is not None:
        state = answer(state, chosen_option_key)
    personal = personal_list(item, state, held=frozenset({"resident_card"}))

Rules of an item's data: `materials` names everything that may be asked for, `base_materials` what
everyone brings, an option what its answer adds. `steps` names every step in order; a step that an
option names is for that answer only, the others are everyone's.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hallkit.model.base import Value
from hallkit.model.item import Item, Material, Option, Question


class Answer(Value):
    """One question answered."""

    question: str
    option: str


class GuideState(Value):
    """Where the guidance stands. Says nothing about who answers."""

    questions: tuple[Question, ...]
    at: str = ""
    """Key of the question now asked; empty when there is none."""
    answers: tuple[Answer, ...] = ()

    @property
    def question(self) -> Question | None:
        """The question to ask now, or None when all is answered."""
        return _question(self.questions, self.at) if self.at else None

    @property
    def is_done(self) -> bool:
        return not self.at

    @property
    def remaining(self) -> int:
        """How many questions the longest way from here still asks, this one included."""
        return _longest(self.questions, self.at)

    @property
    def labels(self) -> tuple[str, ...]:
        """The answers so far, in the words on the screen."""
        return tuple(
            _option(_question(self.questions, given.question), given.option).label
            for given in self.answers
        )


class ListedMaterial(Value):
    """A material that this person needs."""

    material: Material
    already_held: bool
    """An e-licence or card at hand stands for it (免提交)."""


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
    days: int
    """承诺办结时限 in working days; 0 is while you wait."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong in an item's data."""

    key: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{self.key}: {self.message}{hint}"


def start(item: Item) -> GuideState:
    """Before the first answer. Done at once if the item asks nothing."""
    return GuideState(questions=item.questions, at=item.first_question)


def answer(state: GuideState, option_key: str) -> GuideState:
    """The state after this answer. `ValueError` if it is none of the question's options."""
    question = state.question
    if question is None:
        raise ValueError(f"nothing is asked any more, got {option_key!r}")
    option = _option(question, option_key)
    given = Answer(question=question.key, option=option.key)
    return state.model_copy(update={"at": option.next_question, "answers": (*state.answers, given)})


def back(state: GuideState) -> GuideState:
    """Take the last answer back; at the start nothing changes."""
    if not state.answers:
        return state
    return state.model_copy(
        update={"at": state.answers[-1].question, "answers": state.answers[:-1]}
    )


def replay(item: Item, answers: Mapping[str, str]) -> GuideState:
    """The state after answers given as question key → option key, as far as they reach.

    `ValueError` names an answer to a question that is not on the way or an unknown option.
    """
    state = start(item)
    while (question := state.question) is not None and question.key in answers:
        state = answer(state, answers[question.key])
    spare = answers.keys() - {given.question for given in state.answers}
    if spare:
        known = [question.key for question in item.questions]
        first = min(spare)
        raise ValueError(f"no question {first!r} on this way ({_hint(first, known)})")
    return state


def personal_list(
    item: Item, state: GuideState, held: frozenset[str] = frozenset()
) -> PersonalList:
    """What this person brings and does. `held` are kinds of e-licence or card at hand.

    Materials and steps stand in the item's own order, each once. `ValueError` before the end.
    """
    if not state.is_done:
        raise ValueError(f"question {state.at!r} is not answered yet")
    chosen = [
        _option(_question(state.questions, given.question), given.option) for given in state.answers
    ]
    wanted = set(item.base_materials).union(*(option.materials for option in chosen))
    ours = set[str]().union(*(option.steps for option in chosen))
    ours.update(_everyones_steps(item))
    return PersonalList(
        item=item.catalog_code,
        plain_name=item.plain_name,
        task_name=item.task_name,
        situation=state.labels,
        materials=tuple(
            ListedMaterial(material=material, already_held=material.held_as in held)
            for material in item.materials
            if material.key in wanted
        ),
        steps=tuple(step for step in item.steps if step in ours),
        service=item.service,
        window=item.transact_addr,
        fee=item.fee_text,
        days=item.promise_day,
    )


def paths(item: Item) -> Iterator[GuideState]:
    """Every finished way through the questions (情形). The item must be verified."""
    waiting = [start(item)]
    while waiting:
        state = waiting.pop()
        question = state.question
        if question is None:
            yield state
        else:
            waiting += [answer(state, option.key) for option in reversed(question.options)]


def verify(item: Item) -> list[Mistake]:
    """Everything that would let the guidance fail or mislead. Empty for a sound item."""
    mistakes = [
        *_twice("materials", (material.key for material in item.materials)),
        *_twice("base_materials", item.base_materials),
        *_twice("steps", item.steps),
        *_twice("questions", (question.key for question in item.questions)),
        *_twice("popular_terms", item.popular_terms),
    ]
    for question in item.questions:
        where = f"questions.{question.key}"
        mistakes += _twice(where, (option.key for option in question.options))
        mistakes += _twice(where, (option.label for option in question.options))
    mistakes += _verify_materials(item)
    mistakes += _verify_steps(item)
    mistakes += _verify_way(item)
    if item.anticipate_day and item.promise_day > item.anticipate_day:
        mistakes.append(Mistake("promise_day", "is longer than anticipate_day allows"))
    return mistakes


def _verify_materials(item: Item) -> Iterator[Mistake]:
    known = [material.key for material in item.materials]
    used = set(item.base_materials)
    yield from _unknown("base_materials", item.base_materials, known, "material")
    for question in item.questions:
        for option in question.options:
            where = f"questions.{question.key}.{option.key}.materials"
            yield from _unknown(where, option.materials, known, "material")
            yield from _twice(where, option.materials)
            used |= set(option.materials)
    for key in known:
        if key not in used:
            yield Mistake(f"materials.{key}", "nobody ever needs it")


def _verify_steps(item: Item) -> Iterator[Mistake]:
    for question in item.questions:
        for option in question.options:
            where = f"questions.{question.key}.{option.key}.steps"
            yield from _unknown(where, option.steps, item.steps, "step")
            yield from _twice(where, option.steps)
    if not item.steps:
        yield Mistake("steps", "there is none")


def _verify_way(item: Item) -> Iterator[Mistake]:
    """Questions are reached from the first one, name only known ones, and never come back."""
    by_key = {question.key: question for question in item.questions}
    if not by_key:
        if item.first_question:
            yield Mistake("first_question", f"unknown question {item.first_question!r}")
        return
    if item.first_question not in by_key:
        yield Mistake(
            "first_question",
            f"unknown question {item.first_question!r}",
            _hint(item.first_question, by_key),
        )
        return
    yield from _verify_next(item, by_key)
    reached: set[str] = set()
    looping: set[str] = set()
    _walk(by_key, item.first_question, (), reached, looping)
    for key in by_key:
        if key in looping:
            yield Mistake(f"questions.{key}", "comes back to itself")
        if key not in reached:
            yield Mistake(f"questions.{key}", "no answer leads here")
    if not looping and not _everyones_steps(item) and _stepless(by_key, item.first_question):
        yield Mistake("steps", "some answers lead to a list without steps")


def _verify_next(item: Item, known: Iterable[str]) -> Iterator[Mistake]:
    for question in item.questions:
        for option in question.options:
            if option.next_question:
                where = f"questions.{question.key}.{option.key}.next_question"
                yield from _unknown(where, (option.next_question,), known, "question")


def _walk(
    by_key: Mapping[str, Question],
    key: str,
    way: tuple[str, ...],
    reached: set[str],
    looping: set[str],
) -> None:
    if key in way:
        looping.add(key)
        return
    if key in reached or key not in by_key:
        return
    reached.add(key)
    for option in by_key[key].options:
        if option.next_question:
            _walk(by_key, option.next_question, (*way, key), reached, looping)


def _stepless(by_key: Mapping[str, Question], key: str) -> bool:
    """True if some way from here names no step."""
    if key not in by_key:
        return not key
    return any(
        not option.steps and _stepless(by_key, option.next_question)
        for option in by_key[key].options
    )


def _everyones_steps(item: Item) -> tuple[str, ...]:
    conditional = {step for option in _options(item.questions) for step in option.steps}
    return tuple(step for step in item.steps if step not in conditional)


def _longest(questions: tuple[Question, ...], at: str) -> int:
    if not at:
        return 0
    return 1 + max(
        _longest(questions, option.next_question) for option in _question(questions, at).options
    )


def _question(questions: Iterable[Question], key: str) -> Question:
    for question in questions:
        if question.key == key:
            return question
    raise ValueError(f"no question {key!r}")


def _option(question: Question, key: str) -> Option:
    for option in question.options:
        if option.key == key:
            return option
    known = [option.key for option in question.options]
    raise ValueError(f"question {question.key!r} has no option {key!r} ({_hint(key, known)})")


def _options(questions: Iterable[Question]) -> Iterator[Option]:
    for question in questions:
        yield from question.options


def _twice(key: str, words: Iterable[str]) -> list[Mistake]:
    return [Mistake(key, f"{word!r} stands twice") for word, n in Counter(words).items() if n > 1]


def _unknown(key: str, words: Iterable[str], known: Iterable[str], what: str) -> Iterator[Mistake]:
    known = list(known)
    for word in words:
        if word not in known:
            yield Mistake(key, f"unknown {what} {word!r}", _hint(word, known))


def _hint(word: str, known: Iterable[str]) -> str:
    """A suggestion for a misspelt word."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(words)
