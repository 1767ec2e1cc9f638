"""The link to the broker: MQTT 5 over mutual TLS for asyncio. The only module that imports paho.

Each attempt to connect gets a fresh paho client: what an old connection had not delivered is
never sent again behind the caller's back (paho queues even what it answers with NO_CONN). The
callers keep outboxes; here `publish` either returns with the broker's PUBACK or raises.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hallkit.errors import HallError, LinkDown, Rejected
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.log import get_logger
from hallkit.wire.mqtt import PAYLOAD_LIMIT

if TYPE_CHECKING:
    from paho.mqtt.client import ConnectFlags, DisconnectFlags, SocketLike

KEEPALIVE_S = 5
SESSION_EXPIRY_S = 120
CONNECT_TIMEOUT_S = 5.0
"""Each of: TCP connection, TLS handshake."""
OPEN_TIMEOUT_S = 3 * CONNECT_TIMEOUT_S
"""Both of them and the CONNACK."""
STABLE_AFTER_S = 10.0
"""A connection that held so long is forgiven: the next retry is a fast one again."""
ACK_TIMEOUT_S = 20.0
FAREWELL_TIMEOUT_S = 2.0
IN_FLIGHT = 50
"""Below the broker's max_inflight_messages (ops/broker.py): it cuts off who exceeds it."""
UNHANDLED_LIMIT = 20_000
"""Messages received and not yet handled; more are dropped and counted. Whoever sent something
that matters sends it again: PUBACK never meant that it was stored."""

Publication = tuple[str, bytes]
"""A topic and a payload; retained, QoS 1."""

Refusal = Callable[[str, str], None]
"""Told of each message that is not handed over: its topic and `oversized | overflow | topic`."""

Answer = TypeVar("Answer")


