"""Every error that lemfarm raises on purpose.

The tree, with the exit code that the command line gives each branch:

    LemfarmError                      1
    ├── InputError                    2   something a person wrote or named is wrong
    │   ├── ConfigError               2   a run file (carries every problem found, not the first)
    │   ├── ProbeError                2   a probe file
    │   ├── KernelError               2   a kernel file
    │   └── NotFound                  2   a run, sample, worker that does not exist
    ├── ModelError                    2   a model that cannot be loaded, read or trusted
    │   ├── ModelMismatch             2   its weights are not those the run began with
    │   └── BatchingUnsafe            2   batched output differs from output alone on this machine
    ├── VersionError                  2   another lemfarm, or a newer database schema
    ├── Unavailable                   4   a service or a resource is missing right now
    │   ├── BrokerDown                4
    │   ├── DatabaseDown              4
    │   └── NoSpace                   4   disk full, or a folder that cannot be written
    └── SampleError                   -   one sample failed; never ends a run by itself
        ├── PromptTooLong             -   longer than the context: retrying cannot help
        ├── RequestRefused            -   an endpoint will not take this request: retrying cannot help
        ├── EngineFailure             -   the engine raised while it worked on the sample
        └── DeadlineExceeded          -   not finished within farm.deadline_seconds

A message names the id or the file and line, and what to do next.
"""


class LemfarmError(Exception):
    """Base of all; its text is shown to the user as it stands."""

    exit_code = 1


class InputError(LemfarmError):
    """Something a person wrote, or named on the command line, is wrong."""

    exit_code = 2


class ConfigError(InputError):
    """A run file is wrong; `problems` holds one `file:line:column: path: what is wrong` each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class ProbeError(InputError):
    """A probe file is wrong; the text names file and line."""


class KernelError(InputError):
    """A kernel file cannot be read or is empty."""


class NotFound(InputError):
    """A run, sample or worker of that name does not exist here."""


class ModelError(LemfarmError):
    """A model cannot be loaded, read or trusted on this machine."""

    exit_code = 2


class ModelMismatch(ModelError):
    """The weights found are not the ones that the run began with."""


class BatchingUnsafe(ModelError):
    """The canary saw batched output part from the output of a sequence decoded alone."""


class VersionError(LemfarmError):
    """Two versions of lemfarm, or of the database schema, would have to work together."""

    exit_code = 2


class Unavailable(LemfarmError):
    """A service or resource is missing right now; the same command later may work."""

    exit_code = 4


class BrokerDown(Unavailable):
    """Valkey or Redis does not answer."""


class DatabaseDown(Unavailable):
    """The database does not answer."""


class NoSpace(Unavailable):
    """The disk is full, or a folder of the farm cannot be written."""


class SampleError(LemfarmError):
    """One sample failed. `kind` is stored as its error class; `retryable` says whether to try again."""

    kind = "error"
    retryable = True


class PromptTooLong(SampleError):
    """Prompt and max_tokens exceed the model's context; trying again cannot help."""

    kind = "prompt_too_long"
    retryable = False


class RequestRefused(SampleError):
    """The endpoint will not take this request as it is; trying again cannot help."""

    kind = "refused"
    retryable = False


class EngineFailure(SampleError):
    """The engine raised while it worked on this sample."""

    kind = "engine"


class DeadlineExceeded(SampleError):
    """The sample was not finished within `farm.deadline_seconds`."""

    kind = "deadline"
