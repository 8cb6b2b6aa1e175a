"""What a job uses of its machine, as its samples tell: read, summed up, shown, judged; pure.

The samples are those that `remote/sampler.sh` takes on the instance. In order:

    samples  the file of samples, read as somebody else's words
    summary  what all of them come to: means, peaks, curves
    line     the same in one line
    table    the same measure by measure
    advice   what another run might do better on
"""