class MqttLink:
    """One identity's link to the broker; `run` it in a task and it comes back by itself."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        client_id: str,
        tls: ssl.SSLContext,
        payload_limit: int = PAYLOAD_LIMIT,
        backoff: Backoff | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._client_id = client_id
        self._tls = tls
        self._payload_limit = payload_limit
        self._backoff = Backoff() if backoff is None else backoff
        self._connection: _Connection | None = None
        self._outage_told = False
        self._log = get_logger().bind(broker=f"{host}:{port}")
        self.connected = asyncio.Event()
        """Set while the link is up and `on_connected` is through."""
        self.connections = 0
        """Connections since the start."""

    async def run(
        self,
        *,
        will: Callable[[], Awaitable[Publication]] | None = None,
        on_message: Callable[[str, bytes], Awaitable[None]],
        on_connected: Callable[[], Awaitable[None]],
        on_lost: Callable[[], Awaitable[None]] | None = None,
        farewell: Callable[[], Publication] | None = None,
        on_refused: Refusal | None = None,
    ) -> None:
        """Stay connected until cancelled, then take leave in good order.

        `will` is asked before each attempt; None for a client that leaves no word. `on_connected`
        may publish and subscribe. Messages come one at a time and in order; a fault that
        `on_message` raises is logged, not passed on.
        An orderly end publishes `farewell` in place of the will.
        """
        inbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(UNHANDLED_LIMIT)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._handle(inbox, on_message), name="mqtt inbox")
            while True:
                connection = _Connection(
                    self._client_id,
                    self._tls,
                    will=None if will is None else await will(),
                    inbox=inbox,
                    payload_limit=self._payload_limit,
                    on_refused=on_refused or _ignore,
                )
                try:
                    delay_s = await self._hold(connection, on_connected, on_lost)
                finally:
                    await self._part(connection, farewell)
                await asyncio.sleep(delay_s)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> None:
        """Return when the broker acknowledged it (QoS 0: when it was handed to the network).

        Errors: `LinkDown`, and then it may or may not have arrived; `Rejected` with the broker's
        own word, for example `not_authorized`, or `oversized` without asking it: mosquitto cuts
        off who sends too much, and a sender that tries again would never get on.
        """
        if len(payload) > self._payload_limit:
            raise Rejected("oversized", f"{len(payload)} bytes, at most {self._payload_limit}")
        await self._opened().publish(topic, payload, qos=qos, retain=retain)

    async def subscribe(self, *filters: str, qos: int = 1) -> None:
        """Subscribe; the errors of `publish`."""
        await self._opened().subscribe(filters, qos=qos)

    def _opened(self) -> _Connection:
        if self._connection is None:
            raise LinkDown("broker: not connected")
        return self._connection

    async def _hold(
        self,
        connection: _Connection,
        on_connected: Callable[[], Awaitable[None]],
        on_lost: Callable[[], Awaitable[None]] | None,
    ) -> float:
        """One connection from its first packet to its last; the seconds to wait after it."""
        loop = asyncio.get_running_loop()
        try:
            await connection.open(self._host, self._port)
        except Rejected as refusal:
            # Busy, over quota or banned: coming back soon makes it worse for everybody.
            self._log.warning("mqtt.refused", reason=refusal.problem_code)
            cap_s = self._backoff.cap_s
            return random.SystemRandom().uniform(cap_s / 10, cap_s)
        except LinkDown as fault:
            if not self._outage_told:
                self._outage_told = True
                self._log.warning("mqtt.unreachable", detail=str(fault))
            return self._backoff.next_s()
        since = loop.time()
        self.connections += 1
        self._connection = connection
        try:
            await on_connected()
            self.connected.set()
            self._outage_told = False
            self._log.info("mqtt.connected", session_present=connection.session_present)
            reason = await asyncio.shield(connection.lost)
        except (LinkDown, Rejected) as fault:
            reason = str(fault)
        finally:
            self.connected.clear()
        self._log.warning("mqtt.lost", reason=reason)
        if on_lost is not None:
            await on_lost()
        if loop.time() - since >= STABLE_AFTER_S:
            self._backoff.reset()
        return self._backoff.next_s()

    async def _part(
        self, connection: _Connection, farewell: Callable[[], Publication] | None
    ) -> None:
        try:
            if farewell is not None and connection.usable:
                topic, payload = farewell()
                async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                    await connection.publish(topic, payload, qos=1, retain=True)
        except (TimeoutError, LinkDown, Rejected) as fault:
            self._log.warning("mqtt.farewell_failed", detail=str(fault) or "no answer")
        finally:
            self._connection = None
            await connection.close()

    async def _handle(
        self,
        inbox: asyncio.Queue[tuple[str, bytes]],
        on_message: Callable[[str, bytes], Awaitable[None]],
    ) -> None:
        while True:
            topic, payload = await inbox.get()
            try:
                await on_message(topic, payload)
            except HallError as fault:
                self._log.warning("mqtt.message_failed", code=fault.code, detail=str(fault))


class _Connection:
    """One paho client: one attempt to connect, and the connection that came of it.

    paho's callbacks run on its thread and do nothing but call over to the event loop.
    """

    def __init__(
        self,
        client_id: str,
        tls: ssl.SSLContext,
        *,
        will: Publication | None,
        inbox: asyncio.Queue[tuple[str, bytes]],
        payload_limit: int,
        on_refused: Refusal,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbox = inbox
        self._payload_limit = payload_limit
        self._on_refused = on_refused
        self._connack: asyncio.Future[None] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self._thread: threading.Thread | None = None
        self._socket: SocketLike | None = None
        self._closing = False
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Done when the connection has ended; why."""
        self.session_present = False

        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages = IN_FLIGHT
        client.tls_set_context(tls)
        if will is not None:
            client.will_set(will[0], will[1], qos=1, retain=True)
        client.on_connect_fail = self._on_connect_fail
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        self._client = client

    @property
    def usable(self) -> bool:
        """True between CONNACK and the end."""
        return (
            self._connack.done()
            and not self._connack.cancelled()
            and self._connack.exception() is None
            and not self.lost.done()
        )

    async def open(self, host: str, port: int) -> None:
        """Connect. Errors: `LinkDown`; `Rejected` if the broker answered no."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's gap
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        # Explicitly False: paho's default starts clean on a client's first connection, and
        # throws away what the broker kept while we were gone.
        self._client.connect_async(
            host, port, KEEPALIVE_S, clean_start=False, properties=properties
        )
        self._client.loop_start()
        # paho's own loop_stop joins a name that its thread sets to None: a race.
        self._thread = self._client._thread  # noqa: SLF001
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._connack
        except TimeoutError:
            raise LinkDown("broker: no answer") from None

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        if not self.usable:
            raise LinkDown("broker: not connected")
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        if qos == 0:
            return
        # Not a reason to try again: paho has queued it, and this client may yet send it.
        if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise LinkDown(f"broker: {info.rc.name}")
        for reason in await self._answer(info.mid):
            _refuse(reason)

    async def subscribe(self, filters: tuple[str, ...], *, qos: int) -> None:
        if not self.usable:
            raise LinkDown("broker: not connected")
        code, mid = self._client.subscribe([(one, qos) for one in filters])
        if code is not MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise LinkDown(f"broker: {code.name}")
        for reason in await self._answer(mid):
            _refuse(reason)

    async def close(self) -> None:
        """Disconnect with the normal reason (no will is sent) and see the thread out."""
        self._closing = True
        self._client.disconnect()
        if self._thread is not None:
            try:
                async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                    await asyncio.shield(self.lost)
            except TimeoutError:
                self._cut()
            await asyncio.to_thread(self._thread.join)
        # paho has no public way to close its wake-up sockets, and none to close the socket of a
        # connection that was given up between its handshake and its CONNACK.
        self._client._reset_sockets()  # noqa: SLF001
        self._end("closed")
        for callback in ("connect", "disconnect", "message", "publish", "subscribe"):
            setattr(self._client, f"on_{callback}", None)

    def _cut(self) -> None:
        """Wake the thread from a peer that takes nothing any more."""
        if isinstance(self._socket, socket.socket):
            try:
                # Not the TLS socket's own shutdown: it takes the session from under the thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return

    async def _answer(self, mid: int) -> list[ReasonCode]:
        # paho may have answered already on its thread; that call is still queued behind us.
        answer: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self._answers[mid] = answer
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                return await answer
        except TimeoutError:
            raise LinkDown("broker: no acknowledgement") from None
        finally:
            self._answers.pop(mid, None)

    # On the event loop.

    def _opened(self, code: ReasonCode, session_present: bool) -> None:
        if self._connack.done():
            return
        if code.is_failure:
            self._connack.set_exception(Rejected(_word(code), "connect", code.value))
        else:
            self.session_present = session_present
            self._connack.set_result(None)

    def _end(self, reason: str) -> None:
        if not self._connack.done():
            self._connack.set_exception(LinkDown(f"broker: {reason}"))
            self._connack.exception()  # nobody may be waiting: not an error then
        if not self.lost.done():
            self.lost.set_result(reason)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(LinkDown(f"broker: {reason}"))

    def _answered(self, mid: int, codes: list[ReasonCode]) -> None:
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(codes)

    def _received(self, topic: str, payload: bytes) -> None:
        try:
            self._inbox.put_nowait((topic, payload))
        except asyncio.QueueFull:
            self._on_refused(topic, "overflow")

    # On paho's thread.

    def _on_connect_fail(self, client: Client, _userdata: object) -> None:
        client.disconnect()  # or paho's own reconnection timer would start
        self._loop.call_soon_threadsafe(self._end, "unreachable")

    def _on_socket_open(self, _client: Client, _userdata: object, opened: SocketLike) -> None:
        self._socket = opened
        if isinstance(opened, socket.socket):
            # Nagle and delayed ACK together make 83 ms of a 0.7 ms round trip.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        flags: ConnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._closing:
            client.disconnect()
        self._loop.call_soon_threadsafe(self._opened, code, flags.session_present)

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._end, _word(code))

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._loop.call_soon_threadsafe(self._on_refused, "", "topic")
            return
        if len(message.payload) > self._payload_limit:
            self._loop.call_soon_threadsafe(self._on_refused, topic, "oversized")
            return
        self._loop.call_soon_threadsafe(self._received, topic, bytes(message.payload))

    def _on_publish(
        self,
        _client: Client,
        _userdata: object,
        mid: int,
        code: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._loop.call_soon_threadsafe(self._answered, mid, [code])

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: object,
        mid: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._answered, mid, codes)


def _word(code: ReasonCode) -> str:
    """The broker's reason as one word: `not_authorized`."""
    return str(code).lower().replace(" ", "_")


def _refuse(code: ReasonCode) -> None:
    if code.is_failure:
        raise Rejected(_word(code), "broker", code.value)


def _ignore(_topic: str, _what: str) -> None:
    """Nobody counts what is refused."""
