"""The staff pages as one part of the node: listener, tasks, and what the janitor does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.types import ASGIApp

from affairs.audit import AuditLog, retention_step
from affairs.cases.office import Office
from affairs.help.desk import HelpDesk
from affairs.publication import Offering
from affairs.queue.calling import Windows
from affairs.queue.services import Service
from affairs.queue.waits import Waits
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.summary import Satisfaction
from affairs.sealing import Sealer
from affairs.staff import limits, sessions
from affairs.staff.accounts import Accounts
from affairs.staff.call_back_pages import BackWords, CallBackPages
from affairs.staff.case_file import CaseWords
from affairs.staff.door import Door, Keepers
from affairs.staff.guide_pages import CallWords, GuidePages
from affairs.staff.hall_pages import AuditPages, HallPages
from affairs.staff.item_words import ItemWords
from affairs.staff.limits import LoginBrake
from affairs.staff.panels import CallBacksPanel, HelpPanel, RatingsPanel
from affairs.staff.passwords import Passwords
from affairs.staff.seats import Seats
from affairs.staff.sessions import Sessions
from affairs.staff.settings import StaffSection
from affairs.staff.site import Drawing, Site
from affairs.staff.view import HallReader, HallView, Panel
from affairs.staff.window_pages import WindowPages
from affairs.store import Store
from hallkit.lexicon.words import words
from hallkit.model.form import FormDefinition
from hallkit.model.hall_map import HallMap
from hallkit.model.item import Item
from hallkit.runtime.clock import Clock
from hallkit.store.retention import Step
from hallkit.web.live import LiveView
from hallkit.web.server import https_context, serve

LOOK_EVERY_S = 1.0
"""Machines change the hall without telling these pages: while somebody looks, they look."""


class HallCatalogue(Offering, Protocol):
    """What the pages ask of the catalogue."""

    def plain_name(self, code: str) -> str | None: ...

    def window_services(self) -> Mapping[int, AbstractSet[str]]: ...

    def hall_map(self) -> HallMap | None: ...

    def item(self, code: str) -> Item | None: ...

    def form(self, code: str) -> FormDefinition | None: ...


class Staff:
    """Everything of the staff pages; `serve` it in a task, beside `follow`."""

    def __init__(
        self,
        section: StaffSection,
        *,
        store: Store,
        windows: Windows,
        office: Office,
        waits: Waits,
        services: Mapping[str, Service],
        catalogue: HallCatalogue,
        help_desk: HelpDesk,
        call_backs: CallBacks,
        satisfaction: Satisfaction,
        sealer: Sealer,
        site_name: str,
        clock: Clock,
        passwords: Passwords | None = None,
    ) -> None:
        self._section = section
        log = AuditLog(clock)
        passwords = passwords or Passwords()
        logins = Sessions(clock)
        seats = Seats(log, clock)
        drawing = Drawing(words("zh_CN"), clock, site_name=site_name)
        items = ItemWords(catalogue, catalogue.plain_name)
        about_calls = CallWords(drawing.words, catalogue.hall_map)
        about_backs = BackWords(drawing.words, services)
        panels: tuple[Panel, ...] = (
            HelpPanel(help_desk, about_calls),
            CallBacksPanel(call_backs, about_backs),
            RatingsPanel(satisfaction, drawing.words),
        )
        reader = HallReader(
            store,
            services=services,
            window_services=catalogue.window_services,
            waits=waits,
            seats=seats,
            sessions=logins,
            panels=panels,
            clock=clock,
        )
        self.live: LiveView[HallView] = LiveView(reader.read, clock, at_least_every_s=LOOK_EVERY_S)
        keepers = Keepers(
            store=store,
            accounts=Accounts(store, passwords=passwords, log=log, clock=clock),
            passwords=passwords,
            sessions=logins,
            seats=seats,
            brake=LoginBrake(sealer, clock),
            log=log,
        )
        at_windows = WindowPages(
            store=store,
            windows=windows,
            office=office,
            case_words=CaseWords(drawing.words, catalogue),
            services=services,
            reader=reader,
            live=self.live,
            sessions=logins,
            seats=seats,
            items=items,
            log=log,
            drawing=drawing,
        )
        self.whole_hall = HallPages(
            services=services,
            reader=reader,
            live=self.live,
            items=items,
            long_wait_minutes=section.long_wait_minutes,
            panel_paths={one.key: one.path for one in panels},
            drawing=drawing,
        )
        self._guides = GuidePages(
            store=store,
            desk=help_desk,
            sessions=logins,
            items=items,
            call_words=about_calls,
            log=log,
            drawing=drawing,
            clock=clock,
        )
        backs = CallBackPages(
            store=store,
            call_backs=call_backs,
            sessions=logins,
            about=about_backs,
            log=log,
            drawing=drawing,
            clock=clock,
        )
        self.site = Site(
            (
                *Door(keepers, drawing, secure=section.tls).pages(),
                *at_windows.pages(),
                *self.whole_hall.pages(),
                *self._guides.pages(),
                *backs.pages(),
                *AuditPages(store=store, log=log, drawing=drawing).pages(),
            ),
            store=store,
            sessions=logins,
            drawing=drawing,
            clock=clock,
            secure=section.tls,
        )

    @property
    def app(self) -> ASGIApp:
        return self.site.app

    async def serve(self, credentials: Path, ready: Callable[[], None]) -> None:
        """Listen until cancelled; event streams end first."""
        await serve(
            self.app,
            host=self._section.host,
            port=self._section.port,
            context=https_context(credentials) if self._section.tls else None,
            ready=ready,
            before_stop=self._close,
        )

    async def follow(self) -> None:
        """Keep the pages true while somebody looks, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.live.run(), name="staff live")
            tasks.create_task(self._guides.live.run(), name="guides live")
            tasks.create_task(self._guides.listen(self.live.touch), name="guides listen")

    def _close(self) -> None:
        self.live.close()
        self._guides.live.close()


def retention_steps(days: int, key: Ed25519PrivateKey) -> Mapping[str, Step]:
    """What the janitor does for the staff pages and the audit log."""
    return {
        "audit": retention_step(days, key),
        "sessions": sessions.delete_ended,
        "attempts": limits.delete_forgotten,
    }
