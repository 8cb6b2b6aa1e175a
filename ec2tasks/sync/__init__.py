"""The project's files, there and back: scanned, reconciled, pushed, pulled, applied.

Start with `engine.sync_files`, which moves them, and `engine.differences`, which only tells. In order:

    entries       what stands at a path, on either side
    gate          what the instance says of files, refused where it leads out
    reconcile     what becomes of a path, by what each side did to it: pure
    shared        what several runs write: tails joined, what a sweep fetched told from yours
    baseline      what both sides last agreed on
    said          what was said once
    withheld      what is kept out of every sync for want of a yes
    ignore        what never moves
    transfer      one transfer: its folders, its job, its direction
    rsync_kind    which rsync is here, and what it lacks
    rsync         rsync, run and understood
    patterns      which names no ignore pattern can fit
    travelling    which of the paths that somebody named travel at all
    progress      what gets a bar, the biggest items
    caches        which folders look like what need not travel
    environments  which folders fit one machine only
    links         the project's links that lead out of it
    touched       what was changed there, whatever its time says
    spelling      names that are one on the disk here
    scan          what stands on each side
    overview      what a comparison begins with
    compare       both sides against the baseline
    push          from here to the instance
    below         writing below an opened folder
    apply         what has arrived, put into its place here
    stage         what is to be pulled, fetched
    pull          from the instance to here
    engine        all of it
    ignored       how much is on the instance that never comes here
    diff_view     what a sync would do, in words
"""
