"""The portals on a loopback port for a real browser: the application served by uvicorn, over the stores of `Here`."""

import socket
import threading

import uvicorn
from portals import Here

from submeter.portal import create_portal


class Site:
    """An installation with five portals, served; `address` is where a portal is found."""

    def __init__(self, folder):
        self.here = Here(folder)
        self.here.app.mount("/", create_portal(self.here.app))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(self.here.app, log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="site")
        self._thread.start()

    def address(self, portal, path="/"):
        """Names below localhost are loopback, and browsers trust them as they trust TLS."""
        return f"http://{portal}.localhost:{self.port}{path}"

    def cookies(self, client, portal):
        """What a test client's browser was given, for a real one."""
        return [
            {"name": one.name, "value": one.value, "url": f"https://{portal}.localhost", "secure": True, "httpOnly": True, "sameSite": "Lax"}
            for one in client.cookies.jar
        ]

    def close(self):
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.here.close()
