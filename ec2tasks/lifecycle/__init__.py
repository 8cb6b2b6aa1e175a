"""An instance acquired and released around an operation, whatever happens in between."""
