"""Languages are guessed where it is safe, scripts are counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.importing.languages import UNKNOWN, guess_language, scripts_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The ferryman says that nobody crossed last night, but the rope is wet.", "en"),
        ("Der Fährmann sagt, dass niemand übergesetzt hat, doch das Seil ist nass.", "de"),
        ("Le passeur dit que personne n'a traversé la nuit dernière, mais la corde est mouillée.", "fr"),
        ("Паромщик говорит, что ночью никто не переправлялся, но канат мокрый.", "ru"),
        ("يقول صاحب العبّارة إن أحدًا لم يعبر الليلة الماضية، لكن الحبل مبتل.", "ar"),
        ("המעבוראי אומר שאיש לא חצה אמש, אבל החבל רטוב.", "he"),
        ("नाविक कहता है कि कल रात कोई पार नहीं गया, लेकिन रस्सी गीली है।", "hi"),
        ("摆渡人说昨夜没有人过河，可是绳子是湿的。", "zh"),
        ("渡し守は昨夜は誰も渡らなかったと言うが、縄は濡れている。", "ja"),
    ],
)
def test_a_sentence_or_two_are_enough(text: str, language: str) -> None:
    assert guess_language(text) == language


@pytest.mark.parametrize("text", ["", "12345", "???", "ok", "Bonjour"])
def test_what_is_too_short_to_tell_stays_open(text: str) -> None:
    assert guess_language(text) == UNKNOWN


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("Wer? Ñandú!", "Latin"),
        ("Кто", "Cyrillic"),
        ("من", "Arabic"),
        ("מי", "Hebrew"),
        ("कौन", "Devanagari"),
        ("誰が鍵を", "Han + Kana"),
        ("열쇠", "Hangul"),
        ("我要唔要 delete the cloud backup?", "Latin + Han"),
        ("A long English sentence with one Greek letter: α", "Latin"),
        ("12 — 34!", "none"),
    ],
)
def test_scripts_are_those_of_a_tenth_of_the_letters(text: str, scripts: str) -> None:
    assert scripts_of(text) == scripts


@given(text=st.text(max_size=60))
def test_any_text_has_a_language_and_a_script(text: str) -> None:
    assert scripts_of(text)
    assert guess_language(text)
