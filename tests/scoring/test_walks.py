"""The walks of the truth, by hand."""

import pytest

from scoring import walks

EDGES = [0, 10, 20]


def test_what_holds_is_cut_at_edges_and_ends_with_the_next_row() -> None:
    assert list(walks.holds([-3, 4, 18], 7, EDGES)) == [(0, 0, 4), (1, 0, 6), (1, 1, 1), (2, 1, 2)]


def test_a_row_at_an_edge_is_the_later_buckets() -> None:
    assert walks.bucket_of(10, EDGES) == 1
    assert walks.bucket_of(20, EDGES) is None
    assert walks.bucket_of(-1, EDGES) is None
    assert list(walks.holds([10], 3, EDGES)) == [(0, 1, 3)]


def test_a_register_rises_across_edges_and_begins_anew() -> None:
    assert walks.rise([5, 15, 17], [0.0, 10.0, 4.0], 10, EDGES, resets=True) == ([5.0, 5.0 + 4.0], [5, 7])
    assert walks.rise([5, 15, 17], [0.0, 10.0, 4.0], 10, EDGES, resets=False) == ([5.0, 5.0], [5, 7])


def test_over_a_long_gap_the_rise_is_the_later_rows() -> None:
    assert walks.rise([1, 19], [0.0, 9.0], 10, EDGES, resets=True) == ([0.0, 9.0], [0, 0])


def test_what_is_said_outweighs_what_is_heard() -> None:
    said = [(2, "offline"), (6, "online"), (12, "maintenance")]
    heard = [(1, "online"), (3, "online"), (7, "online"), (13, "online")]
    found = walks.timeline(said, heard, 3, EDGES)
    assert found == {"online": [1 + 3, 0], "offline": [4, 0], "maintenance": [0, 8]}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([(1, "offline"), (3, "offline"), (9, "online")], [(9, 8)]),
        ([(1, "offline"), (4, "maintenance"), (6, "offline")], [(4, 3)]),
        ([(1, "online"), (2, "online")], []),
    ],
)
def test_an_outage_lasts_from_the_first_offline_to_the_first_other(
    said: list[tuple[int, str]], found: list[tuple[int, int]]
) -> None:
    assert list(walks.repairs(said)) == found
