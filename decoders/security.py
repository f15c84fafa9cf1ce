"""Security: what a device's profile allows, and the plain payload of what it allows.

Rules
* Nothing weaker than the profile is read: a device with a key never speaks plain (Downgrade), a pinned mode is the only one.
* Plaintext is never inferred from 2F2F under a header that says encrypted; only a source declared `decrypted` may send it.
* Authentication before decryption, compared in constant time.
* Mode 5 does not authenticate how many blocks are encrypted, so a genuine first block can be spliced to foreign records. A profile
  is therefore `whole` by default: anything but filler behind the encrypted blocks is a Downgrade. Meters that do send such a rest
  are pinned with `whole=False`.
* DES (mode 2) opens only for a device whose profile names it: anyone with a cheap machine can find such a key.
* Modes known but not read here end in UnknownMode; their bytes are never parsed.
Sources: EN 13757-7 and OMS vol. 2; protocol notes, sections 3 (CTR of the extended link layer) and 5.
"""

import hmac
from dataclasses import dataclass
from typing import Final, NamedTuple

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR
from cryptography.hazmat.primitives.cmac import CMAC

from submeter.decoders.crc import crc16
from submeter.decoders.errors import BadFrame, Downgrade, MacFail, NoKey, UnknownMode, WrongKey
from submeter.decoders.layers import Afl, Ell, Transport

__all__ = [
    "AES_CBC_DERIVED",
    "DES_CBC",
    "ELL_CTR",
    "FILLED",
    "MANUFACTURER",
    "PLAIN",
    "Opened",
    "Profile",
    "check_profile",
    "key_of",
    "open_ell",
    "open_transport",
]

PLAIN: Final = 0
#: Ciphers of manufacturers' own, whatever number their telegrams claim.
MANUFACTURER: Final = 1
DES_CBC: Final = 2
AES_CBC: Final = 5
AES_CBC_DERIVED: Final = 7
#: AES-CTR of the extended link layer, which has no number among the transport modes: named by its CI field.
ELL_CTR: Final = 0x8D

#: First plain bytes of modes 2, 5 and 7: the check of the key.
FILLED: Final = b"\x2f\x2f"
_BLOCK: Final = 16
_DES_BLOCK: Final = 8
_ADDRESS: Final = 8
_DERIVATION_PERSISTENT: Final = 1
_NAMES: Final = {PLAIN: "plain", ELL_CTR: "ELL AES-CTR"}


@dataclass(frozen=True, slots=True)
class Profile:
    """How a device is known to protect its telegrams.

    `key`: 16 bytes (8 for mode 2), or None. `mode`: the one mode it uses (0, 2, 5, 7, `ELL_CTR`); None means 5, 7 or `ELL_CTR` with a key, plain
    only without. `whole`: all of a mode 2 or 5 payload is encrypted, so a plain rest is an attack.
    """

    key: bytes | None = None
    mode: int | None = None
    whole: bool = True

    def __repr__(self) -> str:
        return f"Profile(key={'set' if self.key else None}, mode={self.mode}, whole={self.whole})"


class Opened(NamedTuple):
    """A readable payload and the mode that protected it."""

    payload: bytes
    mode: int


def open_ell(ell: Ell, body: bytes, profile: Profile, *, decrypted: bool = False) -> Opened:
    """What the extended link layer holds; its CRC is the check of the key. Raises NoKey, WrongKey, BadFrame, UnknownMode."""
    if not ell.session:
        return Opened(body, PLAIN)
    if ell.encryption > 1:
        raise UnknownMode(f"encryption {ell.encryption} of the extended link layer")
    if ell.encryption == 0:
        if not _crc_fits(body):
            raise BadFrame("payload CRC of the extended link layer is wrong")
        return Opened(body[2:], PLAIN)
    if decrypted and _crc_fits(body):
        return Opened(body[2:], ELL_CTR)
    start = ell.address + bytes([ell.control]) + ell.session + bytes(3)
    plain = Cipher(AES(key_of(profile)), CTR(start)).decryptor().update(body)
    if not _crc_fits(plain):
        raise WrongKey("payload CRC of the extended link layer is wrong after decryption")
    return Opened(plain[2:], ELL_CTR)


def _crc_fits(body: bytes) -> bool:
    return len(body) >= 2 and crc16(body[2:]) == int.from_bytes(body[:2], "little")


def open_transport(transport: Transport, afl: Afl | None, address: bytes, profile: Profile, *, link: str, decrypted: bool = False) -> Opened:
    """The plain records of a transport payload; raises NoKey, WrongKey, MacFail, BadFrame, Downgrade, UnknownMode.

    `address` is M id V T of the meter. On the wire the configuration word is an old signature unless it says mode 5 or 7.
    """
    mode = transport.mode
    if link == "mbus" and (mode not in {AES_CBC, AES_CBC_DERIVED} or profile.mode == PLAIN):
        return Opened(transport.payload, PLAIN)
    if mode == PLAIN:
        return Opened(transport.payload, PLAIN)
    if mode == DES_CBC and profile.mode == DES_CBC:
        return _open_des(transport, profile, decrypted=decrypted)
    if mode in {AES_CBC, AES_CBC_DERIVED} and len(address) != _ADDRESS:
        raise BadFrame("encrypted, and nothing says of which meter: a short header on the wire has no address")
    if mode == AES_CBC:
        return _open_cbc(transport, address, profile, decrypted=decrypted)
    if mode == AES_CBC_DERIVED:
        return _open_derived(transport, afl, address, profile, decrypted=decrypted)
    raise UnknownMode(f"security mode {mode}")


