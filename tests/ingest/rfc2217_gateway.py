"""A TCP gateway that lets its client set the line's speed (RFC 2217), over a pty: pyserial's own server side."""

import select
import socket
import threading

import serial
import serial.rfc2217


class _Pty(serial.Serial):
    """A port without modem lines."""

    cts = dsr = ri = cd = False

    def _no_line(self, *_):
        pass

    _update_rts_state = _update_dtr_state = _update_break_state = _no_line


class Gateway:
    """One client at a time, at `url`."""

    def __init__(self, device):
        self._device = device
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._server.close()

    def _serve(self):
        while not self._stop.is_set():
            if select.select([self._server], [], [], 0.02)[0]:
                client, _ = self._server.accept()
                with client, _Pty(self._device, 2400, timeout=0) as port:
                    self._forward(client, port)

    def _forward(self, client, port):
        manager = serial.rfc2217.PortManager(port, _Writer(client))
        while not self._stop.is_set():
            ready, _, _ = select.select([client, port], [], [], 0.02)
            if port in ready:
                client.sendall(b"".join(manager.escape(port.read(4096))))
            if client in ready:
                data = client.recv(4096)
                if not data:
                    return
                port.write(b"".join(manager.filter(data)))


class _Writer:
    """What the manager answers through."""

    def __init__(self, client):
        self.write = client.sendall
