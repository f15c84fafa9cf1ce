"""What the documents name is there: links and headings, commands with their options, settings, routes, rows of tables, files and folders."""

import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import yaml
from portals import Here
from test_docs import commands

from submeter.cli import app
from submeter.config import Config, parse
from submeter.config.load import LISTS
from submeter.config.portals import Portal
from submeter.decoders import DICTIONARY
from submeter.decoders.catalogue import drivers
from submeter.decoders.flags import FLAGS
from submeter.ingest.modbus.maps import maps_in
from submeter.store.directory_fields import FIELDS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/*.md")])
}
#: What decisions and the changelog say was true on their day.
PRESENT = {name: text for name, text in DOCUMENTS.items() if "decisions/" not in name and name != "CHANGELOG.md"}
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PROGRAM = typer.main.get_command(app)
VERBS = set(re.findall(r"^    (\w+)\)", (ROOT / "run").read_text().partition("\ncase $verb in")[2], re.MULTILINE))
BENCHES = {path.stem for path in (ROOT / "bench").glob("*.py")}
SOAKS = set(re.findall(r'^    "(\w+)": Run\(', (ROOT / "bench" / "soak.py").read_text(), re.MULTILINE))


def fenced(text, *languages):
    """The blocks of these languages, as far to the left as they can be."""
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, language, block in FENCE.findall(text) if language in languages]


def spans(text):
    """What stands between backticks in running text."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def cells(text, number=0):
    """A cell of every row of the tables of a text, without their heads."""
    lines = [*FENCE.sub("", text).splitlines(), ""]
    rows = [line for line, below in pairwise(lines) if line.startswith("| ") and not below.startswith("|---")]
    return [row.strip("|").split(" | ")[number].strip() for row in rows]


# Links


def headings(text):
    """The anchors of a document, as GitHub makes them."""
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line).replace("`", "") for line in re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE))
    return {re.sub(r"[^\w\- ]", "", line.strip().lower()).replace(" ", "-") for line in plain}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_relative_link_leads_to_a_file_and_a_heading(name):
    """No link of any page is broken, nor points at a heading that was renamed."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", DOCUMENTS[name])):
        if re.match(r"https?:|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in headings(path.read_text()), target


def test_every_page_can_be_reached_from_the_readme():
    """Who follows links from the README comes to every page of docs/; decisions are a folder that it links to."""
    seen, wanted = set(), ["README.md"]
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            targets = (target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+\.md[^)\s]*)\)", DOCUMENTS[name]) if "://" not in target)
            wanted += [str(((ROOT / name).parent / target).resolve().relative_to(ROOT)) for target in targets if target]
    assert {name for name in PRESENT if name not in seen} == set()


# Commands


def typed(line):
    """The simple commands of a shell line that are submeter's: program and words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = []
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&$") or word.endswith("$"):
            yield from command(words)
            words = []
        else:
            words.append(word)


def command(words):
    """A command's words after variables, `sudo` and an assignment of its output."""
    while words and ("=" in words[0] or words[0] in {"sudo", "uvx", "if", "then", "!"}):
        words = words[1:]
    if words and Path(words[0]).name in {"submeter", "run"} and (words[0] != "run"):
        yield Path(words[0]).name, words[1:]


def complaint(program, words):
    """What is wrong with a command; None if it exists with its options. Only names are looked at, not values."""
    if program == "run" and words and words[0] in VERBS:
        verb, name = words[0], words[1] if len(words) > 1 else None
        if verb in {"bench", "soak"} and name and not name.startswith("-"):
            known = BENCHES if verb == "bench" else SOAKS
            return None if name in known else f"no {verb} {name}"
        tests = [word.partition("::")[0] for word in words[1:] if word.startswith("tests")] if verb == "test" else []
        return next((f"{test} is missing" for test in tests if not (ROOT / test).exists()), None)
    one, rest = PROGRAM, list(words)
    while hasattr(one, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        one = one.get_command(None, name)
        if one is None:
            return f"no command {' '.join(words)}"
    known = {option: parameter for parameter in one.params for option in [*parameter.opts, *parameter.secondary_opts]}
    arguments = [parameter for parameter in one.params if parameter.param_type_name == "argument"]
    placed = 0
    while rest:
        word, _, value = rest.pop(0).partition("=")
        if not word.startswith("-") or word == "-":
            placed += 1
        elif word not in known and word != "--help":
            return f"{' '.join(words)}: no option {word}"
        elif word in known and not known[word].is_flag and not value and rest:
            rest.pop(0)
    most = sum(parameter.nargs for parameter in arguments) if all(parameter.nargs > 0 for parameter in arguments) else 99
    return f"{' '.join(words)}: {placed} words, it takes {most}" if placed > most else None


def told_commands():
    """Every command of a shell block, or between backticks, with its page."""
    for name, text in PRESENT.items():
        for block in fenced(text, "sh", "bash", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                yield from ((name, *one) for one in typed(line))
        for span in spans(text):
            if re.match(r"(\w+=\S+ )*(\./run|\.venv/bin/submeter|submeter) [^…]*$", span) and "submeter knows" not in span:
                yield from ((name, *one) for one in typed(span))


def test_every_command_in_the_documents_is_there_with_its_options():
    """What a reader copies exists: command, options, and no more words than it takes."""
    found = list(told_commands())
    assert len(found) > 200
    assert {(name, said) for name, program, words in found if (said := complaint(program, words))} == set()


@pytest.mark.parametrize(
    "line", ["submeter rolup", "submeter rollup --form 1", "submeter backup A B", "./run bench nothing", "./run test tests/none.py"]
)
def test_a_command_that_is_not_there_is_found(line):
    """A wrong name, a wrong option, a word too many, a bench and a test that are not there."""
    ((program, words),) = typed(f"cd /srv && X=1 {line} > file")
    assert complaint(program, words)


def test_every_command_of_alerts_and_events_is_there():
    """What alerts and the page of events tell to do names commands and options that exist."""
    rules = yaml.safe_load((ROOT / "docs" / "operate" / "alerts.yml").read_text())["groups"][0]["rules"]
    names = set(commands())
    for text in [*(rule["annotations"]["action"] for rule in rules), *cells(DOCUMENTS["docs/events.md"], -1)]:
        for first, second, rest in re.findall(r"submeter ([a-z-]+)(?: ([a-z-]+))?([^,;:(`]*)", text):
            known = first if first in names else f"{first} {second}"
            assert known in names, text
            assert complaint("submeter", [*known.split(), *re.findall(r"--[a-z-]+", rest)]) is None, text


# The runbook


def test_every_alert_has_its_row_in_the_runbook():
    """The table of alerts is that of alerts.yml, names the kinds of events that each asks for, and sends the reader to symptoms that are there."""
    rules = yaml.safe_load((ROOT / "docs" / "operate" / "alerts.yml").read_text())["groups"][0]["rules"]
    text = DOCUMENTS["docs/runbook.md"].partition("## By alert")[2].partition("\n## ")[0]
    rows = dict(zip(cells(text), (line for line in text.splitlines() if line.startswith("| Submeter")), strict=True))
    assert list(rows) == [rule["alert"] for rule in rules]
    symptoms = cells(DOCUMENTS["docs/runbook.md"])
    for rule in rules:
        kinds = {kind for asked in re.findall(r'kind=~?"([^"]+)"', rule["expr"]) for kind in asked.split("|")}
        assert {kind for kind in kinds if kind not in rows[rule["alert"]]} == set()
        assert [name for name in re.findall(r"\*([^*]+)\*", rows[rule["alert"]]) if not any(one.startswith(name) for one in symptoms)] == []


def test_every_symptom_has_a_command():
    """At least fifteen symptoms, each with something to type or to ask."""
    text = DOCUMENTS["docs/runbook.md"].partition("## By alert")[0]
    rows = dict(zip(cells(text), cells(text, 1), strict=True))
    assert len(rows) > 15
    assert [symptom for symptom, look in rows.items() if not re.search(r"`(submeter|GET|curl) |`\[keys\]`", look)] == []


# Settings


def test_every_block_of_toml_is_a_configuration_a_directory_or_a_map(tmp_path):
    """A block of a page that a reader copies is taken as it stands."""
    for name, text in PRESENT.items():
        for block in fenced(text, "toml"):
            keys = set(tomllib.loads(block))
            if keys == {"map"}:
                (tmp_path / "maps.toml").write_text(block)
                assert maps_in([tmp_path / "maps.toml"]), name
            elif not keys <= set(FIELDS):
                assert parse(block, ROOT / "pipeline.toml"), name


def test_every_setting_that_a_page_names_is_there():
    """`[section] key` between backticks, and a section alone, is one of pipeline.toml, with the brackets that it has."""
    named = [
        (name, *one) for name, text in PRESENT.items() for span in spans(text) for one in re.findall(r"^(\[+)([a-z_]+)\]+(?: ([a-z_0-9]+))?", span)
    ]
    assert len(named) > 40
    for name, brackets, section, key in named:
        if section in FIELDS or (name == "docs/your-portal.md" and section in Portal.model_fields):
            continue
        assert section in Config.model_fields, (name, section)
        assert (brackets == "[[") == (section in LISTS), (name, section)
        model = LISTS.get(section, Config.model_fields[section].annotation)
        assert not key or key in model.model_fields, (name, section, key)


# Tables of pages, and routes


def test_no_row_of_a_page_is_left_over():
    """Registers, drivers with flags, and commands of the tables are those of the program."""
    assert [cell for cell in cells(DOCUMENTS["docs/registers.md"]) if cell not in DICTIONARY] == []
    names = {driver.name for driver in drivers()} | set(FLAGS)
    assert set(cells(DOCUMENTS["docs/meters.md"])) == names


def test_every_route_is_told_and_no_page_tells_another(tmp_path):
    """All routes of an installation with portals stand in the pages, method and path; and no page names one that is not there."""
    here = Here(tmp_path)
    paths = here.app.openapi()["paths"]
    here.close()
    there = {(method.upper(), shape(path)) for path, methods in paths.items() for method in methods} | {("GET", "/v1/openapi.json")}
    told = {
        (method, shape(path)) for text in PRESENT.values() for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/v1/[^`\s?]+)[^`]*`", text)
    }
    assert told - there == set()
    assert there - told == set()


def shape(path):
    """A path whatever its parts in braces are called."""
    return re.sub(r"\{\w+\}", "{}", path)


# ARCHITECTURE.md


def test_every_file_and_folder_of_the_architecture_is_there():
    """Each path between backticks exists, in the tree, in the room whose row names it, or in the table of an installation's files."""
    text = DOCUMENTS["ARCHITECTURE.md"]
    rooms, _, rest = text.partition("## Files of an installation")
    made = {span for line in rest.splitlines() if line.startswith("| `") for span in re.findall(r"`([^`]+)`", line.split("|")[1])}
    for line in text.splitlines():
        row = re.match(r"\| `(\w+)/` \| `submeter", line)
        for span in re.findall(r"`([\w./-]+)`", line):
            folder = ROOT / row[1] if row else ROOT
            is_path = "/" in span or re.search(r"\.(py|toml|md|sqlite|duckdb|sock)$", span)
            if is_path or (row and not span.startswith("submeter.") and span != "submeter"):
                assert span in made or any((base / f"{span}{end}").exists() for base in (ROOT, folder) for end in ("", ".py")), (span, line[:60])
    tops = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".") and (path / "__init__.py").exists()}
    assert {name for name in tops | {"docs", "tests", "bench"} if f"| `{name}/` |" not in rooms} == set()
