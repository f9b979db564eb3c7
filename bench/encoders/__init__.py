"""Encoders: the card, the base class, and one module per source in `sources/`."""
