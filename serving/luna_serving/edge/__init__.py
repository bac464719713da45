"""ASGI in, bytes out: bodies, sockets, the FastAPI application and its OpenAPI document, and routes of operation."""
