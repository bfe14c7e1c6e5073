"""One request to an OpenAI-compatible endpoint: what is sent, and what its errors mean.

The API key lives in the environment and in the client's header. Texts of an endpoint are shown only through `_shown`,
which takes the key out, because some endpoints repeat it in their complaints.
"""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lemfarm.dialogue import Message
from lemfarm.engines.base import Sampling
from lemfarm.engines.openai_pace import retry_after_seconds
from lemfarm.engines.openai_reply import Reply, whole_number
from lemfarm.errors import EngineFailure, ModelError, PromptTooLong, RequestRefused, SampleError, Unavailable

if TYPE_CHECKING:
    import openai

    from lemfarm.config import OpenAiModel

#: Large seeds are refused by some endpoints and rounded by others; every known one takes 31 bits.
SEED_BITS = 31
#: What to do about an endpoint that does not answer.
REACH = "Start it, or check model.base_url and the network"
_CONNECT_SECONDS = 10.0
_SHOWN = 300
#: The endpoint is there and has no time now, or is about to come back: worth waiting for.
_BUSY = frozenset({408, 409, 425, 429, 502, 503, 504, 529})
_TOO_LONG = re.compile(
    r"context[ _](length|window|size)|maximum context|max_model_len|prompt is too long|too many tokens", re.IGNORECASE
)
_NO_SYSTEM = re.compile(r"system.{0,40}(role|message|instruction|turn)|roles? must alternate", re.IGNORECASE)


