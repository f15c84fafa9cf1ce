"""Keys of many devices: what each profile allows, and AES-CBC of mode 5 on one cached context a key.

Strategy: a CBC block is its ECB decryption XOR the block before it, so one ECB context a key serves all its telegrams, and the XOR is done for the
whole batch. The contexts are the costly part (about six microseconds each): a bounded cache in generations keeps them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from submeter.decoders.errors import DecodeError
from submeter.decoders.fast.columns import Ints, Words, spread
from submeter.decoders.fast.envelope import Frames
from submeter.decoders.security import AES_CBC, ELL_CTR, PLAIN, Profile, check_profile, key_of

__all__ = [
    "ALLOWS_PLAIN",
    "ALLOWS_SEALED",
    "ALLOWS_SESSION",
    "HAS_KEY",
    "KEYS",
    "NOTHING",
    "PINNED_PLAIN",
    "WHOLE",
    "Access",
    "Keys",
    "Ways",
    "open_blocks",
]

#: Contexts in each of the two generations of the cache.
KEYS: Final = 16_384
#: Bits of `Access`: telegrams in mode 0, in mode 5, no plain rest behind sealed blocks, wired ones are plain whatever they say, a key is there,
#: encrypted extended link layers.
ALLOWS_PLAIN, ALLOWS_SEALED, WHOLE, PINNED_PLAIN, HAS_KEY, ALLOWS_SESSION = 1, 2, 4, 8, 16, 32
_Key = tuple[bytes | None, int | None, bool]
_EVERY_BYTE: Final = np.uint64(0x0101010101010101)


class Access(NamedTuple):
    """What a profile allows, as bits, the key, and what turns sealed blocks into those that `open_blocks` chains; both None without a key of AES."""

    bits: int
    key: bytes | None
    decrypt: Callable[[Any], bytes] | None


class Ways(NamedTuple):
    """The access to each telegram, as a place in a list of different ones."""

    ways: Sequence[Access]
    which: Ints

    @property
    def bits(self) -> Ints:
        """The rules of each telegram."""
        return np.array([way.bits for way in self.ways], np.int64)[self.which]

    def decrypt(self, chosen: Ints) -> list[Callable[[Any], bytes]]:
        """What opens each of these telegrams, all of which have a key."""
        return [one for one in map([way.decrypt for way in self.ways].__getitem__, self.which[chosen].tolist()) if one]

    def keys(self, chosen: Ints) -> list[bytes]:
        """The key of each of these telegrams, all of which have one."""
        return [one for one in map([way.key for way in self.ways].__getitem__, self.which[chosen].tolist()) if one]


NOTHING: Final = Access(0, None, None)


class Keys:
    """The contexts of the profiles used last."""

    def __init__(self) -> None:
        self._young: dict[_Key, Access] = {}
        self._old: dict[_Key, Access] = {}

    def access(self, profile: Profile) -> Access:
        """What `profile` allows."""
        key = (profile.key, profile.mode, profile.whole)
        known = self._young.get(key)
        if known is None:
            known = self._old.get(key) or _access(profile)
            if len(self._young) >= KEYS:
                self._old, self._young = self._young, {}
            self._young[key] = known
        return known


def _access(profile: Profile) -> Access:
    whole, pinned = bool(profile.key) and profile.whole, profile.mode == PLAIN
    rules = {ALLOWS_PLAIN: _allows(profile, PLAIN), ALLOWS_SEALED: _allows(profile, AES_CBC), ALLOWS_SESSION: _allows(profile, ELL_CTR)}
    bits = sum(bit for bit, holds in {**rules, WHOLE: whole, PINNED_PLAIN: pinned}.items() if holds)
    try:
        key = key_of(profile)
    except DecodeError:
        return Access(bits, None, None)
    return Access(bits | HAS_KEY, key, Cipher(AES(key), ECB()).decryptor().update)  # noqa: S305  blocks of CBC: `open_blocks` chains them


def _allows(profile: Profile, mode: int) -> bool:
    try:
        check_profile(profile, mode)
    except DecodeError:
        return False
    return True


def open_blocks(frames: Frames, chosen: Ints, size: Ints, decrypt: Sequence[Callable[[Any], bytes]]) -> None:
    """Decrypt in place the first `size` bytes of the payloads of the `chosen` frames, each with its own `decrypt`."""
    if not len(chosen):
        return
    at = frames.payload[chosen]
    sent = frames.buffer.data
    opened = b"".join([one(sent[start:end]) for one, start, end in zip(decrypt, at.tolist(), (at + size).tolist(), strict=True)])
    owner, number = spread(size >> 3)
    place = at[owner] + (number << 3)
    before = _before(frames, chosen, frames.words[place], number)
    frames.words[place] = np.frombuffer(opened, "<u8") ^ before


def _before(frames: Frames, chosen: Ints, sent: Words, number: Ints) -> Words:
    """What each half block is XORed with: the half block sent sixteen bytes before, or the initial vector: address, eight times the access number."""
    before = np.roll(sent, 2)
    before[number == 0] = frames.address[chosen]
    before[number == 1] = frames.access[chosen].astype(np.uint64) * _EVERY_BYTE
    return before
