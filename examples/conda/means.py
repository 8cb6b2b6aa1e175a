"""Prints the mean of each column of a CSV file."""

import sys

import pandas as pd

print(pd.read_csv(sys.argv[1]).mean().to_string())
