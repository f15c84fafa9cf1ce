"""Link frames as bytes: wired long frame (EN 13757-2), wireless frame without CRCs, format A, format B (EN 13757-4).

Every wireless frame is built stripped of its CRCs, as receivers deliver it; `format_a` and `format_b` put the CRCs in, and the L-field of
format B then counts them (protocol notes, section 2).
"""

from functools import lru_cache
from typing import Final

from submeter.decoders.crc import crc16
from submeter.reading import DeviceId

SND_NR: Final = 0x44
RSP_UD: Final = 0x08
_LONGEST_A: Final = 256
_LONGEST_B: Final = 252


def manufacturer(letters: str) -> bytes:
    """Three letters in 15 bits, low byte first (2.7)."""
    first, middle, last = (ord(letter) - 0x40 for letter in letters)
    return (first << 10 | middle << 5 | last).to_bytes(2, "little")


@lru_cache(maxsize=16384)
def link_address(device: DeviceId) -> bytes:
    """M and A as the link layer sends them: manufacturer, id, version, type. Also the start of both AES initial vectors."""
    return manufacturer(device.manufacturer) + bytes.fromhex(device.id)[::-1] + bytes([device.version, device.type])


@lru_cache(maxsize=16384)
def header_address(device: DeviceId) -> bytes:
    """The same as the long header sends it: id, manufacturer, version, type."""
    return bytes.fromhex(device.id)[::-1] + manufacturer(device.manufacturer) + bytes([device.version, device.type])


def radio(device: DeviceId, body: bytes, *, control: int = SND_NR) -> bytes:
    """A wireless frame without CRCs: L, C, M, A and `body` from its first CI on."""
    block = bytes([control]) + link_address(device) + body
    if len(block) >= _LONGEST_A:
        raise ValueError(f"{device}: {len(block)} bytes do not fit behind one L-field")
    return bytes([len(block)]) + block


def format_a(stripped: bytes) -> bytes:
    """The frame with a CRC behind its first ten bytes and behind each further block of 16 (2.2)."""
    blocks = [stripped[:10], *(stripped[start : start + 16] for start in range(10, len(stripped), 16))]
    return b"".join(map(_checked, blocks))


def format_b(stripped: bytes) -> bytes:
    """The frame with one CRC, or with a second one behind byte 128, and the L-field that counts them (2.3)."""
    if len(stripped) > _LONGEST_B:
        raise ValueError(f"{len(stripped)} bytes do not fit into format B")
    parts = 1 if len(stripped) <= 126 else 2
    counted = bytes([stripped[0] + 2 * parts]) + stripped[1:]
    return _checked(counted[:126]) + (_checked(counted[126:]) if parts == 2 else b"")


def wired(body: bytes, *, address: int = 1, control: int = RSP_UD) -> bytes:
    """A long frame of the wired bus: 68 L L 68 C A `body` checksum 16 (section 1)."""
    counted = bytes([control, address]) + body
    if len(counted) > 255:
        raise ValueError(f"{len(counted)} bytes do not fit into a long frame")
    return bytes([0x68, len(counted), len(counted), 0x68]) + counted + bytes([sum(counted) & 0xFF, 0x16])


def _checked(block: bytes) -> bytes:
    return block + crc16(block).to_bytes(2, "big")
