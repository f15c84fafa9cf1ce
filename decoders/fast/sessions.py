"""The encrypted extended link layer (CI 8D) of whole batches: AES-CTR on one cached context a key, and the CRC behind it, which is the check of the key.

A counter block is the address, the control and session fields of that layer, and the number of the block; its ECB encryption is the key stream.
What does not fit here (no key, a wrong CRC, another layer inside, the Diehl group's addresses) is left as it was, for `singly` and the plain path.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from submeter.decoders.catalogue import driver_of
from submeter.decoders.errors import DecodeError
from submeter.decoders.fast.columns import Bools, Ints, spread
from submeter.decoders.fast.envelope import Frames, registers
from submeter.decoders.fast.keys import ALLOWS_SESSION, HAS_KEY, KEYS, Ways
from submeter.decoders.layers import Transport, device_of
from submeter.decoders.security import ELL_CTR, Opened
from submeter.decoders.telegram import Plain

__all__ = ["open_sessions"]

_SESSION_LAYER, _RECORDS, _COMPACT = 0x8D, 0x78, 0x79
#: Places from a frame's control field on: CI; control field of the layer; session number; what is encrypted, which begins with its CRC, then a CI.
_CI, _CONTROL, _SESSION, _BODY = 9, 10, 12, 16
_CRC, _HEAD = 2, 3
_BLOCK: Final = 16
_AES_CTR: Final = 1
_COUNTER: Final = 0x1FFFFFFF


def open_sessions(frames: Frames, ways: Ways, decrypted: Bools) -> dict[int, tuple[bytes, Plain]]:
    """Open in place what may be opened; returns the compact ones among them, which are no records yet, with their addresses."""
    bits, start = ways.bits, frames.start
    sealed = (
        frames.layered
        & (bits & ALLOWS_SESSION != 0)
        & (decrypted | (bits & HAS_KEY != 0))
        & (frames.length > _BODY + _HEAD)
        & (frames.buffer[start + _CI] == _SESSION_LAYER)
        & (frames.buffer[start + _SESSION + 3] >> 5 == _AES_CTR)
        & ~frames.of_diehl
    )
    found: dict[int, tuple[bytes, Plain]] = {}
    for chosen, already in ((np.flatnonzero(sealed & decrypted), True), (np.flatnonzero(sealed & ~decrypted), False)):
        if len(chosen):
            found |= _opened(frames, chosen, None if already else ways)
    return found


def _opened(frames: Frames, chosen: Ints, ways: Ways | None) -> dict[int, tuple[bytes, Plain]]:
    """The same for the chosen frames; without `ways` they were decrypted already."""
    body, size = frames.start[chosen] + _BODY, frames.length[chosen] - _BODY
    owner, number = spread(size)
    plain = frames.buffer[body[owner] + number]
    plain = plain ^ _stream(frames, chosen, size, ways) if ways else plain
    at = np.cumsum(size) - size
    check = plain[at] | plain[at + 1].astype(np.int64) << 8
    ci = plain[at + _CRC]
    fits = (registers(plain, at + _CRC, size - _CRC) ^ 0xFFFF == check) & ((ci == _RECORDS) | (ci == _COMPACT))
    kept = fits[owner]
    frames.buffer[(body[owner] + number)[kept]] = plain[kept]
    session = frames.words[frames.start[chosen] + _SESSION].astype(np.int64) & _COUNTER
    compact = fits & (ci == _COMPACT)
    whole = chosen[fits & ~compact]
    frames.fast[whole] = True
    frames.ci[whole] = _RECORDS
    frames.access[whole], frames.status[whole], frames.config[whole] = -1, 0, 0
    frames.payload[whole] = frames.start[whole] + _BODY + _HEAD
    frames.size[whole] = frames.length[whole] - _BODY - _HEAD
    frames.opened[whole] = ELL_CTR
    frames.counter[whole] = session[fits & ~compact]
    found = zip(chosen[compact].tolist(), body[compact].tolist(), size[compact].tolist(), session[compact].tolist(), strict=True)
    data = frames.buffer.data
    return {
        number: compact
        for number, start, length, counter in found
        if (compact := _compact(frames.address[number].tobytes(), bytes(data[start + _CRC : start + length]), counter))
    }


def _stream(frames: Frames, chosen: Ints, size: Ints, ways: Ways) -> Any:
    """The key stream for all bytes of the chosen frames, one frame behind the other."""
    owner, number = spread(-(-size // _BLOCK))
    blocks = np.zeros((len(owner), _BLOCK), np.uint8)
    first = frames.start[chosen]
    blocks[:, :8] = frames.buffer[first[:, None] + np.arange(1, 9)][owner]
    blocks[:, 8] = frames.buffer[first + _CONTROL][owner]
    blocks[:, 9:13] = frames.buffer[first[:, None] + np.arange(_SESSION, _SESSION + 4)][owner]
    blocks[:, 15] = number
    ends = (np.cumsum(-(-size // _BLOCK)) * _BLOCK).tolist()
    sent = memoryview(blocks.tobytes())
    stream = b"".join([_encrypt(key)(sent[start:end]) for key, start, end in zip(ways.keys(chosen), [0, *ends], ends, strict=False)])
    used, place = spread(size)
    return np.frombuffer(stream, np.uint8)[np.array([0, *ends])[used] + place]


@lru_cache(maxsize=KEYS)
def _encrypt(key: bytes) -> Callable[[Any], bytes]:
    return Cipher(AES(key), ECB()).encryptor().update  # noqa: S305  counter blocks


def _compact(address: bytes, body: bytes, counter: int) -> tuple[bytes, Plain] | None:
    """A compact frame as the plain path would have opened it; None for a void address."""
    try:
        device = device_of(address)
    except DecodeError:
        return None
    transport = Transport(_COMPACT, b"", None, 0, 0, body[1:], body)
    return address, Plain(device, driver_of(device, _COMPACT), transport, Opened(body[1:], ELL_CTR), counter)
