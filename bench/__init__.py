"""medssl-bench: the standardized benchmark of self-supervised image encoders in medicine."""

__version__ = "0.1.0"
