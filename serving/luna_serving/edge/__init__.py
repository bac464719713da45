"""ASGI in, bytes out: the lean path of operations and sockets, the FastAPI application and the kit of its routes.

What is answered belongs to a capability, who may ask to `access`, how work is batched to `dispatch`.
"""
