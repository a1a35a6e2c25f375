"""Generate Korean and English titles, and queries of which the wanted title is known. The same seed gives the same."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from services.catalog.search.keyboard import typed_as_hangul, typed_as_latin
from services.catalog.search.text import fold, initials

_INITIALS: Final = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"
_INITIAL_INDEX: Final = (0, 2, 3, 5, 6, 7, 9, 11, 12, 14, 15, 16, 17, 18)
_VOWEL_INDEX: Final = (0, 1, 4, 5, 6, 8, 9, 13, 14, 18, 20)
_FINAL_INDEX: Final = (0, 0, 0, 0, 4, 8, 16, 17, 21, 1, 20, 9)
_ONSETS: Final = "b c d f g h l m n p r s t v w st tr pl gr ch sh br".split()  # noqa: SIM905 - shorter
_NUCLEI: Final = "a e i o u ea ou ai".split()  # noqa: SIM905 - shorter
_CODAS: Final = ["", "", "n", "r", "l", "s", "t", "nd", "st", "ck", "m"]
_GLUE: Final = ("the", "of", "and", "in")
_WORDS: Final = 4000
_AMBIGUOUS: Final = 10
_MIN_INITIALS: Final = 3
_MIN_WORD: Final = 4
_TRIES: Final = 400


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query, and the number of the title that it should find."""

    kind: str
    text: str
    title: int


def make_titles(count: int, seed: int = 1) -> list[str]:
    """Return distinct titles: half Korean, the rest English or mixed."""
    source = random.Random(seed)  # noqa: S311 - no secret
    korean, english = _vocabulary(source, _korean_word), _vocabulary(source, _english_word)
    weights = list(accumulate(1 / (rank + 20) for rank in range(_WORDS)))
    titles: dict[str, None] = {}
    while len(titles) < count:
        kind = source.random()
        if kind < 0.5:
            title = _join_korean(source, source.choices(korean, cum_weights=weights, k=source.randint(2, 4)))
        else:
            words = source.choices(english, cum_weights=weights, k=source.randint(2, 4))
            if source.random() < 0.5:
                words.insert(source.randrange(len(words)), source.choice(_GLUE))
            title = " ".join(word.capitalize() for word in words)
            if kind > 0.9:
                title += " " + source.choices(korean, cum_weights=weights)[0]
        if source.random() < 0.1:
            title += f" {source.randint(2, 9)}"
        titles[title] = None
    return list(titles)


def _vocabulary(source: random.Random, make: Callable[[random.Random], str]) -> list[str]:
    words: dict[str, None] = {}
    while len(words) < _WORDS:
        words[make(source)] = None
    return list(words)


def _korean_word(source: random.Random) -> str:
    return "".join(
        chr(
            0xAC00
            + (source.choice(_INITIAL_INDEX) * 21 + source.choice(_VOWEL_INDEX)) * 28
            + source.choice(_FINAL_INDEX)
        )
        for _ in range(source.choice((2, 2, 2, 3)))
    )


def _english_word(source: random.Random) -> str:
    return "".join(
        source.choice(_ONSETS) + source.choice(_NUCLEI) + source.choice(_CODAS)
        for _ in range(source.choice((1, 2, 2, 3)))
    )


def _join_korean(source: random.Random, words: list[str]) -> str:
    return "".join(word + source.choice(("", " ", " ")) for word in words).strip()


