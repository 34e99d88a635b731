"""The parts of `break_writers.py`."""
