"""The CRC of EN 13757-4: polynomial 3D65, start 0, not reflected, complemented at the end. CRC of "123456789" is C2B7."""

__all__ = ["crc16"]

_POLYNOMIAL = 0x3D65


def _row(byte: int) -> int:
    value = byte << 8
    for _ in range(8):
        value = value << 1 ^ (_POLYNOMIAL if value & 0x8000 else 0)
    return value & 0xFFFF


_TABLE = tuple(map(_row, range(256)))


def crc16(data: bytes) -> int:
    """The CRC over `data`. Links send it high byte first, the encrypted payload of the extended link layer low byte first."""
    value = 0
    for byte in data:
        value = value << 8 & 0xFFFF ^ _TABLE[value >> 8 ^ byte]
    return value ^ 0xFFFF
