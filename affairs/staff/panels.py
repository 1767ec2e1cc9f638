"""What other parts of the node show on the supervisor's page."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from affairs.help.desk import HelpDesk
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.summary import Satisfaction
from affairs.staff.call_back_pages import CALL_BACKS, BackWords
from affairs.staff.guide_pages import GUIDE, CallWords
from affairs.staff.view import PanelLine
from hallkit.lexicon.words import Words
from hallkit.model.help import HelpState
from hallkit.model.rating import CallBackState, RatingLevel


class HelpPanel:
    """Calls that ring, the loudest first, with how far they ring and since when."""

    key = "help"
    path = GUIDE

    def __init__(self, desk: HelpDesk, about: CallWords) -> None:
        self._desk = desk
        self._about = about

    def lines(self, connection: sa.Connection) -> Sequence[PanelLine]:
        ringing = [
            one for one in self._desk.read_open(connection) if one.state is HelpState.CALLING
        ]
        ringing.sort(key=lambda one: (-one.level, one.called_at_ms, one.call))
        about = self._about
        return [
            PanelLine(
                one.call,
                f"{about.place(one)} · {about.reason(one)} · {about.told(one)}",
                one.called_at_ms,
                about.tone(one),
            )
            for one in ringing
        ]


class CallBacksPanel:
    """Bad ratings that nobody has dealt with, the most urgent first."""

    key = "call_backs"
    path = CALL_BACKS

    def __init__(self, call_backs: CallBacks, about: BackWords) -> None:
        self._call_backs = call_backs
        self._about = about

    def lines(self, connection: sa.Connection) -> Sequence[PanelLine]:
        about = self._about
        return [
            PanelLine(
                one.rating,
                f"{about.title(one)} · {about.due(one)}",
                one.rated_at_ms,
                "fault"
                if one.is_overdue
                else "plain"
                if one.state is CallBackState.TAKEN
                else "attention",
            )
            for one in self._call_backs.read_open(connection)
        ]


class RatingsPanel:
    """What today's visitors thought, counted."""

    key = "ratings"
    path = ""

    def __init__(self, satisfaction: Satisfaction, words: Words) -> None:
        self._satisfaction = satisfaction
        self._words = words

    def lines(self, connection: sa.Connection) -> Sequence[PanelLine]:
        told = self._satisfaction.read_day(connection)
        if not told.total:
            return []
        words = self._words
        share = f"{told.satisfied_share:.0%}" if told.satisfied_share is not None else ""
        total = words("staff.ratings.total", n=told.total, share=share)
        counts = {level: getattr(told.counts, level.value) for level in RatingLevel}
        by_level = " · ".join(
            words("staff.ratings.level", level=words(f"rating.{level.value}"), n=times)
            for level, times in counts.items()
            if times
        )
        is_bad = any(times for level, times in counts.items() if level.is_bad)
        return [
            PanelLine("total", total, None, "attention" if is_bad else "done"),
            PanelLine("levels", by_level, None),
        ]
