"""Series in a book: a choice among them behaves as the tuple of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.columns import SeriesKey
from devices.keys import ChosenKeys, KeyBook

KEYS = [SeriesKey("a", f"d-{number}", str(number % 2)) for number in range(20)]


def book_of(keys: list[SeriesKey]) -> KeyBook:
    book = KeyBook()
    book.add(keys)
    return book


@settings(deadline=None)
@given(st.sets(st.integers(0, len(KEYS) - 1)))
def test_a_choice_is_as_a_tuple_of_its_series(chosen: set[int]) -> None:
    numbers = sorted(chosen)
    keys = ChosenKeys(book_of(KEYS), np.array(numbers, np.int32))
    expected = tuple(KEYS[number] for number in numbers)
    assert keys == expected
    assert (len(keys), tuple(keys), hash(keys)) == (len(expected), expected, hash(expected))
    assert [keys[place] for place in range(len(keys))] == list(expected)
    assert keys[1:3] == expected[1:3]
    assert all(key in keys for key in expected)


def test_a_choice_stays_while_the_book_grows() -> None:
    book = book_of(KEYS[:3])
    keys = ChosenKeys(book, np.array([0, 2], np.int32))
    book.add(KEYS[3:])
    assert keys == (KEYS[0], KEYS[2])
    assert (len(book), book.since(18)) == (20, KEYS[18:])


@pytest.mark.parametrize("numbers", [[1, 1], [2, 1]])
def test_each_is_chosen_once_in_order(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        ChosenKeys(book_of(KEYS), np.array(numbers, np.int32))
