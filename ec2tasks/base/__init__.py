"""What everything else stands on: errors and hints, output, processes, the project, this machine's state."""
