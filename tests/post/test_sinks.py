"""Each sink against a real receiver: what arrives, what is refused, and that no error says what a message says."""

import email
import json
import re
import time
from dataclasses import replace
from email.policy import default
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from broker import free_port
from pypdf import PdfReader
from receivers import certificate, hanging, http, smtp

from submeter.config import parse
from submeter.config.texts import Text
from submeter.post import Message, SinkError, mail
from submeter.post.files import Console, Files
from submeter.post.sms import Http
from submeter.post.smtp import Smtp

CODE = "493817"
TEXT = Text("[INMES] Kód", f"Dobrý den,\n\nváš kód je {CODE}.\n", f'Kód {CODE} & "platí" <5> min')


def message(**changed):
    """A mail with a code."""
    fields = {"id": 7, "mark": "a1b2", "channel": "email", "to": "jana@example.org", "locale": "cs", "created": 1_790_000_000_000_000}
    fields |= {"brand": "Správa domů", "sender": "portal@example.org", "text": TEXT}
    return Message(**(fields | changed))


def sms(**changed):
    """An SMS with a code."""
    return message(channel="sms", to="+420601111222", sender="IN MES", **changed)


def settings(section, folder=Path(), **keys):
    """A section of the configuration."""
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return getattr(parse(f"[{section}]\n{lines}", folder / "pipeline.toml"), section)


def mailer(port, folder=Path(), **keys):
    """An SMTP sink for a server on loopback."""
    return Smtp(settings("mail", folder, **({"port": port, "tls": "none", "timeout_s": 1, "sender": "portal@example.org"} | keys)))


def refusal(sink, one):
    """How a sink refuses a message; its words hold no part of it."""
    with pytest.raises(SinkError) as caught:
        sink.send(one)
    assert CODE not in f"{caught.value}{caught.value.__cause__}"
    return caught.value


def test_a_mail_arrives():
    """Subject, text, sender by name, recipient; it can be recognised when it comes twice, and says that a machine wrote it."""
    with smtp() as (port, inbox):
        mailer(port).send(message())
        mailer(port).send(message())
    first, second = (email.message_from_bytes(one.content, policy=default) for one in inbox.mails)
    assert (inbox.mails[0].mail_from, inbox.mails[0].rcpt_tos) == ("portal@example.org", ["jana@example.org"])
    assert (first["From"], first["To"], first["Subject"]) == ("Správa domů <portal@example.org>", "jana@example.org", "[INMES] Kód")
    assert first.get_content().replace("\r\n", "\n") == TEXT.body
    assert (first["Auto-Submitted"], first["Content-Language"]) == ("auto-generated", "cs")
    assert first["Message-ID"] == "<a1b2@example.org>"
    assert first.as_bytes() == second.as_bytes()
    assert inbox.mails[0].content.isascii()


def test_a_long_subject_keeps_its_blanks():
    """What does not fit into one encoded word is read as it was written (cpython 92081)."""
    subject = "[infoyugra] Подтвердите адрес электронной почты"
    made = mail(replace(message(), text=replace(TEXT, subject=subject))).as_bytes()
    assert email.message_from_bytes(made, policy=default)["Subject"] == subject
    assert made.isascii()


def test_a_mail_goes_encrypted_and_logged_in(tmp_path):
    """STARTTLS with a certificate that is checked, then user and password from a file."""
    files = certificate(tmp_path)
    (tmp_path / "secret").write_text("hunter2\n")
    keys = {"host": "localhost", "tls": "starttls", "username": "submeter", "password_file": "secret"}
    with smtp(certificate=files, login=True) as (port, inbox):
        mailer(port, tmp_path, ca_file=str(files[0]), **keys).send(message())
        assert (inbox.logins, inbox.encrypted) == ([(b"submeter", b"hunter2")], [True])
        untrusted = refusal(mailer(port, tmp_path, **keys), message())
        assert untrusted.whole
        assert "CERTIFICATE_VERIFY_FAILED" in str(untrusted)
        (tmp_path / "secret").write_text("wrong-password")
        wrong = refusal(mailer(port, tmp_path, ca_file=str(files[0]), **keys), message())
        assert (wrong.whole, wrong.lasting, "535" in str(wrong), "wrong-password" in str(wrong)) == (True, False, True, False)
        (tmp_path / "secret").unlink()
        assert "[mail] password_file" in str(refusal(mailer(port, tmp_path, ca_file=str(files[0]), **keys), message()))
    assert len(inbox.mails) == 1


def test_a_mail_goes_encrypted_from_the_first_byte(tmp_path):
    """TLS on a port of its own, with a certificate that is checked."""
    files = certificate(tmp_path)
    with smtp(certificate=files, wrapped=True) as (port, inbox):
        mailer(port, tmp_path, host="localhost", tls="tls", ca_file=str(files[0])).send(message())
        assert "CERTIFICATE_VERIFY_FAILED" in str(refusal(mailer(port, tmp_path, host="localhost", tls="tls"), message()))
    assert (len(inbox.mails), inbox.mails[0].rcpt_tos) == (1, ["jana@example.org"])


