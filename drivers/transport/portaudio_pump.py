"""One sound stream of PortAudio, in a process of its own (docs/drivers/portaudio_microphone.md).

    python -m drivers.transport.portaudio_pump '{"direction": "capture", …}'

A process, because PortAudio lists the devices once, when it is initialised, and a second look would
end every other stream of the process; because a call into a sound server that hangs can be ended
only together with its process; and because libasound's plugins end the process on an assertion.

Standard output and input carry messages: a kind, a number, a time, a length, and so many bytes.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

HEAD = struct.Struct("<cQdI")
READY, FAULT, BLOCK, TAKEN, FLUSH, BEAT = b"R", b"E", b"B", b"T", b"F", b"H"
BEAT_BLOCKS = 10
"""A stream that plays nothing says that it lives once in so many blocks."""
_BEHIND_LIMIT = 50
"""Blocks that may wait for a reader; then they are dropped."""
_LONGEST_DELAY_S = 2.0
_DESCRIPTORS = (0, 1)

_OCCUPIED, _BAD_RATE, _BAD_CHANNELS, _NO_DEVICE, _HOST = -9985, -9997, -9998, -9996, -9999
_REASON_OF_CODE = {
    _OCCUPIED: "occupied",
    _BAD_RATE: "unsupported",
    _BAD_CHANNELS: "unsupported",
    _NO_DEVICE: "port_gone",
    _HOST: "port_gone",
}

Message = tuple[bytes, int, float, bytes]


class Fault(Exception):
    """Why there is no stream: a `Reason` and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(reason, detail)


class Stream:
    """What both directions share: the stream, and what is told of it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._channels: int = settings["channels"]
        self._frames: int = settings["block_frames"]
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._number = 0
        self._flushing = False
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._stream: Any = None
        self._capture: bool = settings["direction"] == "capture"
        try:
            import sounddevice  # noqa: PLC0415 - opened only where there is sound
        except (ImportError, OSError) as exc:
            raise Fault("unsupported", f"no sounddevice or PortAudio: {exc}") from exc
        device = _device(sounddevice, settings, capture=self._capture)
        make: Callable[..., Any] = (
            sounddevice.RawInputStream if self._capture else sounddevice.RawOutputStream
        )
        try:
            self._stream = make(
                samplerate=settings["rate"],
                blocksize=self._frames,
                device=device,
                channels=self._channels,
                dtype="int16",
                latency="low",
                callback=self._captured if self._capture else self._wanted,
                finished_callback=self._finished,
            )
            self._stream.start()
        except sounddevice.PortAudioError as exc:
            code = int(exc.args[1]) if len(exc.args) > 1 else 0
            raise Fault(_REASON_OF_CODE.get(code, "refused"), str(exc.args[0])) from exc
        self.tell(READY)

    def tell(self, kind: bytes, number: int = 0, mono_s: float = 0.0, data: bytes = b"") -> None:
        """To whoever started this; from any thread, without waiting."""
        if kind != BLOCK or self._messages.qsize() < _BEHIND_LIMIT:
            self._messages.put((kind, number, mono_s, data))

    def pass_on(self) -> None:
        """Write what is told, until a fault was."""
        kind = b""
        while kind != FAULT:
            kind, number, mono_s, data = self._messages.get()
            _write(HEAD.pack(kind, number, mono_s, len(data)) + data)

    def obey(self) -> None:
        """Take what is to be played, and orders; ends with standard input, and the process too."""
        with os.fdopen(_DESCRIPTORS[0], "rb") as orders:
            while len(head := orders.read(HEAD.size)) == HEAD.size:
                kind, number, _, length = HEAD.unpack(head)
                data = orders.read(length)
                if kind == BLOCK:
                    self._waiting.append((number, data))
                elif kind == FLUSH:
                    self._flush(number)
        # Whoever started this is gone, or wants it gone; a hanging library must not hold it.
        os._exit(0)

    def _flush(self, number: int) -> None:
        """Silence, and nothing of what was given before: what the server holds goes too."""
        self._waiting.clear()
        self._flushing = True
        try:
            self._stream.abort()
            self._stream.start()
        except Exception as exc:  # noqa: BLE001 - the stream is not usable, whatever it is
            self.tell(FAULT, data=_fault("port_gone", str(exc)))
            return
        finally:
            self._flushing = False
        self.tell(FLUSH, number)

    # ── on PortAudio's thread: nothing slow ──

    def _captured(self, data: Any, _frames: int, times: Any, status: Any) -> None:
        now = time.monotonic()
        delay = self._delay(times.currentTime - times.inputBufferAdcTime)
        self._number += 1
        frames = bytes(data)
        if self._channels > 1:
            frames = array("h", frames)[:: self._channels].tobytes()
        self.tell(BLOCK, int(bool(status)), now - delay, frames)

    def _wanted(self, out: Any, _frames: int, times: Any, _status: Any) -> None:
        now = time.monotonic()
        self._number += 1
        try:
            number, frames = self._waiting.popleft()
        except IndexError:
            out[:] = bytes(len(out))
            if self._number % BEAT_BLOCKS == 1:
                self.tell(BEAT)
            return
        if self._channels > 1:
            spread = array("h", bytes(len(frames) * self._channels))
            for channel in range(self._channels):
                spread[channel :: self._channels] = array("h", frames)
            frames = spread.tobytes()
        out[:] = frames
        self.tell(TAKEN, number, now + self._delay(times.outputBufferDacTime - times.currentTime))

    def _finished(self) -> None:
        if not self._flushing:
            self.tell(FAULT, data=_fault("port_gone", "the stream has ended"))

    def _delay(self, told: float) -> float:
        """What PortAudio says of the way between air and program, where it can be true."""
        return told if 0 < told < _LONGEST_DELAY_S else float(self._stream.latency)


def choose(names: list[str], wanted: str) -> str:
    """The one device that is meant: by its whole name, else by a part of it; `Fault` otherwise."""
    if wanted in names:
        return wanted
    fitting = [name for name in names if wanted.casefold() in name.casefold()]
    if len(fitting) == 1:
        return fitting[0]
    present = "; ".join(names) or "none"
    if fitting:
        raise Fault("configuration", f"{wanted!r} fits several; present: {present}")
    raise Fault("port_gone", f"no {wanted!r}; present: {present}")


def _device(sounddevice: Any, settings: dict[str, Any], *, capture: bool) -> int | None:
    """The number of the device; None: PortAudio's default."""
    side = "max_input_channels" if capture else "max_output_channels"
    wanted = settings["device"]
    if not wanted:
        return None
    names = {
        one["name"]: number
        for number, one in enumerate(sounddevice.query_devices())
        if one[side] > 0
    }
    return names[choose(list(names), wanted)]


def _fault(reason: str, detail: str) -> bytes:
    return json.dumps({"reason": reason, "detail": detail}).encode()


def _write(data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(_DESCRIPTORS[1], left) :]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stream = Stream(json.loads(sys.argv[1]))
        threading.Thread(target=stream.obey, daemon=True).start()
        stream.pass_on()
    except Fault as fault:
        data = _fault(fault.reason, fault.detail)
        _write(HEAD.pack(FAULT, 0, 0.0, len(data)) + data)
    except BrokenPipeError:
        pass
    # PortAudio's own end may wait for a server that is gone.
    os._exit(0)


if __name__ == "__main__":
    main()
