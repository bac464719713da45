"""The HTTP edge: the lean path of operations and sockets, the FastAPI application and the kit of its routes.

The content of answers belongs to a capability, authorization to `access`, batching to `dispatch`.
"""
