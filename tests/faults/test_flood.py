"""Too many and too slow clients of the API: fault 43 of reliability/FAULTS.md."""

import socket
import threading
from collections import Counter
from contextlib import ExitStack

from exactly import exactly_once
from pushing import Pushed

SLOW, THREADS, PUSHED = 60, 6, 20


def test_fault_43_a_flood_of_requests_and_slow_clients(tmp_path):
    """While some ask without end and others never finish asking, they are told to wait, and what gateways send is taken and decoded."""
    here = Pushed(tmp_path / "here", "", flats=2)
    here.file.write_text(
        here.file.read_text().replace(f"[api]\nport = {here.api}\n", f"[api]\nport = {here.api}\nreads_per_minute = 60\ncheap_per_minute = 60\n")
    )
    stop, answers = threading.Event(), Counter()

    def ask():
        while not stop.is_set():
            answers[here.get("/v1/units")[0]] += 1

    try:
        here.start()
        with ExitStack() as slow:
            for _ in range(SLOW):
                one = slow.enter_context(socket.create_connection(("127.0.0.1", here.api)))
                one.sendall(b"GET /v1/units HTTP/1.1\r\nHost: h\r\nX-Slow: ")
            asking = [threading.Thread(target=ask) for _ in range(THREADS)]
            for one in asking:
                one.start()
            here.push_all(here.next(PUSHED))
            stop.set()
            for one in asking:
                one.join()
            assert answers.keys() == {200, 429}
            assert here.green()
        here.stop()
    finally:
        stop.set()
        here.close()
    exactly_once(here, here.sent)
