"""Simulated meters, gateways and the telegram encoder: for the demo, the tests and users without hardware.

Here live pure functions of (seed, time): `encode` is the inverse of submeter.decoders, a `Building` has meters whose truth is known at any
instant, a `Network` puts their telegrams into gateways' messages, `expected` says what a check may expect of them, a `World` is the demo's houses with
what happens in them, a `Bus` is a wired M-Bus with its slaves.  No clock, no
randomness may enter, no I/O but that of `wire` (a bus on a pty or a TCP port), and nothing of the other parts but decoders and the core types.
"""

from submeter.simulate import encode
from submeter.simulate.building import Building, Flat, Place
from submeter.simulate.bus import Bus, Faults, Slave, slaves
from submeter.simulate.directory import directory
from submeter.simulate.gateway import Message, Network, Sent, instants, transmissions
from submeter.simulate.meters import Meter, Stored
from submeter.simulate.models import MODELS
from submeter.simulate.truth import anchors, counters, expected, index_at
from submeter.simulate.wire import PtyLine, TcpLine
from submeter.simulate.world import World

__all__ = [
    "MODELS", "Building", "Bus", "Faults", "Flat", "Message", "Meter", "Network", "Place", "PtyLine", "Sent", "Slave", "Stored", "TcpLine", "World", "anchors",
    "counters", "directory", "encode", "expected", "index_at", "instants", "slaves", "transmissions",
]  # fmt: skip
