"""A simulated bus as a port without a line: what it answers is there at once, or never."""

from submeter.simulate import Bus


class InMemory:
    """The `Wire` of a bus; late answers come when they are next asked for after a silence."""

    def __init__(self, bus: Bus, baud=None):
        self.bus = bus
        self.baud = baud
        self._ready = bytearray()
        self._late = bytearray()

    def speed(self, baud):
        self.baud = baud

    def write(self, data):
        for answer in self.bus.hear(data, self.baud):
            (self._late if answer.delay_s > 0.5 else self._ready).extend(answer.data)

    def read(self, wait_s):
        data, self._ready = bytes(self._ready), bytearray()
        if not data and wait_s == 0.0 and self._late:
            data, self._late = b"", bytearray()
        return data
