"""The read API: residents' tables over HTTP, and the operator's health and metrics on a port of their own.

Reads the registry and the published tables, nothing else: it computes no consumption, opens neither inbox nor readings and never holds a meter key.
Every route declares its scope; `access.Access` is the one gate to units. May enter: fastapi, numpy, pyarrow and
xlsxwriter for files, `submeter.civil`, two stores.
"""

from submeter.api.app import SignIn, create_app
from submeter.api.operations import create_operations

__all__ = ["SignIn", "create_app", "create_operations"]
