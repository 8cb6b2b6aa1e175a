"""A report on large numbers, and on the Python that wrote it."""

import platform

import humanize
from tabulate import tabulate

rows = [(power, humanize.intword(10**power)) for power in (6, 9, 12)]
print(tabulate(rows, headers=("power", "in words")))
print(f"by Python {platform.python_version()} on {platform.node()}")
