"""What the objectives share that spoil an image and restore each of its patches from its token."""

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from bench.pretrain.augment import crop
from bench.pretrain.backbone import Backbone
from bench.pretrain.decoder import pixel_decoder
from bench.pretrain.losses import restoration_error
from bench.pretrain.objective import Batch, Objective
from bench.pretrain.recipe import Recipe


class Restoration(Objective):
    """The squared error of all pixels under a linear decoder. A child says how an image is spoiled."""

    paradigm = "generative"
    views = 1

    def __init__(self, backbone: Backbone, recipe: Recipe, classes: Mapping[str, int]) -> None:
        super().__init__(backbone, recipe, classes)
        self.decode = pixel_decoder(backbone)

    @abstractmethod
    def spoil(self, images: Tensor) -> Tensor:
        """What the backbone sees of images (n, 3, s, s) in [0, 1]; of the same shape."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        images = crop(batch.images, self.recipe)
        restored = self.decode(self.backbone.tokens(self.spoil(images)))
        return {"restore": restoration_error(restored, images, self.backbone.patch)}
