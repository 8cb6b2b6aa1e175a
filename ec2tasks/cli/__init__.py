"""Invoke's side: tasks, their options and help, the console script.

Start with `tasks`, which holds the collection; `options` is the table of all options, `task` makes a function
a task. `run`, `instances` and `admin` hold the tasks of their kind, `scaffold` what `init` writes, `program`
the console script.
"""
