"""What each task does, a function a task."""
