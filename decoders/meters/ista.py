"""Ista: storage 2 is the last month, of heat and water meters; storage 1 of heat meters the last year (manufacturer layouts 13)."""

from typing import Final

from submeter.decoders.driver import Driver, Make, Rule

_MONTH: Final = (Rule(where={"storage": 2}, to={"label": "month_end"}),)

DRIVERS: Final = (
    Driver("istaheat", "Ista heat meter A9h", (Make("IST", (0xA9,), (0x04,)),), rules=_MONTH),
    Driver("istawater", "Ista water meter 31h", (Make("IST", (0x31,), (0x06, 0x07)),), rules=_MONTH),
)
