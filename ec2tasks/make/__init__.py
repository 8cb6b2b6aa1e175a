"""What make was asked, and what the Makefile here can make.

`commands/make.py` puts it together to the call of make on the instance. In order:

    flags       MAKEFLAGS, read and handed on
    arguments   the words after `make`: goals, flags, variables
    caller      what was typed for the makes above, by the process table
    database    the targets in the output of `make -p`
    reading     make asked to read its makefiles here
    names       the targets that stand in the makefiles as text, to be completed
    outside     what the instance would lack of what make reads
    goals       the targets asked for, looked up in that database
    environment the variables that the Makefile takes from the caller's environment
    up_to_date  whether there is nothing to do for the targets
"""