class Queries:
    """Makes queries for titles. Only such that at most ten titles can be meant: the others are ambiguous."""

    def __init__(self, titles: list[str], seed: int = 2) -> None:
        self._titles = titles
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._keys = [fold(title).replace(" ", "") for title in titles]
        self._by_word: dict[str, set[int]] = defaultdict(set)
        for number, title in enumerate(titles):
            for word in fold(title).split():
                self._by_word[word].add(number)
        self._initials = Counter(initials(title).replace(" ", "") for title in titles)
        self._korean = [n for n, title in enumerate(titles) if any("가" <= letter <= "힣" for letter in title)]
        self._english = [n for n, title in enumerate(titles) if title[0].isascii()]

    def make(self, count: int) -> list[Wanted]:
        """Return queries, as many of each kind."""
        kinds: dict[str, tuple[list[int], Callable[[int], str | None]]] = {
            "exact": (list(range(len(self._titles))), lambda n: self._titles[n]),
            "middle of a compound": (self._korean, self._middle),
            "initials": (self._korean, self._title_initials),
            "one jamo wrong": (self._korean, self._wrong_jamo),
            "one Latin typo": (self._english, lambda n: self._typos(n, 1)),
            "two Latin typos": (self._english, lambda n: self._typos(n, 2)),
            "wrong keyboard": (list(range(len(self._titles))), self._wrong_keyboard),
            "changed spacing": (self._korean, self._respaced),
        }
        each = count // len(kinds)
        return [Wanted(kind, *made) for kind, (among, make) in kinds.items() for made in self._some(among, make, each)]

    def _some(self, among: list[int], make: Callable[[int], str | None], count: int) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        while len(found) < count:
            number = self._random.choice(among)
            if text := make(number):
                found.append((text, number))
        return found

    def typed(self, count: int) -> list[list[Wanted]]:
        """Return every key stroke of some titles, as an input method shows them."""
        chosen = self._random.sample(range(len(self._titles)), count)
        return [[Wanted("key stroke", text, n) for text in key_strokes(self._titles[n])] for n in chosen]

    def begin_alike(self, text: str) -> int:
        """Return how many titles begin so."""
        key = fold(text).replace(" ", "")
        return sum(each.startswith(key) for each in self._keys)

    def half_words(self, count: int) -> list[str]:
        """Return beginnings of English words."""
        words = [word for word in self._by_word if word.isascii() and word.isalpha() and len(word) > _MIN_WORD]
        return [word[: self._random.randint(3, len(word) - 1)] for word in self._random.sample(words, count)]

    def _few_contain(self, text: str) -> bool:
        key = fold(text).replace(" ", "")
        return bool(key) and sum(key in each for each in self._keys) <= _AMBIGUOUS

    def _holds(self, text: str) -> bool:
        key = fold(text).replace(" ", "")
        return any(key in each for each in self._keys)

    def _middle(self, number: int) -> str | None:
        words = [word for word in self._titles[number].split() if "가" <= word[0] <= "힣" and len(word) >= _MIN_WORD]
        if not words:
            return None
        word = self._random.choice(words)
        begin = self._random.randint(1, len(word) - 2)
        part = word[begin : self._random.randint(begin + 2, len(word))]
        return part if self._few_contain(part) else None

    def _title_initials(self, number: int) -> str | None:
        text = initials(self._titles[number]).replace(" ", "")
        if len(text) < _MIN_INITIALS or any(letter.isascii() and letter.isalnum() for letter in self._titles[number]):
            return None
        return text if sum(text in other for other in self._initials) <= _AMBIGUOUS else None

    def _wrong_jamo(self, number: int) -> str | None:
        part = self._title_part(number)
        places = [at for at, letter in enumerate(part) if "가" <= letter <= "힣"]
        if len(places) < 2:
            return None
        at = self._random.choice(places)
        code = ord(part[at]) - 0xAC00
        first, vowel, final = code // 588, code % 588 // 28, code % 28
        match self._random.randrange(3 if final else 2):
            case 0:
                first = self._random.choice([each for each in _INITIAL_INDEX if each != first])
            case 1:
                vowel = self._random.choice([each for each in _VOWEL_INDEX[:6] if each != vowel])
            case _:
                final = self._random.choice([each for each in (4, 8, 16, 21) if each != final])
        wrong = part[:at] + chr(0xAC00 + (first * 21 + vowel) * 28 + final) + part[at + 1 :]
        # What some title holds is no mistake.
        return None if self._holds(wrong) else wrong

    def _title_part(self, number: int) -> str:
        """Return neighbouring words of a title that few titles hold."""
        words = self._titles[number].split()
        begin = self._random.randrange(len(words))
        for end in range(begin + 1, len(words) + 1):
            if self._few_contain(" ".join(words[begin:end])):
                return " ".join(words[begin:end])
        return self._titles[number]

    def _typos(self, number: int, count: int) -> str | None:
        words = [word for word in fold(self._titles[number]).split() if word.isascii()]
        self._random.shuffle(words)
        chosen = words[: self._random.randint(1, len(words))]
        if len(set.intersection(*(self._by_word[word] for word in chosen))) > _AMBIGUOUS:
            return None
        longest = max(chosen, key=len)
        if len(longest) < (_MIN_WORD if count == 1 else 2 * _MIN_WORD):
            return None
        wrong = longest
        for _ in range(count):
            wrong = _with_typo(self._random, wrong)
        return " ".join(wrong if word == longest else word for word in chosen) if wrong != longest else None

    def _wrong_keyboard(self, number: int) -> str | None:
        title = self._titles[number]
        if any("가" <= letter <= "힣" for letter in title) and any(
            letter.isascii() and letter.isalnum() for letter in title
        ):
            return None
        return typed_as_hangul(title.lower()) if title.isascii() else typed_as_latin(title)

    def _respaced(self, number: int) -> str | None:
        title = self._titles[number]
        if " " in title and self._random.random() < 0.5:
            return title.replace(" ", "")
        at = self._random.randrange(1, len(title))
        return title[:at] + " " + title[at:] if "가" <= title[at] <= "힣" else None


def _with_typo(source: random.Random, word: str) -> str:
    at = source.randrange(len(word))
    letter = source.choice("abcdefghijklmnopqrstuvwxyz")
    match source.randrange(4):
        case 0:
            return word[:at] + letter + word[at + 1 :]
        case 1:
            return word[:at] + letter + word[at:]
        case 2:
            return word[:at] + word[at + 1 :]
        case _:
            return word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :]


def key_strokes(title: str) -> Iterator[str]:
    """Yield what stands in a field after each key while a title is typed with a Korean input method."""
    done = ""
    for character in title:
        code = ord(character) - 0xAC00
        if not 0 <= code < 11172:
            done += character
            if character != " ":
                yield done
            continue
        first, vowel, final = code // 588, code % 588 // 28, code % 28
        yield done + "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"[first]
        yield done + chr(0xAC00 + (first * 21 + vowel) * 28)
        if final:
            yield done + character
        done += character
