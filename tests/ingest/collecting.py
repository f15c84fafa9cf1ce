"""What tests of collectors share: waiting, running one in a thread, what it kept."""

import threading
import time

from submeter.store import Inbox


def until(found, seconds=30):
    """Wait for something."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def running(collector):
    """Start a collector; returns what stops it."""
    stop = threading.Event()
    thread = threading.Thread(target=collector.run, args=(stop,))
    thread.start()

    def end():
        stop.set()
        thread.join()

    return end


def kept(folder):
    """The messages of the inbox there."""
    with Inbox(folder / "inbox.sqlite") as inbox:
        return inbox.pending(5000)
