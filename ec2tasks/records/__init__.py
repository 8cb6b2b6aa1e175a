"""What is kept here of the project's runs, and outlives their instances: the ledger, what a run printed last.

Start with `ledger`, the file; `run` is what it tells of one. In order:

    ledger   the file: a line for each thing that is known of a run, written by several at once
    run      one run, as the lines about it tell it
    reading  all runs of that file, and how much of it is broken
    kept     the end of a run's output, what was not committed when it began, the samples of its use
    use      those summed up

What is shown of them in a browser:

    html      texts of somebody else's as HTML: one gate
    drawing   curves and bars as SVG, each with its table
    run_page  one run
    all_page  all runs: their cost by day and by recipe, a table of them
    page      a page that stands alone, with its style (`report.css`), its script (`report.js`) and its policy
"""
