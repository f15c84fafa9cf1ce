"""Software bill of materials: what requirements.lock installs, as CycloneDX 1.6 on standard output. `./run sbom >submeter.cdx.json`.

Strategy: names, versions and hashes come from the lock, licences and who needs whom from what is installed, so no network is asked. What submeter
itself does not need, but its tests or extras, has the scope `excluded` or `optional`. Two runs give the same bytes.
"""

# ruff: noqa: INP001 - a script, not a package

import json
import re
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

LOCK: Final = Path(__file__).resolve().parent.parent / "requirements.lock"
PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NAME: Final = re.compile(r"^[A-Za-z0-9._-]+")


def normal(name: str) -> str:
    """A package's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Name, version and hashes of each package of a lock."""
    found = list(PINNED.finditer(text))
    for one, end in zip(found, [*(other.start() for other in found[1:]), len(text)], strict=True):
        yield normal(one[1]), one[2], HASH.findall(text[one.start() : end])


def needed(root: str, *, extras: bool) -> set[str]:
    """What a package needs, and what that needs; of the root with its extras too if asked."""
    seen, todo = set[str](), [root]
    while todo:
        name = todo.pop()
        if name not in seen and (installed := _installed(name)):
            seen.add(name)
            rules = [rule for rule in installed.requires or () if "extra ==" not in rule or (extras and name == root)]
            todo += [normal(match[0]) for rule in rules if (match := NAME.match(rule))]
    return seen - {root}


def component(name: str, version: str, hashes: list[str], scope: str) -> dict[str, Any]:
    """One package as CycloneDX has it."""
    purl = f"pkg:pypi/{name}@{version}"
    told: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "scope": scope, "purl": purl}
    told["hashes"] = [{"alg": "SHA-256", "content": one} for one in hashes]
    if licence := _licence(name):
        told["licenses"] = [{"license": {"name": licence}}]
    return told


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _licence(name: str) -> str:
    """The licence as the package states it, in one line."""
    if (installed := _installed(name)) is None:
        return ""
    stated = installed.metadata.get("License-Expression") or installed.metadata.get("License") or ""
    classified = [text.rsplit(" :: ", 1)[-1] for text in installed.metadata.get_all("Classifier") or () if text.startswith("License ::")]
    return stated if stated and "\n" not in stated and len(stated) < 100 else ", ".join(classified)


def bill(lock: str) -> dict[str, Any]:
    """The whole document."""
    required, optional = needed("submeter", extras=False), needed("submeter", extras=True)
    components = [
        component(name, version, hashes, "required" if name in required else "optional" if name in optional else "excluded")
        for name, version, hashes in sorted(pinned(lock))
    ]
    root = {"type": "application", "name": "submeter", "version": distribution("submeter").version, "bom-ref": "submeter"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, lock)}",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill(LOCK.read_text()), indent=1) + "\n")
