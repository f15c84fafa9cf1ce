"""Dongles on ptys that answer as ingest/SERIAL.md 1 says: they hear only what is sent at their speed, and forget nothing that they were asked."""

import os
import select
import termios
import threading
import tty

from dongle_lines import amber, cul, im871a, rc1180

from submeter.ingest.framers.amber import checksum
from submeter.ingest.framers.core import x25


class Stick:
    """One dongle; `fault` makes of an answer what comes over the line; `between` is a telegram that is heard just before each answer."""

    speed = termios.B9600
    line = None

    def __init__(self, fault=lambda answer: answer, between=None):
        self.asked = []
        self.fault = fault
        self.between = between
        self._rest = b""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.url = os.ttyname(self._theirs)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        os.close(self._ours)
        os.close(self._theirs)

    def hears(self, frame, line=None):
        """A telegram comes over the air."""
        os.write(self._ours, (line or type(self).line)(frame))

    def _serve(self):
        while not self._stop.is_set():
            if not select.select([self._ours], [], [], 0.02)[0]:
                continue
            data = os.read(self._ours, 4096)
            if termios.tcgetattr(self._theirs)[4] != self.speed:
                continue
            self._rest += data
            while (size := self.size(self._rest)) and size <= len(self._rest):
                request, self._rest = self._rest[:size], self._rest[size:]
                self.asked.append(request)
                answer = self.answer(request)
                if answer:
                    os.write(self._ours, (type(self).line(self.between) if self.between else b"") + self.fault(answer))


class Im871a(Stick):
    """An iM871A in mode S1."""

    speed = termios.B57600
    line = im871a

    def __init__(self, *args, firmware=0x14, stubborn=False, **kw):
        super().__init__(*args, **kw)
        self.firmware = firmware
        self.stubborn = stubborn
        self.mode = 0

    def size(self, rest):
        return rest[3] + 4 if len(rest) > 3 else 0

    def answer(self, request):
        if request[:2] != b"\xa5\x01":
            return b""
        message, payload = request[2], request[4:]
        if message == 3 and not self.stubborn:
            assert (payload[:2], payload[3:]) == (b"\x00\x02", b"\x30\x01\x00"), "RAM, link mode, level"
            self.mode = payload[2]
        told = {
            0x0F: bytes([0x33, 0, self.firmware, 1, 1, 2, 3, 4]),
            0x03: b"\x01",
            0x05: bytes([0xFF, 0, self.mode, *([0] * 15)]),
        }[message]
        inner = bytes([0x81, message + 1, len(told)]) + told
        return b"\xa5" + inner + x25(inner).to_bytes(2, "little")


class Amber(Stick):
    """An AMB8465 in mode S2, whose memory nobody may write."""

    line = amber

    def __init__(self, *args, rssi=1, status=0, **kw):
        super().__init__(*args, **kw)
        self.mode, self.status = 0x03, status
        self.parameters = bytearray(128)
        self.parameters[0x45] = rssi

    def size(self, rest):
        return rest[2] + 4 if len(rest) > 2 else 0

    def answer(self, request):
        if request[0] != 0xFF or checksum(request):
            return b""
        if request[1:4] == b"\x0a\x02\x00":
            told = b"\xff\x8a\x82\x00\x80" + bytes(self.parameters)
        else:
            assert request[1] == 0x04, "the mode until the next reset is all that may be set"
            self.mode = request[3]
            told = bytes([0xFF, 0x84, 1, self.status])
        return told + bytes([checksum(told)])


class Cul(Stick):
    """A nanoCUL that listens to nothing."""

    speed = termios.B38400
    line = cul

    def __init__(self, *args, version=b"V 1.67 nanoCUL868", **kw):
        super().__init__(*args, **kw)
        self.version, self.mode, self.levels = version, b"", b"00"

    def size(self, rest):
        return rest.find(b"\r\n") + 2 if b"\r\n" in rest else 0

    def answer(self, request):
        word = request.strip()
        if word.startswith(b"br"):
            self.mode = word[2:]
            return self.mode.upper() + b"MODE\r\n"
        if word.startswith(b"X") and len(word) > 1:
            self.levels = word[1:]
            return b""
        return {b"V": self.version + b"\r\n", b"X": self.levels + b"  900\r\n"}.get(word, b"? (" + word + b" is unknown)\r\n")


class Rc1180(Stick):
    """An RC1180 that hears nothing while it is being configured."""

    speed = termios.B19200
    line = rc1180

    def __init__(self, *args, mode=1, rssi=1, **kw):
        super().__init__(*args, **kw)
        self.memory = bytearray(b">" * 256)  # the prompt's own byte may be anywhere in it
        self.memory[3], self.memory[5] = mode, rssi
        self.open = False

    def size(self, rest):
        return 1

    def answer(self, request):
        if not self.open:
            self.open = request == b"\x00"
            return b">" * self.open
        assert request in {b"0", b"X", b"\x00"}, "its memory is read, not written"
        self.open = request != b"X"
        return {b"0": bytes(self.memory) + b">", b"\x00": b">"}.get(request, b"")
