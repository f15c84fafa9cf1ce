"""`submeter modbus`: read the meters of [[modbus]] now, to see whether a register map is right. Nothing is kept."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Annotated

import typer

from submeter.cli.operate import ConfigFile
from submeter.config import load
from submeter.decoders import DICTIONARY
from submeter.errors import SubmeterError
from submeter.ingest.envelopes.modbus import Block
from submeter.ingest.errors import PollError
from submeter.ingest.modbus.maps import SERIAL, RegisterMap
from submeter.ingest.modbus.poller import ModbusSettings
from submeter.ingest.modbus.registers import bytes_of, value_of
from submeter.ingest.modbus.stations import Station
from submeter.ingest.settings import maps_of, modbus_of

__all__ = ["modbus"]


def modbus(
    name: Annotated[str | None, typer.Argument(help="a [[modbus]] by its name; default: all")] = None,
    *,
    config: ConfigFile = None,
) -> None:
    """Read the meters of [[modbus]] now and show what their registers say, point by point; exit status 1 if one is not read."""
    settings = load(config)
    lines = [one for one in settings.modbus if name in {None, one.name}]
    if not lines:
        raise SubmeterError(f"there is no [[modbus]]{f' of the name {name}' if name else ''} in the configuration")
    maps, missed = maps_of(settings), 0
    for one in lines:
        for text, good in _read(modbus_of(one, maps), maps):
            typer.echo(text, err=not good)
            missed += not good
    raise typer.Exit(1 if missed else 0)


def _read(one: ModbusSettings, maps: Mapping[str, RegisterMap]) -> Iterator[tuple[str, bool]]:
    """Lines about each meter, and whether it was read."""
    try:
        with closing(one.opened()) as line:
            for station in one.stations:
                try:
                    blocks = station.read(line.read)
                except PollError as error:
                    yield f"{station}: {error}", False
                    continue
                yield str(station), True
                yield from ((text, True) for text in _points(maps[station.map], station, blocks))
    except (OSError, ValueError) as error:
        yield f"{one.name}: {one.url} cannot be read: {error}; while `submeter run` reads it, nobody else may be let in", False


def _points(by: RegisterMap, station: Station, blocks: Sequence[Block]) -> Iterator[str]:
    for point in by.points:
        data = bytes_of(point, by, station.offset, blocks) or b""
        value = value_of(point, data)
        unit = "" if point.register == SERIAL else DICTIONARY[point.register].unit
        said = "no value" if value is None else f"{float(value):.10g} {unit}"
        yield f"  {by.base + station.offset + point.address:>5}  {data.hex():8}  {point.register} {said}".rstrip()
