"""Real receivers on loopback: an SMTP server (aiosmtpd) with STARTTLS and login, an HTTP gateway, and servers that hang."""

import datetime as dt
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from broker import free_port
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Inbox:
    """Keeps what came; `sender` is an answer to give to senders, `refuse` one to recipients, `after` one to give to the data."""

    def __init__(self):
        self.mails, self.logins, self.encrypted = [], [], []
        self.sender, self.refuse, self.after = None, None, None

    async def handle_MAIL(self, _server, _session, envelope, address, _options):  # noqa: N802
        envelope.mail_from = address
        return self.sender or "250 OK"

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, session, envelope):  # noqa: N802
        if self.after:
            return self.after
        self.mails.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def authenticate(self, _server, _session, _envelope, _mechanism, data):
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"hunter2", handled=False)


@contextmanager
def smtp(port=None, certificate=None, login=False, wrapped=False):
    """An SMTP server that runs until the end of the block; (port, inbox)."""
    inbox, port = Inbox(), port or free_port()
    options = {"tls_context": server_side(certificate), "require_starttls": True} if certificate and not wrapped else {}
    if wrapped:
        options = {"ssl_context": server_side(certificate)}
    if login:
        options |= {"authenticator": inbox.authenticate, "auth_required": True, "auth_require_tls": bool(certificate)}
    controller = Controller(inbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port, inbox
    finally:
        controller.stop()


def certificate(folder):
    """Make a key and a certificate of 127.0.0.1; (certificate file, key file)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "server.crt", folder / "server.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files[1].write_bytes(pem)
    return files


def server_side(files):
    """What the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


class Gateway:
    """An HTTP gateway that keeps its requests: `status`, `answer` and `location` are what it says."""

    def __init__(self):
        self.requests, self.status, self.answer, self.location = [], 200, b'{"status": "ok"}', None

    def handler(self):
        """The class that http.server wants."""
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def take(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                gateway.requests.append((self.command, self.path, dict(self.headers), body))
                self.send_response(gateway.status)
                if gateway.location:
                    self.send_header("Location", gateway.location)
                self.send_header("Content-Length", str(len(gateway.answer)))
                self.end_headers()
                self.wfile.write(gateway.answer)

            do_GET = do_POST = do_PUT = take  # noqa: N815

            def log_message(self, *_):
                """Say nothing."""

        return Handler


@contextmanager
def http(port=0):
    """An HTTP gateway that runs until the end of the block; (url, gateway)."""
    gateway = Gateway()
    server = ThreadingHTTPServer(("127.0.0.1", port), gateway.handler())
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def hanging(*, greeting=b"", drip=b""):
    """A server that takes connections, greets, and then says nothing, or `drip` again and again; its port."""
    listener, ended = socket.create_server(("127.0.0.1", 0)), threading.Event()
    taken = []

    def talk(connection):
        try:
            connection.sendall(greeting)
            until = time.monotonic() + 8
            while drip and not ended.is_set() and time.monotonic() < until:
                connection.sendall(drip)
                time.sleep(0.05)
        except OSError:
            pass

    def accept():
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            taken.append(connection)
            threading.Thread(target=talk, args=[connection], daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in taken:
            connection.close()
        thread.join(5)