def test_a_server_without_encryption_gets_nothing():
    """STARTTLS that is not offered is no reason to go on in clear."""
    with smtp() as (port, inbox):
        assert refusal(mailer(port, tls="starttls"), message()).whole
    assert inbox.mails == []


@pytest.mark.parametrize(
    ("answer", "lasting"),
    [("550 5.1.1 no such user", True), ("450 4.2.0 greylisted", False), ("554 5.7.1 relay access denied", False), ("552 mailbox full", True)],
)
def test_a_refused_recipient(answer, lasting):
    """No such mailbox lasts; greylisting passes, and what is our own fault can be mended. The sink takes others meanwhile."""
    with smtp() as (port, inbox):
        inbox.refuse = answer
        error = refusal(mailer(port), message())
        assert (error.lasting, error.whole, str(error)) == (lasting, False, f"the mail server says {answer}")
        inbox.refuse, inbox.after = None, "554 5.6.0 looks like spam"
        assert refusal(mailer(port), message()).lasting
        inbox.after = None
        mailer(port).send(message())
    assert len(inbox.mails) == 1


def test_a_refused_sender():
    """One manager's sender that the server does not take keeps nobody else's mail back, and is tried again."""
    with smtp() as (port, inbox):
        inbox.sender = "553 5.7.1 not yours"
        error = refusal(mailer(port), message())
    assert (error.lasting, error.whole, "553 5.7.1 not yours" in str(error)) == (False, False, True)


def test_an_address_with_accents():
    """A domain is written as the name system knows it; what no mail can be written to is given up at once."""
    made = mail(message(to="jana@pošta.cz"))
    assert made["To"].startswith("jana@xn--")
    with smtp() as (port, inbox):
        mailer(port).send(message(to="jana@pošta.cz"))
        assert refusal(mailer(port), message(to="jána@example.org")).lasting
    assert inbox.mails[0].rcpt_tos[0].startswith("jana@xn--")


def test_a_brand_is_no_header():
    """Line ends in a name are spaces; in an address they are refused by the library too."""
    made = mail(message(brand="Správa\r\nBcc: all@example.org"))
    assert "Bcc" not in made
    for wrong in ("jana@example.org\r\nBcc: all@example.org", "jana@example.org, all@example.org", "jana..nova@example.org"):
        with pytest.raises(SinkError, match="no mail can be made") as caught:
            mail(message(to=wrong))
        assert caught.value.lasting


def test_nobody_listens():
    """A server that is down is out for all."""
    error = refusal(mailer(free_port()), message())
    assert (error.whole, error.lasting) == (True, False)
    assert "Connection refused" in str(error)


@pytest.mark.parametrize(
    "talk",
    [
        {},
        {"greeting": b"220 hello\r\n"},
        {"greeting": b"220 hello\r\n", "drip": b"250-more\r\n"},
        {"drip": b"220-wait\r\n"},
        {"greeting": b"421 busy\r\n"},
        {"greeting": b"\xff\x00\r\n"},
    ],
)
def test_a_server_that_hangs_is_left(talk, monkeypatch):
    """One that says nothing, nothing more, or never comes to an end costs seconds."""
    monkeypatch.setattr("submeter.post.smtp.PATIENCE", 1.5)
    began = time.monotonic()
    with hanging(**talk) as port:
        assert refusal(mailer(port), message()).whole
    assert time.monotonic() - began < 4


def test_a_server_that_hangs_at_the_end_has_taken_the_mail(monkeypatch):
    """What happens after the server took it does not make it go twice."""

    def gone(_client):
        raise TimeoutError

    monkeypatch.setattr("smtplib.SMTP.quit", gone)
    with smtp() as (port, inbox):
        mailer(port).send(message())
    assert len(inbox.mails) == 1


