"""Compute of a run, counted: images forward and backward, and the floating-point operations of a step."""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.pretrain.corpus import Corpus
from bench.pretrain.feed import batch_of
from bench.pretrain.job import Job, stream


def compute_of(job: Job, corpus: Corpus, device: str = "cpu") -> dict[str, float]:
    """Totals of the whole run; `device` is where its first step is counted.

    images: images drawn from the corpus, with repetition. gradient_views: views through the backbone forward and
    backward (the same for every objective). teacher_views: further views, forward only. flops: matrix products,
    convolutions and attention, forward and backward, heads and teacher included (2 operations a multiply-add).
    """
    images = job.steps * job.images_per_step
    return {
        "steps": job.steps,
        "images": images,
        "gradient_views": images * job.kind.views,
        "teacher_views": images * job.kind.teacher_views,
        "flops": float(job.steps * step_flops(job, corpus, device)),
    }


def step_flops(job: Job, corpus: Corpus, device: str = "cpu") -> int:
    """Floating-point operations of the first step, counted by torch on the step itself."""
    if not job.kind.trains:
        return 0
    with torch.random.fork_rng():
        model = job.build(corpus).to(device)
        torch.manual_seed(stream(job.seed, "step", 0))
        # The fused CPU attention is unknown to the counter; the plain one has the same products.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            losses = model.losses(batch_of(job, corpus, 0, device)).values()
            torch.stack([*losses]).sum().backward()
    return counter.get_total_flops()
