"""ELV climate sensor: carbon dioxide under a unit in plain text."""

from typing import Final

from submeter.decoders.driver import Driver, Make, Rule

DRIVERS: Final = (
    Driver(
        name="elvsense",
        about="ELV climate sensor with carbon dioxide",
        makes=(Make("ELV", (0x50,), (0x1B,)),),
        rules=(Rule("7C03324F43", to={"quantity": "concentration", "unit": "ppm"}),),
    ),
)
