"""The bus client against a real local socket: a service that dies, lies, and comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from hallkit.screens import bus as client_side
from hallkit.screens.bus import BusClient
from hallkit.screens.engine import new_engine
from hallkit.wire import bus as wire
from tests.ui.panel import PX_PER_MM, WORDS, FakeService, GetFinger, Screen, sample


@pytest.fixture
def client(service: FakeService) -> Iterator[BusClient]:
    bus = BusClient(service.path)
    yield bus
    bus.stop()


@pytest.fixture
def live(client: BusClient) -> Iterator[Screen]:
    """The window, joined to the service by a real socket."""
    engine = new_engine(PX_PER_MM)
    screen = Screen(engine, ask=client.request)
    client.snapshot_received.connect(lambda data: screen.view.show(data["view"]))
    client.event_received.connect(lambda _name, data: screen.view.show(data))
    client.connected_changed.connect(screen.view.set_connected)
    client.start()
    yield screen
    client.stop()
    screen.close(engine)


def test_it_speaks_the_protocol_of_the_wire() -> None:
    assert client_side.PROTOCOL_VERSION == wire.PROTOCOL_VERSION
    assert client_side.LINE_LIMIT == wire.LINE_LIMIT


def test_requests_are_the_wires_requests(
    client: BusClient, service: FakeService, qtbot: QtBot
) -> None:
    client.start()
    qtbot.waitUntil(lambda: client.connected)
    replies: list[bool] = []
    assert client.request("tap", {"action": "查"}, replies.append)
    qtbot.waitUntil(lambda: replies == [True])
    read = wire.Request.model_validate(service.requests[0])
    assert (read.name, read.args) == ("tap", {"action": "查"})


def test_nothing_is_asked_of_nobody(client: BusClient) -> None:
    assert not client.request("tap", {})


def test_a_service_that_starts_later_is_found(
    client: BusClient, service: FakeService, qtbot: QtBot
) -> None:
    service.close()
    client.start()
    QTest.qWait(150)
    assert not client.connected
    service.listen()
    qtbot.waitUntil(lambda: client.connected, timeout=3_000)


def test_what_waits_for_a_reply_is_told_of_the_loss(
    client: BusClient, service: FakeService, qtbot: QtBot
) -> None:
    service.answers = False
    client.start()
    qtbot.waitUntil(lambda: client.connected)
    replies: list[bool] = []
    client.request("tap", {}, replies.append)
    qtbot.waitUntil(lambda: len(service.requests) == 1)
    service.close()
    qtbot.waitUntil(lambda: replies == [False])
    assert not client.connected


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[1]\n",
        b"\xff\xfe\n",
        b'{"kind":"hello","version":2,"server":"kiosk.service"}\n',
        b"x" * (client_side.LINE_LIMIT + 10),
    ],
    ids=["text", "list", "bytes", "version", "oversized"],
)
def test_a_line_that_is_none_is_answered_by_a_fresh_start(
    client: BusClient, service: FakeService, qtbot: QtBot, line: bytes
) -> None:
    client.start()
    qtbot.waitUntil(lambda: client.connected)
    service.send(line)
    qtbot.waitUntil(lambda: service.accepted == 2, timeout=3_000)
    qtbot.waitUntil(lambda: client.connected)


def test_lines_come_in_pieces(client: BusClient, service: FakeService, qtbot: QtBot) -> None:
    events: list[str] = []
    client.event_received.connect(lambda name, _data: events.append(name))
    client.start()
    qtbot.waitUntil(lambda: client.connected)
    whole = b'{"kind":"event","seq":1,"name":"view","data":{"title":"\xe5\x8a\x9e"}}\n' * 2
    for piece in (whole[:50], whole[50:58], whole[58:]):
        service.send(piece)
        QTest.qWait(10)
    qtbot.waitUntil(lambda: events == ["view", "view"])


def test_a_newer_servers_lines_are_passed_over(
    client: BusClient, service: FakeService, qtbot: QtBot
) -> None:
    client.start()
    qtbot.waitUntil(lambda: client.connected)
    service.send(b'{"kind":"refused","what":"tap"}\n{"kind":"novelty"}\n')
    service.publish("view", {})
    QTest.qWait(30)
    assert client.connected
    assert service.accepted == 1


def test_a_tap_travels_over_the_socket(
    live: Screen, service: FakeService, finger: GetFinger, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: live.view.property("screen") == "home")
    QTest.qWait(50)
    finger(live).tap(live.item("choice.find"))
    qtbot.waitUntil(lambda: bool(service.asked("tap")))
    assert service.asked("tap") == [{"action": "choose", "value": "find", "seq": 1}]
    service.show(sample("find"))
    qtbot.waitUntil(lambda: live.view.property("screen") == "find")


def test_a_lost_service_keeps_the_view_under_a_clear_message(
    live: Screen, service: FakeService, finger: GetFinger, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: live.view.property("connected"))
    service.show(sample("question"))
    qtbot.waitUntil(lambda: live.view.property("screen") == "question")
    QTest.qWait(300)
    service.close()
    qtbot.waitUntil(lambda: not live.view.property("connected"))
    assert WORDS.recovering_title not in seen(live)  # a short gap shows nothing
    card = live.item("choice.packed")
    finger(live).tap(card)
    QTest.qWait(500)
    assert WORDS.recovering_title in seen(live)
    assert WORDS.recovering_text in seen(live)
    assert live.item("choice.packed") is card
    service.view = sample("question")
    service.listen()
    qtbot.waitUntil(lambda: live.view.property("connected"), timeout=5_000)
    QTest.qWait(30)
    assert WORDS.recovering_title not in seen(live)
    assert live.item("choice.packed") is card
    assert service.asked("tap") == []
    finger(live).tap(card)
    qtbot.waitUntil(lambda: len(service.asked("tap")) == 1)


def seen(screen: Screen) -> set[str]:
    return {str(item.property("words")) for item in screen.items()}
