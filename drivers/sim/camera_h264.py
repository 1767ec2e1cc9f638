"""H.264 without an encoder: every macroblock is I_PCM, its samples stand there as they are.

ITU-T H.264 (2021), sections 7.3.2 (parameter sets), 7.3.3 (slice header), 7.3.5 (I_PCM). Each
picture is an IDR picture of one slice; deblocking is off, so that the blocks stay sharp.
"""

from __future__ import annotations

from drivers.sim.camera_picture import BRIGHT, COLUMNS, DARK, ROWS, bits_of

_MACROBLOCK_PX = 16
_BASELINE = bytes((66, 0xC0, 30))
"""profile_idc, constraint flags, level_idc."""
_SPS, _PPS, _IDR = b"\x67", b"\x68", b"\x65"
_SLICE_I = 7
_I_PCM = 25
_BLACK = 16


class _Bits:
    """Bits, the first one the highest; `ue` as in section 9.1."""

    def __init__(self) -> None:
        self._text = ""

    def u(self, width: int, value: int) -> None:
        self._text += f"{value:0{width}b}"

    def ue(self, *values: int) -> None:
        for value in values:
            text = f"{value + 1:b}"
            self._text += "0" * (len(text) - 1) + text

    def align(self) -> None:
        self._text += "0" * (-len(self._text) % 8)

    def end(self) -> None:
        """rbsp_trailing_bits."""
        self._text += "1"
        self.align()

    @property
    def data(self) -> bytes:
        return int(self._text, 2).to_bytes(len(self._text) // 8, "big")


def parameter_sets(width: int, height: int) -> tuple[bytes, bytes]:
    """SPS and PPS; the size must be a multiple of 16."""
    sps = _Bits()
    # sps id, frame_num of 4 bits, order as decoded, one reference
    sps.ue(0, 0, 2, 1)
    sps.u(1, 0)
    sps.ue(width // _MACROBLOCK_PX - 1, height // _MACROBLOCK_PX - 1)
    sps.u(4, 0b1001)  # frames only, no direct 8x8, no cropping, VUI
    sps.u(10, 0b11)  # of it the restriction alone, motion vectors as they like
    sps.ue(0, 0, 0, 0, 0, 1)  # no picture is held back: they come in the order they are shown
    sps.end()
    pps = _Bits()
    pps.ue(0, 0)
    pps.u(2, 0)  # CAVLC, no order of fields
    pps.ue(0, 0, 0)
    pps.u(3, 0)
    pps.ue(0, 0, 0)
    pps.u(3, 0b100)  # deblocking is controlled by the slice
    pps.end()
    return _SPS + _escaped(_BASELINE + sps.data), _PPS + _escaped(pps.data)


def picture(width: int, height: int, number: int | None, *, index: int) -> bytes:
    """One IDR picture of the number, or a black one; neighbours differ in `index`."""
    head = _Bits()
    head.ue(0, _SLICE_I, 0)
    head.u(4, 0)  # frame_num
    head.ue(index % 2)  # idr_pic_id
    head.u(2, 0)  # no output of earlier ones, no long-term reference
    head.ue(0, 1)  # quantiser as is, deblocking off
    head.ue(_I_PCM)
    head.align()
    later = _Bits()
    later.ue(_I_PCM)
    later.align()
    wide, high = width // _MACROBLOCK_PX, height // _MACROBLOCK_PX
    bits = bits_of(number) if number is not None else []
    blocks: list[bytes] = []
    for place in range(wide * high):
        row, column = divmod(place, wide)
        bit = row * ROWS // high * COLUMNS + column * COLUMNS // wide
        luma = (BRIGHT if bits[bit] else DARK) if bits else _BLACK
        blocks.append(bytes((luma,)) * 256 + b"\x80" * 128)
    return _IDR + _escaped(head.data + later.data.join(blocks) + b"\x80")


def _escaped(rbsp: bytes) -> bytes:
    """Emulation prevention (section 7.4.1): no start code within a unit."""
    out = bytearray()
    zeros = 0
    if b"\0\0" not in rbsp:
        return rbsp
    for byte in rbsp:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
