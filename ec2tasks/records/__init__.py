"""What is kept here of the project's runs, and outlives their instances: the ledger, what a run printed last.

Start with `ledger`, the file; `run` is what it tells of one. In order:

    run     one run, as the lines about it tell it
    ledger  the file of those lines: written to by several at once, read with what is broken in it
    kept    the end of a run's output, and what was not committed when it began
"""
