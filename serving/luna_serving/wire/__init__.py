"""Reads requests and writes answers, for every capability.

JSON and its errors, strict schemas and forms, series of numbers, pointers and problems belong here. The meaning of one
capability's requests does not.
"""
