"""The settings of one call: their layers, their schema, each value with its source.

`Settings`, `read_settings` and `KEYS` are what other packages use.
"""
