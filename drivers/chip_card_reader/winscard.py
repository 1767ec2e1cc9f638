"""PC/SC as pcsc-lite's libpcsclite.so.1 offers it (winscard.h), bound with ctypes.

The library is loaded by `load`, not by importing this. Every function here may block for as long as
the daemon likes: they belong on a thread of their own (`call_thread`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_long, c_ubyte, c_ulong, c_void_p
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Protocol

LIBRARY = "libpcsclite.so.1"
PNP_READER = "\\\\?PnP?\\Notification"
"""Its state changes when a reader is plugged in or out."""

_SCOPE_SYSTEM = 2
_SHARE_SHARED, _SHARE_EXCLUSIVE = 2, 1
_T0, _T1 = 1, 2
_LEAVE_CARD, _UNPOWER_CARD = 0, 2
_MAX_ATR_BYTES = 33
_LONGEST_ANSWER_BYTES = (1 << 16) + 2


class Code(IntEnum):
    """What a call returns, as far as somebody here tells them apart."""

    INTERNAL = 0x80100001
    CANCELLED = 0x80100002
    INVALID_HANDLE = 0x80100003
    INSUFFICIENT_BUFFER = 0x80100008
    UNKNOWN_READER = 0x80100009
    TIMEOUT = 0x8010000A
    SHARING_VIOLATION = 0x8010000B
    NO_SMARTCARD = 0x8010000C
    PROTO_MISMATCH = 0x8010000F
    SYSTEM_CANCELLED = 0x80100012
    COMM_ERROR = 0x80100013
    NOT_TRANSACTED = 0x80100016
    READER_UNAVAILABLE = 0x80100017
    NO_SERVICE = 0x8010001D
    SERVICE_STOPPED = 0x8010001E
    NO_READERS_AVAILABLE = 0x8010002E
    UNSUPPORTED_CARD = 0x80100065
    UNRESPONSIVE_CARD = 0x80100066
    UNPOWERED_CARD = 0x80100067
    RESET_CARD = 0x80100068
    REMOVED_CARD = 0x80100069
    SECURITY_VIOLATION = 0x8010006A


class State(IntFlag):
    """Of a reader, as `status_change` tells it; the high 16 bits count insertions and removals."""

    UNAWARE = 0x0000
    CHANGED = 0x0002
    UNKNOWN = 0x0004
    UNAVAILABLE = 0x0008
    EMPTY = 0x0010
    PRESENT = 0x0020
    EXCLUSIVE = 0x0080
    INUSE = 0x0100


class PcscError(Exception):
    """A call was answered with an error; `code` says which."""

    def __init__(self, call: str, code: int) -> None:
        self.call = call
        self.code = code
        name = Code(code).name if code in set(Code) else "unknown"
        super().__init__(f"{call}: {code:08X} {name}")


@dataclass(frozen=True, slots=True)
class ReaderState:
    flags: int
    """Bits of `State`, and the counter above them."""
    atr: bytes

    @property
    def counter(self) -> int:
        """Moves with each insertion and removal."""
        return self.flags >> 16

    @property
    def known(self) -> int:
        """What the next `status_change` is told of it."""
        return self.flags & ~State.CHANGED.value

    def has(self, flag: State) -> bool:
        return bool(self.flags & flag)

    def __repr__(self) -> str:
        """Without the ATR, which may tell a card from others."""
        return f"ReaderState(flags={self.flags:08X}, atr of {len(self.atr)} bytes)"


class PcSc(Protocol):
    """What the driver needs of PC/SC. All raise `PcscError`."""

    def establish(self) -> int: ...
    def is_valid(self, context: int) -> bool: ...
    def release(self, context: int) -> None: ...
    def list_readers(self, context: int) -> list[str]: ...
    def status_change(
        self, context: int, known: Sequence[tuple[str, int]], *, timeout_ms: int
    ) -> list[ReaderState]:
        """States of readers, as soon as one is not `known`; error TIMEOUT if none changes."""
        ...

    def cancel(self, context: int) -> None:
        """End a `status_change` of another thread with the error CANCELLED."""
        ...

    def connect(self, context: int, reader: str, *, exclusive: bool = False) -> tuple[int, int]:
        """A handle of the card and the protocol that it speaks.

        Waits without end while another program has a transaction with the card, as `begin` does.
        """
        ...

    def begin(self, card: int) -> None: ...

    def end(self, card: int) -> None: ...
    def transmit(self, card: int, protocol: int, command: bytes) -> bytes: ...
    def disconnect(self, card: int) -> None: ...


class _ReaderState(ctypes.Structure):
    _fields_ = (
        ("reader", c_char_p),
        ("user_data", c_void_p),
        ("current", c_ulong),
        ("event", c_ulong),
        ("atr_length", c_ulong),
        ("atr", c_ubyte * _MAX_ATR_BYTES),
    )


class _IoRequest(ctypes.Structure):
    _fields_ = (("protocol", c_ulong), ("length", c_ulong))


_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "SCardEstablishContext": (c_ulong, c_void_p, c_void_p, POINTER(c_long)),
    "SCardReleaseContext": (c_long,),
    "SCardIsValidContext": (c_long,),
    "SCardListReaders": (c_long, c_char_p, c_char_p, POINTER(c_ulong)),
    "SCardGetStatusChange": (c_long, c_ulong, POINTER(_ReaderState), c_ulong),
    "SCardCancel": (c_long,),
    "SCardConnect": (c_long, c_char_p, c_ulong, c_ulong, POINTER(c_long), POINTER(c_ulong)),
    "SCardBeginTransaction": (c_long,),
    "SCardEndTransaction": (c_long, c_ulong),
    "SCardTransmit": (
        c_long,
        POINTER(_IoRequest),
        c_char_p,
        c_ulong,
        POINTER(_IoRequest),
        c_char_p,
        POINTER(c_ulong),
    ),
    "SCardDisconnect": (c_long, c_ulong),
}


class Winscard:
    """`PcSc` by pcsc-lite's library."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        for name, arguments in _ARGUMENTS.items():
            function = getattr(library, name)
            function.argtypes = arguments
            function.restype = c_long

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments) & 0xFFFFFFFF
        if code:
            raise PcscError(name, code)

    def establish(self) -> int:
        context = c_long()
        self._call("SCardEstablishContext", _SCOPE_SYSTEM, None, None, byref(context))
        return context.value

    def is_valid(self, context: int) -> bool:
        try:
            self._call("SCardIsValidContext", context)
        except PcscError:
            return False
        return True

    def release(self, context: int) -> None:
        self._call("SCardReleaseContext", context)

    def list_readers(self, context: int) -> list[str]:
        """Empty where there is none."""
        length = c_ulong(0)
        try:
            self._call("SCardListReaders", context, None, None, byref(length))
            names = ctypes.create_string_buffer(length.value)
            self._call("SCardListReaders", context, None, names, byref(length))
        except PcscError as error:
            if error.code == Code.NO_READERS_AVAILABLE:
                return []
            raise
        parts = names.raw[: length.value].split(b"\0")
        return [part.decode("utf-8", "replace") for part in parts if part]

    def status_change(
        self, context: int, known: Sequence[tuple[str, int]], *, timeout_ms: int
    ) -> list[ReaderState]:
        states = (_ReaderState * len(known))()
        for state, (reader, flags) in zip(states, known, strict=True):
            state.reader = reader.encode("utf-8")
            state.current = flags
        self._call("SCardGetStatusChange", context, timeout_ms, states, len(known))
        return [
            ReaderState(
                state.event & 0xFFFFFFFF,
                bytes(state.atr)[: min(state.atr_length, _MAX_ATR_BYTES)],
            )
            for state in states
        ]

    def cancel(self, context: int) -> None:
        self._call("SCardCancel", context)

    def connect(self, context: int, reader: str, *, exclusive: bool = False) -> tuple[int, int]:
        card, protocol = c_long(), c_ulong()
        share = _SHARE_EXCLUSIVE if exclusive else _SHARE_SHARED
        self._call(
            "SCardConnect",
            context,
            reader.encode("utf-8"),
            share,
            _T0 | _T1,
            byref(card),
            byref(protocol),
        )
        return card.value, protocol.value

    def begin(self, card: int) -> None:
        self._call("SCardBeginTransaction", card)

    def end(self, card: int) -> None:
        self._call("SCardEndTransaction", card, _LEAVE_CARD)

    def transmit(self, card: int, protocol: int, command: bytes) -> bytes:
        sent = _IoRequest(protocol, ctypes.sizeof(_IoRequest))
        answer = ctypes.create_string_buffer(_LONGEST_ANSWER_BYTES)
        length = c_ulong(len(answer))
        self._call(
            "SCardTransmit", card, byref(sent), command, len(command), None, answer, byref(length)
        )
        return answer.raw[: length.value]

    def disconnect(self, card: int) -> None:
        """Without power, a card forgets what it was shown: keys, numbers, chosen files."""
        self._call("SCardDisconnect", card, _UNPOWER_CARD)


def load() -> Winscard:
    """Load the library; `OSError` where it is not installed."""
    return Winscard(ctypes.CDLL(LIBRARY))
