"""A SLURM cluster through submitit: an array of jobs, requeued when preempted or timed out."""

import time
from collections.abc import Sequence
from typing import Any

from bench.errors import RunError
from bench.runs.executors._base import Done, Executor, Job, Work
from bench.runs.options import PARALLEL, Resources

POLL_SECONDS = 0.5


class Slurm(Executor):
    """One SLURM job a task. `address = "local"` runs the same jobs as processes of this machine."""

    name = "slurm"

    def run(self, work: Work[Job], jobs: Sequence[Job], done: Done[Job], resources: Resources) -> None:
        executor = _executor(resources)
        with executor.batch():
            submitted = [(job, executor.submit(work, job)) for job in jobs]
        try:
            while submitted:
                for job, handle in [pair for pair in submitted if pair[1].done()]:
                    done(job, _result(handle))
                    submitted.remove((job, handle))
                time.sleep(POLL_SECONDS)
        finally:
            for _, handle in submitted:
                handle.cancel()


def _result(handle: Any) -> int:
    error = handle.exception()
    if error is None:
        return handle.result()
    lines = str(error).strip().splitlines() or ["no message"]
    raise RunError(f"SLURM job {handle.job_id} failed: {lines[-1][:500]}", fix="run the same command again to resume")


def _executor(resources: Resources) -> Any:
    try:
        import submitit
    except ImportError:
        raise RunError("the SLURM executor needs submitit", fix="pip install 'medssl-bench[cluster]'") from None
    cluster = "local" if resources.address == "local" else "slurm"
    try:
        executor = submitit.AutoExecutor(folder=resources.log_folder, cluster=cluster)
    except RuntimeError as error:
        raise RunError(f"SLURM cannot be reached: {error}", fix="is sbatch on the PATH?") from None
    executor.update_parameters(
        timeout_min=resources.minutes,
        gpus_per_node=resources.gpus if cluster == "slurm" else 0,
        cpus_per_task=resources.cpus if cluster == "slurm" else 1,
    )
    if cluster == "slurm":
        executor.update_parameters(slurm_array_parallelism=resources.workers or PARALLEL)
        if resources.partition:
            executor.update_parameters(slurm_partition=resources.partition)
    return executor


EXECUTOR = Slurm()
