"""The composition root of the hall's business node."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from affairs import retention
from affairs.announcement import Announcement, CallsState, CatalogueState, State, SystemsState
from affairs.api import create_app
from affairs.audit import Heads
from affairs.cases.office import CaseFinder, Office
from affairs.cases.standing import Standings
from affairs.catalogue_source import CONTENT
from affairs.help import retention as help_retention
from affairs.help.bell import Bell
from affairs.help.board import HelpBoard
from affairs.help.calling import HelpCalls
from affairs.help.desk import HelpDesk
from affairs.help.ringing import Ringing
from affairs.http.node import Node
from affairs.licences.document import Renderer
from affairs.licences.page import verify_page
from affairs.licences.printing import Prints
from affairs.licences.register import Register
from affairs.licences.verifying import Verification
from affairs.live_catalogue import LiveCatalogue
from affairs.once import Once
from affairs.queue.blocks import Blocks
from affairs.queue.booking import Booking
from affairs.queue.calling import Windows
from affairs.queue.issuing import Desk, Queue
from affairs.queue.services import load_services
from affairs.queue.waits import Waits
from affairs.ratings import retention as ratings_retention
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.giving import Ratings
from affairs.ratings.summary import Satisfaction
from affairs.sealing import Sealer
from affairs.server import MACHINES
from affairs.settings import Settings, parse
from affairs.staff.composition import Staff, retention_steps
from affairs.store import Store
from affairs.upstreams.http import HttpUpstreams
from hallkit.clients.mqtt import MqttLink
from hallkit.errors import StoreError, TrustError
from hallkit.lexicon.words import words
from hallkit.model.ids import SiteId
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.clock import Clock, SystemClock
from hallkit.runtime.config import Places, files_from_environment
from hallkit.runtime.lifecycle import ReadyCallback, run
from hallkit.runtime.log import get_logger
from hallkit.runtime.settings import BrokerSection
from hallkit.runtime.tls import client_context
from hallkit.store.retention import Janitor
from hallkit.web.server import https_context, serve
from hallkit.wire.sealed import read_private_key
from hallkit.wire.topics import CALLS_STREAM, CATALOGUE_STREAM, HELP_STREAM, UPSTREAM_STREAM

IDENTITY = "affairs"
"""Common name of the node's certificate, at the broker too."""


_END_DAYS_EVERY_S = 300.0


def main() -> int:
    """Run the node until it is told to stop; the exit code."""
    return run("affairs", _main)