def gateway(url, folder=Path(), **keys):
    """An SMS sink for a gateway on loopback."""
    return Http(settings("sms", folder, **({"sink": "http", "url": url, "timeout_s": 1} | keys)))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    """Loopback is not asked for through a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_an_sms_as_json(tmp_path):
    """The default body, with text that needs quoting, and the secret from a file in a header."""
    (tmp_path / "secret").write_text("t0ps3cret")
    with http() as (url, received):
        gateway(f"{url}/send", tmp_path, headers=["Authorization: Bearer {secret}"], secret_file="secret").send(sms())
    method, path, headers, body = received.requests[0]
    assert (method, path, headers["Authorization"], headers["Content-Type"]) == ("POST", "/send", "Bearer t0ps3cret", "application/json")
    assert json.loads(body) == {"to": "+420601111222", "from": "IN MES", "text": TEXT.short}


def test_an_sms_as_form_xml_and_get():
    """Values are quoted as their place needs: what one says stays one value."""
    with http() as (url, received):
        gateway(url, format="form", body="number={digits}&message={text}&id={id}").send(sms())
        gateway(url, format="xml", body='<sms to="{to}">{text}</sms>', headers=["Content-Type: application/xml"]).send(sms())
        gateway(f"{url}/get?to={{to}}&text={{text}}&key={{secret}}", method="GET").send(sms())
        gateway(url, format="plain", body="{text}").send(sms(text=Text("", "", "{secret}{to}")))
    form, xml, get, plain = received.requests
    assert parse_qs(form[3].decode()) == {"number": ["420601111222"], "message": [TEXT.short], "id": ["a1b2"]}
    assert xml[3].decode() == f'<sms to="+420601111222">Kód {CODE} &amp; &quot;platí&quot; &lt;5&gt; min</sms>'
    assert xml[2]["Content-Type"] == "application/xml"
    assert (get[0], get[3], parse_qs(urlsplit(get[1]).query)) == ("GET", b"", {"to": ["+420601111222"], "text": [TEXT.short]})
    assert plain[3] == b"{secret}{to}"


@pytest.mark.parametrize(
    ("status", "whole"), [(400, False), (404, False), (401, True), (403, True), (429, True), (500, True), (503, True), (204, False)]
)
def test_a_gateway_that_refuses(status, whole):
    """Another status than those of success is a refusal; the answer, which may repeat the text, is not told."""
    with http() as (url, received):
        received.status, received.answer = status, b"" if status == 204 else f"cannot send {CODE}".encode()
        error = refusal(gateway(url), sms())
        assert (error.whole, error.lasting, str(error)) == (whole, False, f"the SMS gateway answered {status}")
        gateway(url, success=[status]).send(sms())


def test_a_gateway_that_says_yes_and_means_no():
    """Where the status says nothing, the answer has to hold the pattern."""
    with http() as (url, received):
        gateway(url, success_pattern='"status": *"ok"').send(sms())
        received.answer = f'{{"status": "error", "text": "{CODE}"}}'.encode()
        assert "success_pattern" in str(refusal(gateway(url, success_pattern='"status": *"ok"'), sms()))


def test_a_gateway_that_points_elsewhere():
    """A redirect is not followed: the code goes nowhere else."""
    with http() as (other, stranger), http() as (url, received):
        received.status, received.location = 302, f"{other}/steal"
        assert str(refusal(gateway(url), sms())) == "the SMS gateway answered 302"
        assert stranger.requests == []


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n"])
def test_a_gateway_that_hangs(greeting):
    """One that does not answer, or not in HTTP, is out after its time."""
    began = time.monotonic()
    with hanging(greeting=greeting) as port:
        assert refusal(gateway(f"http://127.0.0.1:{port}"), sms()).whole
    assert time.monotonic() - began < 4
    assert refusal(gateway(f"http://127.0.0.1:{free_port()}"), sms()).whole


def test_a_secret_that_is_not_there(tmp_path):
    """The refusal names the key."""
    assert "[sms] secret_file" in str(refusal(gateway("http://127.0.0.1:1", tmp_path, secret_file="nowhere"), sms()))


def test_a_file_a_message(tmp_path):
    """A mail is an .eml, a letter a .pdf, an SMS a .txt, of their owner alone; sent again it is the same file, and no half file is ever there."""
    sink = Files(tmp_path / "out")
    for _ in range(2):
        for one in (message(), sms(id=8), message(id=9, channel="letter", to="Jana Nová, Dlouhá 1", sender="")):
            sink.send(one)
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["email-000007-a1b2.eml", "letter-000009-a1b2.pdf", "sms-000008-a1b2.txt"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert email.message_from_bytes(files[0].read_bytes(), policy=default)["Subject"] == "[INMES] Kód"
    written = PdfReader(files[1]).pages[0].extract_text()
    assert all(part in written for part in ("Jana Nová\nDlouhá 1", "[INMES] Kód", "Správa domů", *TEXT.body.split("\n")))
    assert files[2].read_text() == f"To: +420601111222\nFrom: IN MES\n\n{TEXT.short}\n"


def test_a_folder_that_cannot_be_written(tmp_path):
    """It is out, with the reason."""
    (tmp_path / "out").write_text("a file")
    error = refusal(Files(tmp_path / "out"), message())
    assert (error.whole, re.fullmatch(".*/out: File exists", str(error)) is not None) == (True, True)


def test_the_console_shows_it(capsys):
    """For trials: the whole message on standard output."""
    Console().send(sms())
    assert TEXT.short in capsys.readouterr().out
