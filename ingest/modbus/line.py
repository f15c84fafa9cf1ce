"""A Modbus line: one request, one answer, by pymodbus, which only this file imports (ingest/SERIAL.md 2 to 4). Nothing is ever written: functions 3 and 4 only.

Strategy: pymodbus frames and checks; the line is opened here, so that its errors have words and a TCP connection has keep-alive.
Rules: an answer counts only if it is whole, of the unit and function that were asked, with as many registers. After anything else the connection is closed and opened
again, since RTU has no numbers and a late answer would be taken for the next one's; three tries. A device that says no is not asked again. A device that hangs up between
two reads is not a trouble; one that cannot be reached is an OSError.
"""

import logging
import time
from typing import Final, Literal
from urllib.parse import urlsplit

from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.client.base import ModbusBaseSyncClient
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from submeter.ingest.errors import PollError
from submeter.ingest.ports import connected, serial_line

__all__ = ["Line", "Parity"]

Parity = Literal["even", "odd", "none"]
TRIES: Final = 3
#: After a failure, before the next try.
SILENCE_S: Final = 0.1
PORT: Final = 502
#: What a device may say instead of an answer (Modbus application protocol V1.1b3, 7).
EXCEPTIONS: Final = {
    1: "it does not know this function", 2: "it has no such address", 3: "it does not give so many registers", 4: "it failed", 5: "it needs longer", 6: "it is busy",
    8: "its memory failed", 10: "the gateway has no way to it", 11: "it does not answer the gateway",
}  # fmt: skip


class Line:
    """One line; `echo` says whether it repeats what is sent (None: find out), which only a device does."""

    def __init__(self, url: str, baud: int = 19_200, parity: Parity = "even", timeout_s: float = 1.0, *, echo: bool | None = None) -> None:
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # what goes wrong is raised and told here
        self._url, self._baud, self._parity, self._timeout_s = url, baud, parity, timeout_s
        self._echo = echo if "://" not in url else False
        self._client: ModbusBaseSyncClient | None = None
        self.open(echo=bool(self._echo))

    def open(self, *, echo: bool = False) -> ModbusBaseSyncClient:
        """Open the line; raises OSError, or ValueError for an address that is none."""
        self.close()
        self._client = self._serial(echo=echo) if "://" not in self._url else self._tcp()
        return self._client

    def close(self) -> None:
        """Hang up."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        """The registers from an address on; raises PollError with the reason, or OSError when the line is gone."""
        gone, said = 0, ""
        for echo in (self._echo,) * TRIES if self._echo is not None else (False, True, False):
            client = self._client or self.open(echo=echo)
            try:
                answer = self._asked(client, unit, function, address, count)
            except (ConnectionException, OSError):
                gone, said = gone + 1, "it hung up"
            except ModbusIOException:
                said = "nothing whole came"
            except ModbusException as error:
                said = error.string
            else:
                self._echo = echo
                return _registers(answer, unit, address, count)
            self.close()
            time.sleep(SILENCE_S)
        if gone == TRIES:
            raise ConnectionError(f"the device hangs up when unit {unit} is asked")
        raise PollError("no_answer", f"unit {unit}, {count} registers at {address}: asked {TRIES} times, at last {said}")

    def _asked(self, client: ModbusBaseSyncClient, unit: int, function: int, address: int, count: int) -> ModbusPDU:
        """The answer to this request, or what the device says instead."""
        ask = client.read_holding_registers if function == 3 else client.read_input_registers
        answer = ask(address, count=count, device_id=unit)
        if not isinstance(answer, ExceptionResponse) and (answer.function_code != function or len(answer.registers) != count):
            raise ModbusException(f"{len(answer.registers)} registers came, by function {answer.function_code}")
        return answer

    def _tcp(self) -> ModbusTcpClient:
        address = urlsplit(self._url)
        port = address.port or (PORT if address.scheme == "tcp" else None)
        if address.scheme not in {"tcp", "socket"} or not address.hostname or not port:
            raise ValueError("write tcp://host:port, socket://host:port or a device")
        framer = FramerType.SOCKET if address.scheme == "tcp" else FramerType.RTU
        client = ModbusTcpClient(address.hostname, port=port, framer=framer, timeout=self._timeout_s, retries=0)
        client.socket = connected(address.hostname, port)
        return client

    def _serial(self, *, echo: bool) -> ModbusSerialClient:
        client = ModbusSerialClient(self._url, baudrate=self._baud, timeout=self._timeout_s, retries=0, handle_local_echo=echo)
        client.socket = serial_line(self._url, self._baud, self._parity, self._timeout_s)
        return client


def _registers(answer: ModbusPDU, unit: int, address: int, count: int) -> bytes:
    """The bytes of an answer; raises PollError for what the device says instead."""
    if isinstance(answer, ExceptionResponse):
        code = answer.exception_code
        raise PollError("exception", f"unit {unit}, {count} registers at {address}: {EXCEPTIONS.get(code, 'it says no')} (exception {code})")
    return b"".join(one.to_bytes(2, "big") for one in answer.registers)
