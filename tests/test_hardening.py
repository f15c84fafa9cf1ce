"""What surrounds a running submeter: unit and image are locked down and work with it, and the bill of materials is that of the lock."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installation import ROOT, Installation

OPERATE = ROOT / "docs" / "operate"
#: The most that `systemd-analyze security` may call exposed, of 10.
EXPOSED = "20"  # tenths
#: Denies memory that is written and then run, as the unit does, and becomes the command; status 77 where the kernel cannot (before 6.3).
DENIED = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) and sys.exit(77); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


def unit():
    """The sections of the systemd unit; a key that stands twice has both values."""

    class Twice(dict):
        def __setitem__(self, key, value):
            super().__setitem__(key, [*self.get(key, []), *value] if isinstance(value, list) and isinstance(self.get(key), list) else value)

    parser = configparser.ConfigParser(strict=False, interpolation=None, dict_type=Twice, comment_prefixes="#", delimiters="=")
    parser.optionxform = str
    parser.read(OPERATE / "submeter.service")
    return parser


def test_the_unit_gives_no_rights_away():
    """The service has a user, no capability, a file system that it cannot write but for its data, and leaves no memory image."""
    service = unit()["Service"]
    assert service["User"] == "submeter"
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["NoNewPrivileges"] == service["ProtectHome"] == service["MemoryDenyWriteExecute"] == "yes"
    assert (service["ProtectSystem"], service["UMask"], service["LimitCORE"], service["StateDirectoryMode"]) == ("strict", "0077", "0", "0700")
    assert service["LoadCredential"].startswith("master.key:")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_and_calls_it_safe(tmp_path):
    """No directive is unknown or wrong, and the exposure that systemd sees is low."""
    file = tmp_path / "submeter.service"
    file.write_text((OPERATE / "submeter.service").read_text().replace("/opt/submeter/bin/submeter", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSED}", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_service_works_without_memory_that_is_written_and_run(tmp_path):
    """With what the unit denies, and its environment, directory, keys and a computation work."""
    here = Installation(tmp_path / "here")
    environment = dict([unit()["Service"]["Environment"].split("=", 1)])
    command = [sys.executable, "-c", DENIED, "-m", "submeter", "rollup", "--everything", "--config", str(here.file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env={"PATH": "/usr/bin:/bin", **environment})
    if done.returncode == 77:
        pytest.skip("this kernel cannot deny it")
    assert done.returncode == 0, done.stderr


def test_the_image_runs_as_nobody_on_a_root_that_nobody_writes():
    """The last stage has a user by number, the data as a volume, no compiler and no package index; the command that runs it takes the rights away."""
    text = (OPERATE / "Containerfile").read_text()
    last = text.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert 'VOLUME ["/var/lib/submeter"]' in last
    assert "pip install" not in last
    assert "requirements.lock" in text
    assert "/v1/health" in last
    for option in ("--read-only", "--cap-drop ALL", "no-new-privileges", "--pids-limit", "--ulimit core=0"):
        assert option in text
    assert all((ROOT / path).exists() for path in re.findall(r"^#.* -f (\S+)", text, re.MULTILINE))


def test_the_bill_of_materials_is_that_of_the_lock():
    """Every package of the lock is in it once, with its hashes; what submeter needs is told apart from what its tests need; two runs are equal."""
    first, second = (subprocess.run([sys.executable, ROOT / ".ci" / "sbom.py"], capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert first == second
    told, lock = json.loads(first), Path(ROOT / "requirements.lock").read_text()
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert sorted(f"{one['name']}=={one['version']}" for one in told["components"]) == sorted(
        re.findall(r"^([a-z0-9.-]+==[^ ;\\]+)", lock, re.MULTILINE)
    )
    assert sum(len(one["hashes"]) for one in told["components"]) == lock.count("--hash=")
    scopes = {one["name"]: one["scope"] for one in told["components"]}
    assert (scopes["duckdb"], scopes["starlette"], scopes["pytest"]) == ("required", "required", "excluded")
    assert all(one.get("licenses") for one in told["components"] if one["scope"] == "required")


def test_every_test_of_the_threat_model_exists():
    """docs/security.md names, for each threat, tests that there are."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text()))
    known = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert named
    assert named - known == set()
