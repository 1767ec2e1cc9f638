"""What turns one snapshot into the next: the new file compressed with the old one as dictionary.

Zstandard (RFC 8878) finds the old file's bytes wherever they went, so a changed fee costs some
hundred bytes. A delta is trusted as little as a download: the manifest names its digest, and the
file that comes out has to be the one that the manifest signs.
"""

from __future__ import annotations

import zstandard

from hallkit.errors import TrustError

LARGEST = 64 * 1024 * 1024
"""Bytes of a snapshot; a delta that would become more is refused before it does."""
_LEVEL = 15
"""Below it the tables over so large a dictionary find nothing far away."""
_WINDOW_LOG = 27
"""128 MiB: old and new file lie within one window."""


def make(old: bytes, new: bytes) -> bytes:
    """The delta from `old` to `new`. `ValueError` if one of them is too large."""
    if max(len(old), len(new)) > LARGEST:
        raise ValueError(f"a snapshot of more than {LARGEST} bytes has no delta")
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW_LOG, write_checksum=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters, dict_data=_dictionary(old))
    return compressor.compress(new)


def apply(old: bytes, delta: bytes, *, size: int) -> bytes:
    """The new file of `size` bytes; `TrustError` if the delta does not fit the old one."""
    if size > LARGEST:
        raise TrustError(f"the catalogue is of {size} bytes, at most {LARGEST}")
    decompressor = zstandard.ZstdDecompressor(
        dict_data=_dictionary(old), max_window_size=1 << _WINDOW_LOG
    )
    try:
        told = zstandard.frame_content_size(delta)
        if told != size:
            raise TrustError(f"the delta becomes {told} bytes instead of {size}")
        return decompressor.decompress(delta, max_output_size=size)
    except zstandard.ZstdError as exc:
        raise TrustError(f"the delta does not fit the catalogue here: {exc}") from exc


def _dictionary(old: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
