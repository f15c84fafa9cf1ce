"""The conformance command."""

import json
import subprocess
import sys
from pathlib import Path

from submeter.aggregate.conform import answers

COMMAND = [sys.executable, "-c", "from submeter.cli import main; main()", "conform"]
CASES = json.loads((Path(__file__).parent / "cases.json").read_text())["cases"]


def test_one_line_for_each_case():
    """The command reads cases on standard input and answers each on a line of its own, always with all four levels."""
    lines = "".join(json.dumps(case) + "\n" for case in CASES[:3])
    done = subprocess.run(COMMAND, input=lines, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in found] == [case["id"] for case in CASES[:3]]
    assert all(set(answer) == {"id", "rows", "dropped", "pending"} for answer in found)
    assert all(set(answer["rows"]) == {"hour", "day", "month", "year"} for answer in found)


def test_a_refused_case_does_not_stop_the_others():
    """A line that is no case, or breaks a precondition, is answered with its error; the command ends with 1."""
    bad = {**CASES[0], "register": {"kind": "sundial"}}
    lines = ["{", json.dumps([]), json.dumps({"id": "X"}), json.dumps(bad), json.dumps(CASES[0])]
    found = list(answers([*lines, "\n"]))
    assert [answer["id"] for answer in found] == [None, None, "X", bad["id"], bad["id"]]
    assert ["error" in answer for answer in found] == [True, True, True, True, False]
    assert "sundial" in found[3]["error"]
    done = subprocess.run(COMMAND, input="\n".join(lines), capture_output=True, text=True, check=False)
    assert done.returncode == 1


def test_twenty_two_digits():
    """A value beyond 64 bits is computed exactly where it is used."""
    readings = [{"t": "2024-01-10T00:00Z", "v": "1832278249396618000000.0000001"}, {"t": "2024-01-10T01:00Z", "v": "1832278249396618000002.0000001"}]
    case = {"id": "big", "tz": "UTC", "register": {}, "batches": [{"readings": readings}]}
    (answer,) = answers([json.dumps(case)])
    assert [row["value"] for row in answer["rows"]["hour"]] == ["2"]
    gauge = {**case, "register": {"kind": "gauge"}}
    (answer,) = answers([json.dumps(gauge)])
    assert answer["rows"]["hour"][0]["mean"] == "1832278249396618000001"
