"""The project's files, there and back: scanned, reconciled, pushed, pulled, applied.

Start with `engine.sync_files`, which moves them, and `engine.differences`, which only tells. In order:

    entries    what stands at a path, on either side
    reconcile  what becomes of a path, by what each side did to it: pure
    baseline   what both sides last agreed on
    ignore     what never moves
    transfer   one transfer: its folders, its job, its direction
    rsync      rsync, run and understood
    scan       what stands on each side
    compare    both sides against the baseline
    progress   the bar, the biggest items
    push       from here to the instance
    apply      what has arrived, put into its place here
    pull       from the instance to here
    engine     all of it
    ignored    how much is on the instance that never comes here
    diff_view  what a sync would do, in words
"""
