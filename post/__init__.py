"""What takes messages from the outbox to people: mail by SMTP, SMS by an HTTP gateway, files and the console; and what is new to managers' webhooks and Home Assistant.

A sink is one method, `send`; it returns when the message was taken, and raises SinkError otherwise. `deliver` moves what is due, one message at a time.
May enter: standard library, structlog, paho, and what stands below: store, decoders' dictionary, config, civil, reading, errors.
"""

from submeter.post.delivery import Report, delay, deliver
from submeter.post.errors import SinkError
from submeter.post.message import Message, mail
from submeter.post.outlets import Outlets, Sink, outlets

__all__ = ["Message", "Outlets", "Report", "Sink", "SinkError", "delay", "deliver", "mail", "outlets"]
