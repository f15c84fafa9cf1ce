"""The files of a broker that keeps what it acknowledged, as far as it can: mosquitto.conf and the ACL (ingest/MQTT.md 8).

Strategy: one text a version, with the places filled in. Rules: pure, but for the look for mosquitto's plugins; a gateway may write below its own name only; foreign
topics are opened one by one. What each setting is worth was measured: ingest/MQTT.md 6 and 7.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from submeter.store.gateways import COLLECTOR

__all__ = ["PLUGIN", "Places", "acl", "mosquitto_conf", "plugin_folder"]

Version = Literal["2.0", "2.1"]
PLUGIN: Final = "mosquitto_persist_sqlite.so"
#: Where distributions put libraries.
ROOTS: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/opt/homebrew/lib")

_OPENING: Final[dict[Version, str]] = {
    "2.0": """\
# mosquitto.conf of submeter for mosquitto 2.0 (2.0.22 or later is advised): the whole file, not a part of another one.
per_listener_settings false
allow_anonymous false
password_file {etc}/submeter.passwd
acl_file {etc}/submeter.acl

# Sessions and queues are saved each half minute: what is newer is lost with the broker's process. Save once after a new collector
# has connected (systemctl kill -s USR1 mosquitto), else its session is not known to a broker that was killed.
persistence true
persistence_location {data}/
autosave_interval 30
autosave_on_changes false
""",
    "2.1": """\
# mosquitto.conf of submeter for mosquitto 2.1: the whole file, not a part of another one.
allow_anonymous false

# Each message is on disk before it is acknowledged.
persistence false
global_plugin {plugins}/mosquitto_persist_sqlite.so
plugin_opt_db_file {data}/mosquitto.sqlite3
plugin_opt_flush_period 0
plugin_opt_sync full
global_plugin {plugins}/mosquitto_password_file.so
plugin_opt_password_file {etc}/submeter.passwd
global_plugin {plugins}/mosquitto_acl_file.so
plugin_opt_acl_file {etc}/submeter.acl
""",
}
_REST: Final = """\
persistent_client_expiration 14d

# No limit of messages, one of bytes: what is over it is dropped, and the broker says nothing.
max_queued_messages 0
max_queued_bytes 1073741824
max_inflight_messages 1000
max_packet_size 262144
queue_qos0_messages false
set_tcp_nodelay true
connection_messages true
log_type error
log_type warning
log_type notice

# Gateways and the collector with certificates of their own: the common name is the user.
listener {port}{address}
cafile {certs}/ca.crt
certfile {certs}/server.crt
keyfile {certs}/server.key
tls_version tlsv1.2
require_certificate true
use_identity_as_username true

# Gateways that only know a password, still encrypted.
listener {password_port}{address}
certfile {certs}/server.crt
keyfile {certs}/server.key
tls_version tlsv1.2
"""
_ACL: Final = """\
# Every gateway writes below its own name: the common name of its certificate, or its user.
pattern write submeter/v1/%u/#
pattern read submeter/v1/%u/cmd/#

user {collector}
topic read submeter/v1/#
topic write submeter/v1/+/cmd/#
topic readwrite submeter/check/#
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the broker's files are, and where it listens; `address` is the interface, "" for all."""

    etc: Path = Path("/etc/mosquitto")
    data: Path = Path("/var/lib/mosquitto")
    certs: Path = Path("/etc/mosquitto/certs")
    plugins: Path = Path("/usr/lib/x86_64-linux-gnu")
    port: int = 8883
    password_port: int = 8884
    address: str = ""


def mosquitto_conf(version: Version, places: Places) -> str:
    """The configuration of mosquitto for a version."""
    named = {name: getattr(places, name) for name in ("etc", "data", "certs", "plugins", "port", "password_port")}
    return (_OPENING[version] + _REST).format(**named, address=f" {places.address}" * bool(places.address))


def acl(topics: Sequence[str] = (), senders: Iterable[tuple[str, str]] = ()) -> str:
    """The access control list: the collector also reads those of its `topics` that are not below ``submeter/``; `senders` are users with the topic they write."""
    foreign = [topic for topic in topics if not topic.startswith("submeter/")]
    reads = "".join(f"topic read {topic}\n" for topic in foreign)
    return _ACL.format(collector=COLLECTOR) + reads + "".join(f"\nuser {user}\ntopic write {topic}\n" for user, topic in senders)


def plugin_folder(roots: Iterable[str] = ROOTS) -> Path | None:
    """Where mosquitto 2.1 has its plugins on this machine; None if nowhere that is known."""
    found = (file for root in roots for pattern in (PLUGIN, f"*/{PLUGIN}", f"*/*/{PLUGIN}") for file in sorted(Path(root).glob(pattern)))
    return next((file.parent for file in found), None)
