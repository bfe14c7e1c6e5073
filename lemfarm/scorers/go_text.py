"""How Go reads a text, as far as the numbers of the scorers written in Go depend on it.

Taken as fact, and compared with Go 1.19 for every character there is:

* `strings.ToLower` makes one character of each: the dotted capital I (U+0130) becomes a plain `i`, where Python writes
  two characters. Besides A to Z only that and the Kelvin sign (U+212A, `k`) become letters of ASCII.
* `strings.TrimSpace` and `strings.Fields` know the blanks that Python knows, but for U+001C to U+001F.
* In expressions, `\\s` is tab, newline, form feed, carriage return and blank (no vertical tab); `\\w` and `\\b` know
  letters and digits of ASCII and `_`.
* `len` counts the bytes of UTF-8. A text that came through JSON has no lone surrogates: Go replaced them by U+FFFD,
  which has as many bytes and is as little a letter or a blank, so they can stay.
"""

import re

BLANK = r"[\t\n\f\r ]"
"""What `\\s` means in an expression of Go."""

_ASCII_SPACES = "\t\n\v\f\r "
_WIDE_SPACES = "".join(map(chr, range(0x2000, 0x200B)))  # from en quad to hair space
_SPACES = f"{_ASCII_SPACES}\x85\xa0\u1680{_WIDE_SPACES}\u2028\u2029\u202f\u205f\u3000"
_FIELD = re.compile(rf"[^{_SPACES}]+")


def lower(text: str) -> str:
    """Lower case as `strings.ToLower`, where it concerns letters of ASCII; the result is as long as the text."""
    return text.replace("\u0130", "i").lower()


def trim(text: str) -> str:
    """Without the blanks on both sides: `strings.TrimSpace`."""
    return text.strip(_SPACES)


def fields(text: str) -> list[str]:
    """The blank-separated words: `strings.Fields`."""
    return _FIELD.findall(text)


def encoded(text: str) -> bytes:
    """The bytes that Go counts and cuts."""
    return text.encode("utf-8", "surrogatepass")
