"""The documents name what the program has: commands, registers, directory fields, routes, formats, languages."""

from pathlib import Path

import pytest
import typer

from submeter.api import announcements, balance, create_app, documents, messages, statements
from submeter.cli import COMMANDS, app
from submeter.config.languages import LOCALES
from submeter.config.texts import SECRET, TEMPLATES
from submeter.decoders import DICTIONARY, DecodeError
from submeter.decoders.catalogue import drivers
from submeter.decoders.flags import FLAGS
from submeter.ingest.envelopes import FORMATS
from submeter.ingest.envelopes.entities import HOMEASSISTANT
from submeter.store import KINDS, Published, Registry
from submeter.store.directory_fields import FIELDS, PARAMETERS

ROOT = Path(__file__).resolve().parent.parent
DOCS = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}


def commands(group=None, prefix=""):
    """Every command with its group; a group that is a command by itself, too."""
    group = group or typer.main.get_command(app)
    for name in group.list_commands(None):
        one = group.get_command(None, name)
        if not hasattr(one, "commands"):
            yield f"{prefix}{name}"
            continue
        yield from [f"{prefix}{name}"] * one.invoke_without_command
        yield from commands(one, f"{prefix}{name} ")


def test_every_command_is_in_the_operators_guide():
    """docs/commands.md has a row for each command."""
    names = set(commands())
    assert len(names) > len(COMMANDS)
    assert {name for name in names if f"`submeter {name}" not in DOCS["commands.md"]} == set()


def test_every_register_is_in_the_dictionary_page():
    """docs/registers.md has each register with its unit, decimals and kind."""
    missing = [name for name, one in DICTIONARY.items() if f"| {name} | {one.unit} | {one.decimals} | {one.kind} |" not in DOCS["registers.md"]]
    assert missing == []


def test_every_driver_and_flag_is_in_the_meters_page():
    """docs/meters.md has a row for each driver and each flag."""
    rows = [f"| {driver.name} | {driver.about} | {_makers(driver)} |" for driver in drivers()] + [
        f"| {word} | {text} |" for word, text in FLAGS.items()
    ]
    assert [row for row in rows if row not in DOCS["meters.md"]] == []


def test_every_reason_is_in_the_decoding_page():
    """docs/decoding.md says of each quarantine reason what it means."""
    assert [one.reason for one in DecodeError.__subclasses__() if f"| {one.reason} |" not in DOCS["decoding.md"]] == []


def _makers(driver):
    return " ".join(dict.fromkeys(maker for make in driver.makes for maker in make.manufacturers.split()))


def test_every_kind_of_event_is_in_its_page():
    """docs/events.md has a row for each kind of event, and for no other."""
    rows = {line.split("|")[1].strip() for line in DOCS["events.md"].splitlines() if line.startswith("| ")} - {"kind"}
    assert rows == set(KINDS)


def test_every_template_is_in_the_outbox_page():
    """docs/outbox.md has a row for each template with its values, and says which hold a secret."""
    rows = {
        line.split("|")[1].strip(): line.split("|")[2] for line in DOCS["outbox.md"].splitlines() if line.startswith("| `") and line.count("|") == 3
    }
    assert {name: {value.strip() for value in values.split(",")} for name, values in rows.items()} == {
        f"`{name}`{' *' * (name in SECRET)}": set(values) for name, values in TEMPLATES.items()
    }


def test_every_directory_field_and_parameter_is_in_its_page():
    """docs/directory.md names each kind, field and parameter of a directory."""
    wanted = {f"[[{kind}]]" for kind in FIELDS} | {field.name for fields in FIELDS.values() for field in fields} | set(PARAMETERS)
    assert {word for word in wanted if word not in DOCS["directory.md"]} == set()


def test_every_format_is_in_the_gateway_page():
    """docs/gateways.md has the name of each format that is accepted in a row, and no other name."""
    rows = [line.split(" | ")[1].strip("`").split("`, `") for line in DOCS["gateways.md"].split("\n\n")[2].splitlines()[2:]]
    assert sorted(name for names in rows for name in names) == sorted({known.name for known in FORMATS} - {"radio_raw"} | {HOMEASSISTANT})


def test_every_language_is_in_the_portals_page():
    """docs/your-portal.md lists the languages, in the order of the alphabet."""
    assert f"of {' '.join(f'`{locale}`' for locale in LOCALES)};" in DOCS["your-portal.md"]


def test_every_route_is_in_the_api_page(tmp_path):
    """docs/api.md names each route, and each route but the descriptions declares a scope."""
    with Registry(tmp_path / "registry.sqlite") as registry, Published(tmp_path / "published.sqlite") as published:
        paths = create_app(registry, published, "0").openapi()["paths"]
    told = {f"`{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {one for one in told if one not in DOCS["api.md"]} == set()
    assert all(route["security"] for methods in paths.values() for route in methods.values())


def test_every_mirrored_route_is_in_its_page():
    """docs/mirror.md names each route of documents, announcements, balance, statements and messages."""
    routers = (documents, announcements, balance, statements, messages)
    routes = [(method, route.path) for one in routers for route in one.routes.routes for method in route.methods]
    assert [route for route in routes if f"`{' '.join(route)}" not in DOCS["mirror.md"]] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_links_lead_somewhere(document):
    """Every relative link of the front pages is a file of the repository."""
    targets = [part.split(")")[0] for part in (ROOT / document).read_text().split("](")[1:]]
    assert [target for target in targets if not target.startswith("http") and not (ROOT / target).exists()] == []
