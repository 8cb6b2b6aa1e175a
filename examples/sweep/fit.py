"""Fits a line by gradient descent with the step size that it is given; prints what is left of the error."""

import json
import sys

step = float(sys.argv[1])
points = [(i / 10, 3 * i / 10 + 1) for i in range(20)]
slope = offset = 0.0
for _ in range(200):
    errors = [(x, slope * x + offset - y) for x, y in points]
    slope -= step * sum(error * x for x, error in errors) / len(points)
    offset -= step * sum(error for _, error in errors) / len(points)
print(json.dumps({"error": round(sum(error**2 for _, error in errors) / len(points), 6)}))
