"""Tests on a machine that really boots: `make test-vm`."""
