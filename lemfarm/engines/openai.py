"""The engine for a model behind an OpenAI-compatible endpoint: a server on this machine, in the house, or hosted.

All requests live in one event loop, which runs only while `step` does: no thread but the caller's touches anything.
Failures that may pass are waited out here, for as long as `patience_seconds`; only then does a sample fail.
"""

import asyncio
import importlib.metadata
import logging
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from lemfarm.config.grid import estimated_tokens
from lemfarm.dialogue import Message, Placement
from lemfarm.engines.base import Completion, EngineFacts, Finished, Request, Sampling
from lemfarm.engines.openai_client import (
    REACH,
    SEED_BITS,
    EndpointClient,
    EndpointRefusal,
    Trouble,
    refuses_system_turn,
)
from lemfarm.engines.openai_pace import Pace, backoff_seconds
from lemfarm.engines.openai_reply import Reply
from lemfarm.errors import EngineFailure, ModelError, RequestRefused, SampleError, Unavailable
from lemfarm.prompts import place_kernel, split_thoughts

if TYPE_CHECKING:
    from lemfarm.config import OpenAiModel

log = structlog.get_logger()

_STEP_SECONDS = 0.02
_LEAVE_SECONDS = 2.0
#: How often an answer that breaks off or cannot be read is asked for again: each time is paid for.
_MOST_BROKEN = 4
_GREETING = (Message("user", "Say hello."),)
_GREETING_TOKENS = 16

Value = TypeVar("Value")


