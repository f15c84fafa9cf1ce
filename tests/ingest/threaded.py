"""What tests of collectors share: running one in a thread, what it kept."""

import threading

from submeter.store import Inbox


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
