"""Who follows CONTRIBUTING.md adds a meter, a gateway format and a language within the files that its sections name, and what is there stays green.

All three are made up, in one copy of the working tree, and the tests that a newcomer would run are run there, in one process.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from textwrap import dedent

import pytest
from babel.messages.pofile import read_po, write_po

from submeter.reading import DeviceId
from submeter.simulate import encode

ROOT = Path(__file__).resolve().parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
#: The head of the first table of a page of three columns.
HEAD = "|---|---|---|\n"


def places(title):
    """Patterns of the files that a section names: a folder stands for the files in it, a word in capitals for a name."""
    section = CONTRIBUTING.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    named = [span for span in re.findall(r"`([\w./-]+)`", section) if (ROOT / re.sub(r"[A-Z]+\..*", "", span)).exists()]
    assert len(named) > 2, title
    return [re.sub(r"\b[A-Z]+\b(?=\.)", "*", span) + "*" * span.endswith("/") for span in named]


class Copy:
    """The working tree in another folder, and which of its files were touched."""

    def __init__(self, folder):
        self.folder, self.touched = folder, set()
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).exists() and not name.startswith("docs/pictures/"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)

    def write(self, name, text):
        """Make a file, or another one of it."""
        (self.folder / name).write_text(text)
        self.touched.add(name)

    def put(self, name, where, what):
        """Put a text behind the first place of another one in a file."""
        before, found, after = (self.folder / name).read_text().partition(where)
        assert found, (name, where)
        self.write(name, before + found + what + after)

    def run(self, *arguments):
        """Run Python on the copy's own modules; what it said."""
        known = {**os.environ, "PYTHONPATH": str(self.folder), "SUBMETER_DATABASE": ""}
        done = subprocess.run([sys.executable, *arguments], cwd=self.folder, env=known, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@dataclass
class Followed:
    """What a newcomer touched by section, what the printed vector and the language said, and the tests that passed."""

    touched: dict[str, set[str]]
    vector: str
    spoken: str
    passed: set[str]

    def outside(self, title):
        """Files that were touched and are not named by the section."""
        allowed = places(title)
        return [name for name in self.touched[title] if not any(fnmatch(name, pattern) for pattern in allowed)]


DRIVER = dedent('''
    """Weirs: standard records with a battery in percent, and a byte of their own (made up)."""

    from typing import Final

    from submeter.decoders.driver import TAIL, Bits, Driver, Field, Layout, Make, Rule

    DRIVERS: Final = (
        Driver(
            name="weir",
            about="Weir 1, water: battery in percent",
            makes=(Make("ZZZ", types=(0x07,)),),
            rules=(Rule("FD74", where={"dif": b"\\x01"}, to={"quantity": "battery_percent", "unit": "pct"}),),
            layouts=(Layout((Field(0, 1, "status_flags", flags=Bits({1: "leak", 2: "dry"})),), at=TAIL),),
        ),
    )
''').lstrip()
RECORDS = encode.bcd(b"\x13", 12345, 8) + encode.integer(b"\xfd\x74", 97, 1) + b"\x0f\x02"
WEIR = encode.radio(DeviceId("ZZZ", "30000009", 1, 7), encode.plain(RECORDS, encode.Header(access=7)))


def add_meter(tree):
    """A driver with a deviation and a byte of its own, its vector, its row; what the vector says."""
    tree.write("decoders/meters/weir.py", DRIVER)
    vector = tree.run("tests/decoders/meter_vectors.py", "dry weir", "weir", WEIR.hex())
    tree.write("tests/vectors/meters/weir.json", vector)
    tree.put("docs/meters.md", HEAD, "| weir | Weir 1, water: battery in percent | ZZZ |\n")
    return vector


FORMAT = dedent('''
    """Brooks: `BROOK|HEX|LEVEL`, one telegram (made up)."""

    from typing import Final

    from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, framed, level, unhex

    __all__ = ["BROOK"]


    def _sniff(payload: Payload) -> bool:
        return payload.text.startswith(b"BROOK|")


    def _parse(payload: Payload) -> Envelope:
        _, digits, strength = (payload.text.decode("latin-1") + "||").split("|")[:3]
        return Envelope("brook", (Heard(framed(unhex(digits)), **level(int(strength) if strength.lstrip("-").isdigit() else None)),))


    BROOK: Final = Format("brook", _sniff, _parse)
''').lstrip()
SAMPLE = '    ("brook", None, f"BROOK|{TELEGRAM}|-77", heard(rssi_dbm=-77)),\n'


def add_format(tree):
    """A parser, its place, a sample that is whole and one that is not, and its row."""
    tree.write("ingest/envelopes/brook.py", FORMAT)
    tree.put("ingest/envelopes/split.py", "import msgspec\n\n", "from submeter.ingest.envelopes.brook import BROOK\n")
    tree.put("ingest/envelopes/split.py", "FORMATS: Final = (\n    ", "BROOK, ")
    tree.put("tests/ingest/payloads.py", "REFUSED = {\n", '    "a dry brook": ("bad_hex", b"BROOK|no water|-77"),\n')
    tree.put("tests/ingest/test_gateway_formats.py", "\nKNOWN = [\n", SAMPLE)
    tree.put("docs/gateways.md", HEAD, "| brook line | `brook` | `BROOK\\|2E44…\\|-77` |\n")


def marked(text):
    """A text that is seen to be translated."""
    return f"§{text}§"


def lines_of(table, prefix=""):
    """TOML of nested tables with texts and lists of texts, each marked but the decimal sign."""
    for name, value in table.items():
        if not isinstance(value, dict):
            said = [marked(one) for one in value] if isinstance(value, list) else value if name == "decimal" else marked(value)
            yield f"{json.dumps(name)} = {json.dumps(said, ensure_ascii=False)}"
    for name, value in table.items():
        if isinstance(value, dict):
            yield f"[{prefix}{name}]"
            yield from lines_of(value, f"{prefix}{name}.")


def catalogue(source):
    """A catalogue with every text marked."""
    with source.open("rb") as file:
        found = read_po(file, "eo")
    found.fuzzy = False
    for one in found:
        if one.id:
            one.string = tuple(map(marked, one.string)) if isinstance(one.string, tuple) else marked(one.string)
    written = io.BytesIO()
    write_po(written, found)
    return written.getvalue().decode()


SPEAKS = dedent("""
    from datetime import date
    from pathlib import Path

    from submeter.api.labels import label_of, locale_of
    from submeter.config.portals import load_portal
    from submeter.config.words import day
    from submeter.portal.words import Words, languages

    words = Words("eo")
    print(languages()["eo"], day("eo", date(2026, 3, 1)), label_of("d", "eo"), locale_of(None, "eo"), words.text("Switch"), words.month(date(2026, 3, 1)))
    print(*load_portal("mine", Path("mine.toml")).locales)
""")


def add_language(tree):
    """Its words and messages, its catalogue, its code in the list; what pages, messages, units and a portal's file say then."""
    english = tomllib.loads((ROOT / "config/texts/en.toml").read_text())
    tree.write("config/texts/eo.toml", "\n".join(lines_of(english)) + "\n")
    tree.write("portal/locale/eo.po", catalogue(ROOT / "portal/locale/en.po"))
    tree.put("docs/your-portal.md", "`en` ", "`eo` ")
    (tree.folder / "mine.toml").write_text((ROOT / "config/realms/inmes.toml").read_text().replace('locales = ["cs", "en"]', 'locales = ["eo"]'))
    return tree.run("-c", SPEAKS)


SUITES = "decoders/test_drivers ingest/test_envelopes ingest/test_gateway_formats portal/test_words config/test_texts test_pdf test_docs"
CHOSEN = "weir or unique or claim or meters_page or brook or known_answer or gateway_page or any_bytes or [eo] or -eo] or language"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the working tree; its compiled modules go with it."""
    folder = tmp_path_factory.mktemp("newcomer")
    yield Copy(folder)
    if sys.pycache_prefix:
        shutil.rmtree(f"{sys.pycache_prefix}{folder}", ignore_errors=True)


@pytest.fixture(scope="module")
def followed(tree):
    """All three, and one run of the tests that the sections name."""
    touched, said = {}, []
    for title, add in (("Add a meter", add_meter), ("Add a gateway format", add_format), ("Add a portal language", add_language)):
        said.append(add(tree))
        touched[title], tree.touched = tree.touched, set()
    suites = [f"tests/{name}.py" for name in SUITES.split()]
    run = tree.run("-m", "pytest", "-rp", "--basetemp", str(tree.folder / "tmp"), *suites, "-k", CHOSEN)
    return Followed(touched, said[0], said[2], set(re.findall(r"^PASSED .*?::(.*)$", run, re.MULTILINE)))


def test_a_meter_is_added_by_its_section(followed):
    """Its vector has the values that were encoded; its tests are there and green."""
    assert followed.outside("Add a meter") == []
    (vector,) = json.loads(followed.vector)
    assert (vector["device"], vector["status"], vector["readings"][0][:2]) == ("ZZZ-30000009-01-07", ["dry"], ["volume", "12.345"])
    assert ["battery_percent", "97", "pct", 0, None] in vector["records"]
    wanted = {
        "test_every_driver_has_a_vector[weir]",
        "test_a_vector_gives_its_readings[dry weir]",
        "test_every_driver_and_flag_is_in_the_meters_page",
    }
    assert wanted - followed.passed == set()


def test_a_gateway_format_is_added_by_its_section(followed):
    """Whole and broken messages of it are what its parser says; no bytes bring it to another error."""
    assert followed.outside("Add a gateway format") == []
    broken = "test_broken_messages_are_refused_with_their_reason[a dry brook]"
    whole = {"test_a_message_of_each_format_says_what_it_says[brook 0]", "test_no_format_of_the_page_is_without_a_known_answer"}
    wanted = {*whole, broken, "test_any_bytes_give_a_typed_outcome", "test_every_format_is_in_the_gateway_page"}
    assert wanted - followed.passed == set()


def test_a_language_is_added_by_its_section(followed):
    """Pages, messages, letters and units speak it, and a portal may name it; every text is there."""
    assert followed.outside("Add a portal language") == []
    assert followed.spoken.splitlines() == ["§English§ §1 §March§ 2026§ §days§ eo §Switch§ Marto 2026", "eo"]
    words = {"test_every_word_is_there[eo]", "test_texts_have_the_same_values[eo]", "test_every_template_is_written[code-eo]"}
    assert {*words, "test_the_font_has_every_letter_of_our_texts[eo]", "test_every_language_is_in_the_portals_page"} - followed.passed == set()
