"""Errors that are meant for people.

MedsslError
└── UserError      bad input: one clear message, exit code 2
    ├── CardError      a TOML card (encoder, task, suite, claim) breaks its schema
    ├── DataError      images, labels, masks or files of a task are not what its card says
    ├── EncoderError   an encoder cannot be loaded or breaks its contract (shape, NaN, hash)
    │   └── NotForThisEncoderError  a protocol needs what this encoder does not have
    ├── RunError       a run cannot go on (disk full, folder in use, unwritable output)
    └── SubmissionError  a submission is refused
"""


class MedsslError(Exception):
    """Base class of every error this package raises on purpose."""


class UserError(MedsslError):
    """Bad input. `what` happened, `where` (file, key, row), and how to `fix` it; printed as one message.

    >>> str(UserError("unknown key 'licens'", where="encoder.toml", fix="did you mean 'licence'?"))
    "encoder.toml: unknown key 'licens' (did you mean 'licence'?)"
    """

    exit_code = 2

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, None if where is None else str(where), fix
        super().__init__(f"{self.where}: {what}" if self.where else what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head} ({self.fix})" if self.fix else head


class CardError(UserError):
    """A TOML card breaks its schema."""


class DataError(UserError):
    """A task's images, labels, masks or files are not what its card says."""


class EncoderError(UserError):
    """An encoder cannot be loaded, or breaks its contract."""


class NotForThisEncoderError(EncoderError):
    """A protocol needs what this encoder does not have (a patch grid, a network): its units are refused."""


class RunError(UserError):
    """A run cannot start or go on."""


class SubmissionError(UserError):
    """A submission is refused."""
