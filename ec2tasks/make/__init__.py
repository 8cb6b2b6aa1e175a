"""What make was asked, and what the Makefile here can make.

Other packages use `flags.make_argv`, the call of make on the instance, and `goals.check_targets`, which
refuses targets that the Makefile lacks. In order:

    flags     MAKEFLAGS, read and handed on
    database  the targets in the output of `make -p`
    goals     the targets asked for, looked up in that database
"""
