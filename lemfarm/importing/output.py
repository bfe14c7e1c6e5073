"""Write probes as a probe file: one a line, with its wordings and every field that its entries had (design.md 8)."""

import json
from collections.abc import Iterable
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.importing.drafts import Draft, Wording
from lemfarm.importing.languages import UNKNOWN
from lemfarm.importing.spellings import VARIANT_FIELDS

GUESSED = "language_guessed"
"""Stands beside a `language` that no file named."""


def probe_file(drafts: Iterable[Draft], languages: dict[str, str]) -> bytes:
    """The file as UTF-8. Texts stand in it as they came; `languages` are those guessed, by the key of the text."""
    return b"".join(json.dumps(_probe(draft, languages), ensure_ascii=False).encode() + b"\n" for draft in drafts)


def _probe(draft: Draft, languages: dict[str, str]) -> dict[str, Any]:
    original = draft.original
    fields = dict(original.fields)
    if original.id and original.id != draft.id:
        fields.setdefault("original_id", original.id)
    elif draft.given_id and draft.given_id != draft.id:
        fields.setdefault("original_id", draft.given_id)
    if "language" not in fields and languages.get(original.key, UNKNOWN) != UNKNOWN:
        fields |= {"language": languages[original.key], GUESSED: True}
    said = {str(number): about for number, variant in enumerate(draft.variants, 1) if (about := _about(variant, draft))}
    return {
        "id": draft.id,
        **({"domain": original.domain} if original.domain else {}),
        **fields,
        **_asked(original.messages),
        **({"variants": [{"kind": v.kind, **_asked(v.messages)} for v in draft.variants]} if draft.variants else {}),
        **({VARIANT_FIELDS: said} if said else {}),
    }


def _about(variant: Wording, draft: Draft) -> dict[str, Any]:
    """What an entry said about a wording that its probe does not say too."""
    own = {name: value for name, value in variant.fields.items() if draft.original.fields.get(name, ...) != value}
    if variant.id and variant.id != draft.given_id:
        own["id"] = variant.id
    if variant.domain and variant.domain != draft.original.domain:
        own["domain"] = variant.domain
    return own


def _asked(messages: tuple[Message, ...]) -> dict[str, Any]:
    if [message.role for message in messages] == ["user"]:
        return {"prompt": messages[0].content}
    return {"messages": [{"role": message.role, "content": message.content} for message in messages]}
