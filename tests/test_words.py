"""Messages list names in one line, and say which one was perhaps meant."""

import pytest

from labutils.base import words


@pytest.mark.parametrize(
    ("name", "names", "text"),
    [
        ("aples", ["apples", "oranges"], "apples, oranges. Did you mean 'apples'?"),
        ("trainb", ("trainA", "trainB"), "trainA, trainB. Did you mean 'trainB'?"),
        ("orchard", {"Orchard": 1}, "Orchard. Did you mean 'Orchard'?"),
        ("zebra", ["apples", "oranges"], "apples, oranges."),
        (None, ["a\nb"], r"a\nb."),
        ("", [], "nothing."),
    ],
)
def test_choices(name, names, text):
    assert words.choices(name, names) == text


def test_a_long_list_ends_with_a_count():
    assert words.listed("abc", 3) == "a, b, c" and words.listed("abcde", 3) == "a, b, c and 2 more"
    assert words.listed(map(str, range(100))).endswith("38, 39 and 60 more")
    assert words.choices("99", [*map(str, range(100))]).endswith("and 60 more. Did you mean '99'?")  # among all