class Trouble(Exception):
    """A failure that may pass. `patient`: the endpoint is busy or away, else it broke off on this one request."""

    def __init__(self, text: str, *, patient: bool, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.patient = patient
        self.retry_after = retry_after


class EndpointRefusal(EngineFailure):
    """The endpoint takes no request from this worker, whatever it asks: key, permission, credit or model."""


class EndpointClient:
    """A connection to one endpoint, used from one event loop. Raises ModelError when the key cannot be sent."""

    def __init__(self, model: "OpenAiModel", environ: Mapping[str, str] = os.environ) -> None:
        import openai

        self._model = model
        self._key = _key(model, environ)
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=model.base_url,
            max_retries=0,  # the engine tries again, for all its requests together
            timeout=openai.Timeout(model.silence_seconds, connect=_CONNECT_SECONDS),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def models(self) -> dict[str, int | None] | None:
        """The models that the endpoint lists, with their context in tokens where it says; none where it has no list.

        Raises Trouble when it does not answer, EndpointRefusal when it refuses the key.
        """
        import openai

        try:
            listed = await self._client.models.list()
            entries = [entry.to_dict(warnings=False) for entry in listed.data or ()]
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise EndpointRefusal(self._of_key(error.status_code)) from None
        except Exception as error:  # noqa: BLE001 -- a list is a help and no duty: endpoints lack it, or break off
            problem = self._problem(error, "the list of models")
            if isinstance(problem, Trouble) and problem.patient:
                raise problem from None
            return None
        return {str(entry["id"]): _context(entry) for entry in entries if entry.get("id")}

    async def ask(self, messages: Sequence[Message], sampling: Sampling, seed: int | None, label: str) -> Reply:
        """Send one request and wait for its whole answer. Raises Trouble, or SampleError where no retry can help."""
        reply = Reply()
        try:
            stream = await self._client.chat.completions.create(**self._body(messages, sampling, seed))
            async with stream:
                async for piece in stream:
                    reply.take(piece.to_dict(warnings=False))
        except Exception as error:  # noqa: BLE001 -- endpoints send what they like; all of it becomes one of ours
            raise self._problem(error, label) from None
        if not reply.finish:
            raise Trouble(f"{self._model.base_url}: the answer to {label} broke off before its end", patient=False)
        reply.ended = perf_counter()
        return reply

    def origin(self, reply: Reply) -> dict[str, Any]:
        """Who answered, as the endpoint reports it; the provider is the host where it names none."""
        origin = {key: self._shown(value) for key, value in reply.report.items() if isinstance(value, str)}
        origin.setdefault("provider", str(urlsplit(self._model.base_url).hostname))
        origin["date"] = _date(reply.report.get("created"))
        return origin | {"endpoint": self._model.base_url, "finish_reason": self._shown(reply.finish)}

    def _body(self, messages: Sequence[Message], sampling: Sampling, seed: int | None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._model.length_key: sampling.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return body if seed is None else body | {"seed": seed}

    def _problem(self, error: Exception, label: str) -> Trouble | SampleError:
        import openai

        if isinstance(error, openai.APIStatusError):
            return self._of_status(error, label)
        if isinstance(error, openai.APIConnectionError):
            return self._of_connection(error, label)
        said, address = self._said(error), self._model.base_url
        if _TOO_LONG.search(said):
            return PromptTooLong(f"{label}: {said}")
        return Trouble(f"{address}: its answer to {label} cannot be read: {said}", patient=False)

    def _of_connection(self, error: "openai.APIConnectionError", label: str) -> Trouble:
        import openai

        cause, address = error.__cause__ or error, self._model.base_url
        if type(cause).__name__.startswith("Connect"):
            return Trouble(f"{address} cannot be reached: {self._said(cause)}", patient=True)
        if isinstance(error, openai.APITimeoutError):
            silence = self._model.silence_seconds
            return Trouble(f"{address}: nothing came of the answer to {label} for {silence:g} s", patient=True)
        return Trouble(f"{address} hung up in the answer to {label}: {self._said(cause)}", patient=False)

    def _of_status(self, error: "openai.APIStatusError", label: str) -> Trouble | SampleError:
        status, said = error.status_code, self._said(error)
        what = f"{self._model.base_url} answered {status}: {said}"
        if status in (401, 403) or (status == 429 and "insufficient_quota" in (error.code, error.type)):
            return EndpointRefusal(self._of_key(status))
        if status == 404 or error.code == "model_not_found":
            return EndpointRefusal(
                f"{what}. It has no model {self._model.model!r}, or model.base_url is wrong: "
                "most addresses end in /v1, and `lemfarm doctor RUNFILE` lists the models"
            )
        if status < 500 and (error.code == "context_length_exceeded" or _TOO_LONG.search(said)):
            return PromptTooLong(f"{label}: {what}")
        if status in _BUSY or status >= 500:
            wait = retry_after_seconds(error.response.headers, datetime.now(UTC))
            return Trouble(what, patient=status in _BUSY, retry_after=wait)
        return RequestRefused(f"{label}: {what}")

    def _of_key(self, status: int) -> str:
        """Without what the endpoint said: it often shows a part of the key."""
        address, name = self._model.base_url, self._model.api_key_env
        if status == 429:
            return f"{address}: the account's credit is used up. Top it up, then give the same command again"
        if name is None:
            return f"{address} answered {status}: it wants an API key. Name its variable with model.api_key_env"
        if not self._key:
            return f"{address} answered {status}: it wants an API key, and {name} is not set on this machine"
        return f"{address} answered {status}: it refuses the API key in {name}. Set that to a key of this endpoint"

    def _said(self, error: BaseException) -> str:
        """The endpoint's own words in brief, without the key."""
        body = getattr(error, "body", None)
        message = body.get("message") if isinstance(body, Mapping) else body
        text = str(message or error) or type(error).__name__
        return self._shown(" ".join(text.split())).rstrip(".")

    def _shown(self, text: str) -> str:
        """A text of the endpoint as it may be stored and shown: without the key, short, and fit for every database."""
        if self._key:
            text = text.replace(self._key, "***")
        return _clean(text[:_SHOWN])


def refuses_system_turn(error: RequestRefused) -> bool:
    """Whether an endpoint complains that the model's template knows no system turn."""
    return bool(_NO_SYSTEM.search(str(error)))


def listed_models(model: "OpenAiModel", *, answer_seconds: float) -> dict[str, int | None] | None:
    """Ask an endpoint for its models, for a look at it without an engine; none where it has no list.

    Raises ModelError when it refuses the key, Unavailable when it does not answer within `answer_seconds`.
    """
    impatient = model.model_copy(update={"silence_seconds": answer_seconds})

    async def look() -> dict[str, int | None] | None:
        client = EndpointClient(impatient)
        try:
            return await client.models()
        finally:
            await client.close()

    try:
        return asyncio.run(look())
    except EndpointRefusal as refusal:
        raise ModelError(str(refusal)) from None
    except Trouble as trouble:
        raise Unavailable(f"{trouble}. {REACH}") from None


def key_warning(model: "OpenAiModel", environ: Mapping[str, str] = os.environ) -> str | None:
    """What is unsafe about where the key would go; none where it is fine."""
    parts = urlsplit(model.base_url)
    is_local = parts.hostname in ("localhost", "::1") or str(parts.hostname).startswith("127.")
    if parts.scheme == "https" or is_local or not _key(model, environ):
        return None
    return f"the key in {model.api_key_env} would travel unencrypted; use https, or model.api_key_env: null"


def _key(model: "OpenAiModel", environ: Mapping[str, str]) -> str:
    """The key, or nothing. A header takes ASCII only, and the error of one that it refuses would show the key."""
    key = environ.get(model.api_key_env, "").strip() if model.api_key_env else ""
    if not all("!" <= sign <= "~" for sign in key):
        raise ModelError(f"{model.api_key_env} holds spaces or signs that no API key has: set it again")
    return key


def _context(entry: Mapping[str, Any]) -> int | None:
    """vLLM and LM Studio tell the context; the protocol has no word for it."""
    return next(_contexts(entry), None)


def _contexts(entry: Mapping[str, Any]) -> Iterator[int]:
    for key in ("max_model_len", "max_context_length", "context_length"):
        if found := whole_number(entry.get(key)):
            yield found


def _date(created: object) -> str:
    """The endpoint's time stamp, or now where it sent none that can be one."""
    try:
        return datetime.fromtimestamp(float(created), UTC).isoformat()  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.now(UTC).isoformat(timespec="seconds")


def _clean(text: str) -> str:
    """Text that every database takes: no NUL, no half surrogate pairs."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
