"""What each task does, a module a task: `run`, `make`, `up`, `sync`, `down`, `attach` (`finish`), `notebook`.

Beside them what several share: `trust` (the gate before what a project's own files wish beyond its folder),
`preflight` (checked before anything costs money), `plan` (what would be
done), `supervise` (with a job until it ends or is left), `reconnect` (back to it after the connection broke),
`come_back` (which job to come back to), `fetch` (its results, at the end and meanwhile), `history` (jobs and
their output), `use` (what one used of its machine), `watch_use` (that, shown), `status` (an instance in
words), `variants`, `sweep` and `sweep_result` (each prerequisite of a target by itself), `pooled` (a run on a
free one of several machines), `record` (what becomes of a run, written down), `runs` and `report` (that,
shown).
"""