def _open_des(transport: Transport, profile: Profile, *, decrypted: bool) -> Opened:
    """Mode 2: DES-CBC, IV 0; the low byte of the configuration word counts the encrypted bytes."""
    size = transport.config & 0xF8
    payload = transport.payload
    _check_size(size, payload)
    if decrypted and payload.startswith(FILLED):
        return Opened(payload, DES_CBC)
    key = key_of(profile, size=_DES_BLOCK)
    return _whole(_filled(Cipher(TripleDES(key * 3), CBC(bytes(_DES_BLOCK))), payload[:size]), payload[size:], profile, DES_CBC)


def _open_cbc(transport: Transport, address: bytes, profile: Profile, *, decrypted: bool) -> Opened:
    """Mode 5: IV is the address and eight times the access number. No blocks means nothing is encrypted."""
    size = (transport.config >> 4 & 0x0F) * _BLOCK
    if size == 0:
        return Opened(transport.payload, PLAIN)
    iv = address + bytes([transport.access or 0]) * 8
    plain = _blocks(transport.payload, size, iv, profile, decrypted=decrypted)
    return _whole(plain, transport.payload[size:], profile, AES_CBC)


def _whole(plain: bytes, rest: bytes, profile: Profile, mode: int) -> Opened:
    """What was encrypted and what was not, if the profile allows such a rest."""
    if profile.key and profile.whole and rest.strip(FILLED[:1]):
        raise Downgrade(f"{len(rest)} plain bytes behind {len(plain)} encrypted ones; if this meter sends so, pin whole = false")
    return Opened(plain + rest, mode)


def _open_derived(transport: Transport, afl: Afl | None, address: bytes, profile: Profile, *, decrypted: bool) -> Opened:
    """Mode 7: a configuration extension byte, keys derived from the message counter of the authentication layer, IV 0."""
    if not transport.payload or afl is None or not afl.counter:
        raise BadFrame("mode 7 without its extension byte or without the counter of an authentication layer")
    if transport.payload[0] >> 4 & 3 != _DERIVATION_PERSISTENT:
        raise UnknownMode(f"key derivation {transport.payload[0] >> 4 & 3} of mode 7")
    payload, size = transport.payload[1:], (transport.config >> 4 & 0x0F) * _BLOCK
    if decrypted and payload.startswith(FILLED):
        return Opened(payload, AES_CBC_DERIVED)
    seed = afl.counter + address[2:6] + b"\x07" * 7
    _check_mac(transport, afl, cmac(key_of(profile), b"\x01" + seed))
    derived = Profile(cmac(key_of(profile), b"\x00" + seed))
    return Opened(_blocks(payload, size, bytes(_BLOCK), derived, decrypted=False) + payload[size:], AES_CBC_DERIVED)


def _check_mac(transport: Transport, afl: Afl, key: bytes) -> None:
    if not afl.mac:
        raise MacFail("mode 7 without an authentication code")
    expected = cmac(key, afl.control + afl.counter + afl.length + transport.message)[: len(afl.mac)]
    if not hmac.compare_digest(expected, afl.mac):
        raise MacFail("the authentication code is wrong: another key, or changed bytes")


def _blocks(payload: bytes, size: int, iv: bytes, profile: Profile, *, decrypted: bool) -> bytes:
    _check_size(size, payload)
    if decrypted and payload.startswith(FILLED):
        return payload[:size]
    return _filled(Cipher(AES(key_of(profile)), CBC(iv)), payload[:size])


def _check_size(size: int, payload: bytes) -> None:
    if size == 0 or size > len(payload):
        raise BadFrame(f"{size} bytes should be encrypted, {len(payload)} came")


def _filled(cipher: Cipher[CBC], data: bytes) -> bytes:
    plain = cipher.decryptor().update(data)
    if not plain.startswith(FILLED):
        raise WrongKey("2F2F is missing after decryption")
    return plain


def key_of(profile: Profile, size: int = _BLOCK) -> bytes:
    """The key of a profile, if it has one of this size; raises NoKey, WrongKey."""
    if profile.key is None:
        raise NoKey("encrypted, and no key is known")
    if len(profile.key) != size:
        raise WrongKey(f"the key has {len(profile.key)} bytes, this cipher needs {size}")
    return profile.key


def cmac(key: bytes, data: bytes) -> bytes:
    """AES-CMAC, 16 bytes."""
    code = CMAC(AES(key))
    code.update(data)
    return code.finalize()


def check_profile(profile: Profile, mode: int) -> None:
    """Raise Downgrade when a telegram protected by `mode` is not what the profile allows."""
    pinned = profile.mode
    if (pinned is not None and mode != pinned) or (pinned is None and mode == PLAIN and profile.key is not None):
        wanted = "an encrypted one" if pinned is None else _NAMES.get(pinned, f"mode {pinned}")
        raise Downgrade(f"sent as {_NAMES.get(mode, f'mode {mode}')}, the device's profile demands {wanted}")
