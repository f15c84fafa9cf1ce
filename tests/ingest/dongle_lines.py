"""What dongles send for a telegram: the inverse of the framers, by their layouts in ingest/SERIAL.md 1."""

from submeter.ingest.framers.amber import checksum
from submeter.ingest.framers.core import x25
from submeter.simulate.encode import format_a, format_b


def im871a(frame, raw=100, *, control=0xC, time=b""):
    """A reception with level byte and CRC."""
    inner = bytes([control << 4 | 2, 3, frame[0]]) + frame[1:] + time + bytes([raw]) * bool(control & 4)
    return b"\xa5" + inner + x25(inner).to_bytes(2, "little") * bool(control & 8)


def iu891a(frame, dbm=-25):
    """A reception in SLIP."""
    body = bytes([0x09, 0x20, 1, 2, 3, 4, 0, 0, 2, dbm & 0xFF]) + frame
    body += x25(body).to_bytes(2, "little")
    return b"\xc0" + body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


def amber(frame, raw=0x10):
    """A reception in command mode with its level byte, without one for None."""
    data = frame[1:] + (b"" if raw is None else bytes([raw]))
    data = b"\xff\x03" + bytes([len(data)]) + data
    return data + bytes([checksum(data)])


def cul(frame, *, b=False, tail="1234"):
    """A line after X21."""
    return b"b" + b"Y" * b + (format_b if b else format_a)(frame).hex().upper().encode() + tail.encode() + b"\r\n"


def rc1180(frame, raw=120):
    """A bare frame with its level."""
    return frame + bytes([raw])
