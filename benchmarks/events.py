"""Events from an outbox to the database of the operations centre, and the acknowledgement back.

Real parts all the way: the journal on disk, mosquitto with mutual TLS, the ops process.
"""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from hallkit.model.ids import new_id
from hallkit.runtime.tls import client_context
from hallkit.wire.events import VisitStarted
from hallkit.wire.mqtt import Report
from launcher.centre import SimulatedMachine, open_machine, running_centre
from launcher.figures import Figure
from launcher.installation import WITNESS, Installation

EVENTS = 2_000
MACHINE, PEER = "bench-01", "bench-peer"
PEER_TOPIC = "bench/peer"
PEER_PATIENCE_S = 5.0
"""A peer that receives nothing for so long has lost the rest."""


async def per_second(folder: Path) -> list[Figure]:
    """Put, sent, committed, acknowledged, deleted; then the same for a backlog."""
    installation = Installation(folder)
    installation.prepare(move_ports=True, witness=True, simulated=(MACHINE, PEER))
    with (installation.state("broker") / "acl").open("a", encoding="ascii") as rights:
        rights.write(f"\nuser {PEER}\ntopic write {PEER_TOPIC}\n")
        rights.write(f"\nuser {WITNESS}\ntopic read {PEER_TOPIC}\n")
    async with (
        running_centre(installation),
        open_machine(installation, MACHINE, folder) as machine,
        asyncio.TaskGroup() as tasks,
    ):
        running = tasks.create_task(machine.run())
        await machine.link.connected.wait()
        live_s = await _live(machine)
        running.cancel()
        await asyncio.wait({running})
        size = await _fill(machine)
        running = tasks.create_task(machine.run())
        await machine.link.connected.wait()
        began = time.monotonic()
        await machine.until_told()
        backlog_s = time.monotonic() - began
        running.cancel()
        received, peer_s = await asyncio.to_thread(_peer, installation, size)
    lost = f", lost {EVENTS - received} of {EVENTS}" if received < EVENTS else ""
    peer = f"bare paho pair, QoS 1, {size} bytes, neither stored nor answered{lost}"
    peer_rate = received / peer_s
    return [
        Figure("events.per_second", EVENTS / live_s, "1/s", peer, peer_rate),
        Figure("events.per_second.backlog", EVENTS / backlog_s, "1/s", peer, peer_rate),
    ]


MEASURES = {"events.per_second": per_second}


async def _live(machine: SimulatedMachine) -> float:
    """Seconds from the first event's transaction to the last one's deletion."""
    began = time.monotonic()
    for _ in range(EVENTS):
        await machine.recorder.add(VisitStarted(visit=new_id()))
    await machine.until_told()
    return time.monotonic() - began


async def _fill(machine: SimulatedMachine) -> int:
    """Make a backlog; how many bytes a report of it has."""
    for _ in range(EVENTS):
        await machine.recorder.add(VisitStarted(visit=new_id()))
    [row] = await machine.outbox.rows_after(0, limit=1)
    report = Report(
        boot=row.boot,
        seq=row.seq,
        first=row.seq,
        ts=row.created_ms,
        mono=row.mono_ms,
        records=(row.event,),
    )
    return len(report.to_bytes())


def _peer(installation: Installation, size: int) -> tuple[int, float]:
    """Messages received, and the seconds from the first one sent to the last one received."""
    times: list[float] = []
    subscribed, complete = threading.Event(), threading.Event()
    listener, sender = _client(installation, WITNESS), _client(installation, PEER)

    def on_message(_client: Client, _userdata: object, _message: MQTTMessage) -> None:
        times.append(time.monotonic())
        if len(times) == EVENTS:
            complete.set()

    def on_subscribe(*_arguments: object) -> None:
        subscribed.set()

    listener.on_message = on_message
    listener.on_subscribe = on_subscribe
    _connect(installation, listener)
    listener.subscribe(PEER_TOPIC, qos=1)
    if not subscribed.wait(PEER_PATIENCE_S):
        raise RuntimeError("the peer could not subscribe")
    _connect(installation, sender)
    payload = bytes(size)
    began = time.monotonic()
    for _ in range(EVENTS):
        sender.publish(PEER_TOPIC, payload, qos=1)
    known = -1
    while not complete.wait(PEER_PATIENCE_S) and len(times) > known:
        known = len(times)
    for client in (sender, listener):
        client.disconnect()
        client.loop_stop()
    return len(times), (times[-1] if times else time.monotonic()) - began


def _client(installation: Installation, identity: str) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, client_id=identity, protocol=MQTTv5)
    client.tls_set_context(client_context(installation.pki / identity))
    return client


def _connect(installation: Installation, client: Client) -> None:
    """As `paho.mqtt` documents it; its defaults are left alone."""
    connected = threading.Event()
    client.on_connect = lambda *_arguments: connected.set()
    broker = installation.endpoints["broker"]
    client.connect(broker.host, broker.port)
    client.loop_start()
    if not connected.wait(PEER_PATIENCE_S):
        raise RuntimeError("the peer could not connect")
