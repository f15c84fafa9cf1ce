"""What is changed in a meter, and only by an explicit command: its baud rate, its primary address (ingest/SERIAL.md 2).

Strategy: read the meter first, so that the operator sees whom he changes; then one order, and a read in the new way that must find the same meter.
Rules: an order goes to one meter, never to 254; an address that anybody answers to is not given away; whether it worked is what the read says, since
an acknowledgement may be lost; a meter that does not answer in the new way is looked for in the old one, and the sentence says where it is.
"""

from collections.abc import Callable

from submeter.errors import SubmeterError
from submeter.ingest.bus.frames import BAUDS, EVERYBODY, SELECTED, Address, Secondary, address_order, baud_order, header_of
from submeter.ingest.bus.master import Master
from submeter.ingest.errors import PollError

__all__ = ["ChangeError", "Present", "present", "set_address", "set_baud"]


class ChangeError(SubmeterError):
    """A meter is not changed, or not as it should be; the sentence says how it is now."""


class Present:
    """A meter that has just answered: how it was asked, its secondary address if it tells one, its primary one."""

    def __init__(self, address: Address, page: bytes) -> None:
        self.secondary = header_of(page)
        self.primary = page[5]
        self.address = self.secondary if isinstance(address, Secondary) and self.secondary else address

    def __str__(self) -> str:
        return f"{self.secondary or 'a meter without a secondary address'}, primary address {self.primary}"


def present(master: Master, address: Address) -> Present:
    """Who is at this address; raises PollError where nobody or several are, ChangeError for an address of all."""
    if address == EVERYBODY:
        raise ChangeError(f"{EVERYBODY} means every meter of the line: write the address of one, as submeter scan prints it")
    return Present(address, master.read(address)[0])


def set_baud(master: Master, meter: Present, baud: int) -> None:
    """Have the meter listen at another baud rate; raises ChangeError, PollError, or OSError where the line's own speed cannot be changed."""
    if baud not in BAUDS:
        raise ChangeError(f"{baud} is no baud rate of the standard: write one of {', '.join(map(str, BAUDS))}")
    before = master.timing.baud
    master.port.speed(before)  # before anything is changed: can the line follow?
    _ordered(master, meter, lambda address: baud_order(address, baud))
    master.speed(baud)
    if _is_at(master, meter.address, meter):
        return
    master.speed(before)
    still = _is_at(master, meter.address, meter)
    raise ChangeError(f"it still answers at {before} baud and not at {baud}" if still else f"it answers neither at {baud} nor at {before} baud")


def set_address(master: Master, meter: Present, new: int) -> None:
    """Give the meter another primary address; raises ChangeError or PollError."""
    if not 1 <= new <= 250:
        raise ChangeError(f"{new} is no primary address: write one from 1 to 250")
    if meter.primary == new:
        raise ChangeError(f"it has the primary address {new} already")
    if not _is_free(master, new):
        raise ChangeError(f"somebody answers at {new}: choose an address that nobody has (submeter scan --primary shows them)")
    _ordered(master, meter, lambda address: address_order(address, new))
    if not _is_at(master, new, meter):
        old = meter.address if isinstance(meter.address, Secondary) else meter.primary
        still = _is_at(master, old, meter)
        raise ChangeError(f"it does not answer at {new}{f', and has kept its address {meter.primary}' if still else ', nor at its old address'}")


def _ordered(master: Master, meter: Present, order: Callable[[int], bytes]) -> None:
    """Send the order; an acknowledgement that does not come may have been lost, so the read that follows decides."""
    if isinstance(meter.address, Secondary):
        if not master.select(meter.address):
            raise PollError("not_selected", f"no slave answers to {meter.address} any more; nothing was changed")
        target = SELECTED
    else:
        master.awaken(meter.address)
        target = meter.address
    try:
        master.order(order(target))
    except PollError:
        return


def _is_at(master: Master, address: Address, meter: Present) -> bool:
    """Whether the same meter answers there."""
    try:
        found = Present(address, master.read(address)[0])
    except PollError:
        return False
    return found.secondary == meter.secondary


def _is_free(master: Master, address: int) -> bool:
    """Whether nobody answers there, not even in a damaged way."""
    try:
        master.awaken(address)
    except PollError as error:
        return error.reason == "timeout"
    return False
