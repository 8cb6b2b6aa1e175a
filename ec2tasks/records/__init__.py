"""What is kept here of the project's runs, and outlives their instances: the ledger, what a run printed last.

Start with `ledger`, the file; `run` is what it tells of one. In order:

    run     one run, as the lines about it tell it
    ledger  the file of those lines: written to by several at once, read with what is broken in it
    kept    the end of a run's output, and what was not committed when it began

What is shown of them in a browser:

    html      texts of somebody else's as HTML: one gate
    drawing   curves and bars as SVG, each with its table
    run_page  one run
    all_page  all runs: their cost by day and by recipe, a table of them
    page      a page that stands alone, with its style (`report.css`), its script (`report.js`) and its policy
"""
