"""Measure the trained model on digits it has not seen: which ones does it take for which?"""

from __future__ import annotations

import json
from pathlib import Path

import joblib
from sklearn.metrics import ConfusionMatrixDisplay, classification_report
from train import CLASSES, MODEL, plt, split_digits

REPORT = Path("reports/eval.json")
CONFUSION = Path("reports/confusion.png")


def main() -> None:
    _, images, _, labels = split_digits()
    found = joblib.load(MODEL).predict(images)

    REPORT.parent.mkdir(exist_ok=True)
    report = classification_report(labels, found, output_dict=True, zero_division=0)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")

    figure, axes = plt.subplots()
    ConfusionMatrixDisplay.from_predictions(labels, found, labels=CLASSES, ax=axes, colorbar=False)
    figure.savefig(CONFUSION)
    print(f"accuracy {report['accuracy']:.4f}; wrote {REPORT}, {CONFUSION}")


if __name__ == "__main__":
    main()
