"""Simulated meters, gateways and the telegram encoder: for the demo, the tests and users without hardware.

Here live pure functions of (seed, time): `encode` is the inverse of submeter.decoders, a `Building` has meters whose truth is known at any
instant, a `Network` puts their telegrams into gateways' messages, `expected` says what a check may expect of them, a `World` is the demo's houses with
what happens in them.  No I/O, no clock, no
randomness may enter, and nothing of the other parts but decoders and the core types.
"""

from submeter.simulate import encode
from submeter.simulate.building import Building, Flat, Place
from submeter.simulate.directory import directory
from submeter.simulate.gateway import Message, Network, Sent, history_lines, instants, transmissions
from submeter.simulate.meters import Meter, Stored
from submeter.simulate.models import MODELS
from submeter.simulate.truth import anchors, counters, expected, index_at
from submeter.simulate.world import World

__all__ = [
    "MODELS", "Building", "Flat", "Message", "Meter", "Network", "Place", "Sent", "Stored", "World", "anchors", "counters", "directory", "encode", "expected",
    "history_lines", "index_at", "instants", "transmissions",
]  # fmt: skip
