"""Maddalena evo868 (water) and Microclima (heat): month ends under storages of which one has a date (registers 4)."""

from typing import Final

from submeter.decoders.driver import Driver, History, Make, Rule

DRIVERS: Final = (
    Driver(
        name="evo868",
        about="Maddalena evo868, water: two set days, twelve month ends",
        makes=(Make("MAD", (0x50,), (0x07,)),),
        rules=(Rule(where={"storage": 2}, to={"label": "set_day"}),),
        histories=(History(range(8, 20), base=8),),
    ),
    Driver(
        name="microclima",
        about="Maddalena Microclima, heat: month ends",
        makes=(Make("MAD", (0x00,), (0x04,)),),
        histories=(History(range(1, 32), base=1),),
    ),
)
