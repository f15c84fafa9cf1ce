"""Landis+Gyr heat meters of the type 5.5: month ends reckoned back from the dated one in storage 2; of equal headers the first is the newest."""

from typing import Final

from submeter.decoders.driver import Driver, History, Make

DRIVERS: Final = (
    Driver(
        name="qheat55",
        about="Landis+Gyr 5.5, heat: thirteen month ends",
        makes=(Make("LUG", (0x07, 0x0A), (0x04,)),),
        histories=(History(range(2, 15), base=2),),
    ),
)
