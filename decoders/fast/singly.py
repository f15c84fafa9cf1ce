"""Frames of further layers, compact ones, or of a manufacturer's cipher, opened one by one, by the plain path; their payloads join the columns.

Layers are the encrypted extended link and authentication; compact frames join as full ones. What costs there is the cipher and the CRC or MAC, not the headers; the records behind are read with all the others.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from submeter.decoders.catalogue import driver_of
from submeter.decoders.compact import Formats, full_frame
from submeter.decoders.diehl import REAL_DATA_CI
from submeter.decoders.driver import FILLED, PAYLOAD
from submeter.decoders.errors import DecodeError
from submeter.decoders.fast.columns import Bools, words
from submeter.decoders.fast.envelope import SLACK, Frames, Heard
from submeter.decoders.frame import parse_frame
from submeter.decoders.layers import MANUFACTURER_CI, address_of, device_of, identity_of
from submeter.decoders.security import AES_CBC
from submeter.decoders.telegram import Plain, ProfileOf, open_frame

__all__ = ["open_singly"]

_RECORDS = MANUFACTURER_CI | {0x72, 0x7A, 0x78, REAL_DATA_CI}
_NEITHER, _OWN, _PUBLISHED = range(3)
_PRIVATE = np.isin(np.arange(256), list(MANUFACTURER_CI))


def open_singly(
    heard: Heard,
    frames: Frames,
    keyless: Bools,
    known: dict[int, tuple[bytes, Plain]],
    profile_of: Callable[[int], ProfileOf],
    formats: Callable[[int], Formats],
) -> tuple[Frames, dict[int, Plain]]:
    """The frames with the `layered` ones opened as the plain path opens them, and all that were opened by number; `known` are some already.

    `keyless` are those of devices without a key, `formats` those that compact frames may have already.
    """
    chosen = np.flatnonzero((frames.layered & ~frames.fast) | _with_cipher(frames, keyless)).tolist()
    found = {number: one for number in chosen if (one := known.get(number) or _open(heard, number, profile_of(number)))}
    opened = {
        number: (address, payload, plain) for number, (address, plain) in found.items() if (payload := _records(plain, formats(number))) is not None
    }
    frames.fast[chosen] = False  # what was not opened is not plain
    plains = {number: plain for number, (_, plain) in found.items()}
    return (_joined(frames, opened) if opened else frames), plains


def _joined(frames: Frames, opened: dict[int, tuple[bytes, bytes, Plain]]) -> Frames:
    """The frames with the payloads of those that were opened: address, records and what the headers said."""
    parts = [payload for _, payload, _ in opened.values()]
    end = len(frames.buffer) - len(SLACK)
    buffer = np.concatenate([frames.buffer[:end], np.frombuffer(b"".join((*parts, SLACK)), np.uint8)])
    at = np.array(list(opened))
    plains = [plain for _, _, plain in opened.values()]
    size = np.array([len(part) for part in parts])
    frames.fast[at] = True
    frames.ci[at] = [plain.transport.ci for plain in plains]
    frames.address[at] = [int.from_bytes(address, "little") for address, _, _ in opened.values()]
    frames.access[at] = [-1 if plain.transport.access is None else plain.transport.access for plain in plains]
    frames.status[at] = [plain.transport.status for plain in plains]
    frames.config[at] = [plain.transport.config for plain in plains]
    frames.payload[at] = end + np.cumsum(size) - size
    frames.size[at] = size
    frames.opened[at] = [plain.opened.mode for plain in plains]
    frames.counter[at] = [-1 if plain.counter is None else plain.counter for plain in plains]
    return replace(frames, buffer=buffer, words=words(buffer))


def _with_cipher(frames: Frames, keyless: Bools) -> Bools:
    """The frames that a driver's own cipher or a published key opens, by the kind of meter."""
    address, mode = frames.address, frames.config >> 8 & 0x1F
    kinds = (address & np.uint64(0xFFFF) | address >> np.uint64(48) << np.uint64(16)).astype(np.int64) | mode << 32 | frames.ci.astype(np.int64) << 37
    sealed = frames.fast & ((mode > 0) | _PRIVATE[frames.ci])
    found = {kind: _cipher(kind) for kind in set(kinds[sealed].tolist())}
    own, published = ([kind for kind, cipher in found.items() if cipher == wanted] for wanted in (_OWN, _PUBLISHED))
    return sealed & (np.isin(kinds, own) | (keyless & np.isin(kinds, published)))


def _cipher(kind: int) -> int:
    """How frames of a manufacturer, version, type, mode and CI, as `_with_cipher` packs them, are opened."""
    try:
        device = device_of((kind & 0xFFFF | (kind >> 16 & 0xFFFF) << 48).to_bytes(8, "little"))
    except DecodeError:
        return _NEITHER
    driver, mode, ci = driver_of(device, kind >> 37), kind >> 32 & 0x1F, kind >> 37
    if driver and driver.cipher and (ci in MANUFACTURER_CI or mode in driver.modes):
        return _OWN
    return _PUBLISHED if driver and driver.published and mode == AES_CBC else _NEITHER


def _open(heard: Heard, number: int, profile_of: ProfileOf) -> tuple[bytes, Plain] | None:
    """The address and the opened payload of a frame; None where the plain path must say more."""
    try:
        frame = parse_frame(heard.raw[number], heard.link[number], heard.form[number])
        plain = open_frame(frame, identity_of(frame), profile_of, decrypted=heard.decrypted[number])
        address = plain.transport.address or address_of(frame)
        return (address, plain) if device_of(address) == plain.device else None
    except Exception:  # noqa: BLE001  the plain path says it: an error, or a bug that must not cost the batch
        return None


def _records(plain: Plain, formats: Formats) -> bytes | None:
    """The payload in which the plain path would look for records; None for a compact frame that it reads otherwise."""
    if not plain.transport.compact:
        return plain.opened.payload if plain.transport.ci in _RECORDS else None
    if plain.driver and any(layout.at in {PAYLOAD, FILLED} for layout in plain.driver.layouts):
        return None
    try:
        frame, fits = full_frame(plain.opened.payload, plain.device, formats)
    except DecodeError:
        return None
    return frame if fits else None
