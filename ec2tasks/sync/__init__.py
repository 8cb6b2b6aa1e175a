"""The project's files, there and back: scanned, reconciled, pushed, pulled, applied."""
