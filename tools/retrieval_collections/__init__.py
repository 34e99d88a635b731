"""What `make_collections.py` makes: one module a source, and what they share (`fetch.py`, `near.py`, `folder.py`)."""
