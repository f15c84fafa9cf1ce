"""docs/compare.md claims nothing without its source, and footnotes of all pages lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]}
COMPARE = PAGES["docs/compare.md"]
NOTE = r"\[\^([\w-]+)\]"


def table(heading):
    """The rows of a section's table, cells apart, its head first."""
    section = COMPARE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    return head, rows


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if re.search(NOTE, text)])
def test_every_footnote_is_used_and_defined_once(page):
    """A mark without a note and a note without a mark are both left-overs."""
    defined = re.findall(rf"^{NOTE}:", PAGES[page], re.MULTILINE)
    assert len(defined) == len(set(defined))
    assert set(defined) == set(re.findall(rf"{NOTE}(?!:)", PAGES[page]))


def test_every_source_is_a_public_page_or_a_page_of_ours():
    """Each note has a link."""
    notes = re.findall(rf"^{NOTE}: (.*)$", COMPARE, re.MULTILINE)
    assert len(notes) > 20
    assert [name for name, text in notes if not re.search(r"\]\((https://|decisions/|[\w-]+\.md)", text)] == []


def test_every_cell_of_the_features_says_where_it_is_from():
    """Yes, no and partly of another program have a note, unknown has none; what submeter does is linked."""
    head, rows = table("Features")
    assert len(rows) > 14
    for feature, own, *others in rows:
        assert re.fullmatch(r"\[[^\]]+\]\([\w-]+\.md\)", feature), feature
        assert own in {"yes", "partly", "no"}, feature
        assert len(others) == len(head) - 2, feature
        assert [cell for cell in others if not re.fullmatch(rf"unknown|(yes|partly|no) {NOTE}", cell)] == [], feature


def test_every_figure_has_its_command_and_its_date():
    """A row of figures names what measures it, and when it was measured unless it stands in the report."""
    _, rows = table("Figures")
    assert len(rows) > 5
    for what, own, *_, measured in rows:
        assert re.match(r"`\./run bench \w+[^`]*`", measured), what
        assert own.startswith("in [the report](") or re.search(r"`, \d{4}-\d\d-\d\d \[\^", measured), what
