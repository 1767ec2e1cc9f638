"""One reader of PC/SC and the card in it, call by call.

Everything here but `cancel` blocks and belongs on the device's own thread, where also its state
lives: a call that was given up by its caller still leaves it as it must be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from drivers.chip_card_reader.winscard import PNP_READER, Code, PcSc, PcscError, ReaderState, State

_LOST = frozenset(
    {
        Code.NO_SERVICE,
        Code.SERVICE_STOPPED,
        Code.INVALID_HANDLE,
        Code.COMM_ERROR,
        Code.SYSTEM_CANCELLED,
    }
)
"""The context is good for nothing any more: the daemon ended, or was started anew."""
_NOTICE_S = 1.5
"""The daemon looks every 0.4 s whether a card is still there."""


class ReaderNotFoundError(Exception):
    """No reader, or more than one, has the name that is wanted."""

    def __init__(self, wanted: str, present: Sequence[str]) -> None:
        self.present = tuple(present)
        listed = ", ".join(map(repr, present)) or "none"
        super().__init__(
            f"{wanted!r} names none or several of the readers that are there: {listed}"
        )


def pick(wanted: str, present: Sequence[str]) -> str:
    """The reader of this name, or the only one whose name holds it; empty: the only one.

    `ReaderNotFoundError` with what is there.
    """
    if wanted in present:
        return wanted
    found = [name for name in present if wanted.casefold() in name.casefold()]
    if len(found) != 1:
        raise ReaderNotFoundError(wanted, present)
    return found[0]


class PcscLink:
    def __init__(self, load: Callable[[], PcSc], wanted: str) -> None:
        self._load = load
        self._wanted = wanted
        self._pcsc: PcSc | None = None
        self._context: int | None = None
        self._card: tuple[int, int] | None = None
        """Handle and protocol of the card that is connected."""
        self._known: ReaderState | None = None
        self._known_readers = 0
        self.reader = ""
        """The name of ours, once it was found."""
        self.present: tuple[str, ...] = ()
        """The names of all that were there last."""
        self.contexts = 0
        self._has_reader = False
        self.losses = 0
        """How often the daemon or the reader was gone: what was known of the card is then void."""

    def look(self) -> ReaderState:
        """How the reader is now; a context that a daemon left behind is made anew."""
        try:
            return self._look()
        except PcscError as error:
            if error.code not in _LOST:
                raise
        self._lose()
        try:
            return self._look()
        except PcscError:
            self._lose()
            raise

    def wait(self, timeout_s: float) -> bool:
        """Whether something came or went since `look`, as soon as it does."""
        if self._known is None or self._context is None:
            self.look()
            return True
        asked = (
            (self.reader, self._known.known),
            (PNP_READER, self._known_readers),
        )
        try:
            state, readers = self._api.status_change(
                self._context, asked, timeout_ms=int(timeout_s * 1000)
            )
        except PcscError as error:
            if error.code in {Code.TIMEOUT, Code.CANCELLED}:
                return False
            self._note_loss(error)
            self._known = None
            return True
        before, self._known = self._known, state
        plugged = readers.has(State.CHANGED)
        self._known_readers = readers.known
        watched = State.PRESENT | State.EMPTY | State.UNKNOWN | State.UNAVAILABLE
        return plugged or (before.counter, before.flags & watched) != (
            state.counter,
            state.flags & watched,
        )

    def cancel(self) -> None:
        """End a `wait`, from another thread. One that has not begun yet is missed."""
        pcsc, context = self._pcsc, self._context
        if pcsc is not None and context is not None:
            with suppress(PcscError):
                pcsc.cancel(context)

    def connect(self) -> None:
        """Take the card for us alone; waits without end while another program has it so."""
        self.leave()
        if self._context is None:
            raise PcscError("connect", Code.INVALID_HANDLE)
        try:
            self._card = self._api.connect(self._context, self.reader)
            self._api.begin(self._card[0])
        except PcscError as error:
            self.leave()
            self._note_loss(error)
            raise

    def transmit(self, command: bytes) -> bytes:
        if self._card is None:
            raise PcscError("transmit", Code.INVALID_HANDLE)
        try:
            return self._api.transmit(*self._card, command)
        except PcscError as error:
            self._note_loss(error)
            raise

    def was_removed(self) -> bool:
        """Whether a card that did not answer has gone; the daemon needs its time to say so."""
        if self._context is None or self._known is None:
            return False
        end, state = time.monotonic() + _NOTICE_S, self._known
        while state.has(State.PRESENT) and state.counter == self._known.counter:
            left_s = end - time.monotonic()
            if left_s <= 0:
                return False
            try:
                (state,) = self._api.status_change(
                    self._context,
                    [(self.reader, state.known)],
                    timeout_ms=int(left_s * 1000),
                )
            except PcscError:
                return False
        return True

    def leave(self) -> None:
        """Give the card back, without power. Never raises."""
        if self._card is None or self._pcsc is None:
            return
        card, self._card = self._card[0], None
        with suppress(PcscError):
            self._pcsc.end(card)
        with suppress(PcscError):
            self._pcsc.disconnect(card)

    def drop(self) -> None:
        """Give back everything. Never raises."""
        self.leave()
        context, self._context = self._context, None
        self._known = None
        if context is not None and self._pcsc is not None:
            with suppress(PcscError):
                self._pcsc.release(context)

    @property
    def _api(self) -> PcSc:
        if self._pcsc is None:
            self._pcsc = self._load()
        return self._pcsc

    def _look(self) -> ReaderState:
        if self._context is not None and not self._api.is_valid(self._context):
            self._lose()
        if self._context is None:
            self._context = self._api.establish()
            self.contexts += 1
        self.present = tuple(self._api.list_readers(self._context))
        try:
            if self.reader not in self.present:
                self.reader = pick(self._wanted, self.present)
            states = self._api.status_change(
                self._context, [(self.reader, State.UNAWARE), (PNP_READER, 0)], timeout_ms=0
            )
        except ReaderNotFoundError:
            self._is_gone()
            self._known = None
            raise
        self._known = states[0]
        self._known_readers = states[1].known
        if self._known.has(State.UNKNOWN | State.UNAVAILABLE):
            self._is_gone()
            raise PcscError("look", Code.READER_UNAVAILABLE)
        self._has_reader = True
        return self._known

    def _note_loss(self, error: PcscError) -> None:
        if error.code in _LOST:
            self._lose()

    def _lose(self) -> None:
        self._is_gone()
        self.drop()

    def _is_gone(self) -> None:
        """Counted once, however often it is looked for in vain."""
        self.losses += self._has_reader
        self._has_reader = False
