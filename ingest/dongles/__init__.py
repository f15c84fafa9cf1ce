"""Dongles that can be asked who they are and told their radio mode (ingest/SERIAL.md 1), and which port one is plugged into.

Strategy: each kind is one small file: its read-only question, what its answer means, its modes and how one is set; `talk` asks, `finding` looks at ports.
Rules: nothing is written unless the configuration asks for it (`mode`, `port = "auto"`, `kind = "auto"`); the question comes first, and a device that
does not answer it is told and written to no more; RAM only, never a memory that outlives the supply; telegrams that come in between are kept.
A new dongle is one file here and its row in `KINDS`, with its framer in ingest/framers. May enter: what ingest may.
"""

from submeter.ingest.dongles.finding import AUTO, Found, find, set_up
from submeter.ingest.dongles.kinds import ASKABLE, KINDS, Dongle, Kind, modes_of
from submeter.ingest.dongles.talk import Talk

__all__ = ["ASKABLE", "AUTO", "KINDS", "Dongle", "Found", "Kind", "Talk", "find", "modes_of", "set_up"]
