"""medssl-bench: the standardized benchmark of self-supervised image encoders in medicine."""

from typing import Any

from bench.version import __version__

__all__ = ["__version__", "load_encoder", "run", "wrap"]


def __getattr__(name: str) -> Any:
    """`bench.run`, `bench.wrap` and `bench.load_encoder`, imported when first used."""
    if name in ("run", "wrap", "load_encoder"):
        from bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
