"""Measures the service beside its floors, in one run. `make bench`."""
