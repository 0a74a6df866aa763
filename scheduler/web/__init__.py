"""The dashboard: the report as a local web page, made afresh on each request."""

from .server import make_server, serve

__all__ = ["make_server", "serve"]
