"""The known encoders of the tests of `bench.encoders`."""

from tests.encoders.conftest import _load, _make_card, images, vit, vit_source

__all__ = ["_load", "_make_card", "images", "vit", "vit_source"]
