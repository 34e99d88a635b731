"""The parts of `compare_quality.py`: cells (one system on one collection with one seed), the peer, the tables."""
