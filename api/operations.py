"""Health, readiness and metrics for the operator, on a loopback port of their own (portal API 3).

`health` is whether the process does its work (red at once when it does not), `ready` whether it can answer requests. The state comes from the
process as a plain mapping: `{"ok": bool, …}` with the reasons that a person needs at 3 a.m.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

__all__ = ["create_operations"]

State = Callable[[], Mapping[str, Any]]


def create_operations(health: State, ready: State, metrics: CollectorRegistry) -> FastAPI:
    """The operations listener's application."""
    app = FastAPI(title="submeter operations", openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/v1/health")
    def get_health() -> JSONResponse:
        return _answer(health())

    @app.get("/v1/ready")
    def get_ready() -> JSONResponse:
        return _answer(ready())

    @app.get("/metrics")
    @app.get("/v1/metrics")
    def get_metrics() -> Response:
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    return app


def _answer(state: Mapping[str, Any]) -> JSONResponse:
    return JSONResponse(dict(state), 200 if state["ok"] else 503)
