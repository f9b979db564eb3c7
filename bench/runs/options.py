"""The options of a run: what is measured, where it runs, what is trusted. `medssl run` and `bench.run` take these.

A field says once what an option is called, its default, its bounds and its help, which the group's docstring heads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

SUITE = "phantom-v1"
"""Suite of a run, where neither a suite nor tasks are given."""
PARALLEL = 64
"""SLURM jobs that run at a time, where nothing else is said."""


def option(
    default: Any, text: str, flag: str = "", *, bounds: tuple[int, int] | None = None, path: bool = False,
    kind: Any = None,
) -> Any:  # fmt: skip
    """A field that the command line knows too: as `flag`, or as --its-name.

    text: its help. bounds: smallest and largest number. path: it names something that must be there. kind: type of the
    command line, where the field's own does not tell.
    """
    return field(default=default, metadata={"help": text, "flag": flag, "bounds": bounds, "path": path, "kind": kind})


@dataclass(frozen=True)
class What:
    """What is measured."""

    encoder: str = ""
    """Folder or path of a card, a name of 'medssl list encoders', or weights without a card."""
    suite: str | None = option(SUITE, "Suite by name or TOML file [default: phantom-v1, or your --tasks].")
    tasks: str | None = option(None, "Folder with your own task cards, or one card; alone, it is the suite.", path=True)
    only: tuple[str, ...] = option((), "Only these tasks of the suite: a,b (may be repeated).", "--task")
    model: str | None = option(
        None, "timm architecture of ENCODER, a weights file without a card, if shapes do not tell it."
    )
    out: str = option("runs", "Folder for results.")


@dataclass(frozen=True)
class Resources:
    """Processes and clusters."""

    workers: int | None = option(None, "Workers of the executor [default: as many as GPUs or cores].", bounds=(1, 4096))
    address: str | None = option(
        None, "Address of a Ray cluster [default: a local one]; for slurm, 'local' tries the jobs on this machine."
    )
    partition: str | None = option(None, "SLURM: partition of the jobs.")
    minutes: int = option(240, "SLURM: time of a job.", bounds=(1, 10**5))
    log_folder: str = option("runs/.slurm", "SLURM: folder of the logs.", "--logs")
    gpus: int | None = option(
        None,
        "GPUs of a job [default: 0 with --device cpu, else 1]; SLURM is asked for them whatever this machine has.",
        bounds=(0, 8),
    )
    cpus: int = option(4, "SLURM: cores of a job.", bounds=(1, 1024))

    def asks(self, jobs: int) -> str:
        """What SLURM will be asked for, in a sentence."""
        where = f"partition {self.partition}" if self.partition else "the default partition"
        return (
            f"SLURM: {jobs} jobs, at most {self.workers or PARALLEL} at a time, in {where}; each {self.gpus} GPU, "
            f"{self.cpus} cores, {self.minutes} minutes; logs in {self.log_folder}"
        )


@dataclass(frozen=True)
class Where:
    """Where it runs."""

    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps.")
    precision: str = option("auto", "auto (bf16 on a GPU that has it), fp32, bf16.")
    compiled: bool = option(False, "Run the network through torch.compile.", "--compile")
    deterministic: bool = option(False, "Only algorithms that give the same bits every time.")
    threads: int | None = option(None, "CPU threads [default: all cores].", bounds=(1, 1024))
    batch_size: int | None = option(None, "Images a batch; halved when memory runs out.", bounds=(1, 65536))
    cache: bool = option(True, "Keep features on disk.", "--cache/--no-cache")
    watches: tuple[str, ...] = option(
        (), "jsonl:FILE, wandb:offline, wandb:online, tensorboard:FOLDER (may be repeated).", "--watch"
    )
    executor: str = option("serial", "serial, processes, ray, slurm.")
    resources: Resources = Resources()

    @property
    def asked(self) -> Resources:
        """What the executor may use; a SLURM job gets a GPU where nobody says how many and the device may be one."""
        gpus = int(self.device != "cpu") if self.resources.gpus is None else self.resources.gpus
        return replace(self.resources, gpus=gpus)


@dataclass(frozen=True)
class Trust:
    """What is trusted."""

    trust_code: bool = option(False, "Allow an encoder that is code. It can do anything you can.")
    allow_outside: bool = option(False, "Allow weights outside the card's folder.")
    accept_checksum: bool = option(False, "Use data whose checksum differs; every record is marked.")


@dataclass(frozen=True)
class RunSpec:
    """Everything that defines a run, as plain values that can be sent to another process."""

    what: What = What()
    where: Where = Where()
    trust: Trust = Trust()
    command: str = ""
    fingerprint: str = ""

    @classmethod
    def of(cls, encoder: str = "", suite: str | None = SUITE, tasks: str | None = None, **by_name: Any) -> RunSpec:
        """Of options by their names, whichever group they are in. Raises TypeError for an unknown name."""
        return cls(What(encoder, suite, tasks)).but(**by_name)

    def but(self, **by_name: Any) -> RunSpec:
        """The same with some options changed, by their names. Raises TypeError for an unknown name."""
        changed = _changed(self, by_name)
        if by_name:
            raise TypeError(f"a run has no option {', '.join(map(repr, by_name))}")
        return changed


def _changed(group: Any, by_name: dict[str, Any]) -> Any:
    """A group with the options that are its own, which are taken out of `by_name`."""
    mine = {}
    for known in fields(group):
        if known.name in by_name:
            mine[known.name] = by_name.pop(known.name)
        elif is_dataclass(part := getattr(group, known.name)):
            mine[known.name] = _changed(part, by_name)
    return replace(group, **mine)
