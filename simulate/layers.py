"""Transport headers and security: modes 0, 2, 5 and 7, compact frames, extended link layer with and without AES-CTR (protocol notes, sections 3 to 5).

Each function takes the application data (records) or a finished body and returns the bytes from its own CI on, ready for `frames.radio` or
`frames.wired`.  One cached AES context per key, since a simulated building encrypts thousands of telegrams with few keys.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR, ECB
from cryptography.hazmat.primitives.cmac import CMAC

from submeter.decoders.crc import crc16 as crc
from submeter.decoders.records import walk
from submeter.reading import DeviceId
from submeter.simulate.frames import header_address, link_address
from submeter.simulate.records import FILLER

_LONG, _SHORT, _NONE = b"\x72", b"\x7a", b"\x78"
#: CI fields of compact frames by those of full ones.
_COMPACT: Final = {0x72: 0x73, 0x7A: 0x7B, 0x78: 0x79}
_ELL, _ELL_ENCRYPTED, _AFL = b"\x8c", b"\x8d", b"\x90"
_MOST_BYTES: Final = 15 * 16
#: AFL of the 18 telegrams known: MCL, MCR and MAC present; authentication type 5 = CMAC cut to eight bytes, counter present (5.3).
_FRAGMENT, _CONTROL, _MAC_LENGTH = b"\x00\x2c", b"\x25", 8
#: CFE of mode 7: key derivation by the counter, key 0 (section 4).
_DERIVED: Final = b"\x10"
#: Session number field: bits 29-31 say AES-128-CTR (section 3).
_CTR: Final = 1 << 29


@dataclass(frozen=True, slots=True)
class Header:
    """Access number, status byte (section 4), and the meter's address, which makes the header a long one (CI 72 instead of 7A)."""

    access: int = 0
    status: int = 0
    address: DeviceId | None = None

    def encode(self, configuration: int) -> bytes:
        """CI, address if any, access number, status, configuration word."""
        start = _SHORT if self.address is None else _LONG + header_address(self.address)
        return start + bytes([self.access, self.status]) + configuration.to_bytes(2, "little")


def plain(records: bytes, header: Header | None) -> bytes:
    """Security mode 0; without a header CI 78."""
    return (_NONE if header is None else header.encode(0)) + records


def compact(records: bytes, header: Header | None = None) -> bytes:
    """The compact frame of a full frame's records: signature of their headers, CRC over all of them, their data (section 7); mode 0."""
    parts = walk(records).records
    signature = crc(b"".join(part.dif + part.vif for part in parts))
    checks = signature.to_bytes(2, "little") + crc(records).to_bytes(2, "little")
    full = plain(b"", header)
    return bytes([_COMPACT[full[0]]]) + full[1:] + checks + b"".join(part.data for part in parts)


def mode2(records: bytes, header: Header, key: bytes) -> bytes:
    """DES-CBC with initial vector 0; the low byte of the configuration word counts the encrypted bytes (manufacturer layouts 13)."""
    content = FILLER * 2 + records
    content += FILLER * (-len(content) % 8)
    return header.encode(2 << 8 | len(content)) + Cipher(TripleDES(key * 3), CBC(bytes(8))).encryptor().update(content)


def mode5(records: bytes, header: Header, key: bytes, device: DeviceId) -> bytes:
    """AES-128-CBC with the initial vector of 5.1; `device` is the link address, which a long header's own address replaces."""
    content = _filled(records)
    vector = link_address(header.address or device) + bytes([header.access]) * 8
    return header.encode(5 << 8 | len(content)) + _cbc(key, vector, content)


def mode7(records: bytes, header: Header, key: bytes, device: DeviceId, *, counter: int) -> bytes:
    """AFL with message counter and CMAC, then mode 7 under the derived keys (5.2, 5.3)."""
    content = _filled(records)
    rising = counter.to_bytes(4, "little")
    encryption, authentication = derived_keys(key, header.address or device, counter)
    body = header.encode(7 << 8 | len(content)) + _DERIVED + _cbc(encryption, bytes(16), content)
    mac = _cmac(authentication, _CONTROL + rising + body)[:_MAC_LENGTH]
    layer = _FRAGMENT + _CONTROL + rising + mac
    return _AFL + bytes([len(layer)]) + layer + body


def derived_keys(key: bytes, device: DeviceId, counter: int) -> tuple[bytes, bytes]:
    """Keys for encryption and authentication of one message from the meter, by CMAC over its counter and id (5.2)."""
    rest = counter.to_bytes(4, "little") + bytes.fromhex(device.id)[::-1] + b"\x07" * 7
    return _cmac(key, b"\x00" + rest), _cmac(key, b"\x01" + rest)


def extended(body: bytes, *, access: int, control: int = 0x20) -> bytes:
    """Extended link layer I (8C) before a body: nothing encrypted."""
    return _ELL + bytes([control, access]) + body


def extended_ctr(body: bytes, key: bytes, device: DeviceId, *, access: int, session: int, control: int = 0x20) -> bytes:
    """Extended link layer II (8D): CRC and body under AES-128-CTR; `session` is time in minutes << 4 | session (section 3)."""
    number = (_CTR | session).to_bytes(4, "little")
    vector = link_address(device) + bytes([control]) + number + bytes(3)
    encrypted = Cipher(AES(key), CTR(vector)).encryptor().update(crc(body).to_bytes(2, "little") + body)
    return _ELL_ENCRYPTED + bytes([control, access]) + number + encrypted


def _filled(records: bytes) -> bytes:
    """The check bytes 2F 2F, the records, filler to whole blocks.

    Its length is the configuration word's number of blocks in its place (bits 4-7); more than 15 blocks fit into no telegram anyway.
    """
    content = FILLER * 2 + records
    content += FILLER * (-len(content) % 16)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{len(records)} bytes of records do not fit into 15 encrypted blocks")
    return content


def _cbc(key: bytes, vector: bytes, content: bytes) -> bytes:
    """AES-128-CBC on the key's cached ECB context: opening a context costs more than the few blocks of a telegram."""
    encrypt = _cipher(key).update
    chain = int.from_bytes(vector)
    blocks = []
    for start in range(0, len(content), 16):
        block = encrypt((chain ^ int.from_bytes(content[start : start + 16])).to_bytes(16))
        blocks.append(block)
        chain = int.from_bytes(block)
    return b"".join(blocks)


@lru_cache(maxsize=16384)
def _cipher(key: bytes) -> CipherContext:
    return Cipher(AES(key), ECB()).encryptor()  # noqa: S305 - single blocks of the CBC above


def _cmac(key: bytes, data: bytes) -> bytes:
    code = CMAC(AES(key))
    code.update(data)
    return code.finalize()
