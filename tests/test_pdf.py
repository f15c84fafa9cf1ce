"""Papers: what is written can be read again, hostile texts stay texts, the same input gives the same bytes."""

import io
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from submeter.config.languages import LOCALES
from submeter.config.texts import TEMPLATES, texts
from submeter.config.words import words_of
from submeter.pdf import Paper, printable

AT = 1_700_000_000_000_000


def paper(*paragraphs, foot=""):
    """A paper of these paragraphs."""
    made = Paper("Title", "cs", AT, foot)
    for one in paragraphs:
        made.paragraph(one)
    return made


def read(content):
    """The text of each page."""
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


def test_what_is_written_can_be_read():
    """Title, heading, Czech and Russian paragraphs, a table and its head stand in the PDF as text; a new page is one."""
    made = paper("Příliš žluťoučký kůň úpěl ďábelské ódy.", foot="Správa domů")
    made.heading("Показания приборов учёта")
    made.table([["Byt 1", "12,5"], ["Byt 2", "7,0"]], ["Jednotka", "m³"], ["L", "R"])
    made.page("Druhá strana")
    first, second = read(made.made())
    assert all(one in first for one in ("Příliš žluťoučký kůň úpěl ďábelské ódy.", "Показания приборов учёта", "Byt 2", "7,0", "m³", "Správa domů"))
    assert "Druhá strana" in second


def test_a_long_table_goes_on_with_its_head():
    """Rows that do not fit on a page go on on the next one, under the same head."""
    made = paper()
    made.table([[str(number)] for number in range(100)], ["HEAD"])
    pages = read(made.made())
    assert len(pages) > 1
    assert all("HEAD" in page for page in pages)
    assert "\n99" in pages[-1]


def test_the_same_input_gives_the_same_bytes_in_another_process():
    """Nothing of a clock, an address or a seed of hashes is in a paper."""
    script = "import sys; sys.path.insert(0, 'tests'); from test_pdf import paper; p = paper('žluť'); p.qr('x'); sys.stdout.buffer.write(p.made())"
    told = [subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout for _ in range(2)]
    here = paper("žluť")
    here.qr("x")
    assert told == [here.made()] * 2


def test_what_the_font_lacks_is_a_box_and_what_is_not_seen_goes():
    """Controls and directions are left out, ideographs and emoji are boxes, line ends stay, decomposed letters are composed."""
    assert printable("a\x00b\x1b\u202ec\n漢\tž\r\nd") == "abc\n□ ž\nd"
    assert printable(unicodedata.normalize("NFD", "žluť")) == "žluť"


@pytest.mark.parametrize("locale", LOCALES)
def test_the_font_has_every_letter_of_our_texts(locale):
    """No message of any language has a box in it, and no word."""
    for template in TEMPLATES:
        assert "□" not in printable(texts(locale)[template]["body"])
    assert "□" not in printable(repr(words_of(locale)))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.text(max_size=3000))
def test_any_text_can_be_printed(short, long):
    """No text breaks a paper, in a title, a paragraph, a cell or a foot; nothing in it becomes a link, a script or a file."""
    made = Paper(short, "en", AT, short)
    made.page(short)
    made.paragraph(long)
    made.table([[long, short]], [short, "head"], widths=[1, 9])
    content = made.made()
    assert len(read(content)) >= 1
    assert not any(word in content for word in (b"/JavaScript", b"/URI", b"/EmbeddedFile", b"/Launch"))


def test_markup_stays_text():
    """Markup of any kind is printed as it was written."""
    text = "**bold** <b>x</b> [a](https://example.org) ) Tj ET (\\"
    assert text in read(paper(text).made())[0]


def test_a_qr_code_stays_on_its_page():
    """A code that does not fit any more stands on the next page, whole; what no code can hold is an error of the caller."""
    made = paper(*["line"] * 31)
    made.qr("SPD*1.0*ACC:CZ5855000000001265098001")
    assert len(read(made.made())) == 2
    with pytest.raises(ValueError, match="too large"):
        paper().qr("x" * 3000)
