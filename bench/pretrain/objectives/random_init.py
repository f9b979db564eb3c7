"""Random-init reference: the untrained network, with the same initialisation as every other objective."""

from bench.pretrain.objective import Batch, Objective


class RandomInit(Objective):
    name = "random-init"
    paradigm = "reference"
    kind = "random-init"
    method = "Random initialisation"
    citation = ""
    views = 1
    trains = False

    def losses(self, batch: Batch):
        return {}


OBJECTIVE = RandomInit
