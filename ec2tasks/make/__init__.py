"""What make was asked, and what the Makefile here can make.

Other packages use `flags.make_argv`, the call of make on the instance, `reading.read_makefile` with
`goals.check_targets`, which refuses targets that the Makefile lacks, and `up_to_date`. In order:

    flags      MAKEFLAGS, read and handed on
    arguments  the words after `make`: goals, flags, variables
    database   the targets in the output of `make -p`
    reading    make asked to read its makefiles here
    goals      the targets asked for, looked up in that database
    up_to_date whether there is nothing to do for them
"""
