"""A demo shows codes and passwords to whoever asks: it listens where only its own machine does, or not at all."""

from ipaddress import ip_address

from submeter.config import Config
from submeter.errors import SubmeterError

__all__ = ["local", "require_loopback"]


def require_loopback(config: Config) -> None:
    """SubmeterError unless everything that a configuration listens with is on loopback."""
    for section, host in (("api", config.api.host), ("metrics", config.metrics.host)):
        if not local(host):
            raise SubmeterError(f"[{section}] host is {host}: a demo shows codes to whoever asks, so it listens on 127.0.0.1 alone")


def local(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
