"""What somebody said at a machine, in the words of the catalogue that the hall offers now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from affairs.publication import Offering
from hallkit.catalogue.snapshot import Catalogue
from hallkit.guide.questions import JOIN
from hallkit.model.item import Question

_KEPT = 64
"""Items read already."""


@dataclass(frozen=True, slots=True)
class ItemText:
    """The words of one item or bundle."""

    plain_name: str
    official_name: str
    questions: Mapping[str, Question]
    materials: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """Question and answer as they stood on the screen."""

    question: str
    answer: str


class ItemWords:
    """Reads the published snapshot, one item at a time, and keeps the last ones."""

    def __init__(self, offering: Offering, plain_name: Callable[[str], str | None]) -> None:
        self._offering = offering
        self._plain_name = plain_name
        self._read: dict[tuple[str, str], ItemText | None] = {}

    def name(self, code: str) -> str:
        """What people call the item; its code if the catalogue has it no more."""
        return self._plain_name(code) or code

    async def text(self, code: str) -> ItemText | None:
        """All of its words; None if the catalogue does not have it."""
        key = (self._offering.publication.manifest.sha256, code)
        if key not in self._read:
            found = await asyncio.to_thread(self._from_snapshot, code)
            while len(self._read) >= _KEPT:
                del self._read[next(iter(self._read))]
            self._read[key] = found
        return self._read[key]

    def _from_snapshot(self, code: str) -> ItemText | None:
        with Catalogue.unverified(self._offering.publication.path) as catalogue:
            item = catalogue.item(code)
            if item is not None:
                return ItemText(
                    item.plain_name,
                    item.task_name,
                    {one.key: one for one in item.questions},
                    {one.key: one.plain_name or one.material_name for one in item.materials},
                )
            bundle = catalogue.bundle(code)
        if bundle is None:
            return None
        questions = {one.key: one for one in bundle.questions}
        return ItemText(bundle.plain_name, bundle.name, questions, {})


def said(text: ItemText | None, answers: Mapping[str, str]) -> list[Said]:
    """Answers in words; keys where the catalogue has other words by now."""
    return [
        Said(question.text, _answer(question, answer)) if question else Said(key, answer)
        for key, answer in answers.items()
        for question in ((text.questions.get(key) if text else None),)
    ]


def materials(text: ItemText | None, keys: Sequence[str]) -> list[str]:
    """Names of what they said they would bring."""
    return [text.materials.get(key, key) if text else key for key in keys]


def _answer(question: Question, answer: str) -> str:
    labels = {option.key: option.label for option in question.options}
    chosen = answer.split(JOIN)
    if not any(key in labels for key in chosen):
        return question.none_label or answer
    return " + ".join(labels.get(key, key) for key in chosen)
