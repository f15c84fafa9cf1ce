"""A flat with one water meter on real stores, fed with readings as they are stored, for tests of what operators decide."""

from decimal import Decimal

import pyarrow as pa
from fastapi.testclient import TestClient

from submeter import civil
from submeter.api import create_app
from submeter.commands import execute
from submeter.config import load
from submeter.core import Core
from submeter.reading import LEVELS, Register, Source, from_micro, to_micro
from submeter.store import READING, RECEPTION

DIRECTORY = """
[[manager]]
id = "m"
name = "M"
[[property]]
id = "b"
manager = "m"
name = "B"
zone = "{zone}"
finest = "{finest}"
[[unit]]
id = "u"
property = "b"
label = "1"
[[point]]
id = "p"
unit = "u"
quantity = "cold_water"
parameters = {{ {parameters} }}
[[device]]
id = "AAA-00000001-01-07"
[[device]]
id = "AAA-00000002-01-07"
[[assignment]]
point = "p"
device = "AAA-00000001-01-07"
from = 2020-01-01
"""
VOLUME = Register("volume", "m3")
DEVICE = "AAA-00000001-01-07"
WHO = {"by": "Eva", "reason": "seen on site"}


class House:
    """The open core of one flat; `seq` counts what was heard."""

    def __init__(self, folder, parameters="", zone="UTC", finest="hour"):
        folder.mkdir(exist_ok=True)
        (folder / "pipeline.toml").write_text('[data]\nfolder = "data"\n')
        (folder / "directory.toml").write_text(DIRECTORY.format(parameters=parameters, zone=zone, finest=finest))
        self.core = Core(load(folder / "pipeline.toml"))
        self.do("import", path=str(folder / "directory.toml"))
        self.token = self.core.registry.create_token("m")
        self.seq = 0

    def do(self, command, **arguments):
        """Lines of a command."""
        return list(execute(self.core, command, arguments))

    def hear(self, *readings, device=DEVICE, src=Source.LIVE, due=False):
        """Store (instant, decimal text) of a device and roll up."""
        (number,) = self.core.readings.register_ids([(device, VOLUME)]).values()
        rows = []
        for t, value in readings:
            self.seq += 1 << 21
            row = {"register": number, "t": civil.instant(t), "value": to_micro(Decimal(value)), "src": int(src), "status": 0, "due": due}
            rows.append(row | {"pinned": False, "seq": self.seq, "label": "now", "time_source": "received"})
        self.core.readings.store(pa.Table.from_pylist(rows, schema=READING), RECEPTION.empty_table(), 0)
        self.core.rollup()

    def rows(self, level="hour"):
        """All stored rows of a level."""
        (number,) = [n for key, n in self.core.readings.series().items() if key.register == VOLUME]
        return self.core.readings.rollups([number], LEVELS.index(level), -(2**62), 2**62).to_pylist()

    def values(self, level="hour"):
        """Values of a level as decimal texts."""
        return [format(from_micro(row["value"]), "f") for row in self.rows(level)]

    def told(self, level="hour"):
        """Rows without their state and revision: what they say."""
        return [{name: value for name, value in row.items() if name not in {"state", "rev"}} for row in self.rows(level)]

    def history(self):
        """Replaced rows of all levels."""
        return self.core.readings.history(list(self.core.readings.series().values())).to_pylist()

    def task(self, kind, at):
        """The open task of this kind at this instant."""
        subject, t = "point:p/volume", civil.instant(at)
        found = [event for event in self.core.registry.events.find(kind, subject, "open") if event.at == t]
        return (found[0] if found else self.core.registry.events.raise_(kind, subject, t, now=t)).id

    def get(self, **query):
        """Answer of the consumption route."""
        app = create_app(self.core.registry, self.core.published, "1")
        client = TestClient(app, headers={"Authorization": f"Bearer {self.token}"}, raise_server_exceptions=False)
        return client.get("/v1/units/u/consumption", params=query)

    def points(self, **query):
        """Points of the only series."""
        answer = self.get(**query)
        assert answer.status_code == 200, answer.text
        return answer.json()["series"][0]["points"]
