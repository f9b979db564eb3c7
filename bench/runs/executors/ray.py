"""A Ray cluster: jobs survive the loss of a worker or node, and nodes may join late."""

from collections.abc import Sequence

import torch

from bench.errors import RunError, UserError
from bench.runs.executors._base import Done, Executor, Job, Work
from bench.runs.options import Resources

RETRIES = 5


class Ray(Executor):
    """One Ray task a job, with a GPU where the cluster has them, else one CPU; retried when its worker dies.

    The run folder must be on a file system that every node shares.
    """

    name = "ray"

    def run(self, work: Work[Job], jobs: Sequence[Job], done: Done[Job], resources: Resources) -> None:
        ray = _import()
        started_here = not ray.is_initialized()
        if started_here:
            ray.init(
                address=resources.address,
                num_cpus=None if resources.address else resources.workers,
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
            )
        try:
            _drive(ray, work, jobs, done, gpus=resources.gpus != 0)
        finally:
            if started_here:
                ray.shutdown()


def _drive(ray, work: Work[Job], jobs: Sequence[Job], done: Done[Job], *, gpus: bool) -> None:
    each = 1 if gpus and ray.cluster_resources().get("GPU", 0) else 0
    remote = ray.remote(num_cpus=1, num_gpus=each, max_retries=RETRIES)(_alone)
    waiting = {remote.remote(work, job): job for job in jobs}
    while waiting:
        ready, _ = ray.wait(list(waiting), num_returns=1)
        job = waiting.pop(ready[0])
        try:
            done(job, ray.get(ready[0]))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, UserError) else RunError(f"a job failed: {str(cause)[:500]}") from None
        except ray.exceptions.RayError as error:
            raise RunError(
                f"the cluster lost a job {RETRIES} times: {str(error).splitlines()[0][:300]}",
                fix="run the same command again to resume",
            ) from None


def _alone(work: Work[Job], job: Job) -> int:
    torch.set_num_threads(1)
    return work(job)


def _import():
    try:
        import ray
    except ImportError:
        raise RunError("the Ray executor needs Ray", fix="pip install 'medssl-bench[cluster]'") from None
    return ray


EXECUTOR = Ray()
