"""BMeters Hydrocal M3 (heat and cold): equal headers, their order decides (manufacturer layouts 13; registers 4)."""

from typing import Final

from submeter.decoders.driver import Driver, Make, Rule


def _nth(sent: str, nth: int, **to: object) -> Rule:
    return Rule(where={"quantity": sent, "storage": 0, "function": 0}, nth=nth, to=to)


DRIVERS: Final = (
    Driver(
        name="hydrocalm3",
        about="BMeters Hydrocal M3, heat and cold",
        makes=(Make("BMT BMP", (0x0B,), (0x0D,)),),
        rules=(
            _nth("energy", 2, quantity="energy_cooling"),
            _nth("volume", 2, modifiers=("cooling",)),
            _nth("volume", 3, quantity="volume_input_a"),
            _nth("volume", 4, quantity="volume_input_b"),
        ),
    ),
)
