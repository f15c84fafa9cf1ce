"""The folders at the root, the packages declared and the symlinks in submeter/ agree."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETTINGS = PROJECT["tool"]["setuptools"]
OWN = {"tests", "bench", "docs", "submeter"}


def packages_on_disk():
    """Import names of the folders with an __init__."""
    folders = [
        path
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name not in OWN and (path / "__init__.py").exists()
    ]
    nested = [
        path
        for folder in [*folders, ROOT / "submeter"]
        for path in folder.rglob("__init__.py")
        if not any(part.is_symlink() for part in path.parents)
    ]
    relative = {path.parent.relative_to(ROOT) for path in nested}
    return {".".join(path.parts) if path.parts[0] == "submeter" else ".".join(("submeter", *path.parts)) for path in relative}


def test_every_package_on_disk_is_declared_and_installed():
    """A folder with an __init__ that pyproject.toml does not declare would be missing from the wheel."""
    assert packages_on_disk() == set(SETTINGS["packages"])


def test_every_root_folder_is_mapped_and_linked():
    """Each root folder has its package-dir entry and its symlink, so that wheel, type checkers and ./run see the same modules."""
    roots = {name.split(".")[1] for name in packages_on_disk() if "." in name} - {"cli", "demo"}
    mapped = {name.removeprefix("submeter."): folder for name, folder in SETTINGS["package-dir"].items() if name != "submeter"}
    assert {name for name in mapped if "." not in name} == roots
    assert all(folder == name.replace(".", "/") for name, folder in mapped.items())
    assert {path.name for path in (ROOT / "submeter").iterdir() if path.is_symlink()} == roots
    assert all((ROOT / "submeter" / name).resolve() == ROOT / name for name in roots)


def test_spark_has_a_lock_of_its_own():
    """Pyspark is 480 MB: it is in the extra and its lock file, of the same range, and not in what `./run` installs."""
    assert PROJECT["dependency-groups"]["spark"] == PROJECT["project"]["optional-dependencies"]["spark"]
    locks = [(ROOT / name).read_text() for name in ("requirements.lock", "requirements-spark.lock")]
    assert ["pyspark==" in lock for lock in locks] == [False, True]
    assert not [line for lock in locks for line in lock.splitlines() if "://" in line or line.startswith("--index")]


def test_no_extra_is_needed_before_it_is_asked_for():
    """Every command can be imported where only what pyproject.toml requires is installed."""
    absent = "import sys; sys.modules.update(dict.fromkeys(('psycopg', 'pymodbus', 'pyspark')))"
    modules = [f"submeter.cli.{path.stem}" for path in sorted((ROOT / "submeter" / "cli").glob("*.py"))]
    wanted = ["submeter.doctor", "submeter.backup", "submeter.service", *modules]
    done = subprocess.run([sys.executable, "-c", f"{absent}; import {', '.join(wanted)}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
