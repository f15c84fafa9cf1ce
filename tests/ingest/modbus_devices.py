"""Modbus devices for tests: pymodbus's own server, on loopback or at the end of a pty, in a thread of its own."""

import asyncio
import contextlib
import os
import select
import socket
import struct
import threading
import tty

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

__all__ = ["ADDRESSES", "Answering", "Device", "Pair", "Serving"]

#: A device has as many registers.
ADDRESSES = 200


class Device:
    """A unit whose registers a test sets, and which notes what it was asked.

    It may refuse with the code of an exception, be silent, or give its every third answer late.
    """

    def __init__(self, unit, **registers):
        self.unit = unit
        self.registers = [0] * ADDRESSES
        self.asked = []
        self.refuses = None
        self.silent = False
        self.late_s = 0.0
        for at, words in registers.items():
            self.put(int(at.removeprefix("at")), *words)

    def put(self, at, *words):
        """Let the registers from `at` on hold these words."""
        self.registers[at : at + len(words)] = words

    def simulated(self):
        """The same as pymodbus's server takes it."""

        async def act(function, _start, address, count, current, _set):
            self.asked.append((function, address, count))
            current[:] = self.registers
            if self.silent:
                await asyncio.sleep(30)
            if self.late_s and len(self.asked) % 3 == 0:
                await asyncio.sleep(self.late_s)
            return ExcCodes(self.refuses) if self.refuses else None

        return SimDevice(self.unit, [SimData(0, values=[0] * ADDRESSES, datatype=DataType.REGISTERS)], action=act)


class Serving:
    """A server of devices, until the block ends: at a port of loopback (`framer` RTU: through a TCP gateway), or at a tty."""

    def __init__(self, *devices, port=None, path=None, framer=FramerType.SOCKET):
        self.devices, self.port, self.path, self.framer = devices, port, path, framer
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def hang_up(self):
        """Close all connections, and go on listening."""
        self._loop.call_soon_threadsafe(lambda: [one.close() for one in list(self._server.active_connections.values())])

    def _run(self):
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._end = asyncio.Event()
        devices = [one.simulated() for one in self.devices]
        if self.path is None:
            server = ModbusTcpServer(devices, address=("127.0.0.1", self.port), framer=self.framer)
        else:
            server = ModbusSerialServer(devices, port=self.path, baudrate=19_200, ignore_missing_devices=True)
        self._server = server
        await server.serve_forever(background=True)
        self._ready.set()
        await self._end.wait()
        await server.shutdown()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


class Answering:
    """A TCP server that is no Modbus device: what it sends is made of each request by `answer`; b"" hangs up, None resets the connection."""

    def __init__(self, answer):
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._server.close()

    def _run(self):
        links = []
        while not self._stop.is_set():
            for one in select.select([self._server, *links], [], [], 0.05)[0]:
                if one is self._server:
                    links.append(self._server.accept()[0])
                    continue
                data = b""
                with contextlib.suppress(OSError):
                    if (request := one.recv(4096)) and (data := self._answer(request)):
                        one.sendall(data)
                        continue
                if data is None:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()
                links.remove(one)
        for one in links:
            one.close()


class Pair:
    """Two ttys joined by a thread, `ours` and `theirs`; `echo`: what we send comes back to us first; `damage`: so many-th of what comes has a wrong byte."""

    def __init__(self, *, echo=False, damage=0):
        self.echo = echo
        self.damage = damage
        self.damaged = self._heard = 0
        self._ends = [os.openpty() for _ in range(2)]
        for pair in self._ends:
            for one in pair:
                tty.setraw(one)
        self.ours, self.theirs = (os.ttyname(slave) for _, slave in self._ends)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._pump, args=each) for each in ((0, 1), (1, 0))]

    def __enter__(self):
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for one in self._threads:
            one.join()
        for pair in self._ends:
            for one in pair:
                os.close(one)

    def _worn(self, data):
        self._heard += 1
        if self._heard % self.damage:
            return data
        self.damaged += 1
        return data[:-1] + bytes([data[-1] ^ 0x10])

    def _pump(self, source, sink):
        while not self._stop.is_set():
            if select.select([self._ends[source][0]], [], [], 0.05)[0]:
                data = os.read(self._ends[source][0], 4096)
                if source == 0 and self.echo:
                    os.write(self._ends[0][0], data)
                if source == 1 and self.damage:
                    data = self._worn(data)
                os.write(self._ends[sink][0], data)
