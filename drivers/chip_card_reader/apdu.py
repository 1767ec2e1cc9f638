"""Command and answer APDUs (ISO 7816-4), short ones."""

from __future__ import annotations

from hallkit.model.chip_card import ApduAnswer

LONGEST_COMMAND_BYTES = 4 + 1 + 255 + 1


def select_application(name: bytes) -> bytes:
    """SELECT by the name of an application, first occurrence."""
    return bytes([0x00, 0xA4, 0x04, 0x00, len(name)]) + name


def get_response(length: int) -> bytes:
    """What the card holds ready; 0 means 256 bytes."""
    return bytes([0x00, 0xC0, 0x00, 0x00, length])


def is_command(command: bytes) -> bool:
    """Whether the lengths in it fit: header, data, and how much is expected."""
    match len(command):
        case 4 | 5:
            return True
        case length if length > 5:
            return command[4] > 0 and length - 5 - command[4] in {0, 1}
        case _:
            return False


def with_length(command: bytes, length: int) -> bytes:
    """The same command, expecting so much: what 6Cxx asks for."""
    if len(command) == 5 or (len(command) > 5 and len(command) == 6 + command[4]):
        return command[:-1] + bytes([length])
    return command + bytes([length])


def answer_of(data: bytes) -> ApduAnswer | None:
    """Data and status word; None if this is no answer: too short, or no status word behind."""
    if len(data) < 2 or not (0x61 <= data[-2] <= 0x6F or 0x90 <= data[-2] <= 0x9F):
        return None
    return ApduAnswer(data=data[:-2], status=int.from_bytes(data[-2:], "big"))