async def _main(ready: ReadyCallback) -> None:
    settings, listed = parse(files_from_environment())
    places = Places.from_environment()
    clock = SystemClock()
    services = load_services()
    signing_key = read_signing_key(places.credentials / "signing.pem")
    sealer = Sealer.from_file(places.credentials / "data.key")
    submissions_key = read_private_key(places.credentials / "submissions.key")
    context = https_context(places.credentials, known_peers=True)
    devices = frozenset({*listed, *settings.affairs.devices})
    catalogue = LiveCatalogue(
        settings.affairs.content or CONTENT,
        folder=places.state / "catalogue",
        services=services,
        devices=devices,
        signing_key=signing_key,
        clock=clock,
        embedding=settings.affairs.embedding,
    )
    async with (
        Store(places.state / "affairs.sqlite") as store,
        HttpUpstreams(settings.affairs.upstreams, clock) as upstreams,
    ):
        once = Once(sealer, clock)
        desk = Desk(
            services=services,
            service_of_item=catalogue.service_of_item,
            sealer=sealer,
            signing_key=signing_key,
        )
        waits = Waits(services=services, window_services=catalogue.window_services, clock=clock)
        order = settings.affairs.queue
        windows = Windows(
            store,
            desk=desk,
            window_services=catalogue.window_services,
            once=once,
            order=order,
            clock=clock,
        )
        booking = Booking(store, desk=desk, once=once, order=order, sealer=sealer, clock=clock)
        systems = SystemsState(upstreams, clock)
        register = Register(sealer, clock)
        prints = Prints(
            store,
            register=register,
            once=once,
            sealer=sealer,
            clock=clock,
            render=Renderer(words("zh_CN")),
            verify_at=settings.affairs.verify.leads_to,
        )
        verification = Verification(store, register=register, clock=clock, words=words("zh_CN"))
        office = Office.of(
            store,
            sealer=sealer,
            once=once,
            clock=clock,
            matters=catalogue,
            upstreams=upstreams,
            signing_key=signing_key,
            desk=desk,
            order=order,
            words=words("zh_CN"),
            systems_down=systems.not_to_be_asked,
            licences=register,
        )
        rating_rules, help_rules, bell = settings.affairs.ratings, settings.affairs.help, Bell()
        call_backs = CallBacks(store, once=once, rules=rating_rules, sealer=sealer, clock=clock)
        ringing = Ringing(store, rules=help_rules, bell=bell, clock=clock)
        node = Node(
            queue=Queue(
                store,
                desk=desk,
                waits=waits,
                once=once,
                order=order,
                clock=clock,
                case_of=CaseFinder(sealer),
            ),
            windows=windows,
            booking=booking,
            blocks=Blocks(
                store,
                desk=desk,
                once=once,
                order=order,
                submissions_key=submissions_key,
                clock=clock,
            ),
            cases=office,
            ratings=Ratings(
                store,
                call_backs=call_backs,
                cases=Standings(catalogue.service_of_item),
                once=once,
                sealer=sealer,
                submissions_key=submissions_key,
                clock=clock,
            ),
            satisfaction=Satisfaction(store, clock),
            call_backs=call_backs,
            help=HelpCalls(
                store,
                hall_map=catalogue.hall_map,
                once=once,
                rules=help_rules,
                sealer=sealer,
                bell=bell,
                clock=clock,
            ),
            help_desk=HelpDesk(
                store, once=once, rules=help_rules, sealer=sealer, bell=bell, clock=clock
            ),
            prints=prints,
            callers=settings.affairs.callers,
            catalogue=catalogue,
            devices=devices,
            terminals=frozenset(one for one, said in listed.items() if said.role == "terminal"),
            clock=clock,
        )
        async with asyncio.TaskGroup() as tasks:
            kept = settings.affairs.retention
            steps = {
                **retention.steps(kept),
                **ratings_retention.steps(rating_rules, kept_days=kept.tickets_days),
                **help_retention.steps(help_rules, kept_days=kept.tickets_days),
                **retention_steps(kept.audit_days, signing_key),
            }
            janitor = Janitor(store, clock, steps)
            both_ready = _after(2 if settings.affairs.staff is not None else 1, ready)
            around = [
                tasks.create_task(_reload_on_signal(catalogue), name="reload"),
                tasks.create_task(janitor.run(), name="retention"),
                tasks.create_task(Heads(store, signing_key, clock).run(), name="audit heads"),
                tasks.create_task(_end_days(windows, booking, clock), name="days"),
                tasks.create_task(office.submissions.run(), name="cases"),
                tasks.create_task(upstreams.watch(), name="upstreams"),
                tasks.create_task(call_backs.run(), name="call backs"),
                tasks.create_task(ringing.run(), name="help"),
                tasks.create_task(prints.run(), name="permits"),
            ]
            if settings.affairs.verify.port is not None:
                page = _verify(verification, settings, places, settings.affairs.verify.port, clock)
                around.append(tasks.create_task(page, name="verify"))
            if settings.broker is not None:
                site = SiteId(settings.site.id)
                states: dict[str, State] = {
                    CATALOGUE_STREAM: CatalogueState(catalogue, clock),
                    CALLS_STREAM: CallsState(windows),
                    UPSTREAM_STREAM: systems,
                    HELP_STREAM: HelpBoard(store, rules=help_rules, bell=bell, clock=clock),
                }
                around.append(tasks.create_task(systems.run(), name="systems"))
                announcement = _announcement(site, settings.broker, places, states)
                around.append(tasks.create_task(announcement.run(), name="announcement"))
            if settings.affairs.staff is not None:
                staff = Staff(
                    settings.affairs.staff,
                    store=store,
                    windows=windows,
                    office=office,
                    waits=waits,
                    services=services,
                    catalogue=catalogue,
                    help_desk=node.help_desk,
                    call_backs=call_backs,
                    satisfaction=node.satisfaction,
                    sealer=sealer,
                    site_name=settings.site.name,
                    clock=clock,
                )
                around += [
                    tasks.create_task(staff.serve(places.credentials, both_ready), name="staff"),
                    tasks.create_task(staff.follow(), name="staff live"),
                ]
            await serve(
                create_app(node),
                host=settings.affairs.host,
                port=settings.affairs.port,
                context=context,
                ready=both_ready,
                manners=MACHINES,
            )
            for task in around:
                task.cancel()
        prints.close()


async def _verify(
    verification: Verification, settings: Settings, places: Places, port: int, clock: Clock
) -> None:
    """The page behind the codes on licences, for whoever has one before them."""
    section = settings.affairs.verify
    await serve(
        verify_page(verification, words=words("zh_CN"), hall=settings.site.name, clock=clock),
        host=section.host,
        port=port,
        context=None if section.is_here_alone else https_context(places.credentials),
        ready=lambda: None,
    )


def _after(count: int, ready: ReadyCallback) -> ReadyCallback:
    """Ready when so many parts are."""
    waiting = count

    def part_is_ready() -> None:
        nonlocal waiting
        waiting -= 1
        if waiting == 0:
            ready()

    return part_is_ready


async def _end_days(windows: Windows, booking: Booking, clock: Clock) -> None:
    """Soon after midnight, and after a night without us, nobody is called from yesterday."""
    while True:
        try:
            if ended := await windows.end_earlier_days():
                get_logger().info("queue.day_ended", tickets=ended)
            await booking.end_earlier_days()
        except StoreError as fault:
            get_logger().error("queue.day_not_ended", fault=str(fault))  # expected
        await clock.sleep(_END_DAYS_EVERY_S)


async def _reload_on_signal(catalogue: LiveCatalogue) -> None:
    """SIGHUP (`systemctl reload`): the content's files were changed, all of them."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    try:
        while True:
            await asked.wait()
            asked.clear()
            await catalogue.reload()
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _announcement(
    site: SiteId, broker: BrokerSection, places: Places, states: Mapping[str, State]
) -> Announcement:
    link = MqttLink(
        host=broker.host,
        port=broker.port,
        client_id=IDENTITY,
        tls=client_context(places.credentials),
        backoff=Backoff(cap_s=broker.reconnect_cap_s),
    )
    return Announcement(link, states, site=site)


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """The key that the node signs with; `TrustError` if the file holds none."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, TypeError, ValueError) as exc:
        raise TrustError(f"{path.name}: {type(exc).__name__}") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError(f"{path.name}: must be an Ed25519 key")
    return key


if __name__ == "__main__":
    sys.exit(main())