class OpenAiEngine:
    """Fulfils `Engine`. `slots` replaces the run file's; budgets and slots are those of this one engine."""

    def __init__(self, model: "OpenAiModel", *, slots: int | None = None) -> None:
        self._model = model
        self._slots = slots or model.slots
        self._versions: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[str, asyncio.Task[Completion]] = {}
        self._system_refused = False

    @property
    def slots(self) -> int:
        """How many requests are under way at once."""
        return self._slots

    @property
    def peak_bytes(self) -> int:
        """The model runs elsewhere."""
        return 0

    def load(self) -> EngineFacts:
        """Ask the endpoint for its models and one short answer. Raises ModelError when it refuses the key or has no
        such model, Unavailable when it does not answer."""
        self.unload()
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line for every request
        self._versions = {"openai": importlib.metadata.version("openai")}
        self._client = EndpointClient(self._model)
        self._pace = Pace(self._model.requests_per_minute, self._model.tokens_per_minute)
        self._places = asyncio.Semaphore(self._slots)
        self._turn = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        try:
            return self._run(self._greet())
        except BaseException:
            self.unload()
            raise

    def unload(self) -> None:
        """Hang up; requests under way are forgotten without a result."""
        if self._loop is None:
            return
        self._withdraw(list(self._tasks))
        self._run(self._client.close())
        self._run(self._loop.shutdown_asyncgens())
        self._loop.close()
        self._loop = None

    def close(self) -> None:
        """Nothing is held beyond the connections."""
        self.unload()

    def add(self, request: Request) -> None:
        """Take a request in; it is sent by a following `step`, once a place and the budgets allow it."""
        if self._loop is None:
            raise ModelError(f"{self._model.base_url}: the engine is not connected; call load() first")
        self._tasks[request.sample_id] = self._loop.create_task(self._complete(request))

    def step(self) -> Sequence[Finished]:
        """Let up to 20 ms pass; returns what has come in by then."""
        if not self._tasks:
            return []
        self._run(self._pass(_STEP_SECONDS))
        ended = [sample_id for sample_id, task in self._tasks.items() if task.done()]
        return [_finished(sample_id, self._tasks.pop(sample_id)) for sample_id in ended]

    def remove(self, sample_id: str) -> None:
        """Hang up on one request, so that the endpoint need not go on with it; an unknown id is no error."""
        self._withdraw([sample_id] if sample_id in self._tasks else [])

    def _run(self, work: Coroutine[Any, Any, Value]) -> Value:
        assert self._loop is not None
        return self._loop.run_until_complete(work)

    async def _pass(self, seconds: float) -> None:
        await asyncio.wait(self._tasks.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def _withdraw(self, sample_ids: list[str]) -> None:
        tasks = [self._tasks.pop(sample_id) for sample_id in sample_ids]
        for task in tasks:
            task.cancel()
        if tasks:
            self._run(_end(tasks))

    async def _greet(self) -> EngineFacts:
        try:
            listed = await self._client.models()
            await self._first_answer()
        except EndpointRefusal as refusal:
            raise ModelError(str(refusal)) from None
        except Trouble as trouble:
            raise Unavailable(f"{trouble}. {REACH}") from None
        return EngineFacts(
            engine="openai",
            slots=self._slots,
            context_tokens=(listed or {}).get(self._model.model),
            versions=self._versions,
            details={"endpoint": self._model.base_url, "model": self._model.model},
        )

    async def _first_answer(self) -> None:
        """Only an answer shows that the model is there: lists leave models out, and some endpoints have none."""
        sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=_GREETING_TOKENS)
        try:
            await self._client.ask(_GREETING, sampling, None, "the first request")
        except EndpointRefusal:
            raise
        except SampleError as error:  # so short an answer may be refused where a real one is not
            log.info("the endpoint refuses the first request", said=str(error))
        except Trouble as trouble:
            if trouble.retry_after is None:
                raise
            self._pace.pause(monotonic(), trouble.retry_after)

    async def _complete(self, request: Request) -> Completion:
        if request.adapter is not None:
            raise RequestRefused(f"sample {request.sample_id}: an endpoint cannot put an adapter on its model")
        async with self._places:
            began, tries, broken = monotonic(), 0, 0
            while True:
                try:
                    return await self._once(request, tries)
                except Trouble as trouble:
                    tries, broken = tries + 1, broken + (not trouble.patient)
                    waited = monotonic() - began
                    if broken >= _MOST_BROKEN or waited > self._model.patience_seconds:
                        raise EngineFailure(
                            f"sample {request.sample_id}: {trouble} ({tries} tries in {waited:.0f} s)"
                        ) from None
                    await self._bear(trouble, tries)

    async def _bear(self, trouble: Trouble, tries: int) -> None:
        """Wait before the next try; what the endpoint asks for holds for all requests."""
        wait = backoff_seconds(tries) if trouble.retry_after is None else trouble.retry_after
        log.info("trying again", said=str(trouble), seconds=round(wait, 1), tries=tries)
        if trouble.retry_after is not None:
            self._pace.pause(monotonic(), wait)
        await asyncio.sleep(wait)

    async def _once(self, request: Request, tries: int) -> Completion:
        """One try, and another with the kernel before the question where the model takes no system turn: once that
        has helped, no other sample is sent with one."""
        placement = Placement.NONE if request.kernel is None else request.placement
        if placement is not Placement.SYSTEM:
            return await self._placed(request, tries, placement)
        if self._system_refused:
            return await self._placed(request, tries, Placement.USER)
        try:
            return await self._placed(request, tries, placement)
        except RequestRefused as error:
            if not refuses_system_turn(error):
                raise
            completion = await self._placed(request, tries, Placement.USER)
            log.info("the kernel goes before the question from now on", said=str(error))
            self._system_refused = True
            return completion

    async def _placed(self, request: Request, tries: int, placement: Placement) -> Completion:
        messages = place_kernel(request.messages, request.kernel, placement)
        seed = request.seed % 2**SEED_BITS if self._model.send_seed else None
        reply = await self._ask(messages, request, seed)
        return self._completion(request, reply, placement, {"seed": seed, "tries": tries + 1})

    async def _ask(self, messages: Sequence[Message], request: Request, seed: int | None) -> Reply:
        """One request within the budgets: the most that it may take is reserved, and corrected when it has ended."""
        prompt = estimated_tokens(sum(len(message.content) for message in messages))
        reserved = prompt + request.sampling.max_tokens
        async with self._turn:
            while (wait := self._pace.wait_seconds(monotonic(), reserved)) > 0:
                await asyncio.sleep(wait)
            entry = self._pace.take(monotonic(), reserved)
        try:
            reply = await self._client.ask(messages, request.sampling, seed, f"sample {request.sample_id}")
        except (Trouble, SampleError):
            self._pace.settle(entry, prompt)
            raise
        self._pace.settle(entry, (reply.prompt_tokens or prompt) + reply.completion_tokens)
        return reply

    def _completion(
        self, request: Request, reply: Reply, placement: Placement, of_request: dict[str, Any]
    ) -> Completion:
        answer, inline = split_thoughts(reply.text)
        first = reply.first_token or reply.ended
        decoding = reply.ended - first
        return Completion(
            text=answer,
            thoughts="\n\n".join(part for part in (reply.thoughts.strip(), inline) if part),
            finish_reason=reply.finish_reason,
            prompt_tokens=reply.prompt_tokens,
            cached_tokens=reply.cached_tokens,
            time_to_first_token=first - reply.started,
            seconds=reply.ended - reply.started,
            tokens_per_second=(reply.completion_tokens - 1) / decoding if decoding > 0 and reply.pieces > 1 else 0.0,
            placement=placement,
            seed=request.seed,
            versions=self._versions,
            counted_tokens=reply.completion_tokens,
            origin=self._client.origin(reply) | of_request | {"tokens_counted_by_endpoint": reply.counted is not None},
        )


def _finished(sample_id: str, task: "asyncio.Task[Completion]") -> Finished:
    error = task.exception()
    if error is None:
        return Finished(sample_id, task.result())
    if isinstance(error, SampleError):
        return Finished(sample_id, error=error)
    # By its type alone: the text of an error that nobody foresaw might hold anything, a key too.
    return Finished(sample_id, error=EngineFailure(f"sample {sample_id}: {type(error).__name__} in the client"))


async def _end(tasks: list["asyncio.Task[Completion]"]) -> None:
    done, _ = await asyncio.wait(tasks, timeout=_LEAVE_SECONDS)
    for task in done:
        if not task.cancelled():
            task.exception()  # taken note of: asyncio would log it
