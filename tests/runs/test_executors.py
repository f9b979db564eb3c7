"""Every executor gives the serial records: a pool, a Ray cluster that loses a worker and gains a node, SLURM."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bench.errors import RunError
from bench.files import canonical_json
from bench.runs.executors import processes, ray, slurm
from bench.runs.options import Resources, RunSpec
from bench.runs.records import Record
from bench.runs.run import run


@pytest.fixture(scope="module")
def spec(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    out = tmp_path_factory.mktemp("serial")
    return RunSpec.of("raw-pixels", None, str(squares), out=str(out), threads=1, command="medssl run")


Outcome = tuple[list[str], dict[str, bytes]]


@pytest.fixture(scope="module")
def serial(spec: RunSpec) -> Outcome:
    return outcome(run(spec), spec.what.out)


def outcome(records: list[Record], out: str) -> Outcome:
    """Bytes of every record but for its times, and of every predictions file by name."""
    predictions = {p.name: p.read_bytes() for p in Path(out).rglob("predictions/*.npz")}
    assert len(records) > 10
    assert len(predictions) == 2
    return [canonical_json(record.without_times()) for record in records], predictions


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, private_home: Path) -> Iterator:
    """A Ray cluster of real processes with one node of one CPU."""
    pytest.importorskip("ray", reason="Ray is not installed")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def ray_workers() -> list[psutil.Process]:
    """Worker processes that are busy with a job."""
    return [p for p in psutil.process_iter(["cmdline"]) if "ray::_alone" in " ".join(p.info["cmdline"] or [])]


def test_ray_survives_a_killed_worker_and_uses_a_late_node(
    spec: RunSpec, serial: Outcome, cluster, tmp_path: Path
) -> None:
    killed = []
    with ThreadPoolExecutor(1) as background:
        running = background.submit(run, spec.but(out=str(tmp_path), executor="ray"))
        until = time.monotonic() + 120
        while not killed and not running.done() and time.monotonic() < until:
            for worker in ray_workers()[:1]:
                worker.kill()
                killed.append(worker.pid)
            time.sleep(0.05)
        cluster.add_node(num_cpus=1)
        records = running.result()
    assert killed
    assert outcome(records, str(tmp_path)) == serial


def test_slurm_jobs_give_the_serial_records(spec: RunSpec, serial: Outcome, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed")
    resources = Resources(address="local", log_folder=str(tmp_path / "log"))
    records = run(spec.but(out=str(tmp_path / "out"), executor="slurm", resources=resources))
    assert outcome(records, str(tmp_path / "out")) == serial


def test_slurm_without_sbatch_is_one_message(spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match=r"SLURM cannot be reached.*sbatch"):
        run(spec.but(out=str(tmp_path / "out"), executor="slurm"))


def test_slurm_is_asked_for_what_the_user_states(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    class Pretended:
        def __init__(self, **made: object) -> None:
            asked.update(made)

        def update_parameters(self, **parameters: object) -> None:
            asked.update(parameters)

    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(AutoExecutor=Pretended))
    stated = Resources(workers=7, partition="gpu", minutes=90, log_folder="logs", gpus=1, cpus=12)
    slurm._executor(stated)
    assert asked == {
        "folder": "logs", "cluster": "slurm", "timeout_min": 90, "gpus_per_node": 1, "cpus_per_task": 12,
        "slurm_array_parallelism": 7, "slurm_partition": "gpu",
    }  # fmt: skip
    said = "SLURM: 3 jobs, at most 7 at a time, in partition gpu; each 1 GPU, 12 cores, 90 minutes; logs in logs"
    assert stated.asks(3) == said


def test_processes_are_as_many_as_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of a cluster has a few cores of a machine that has many."""

    class Asked(Exception):
        pass

    def pool(workers: int, *_: object, initargs: tuple, **__: object) -> None:
        raise Asked(workers, initargs[-1])

    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    monkeypatch.setattr("bench.runs.executors.processes.ProcessPoolExecutor", pool)
    for asked, given in ((None, (3, 1)), (1, (1, 3))):
        with pytest.raises(Asked) as found:
            processes.EXECUTOR.run(lambda job: 0, list(range(9)), lambda *_: None, Resources(workers=asked))
        assert found.value.args == given
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for device, workers in (("cpu", 3), ("auto", 2)):  # GPUs that are not asked for do not count
        with pytest.raises(Asked) as found:
            processes.EXECUTOR.run(
                lambda job: 0, list(range(9)), lambda *_: None, RunSpec.of(device=device).where.asked
            )
        assert found.value.args[0] == workers


def test_ray_gives_a_job_a_gpu_only_where_one_is_asked_for() -> None:
    asked = []

    class Pretended:
        @staticmethod
        def cluster_resources() -> dict[str, int]:
            return {"GPU": 4}

        @staticmethod
        def remote(**resources: int) -> object:
            asked.append(resources["num_gpus"])
            return lambda function: None

    for gpus in (True, False):
        ray._drive(Pretended, lambda job: 0, [], lambda *_: None, gpus=gpus)
    assert asked == [1, 0]
