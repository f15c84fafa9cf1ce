"""docs/tutorial.md, word by word: every file is written, every command run, what is printed is compared; a stick on a pty hears three meters."""

import http.cookiejar
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx2
import pytest
from broker import free_port, wait_until
from reader import Reader
from sticks import Im871a

from submeter.reading import DeviceId
from submeter.simulate import encode

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"(?ms)^```(\w+)\n(.*?)^```", PAGE)
RECORDS = {"16": encode.integer(b"\x13", 812_345, 4), "06": encode.integer(b"\x13", 65_432, 4), "08": encode.integer(b"\x6e", 321, 2)}
METERS = [(DeviceId.parse(name), bytes.fromhex(key)) for name, key in re.findall(r'\[\[device\]\]\nid = "(.+)"\nkey = "(.+)"', PAGE)]


@contextmanager
def heard(folder):
    """The stick's port, while all meters send every other second."""
    over = threading.Event()
    with Im871a() as stick:

        def send():
            for number in count():
                for device, key in METERS:
                    stick.hears(encode.radio(device, encode.mode5(RECORDS[str(device)[-2:]], encode.Header(access=number & 0xFF), key, device)))
                if over.wait(2):
                    return

        (folder / "ttyUSB0").symlink_to(stick.url)
        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield folder / "ttyUSB0"
        finally:
            over.set()
            thread.join()


class Shell:
    """The windows of somebody who follows the page; names of the page's machine become those of this one."""

    def __init__(self, folder, port):
        self.folder, self.service, self.said = folder, None, ""
        self.web, self.metrics = free_port(), free_port()
        self.names = {"/dev/ttyUSB0": str(port), "home.localhost:8080": f"home.localhost:{self.web}", "~/house": str(folder / "house")}
        (folder / "house").mkdir()
        self.state = folder / "variables"
        self.state.write_text(f"export PATH={Path(sys.executable).parent}:$PATH\ncd {folder / 'house'}\n")

    def here(self, text):
        for name, ours in self.names.items():
            text = text.replace(name, ours)
        return text

    def file(self, text):
        """Write the file that a block names; a new pipeline.toml listens at free ports."""
        first, _, rest = self.here(text).partition("\n")
        path = self.folder / "house" / first.split()[-1]
        if first.startswith("# at the end of"):
            rest = path.read_text() + "\n" + rest
        elif path.name == "pipeline.toml":
            rest += f"\n[api]\nport = {self.web}\n[metrics]\nport = {self.metrics}\n"
        path.write_text(rest)

    def run(self, text):
        """Run a block in the second window, or in the first if it is the service."""
        if text == "submeter run\n":
            self.end()
            self.service = subprocess.Popen(
                [sys.executable, "-m", "submeter", "run"], cwd=self.folder / "house", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            wait_until(self._listens, 60)
            return
        script = f"set -e\n. {self.state}\n{self.here(text)}\n(set -o posix; declare -p token 2>/dev/null || true) >>{self.state}\n"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "COLUMNS": "200"})
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        self.said = done.stdout

    def _listens(self):
        assert self.service.poll() is None
        try:
            return httpx2.get(f"http://127.0.0.1:{self.metrics}/v1/health", trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    def end(self):
        """Ctrl-C in the first window."""
        if self.service is not None:
            self.service.send_signal(signal.SIGINT)
            assert self.service.wait(30) == 0

    def shows(self, text):
        """Each line of what the page shows was printed, in this order; `…` stands for anything."""
        patterns = [r"\s*".join(".*".join(map(re.escape, word.split("…"))) for word in line.split()) for line in self.here(text).splitlines()]
        return re.search("(?s:.*?)".join(patterns), self.said)


def resident(shell):
    """The page's last part in a browser: the letter, the mail's word, a password, and what the page then says."""
    jar = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(secure_protocols=("http",)))  # as browsers do for localhost
    host = f"home.localhost:{shell.web}"
    transport = httpx2.Client(
        base_url=f"http://127.0.0.1:{shell.web}",
        headers={"Host": host, "Origin": f"http://{host}"},
        cookies=jar,
        follow_redirects=True,
        trust_env=False,
    )
    with transport as client:
        reader = Reader(client)
        login, password = re.search(r'"login":"(.+?)","password":"(.+?)"', shell.said).groups()
        reader.open(re.search(r"<http://[^/]+(/\S+)>", PAGE).group(1))
        reader.fill(login=login, password=password)
        reader.fill(agree="on", accept="on")
        reader.fill(email="jana@example.org")
        wait_until(lambda: list((shell.folder / "house" / "outbox").glob("[!.]*.eml")), 30)
        shell.run("cat outbox/*.eml")
        reader.fill(code=re.search(r": ([A-Z2-9]{8})\b", shell.said).group(1))
        reader.fill("skip")
        reader.fill(new_password="a horse that corrects itself", new_password_again="a horse that corrects itself")
        reader.open("/")
        return reader.page.text


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(tmp_path):
    """From an empty folder to the resident's page with the indexes of all three meters."""
    with heard(tmp_path) as port:
        shell = Shell(tmp_path, port)
        try:
            for kind, text in BLOCKS[1:]:
                if kind == "toml":
                    shell.file(text)
                elif kind == "text":
                    assert shell.shows(text), f"the page has\n{text}\nprinted was\n{shell.said}"
                elif text.startswith("cat outbox"):
                    page = resident(shell)
                    missing = [index for index in ("812,345", "65,432", "321") if index not in page]
                    assert not missing, page
                elif text.startswith("submeter meters --unknown"):
                    wait_until(lambda text=text: shell.run(text) or all(str(device) in shell.said for device, _ in METERS), 30)
                else:
                    shell.run(text)
        finally:
            shell.end()
