"""Invoke's side: tasks, their options and help, the console script."""
