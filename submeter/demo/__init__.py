"""`submeter demo`: five portals over a world that does not exist, on one machine, in a minute.

`build` fills the stores of a world, `demo` is the command: history, service, gateways that go on at a multiple of real time, and at the end the figures of
the API against those that the simulator knows.
"""

from submeter.demo.building import build
from submeter.demo.folder import Demo, Letter, url_of

__all__ = ["Demo", "Letter", "build", "url_of"]
