"""The kernels of events and pairs against the slow reference."""

from collections.abc import Sequence
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from aggregate import histogram
from aggregate.event import counted, summed
from aggregate.pair import Keyed, matched, pair
from tests.aggregate import reference
from tests.aggregate.cases import frozen

EDGES = st.sets(st.integers(0, 40), min_size=2, max_size=6).map(sorted)
GROUPS = 3
EVENTS = st.lists(st.tuples(st.integers(-5, 45), st.integers(0, GROUPS - 1), st.floats(0, 1e6)), max_size=30)
PAIRED = st.lists(
    st.tuples(st.integers(0, 15), st.integers(0, 1), st.integers(0, 1), st.booleans()), max_size=40, unique=True
)


@given(EVENTS, EDGES)
def test_counts_and_sums_equal_the_reference(events: list[tuple[int, int, float]], edges: list[int]) -> None:
    time, group = (frozen(np.array([each[i] for each in events], np.int64)) for i in (0, 1))
    values = frozen(np.array([each[2] for each in events], np.float64))
    at = frozen(np.array(edges, np.int64))
    counts, sums = counted(time, group, GROUPS, at), summed(time, values, group, GROUPS, at)
    assert counts.shape == sums.shape == (GROUPS, len(edges) - 1)
    for label in range(GROUPS):
        for bucket in range(len(edges) - 1):
            inside = [value for when, of, value in events if of == label and reference.bucket_of(when, edges) == bucket]
            assert counts[label, bucket] == len(inside)
            np.testing.assert_allclose(sums[label, bucket], sum(inside), rtol=1e-12)


@given(PAIRED, EDGES, st.randoms(use_true_random=False))
def test_pairs_equal_the_reference(events: list[tuple[int, int, int, bool]], edges: list[int], random: Random) -> None:
    pairs, alone = reference.durations(events)
    random.shuffle(events)
    opens, closes = (_keyed([each for each in events if each[3] is closing]) for closing in (False, True))
    none = np.zeros(len(closes.time), np.intp)
    found = pair(opens, closes, none, 1, frozen(np.array(edges, np.int64)))
    for bucket in range(len(edges) - 1):
        seconds = [length / 1e9 for when, length in pairs if reference.bucket_of(when, edges) == bucket]
        assert found.count[0, bucket] == len(seconds)
        np.testing.assert_allclose(found.seconds[0, bucket], sum(seconds), rtol=1e-12)
        assert found.histogram.count[found.histogram.cell == bucket].sum() == len(seconds)
        assert found.unopened[0, bucket] == sum(reference.bucket_of(when, edges) == bucket for when in alone)


def test_a_cell_is_used_again_and_again_and_a_lost_event_spoils_one_pair() -> None:
    # Open 0, close 10; open 20 (its close is lost), open 30, close 37; a close at 40 closes nothing.
    opens, closes = _keyed([(t, 0, 5, False) for t in (0, 20, 30)]), _keyed([(t, 0, 5, True) for t in (10, 37, 40)])
    np.testing.assert_array_equal(matched(opens, closes), [0, 2, -1])


def test_a_close_at_the_time_of_its_open_closes_it() -> None:
    np.testing.assert_array_equal(matched(_keyed([(3, 0, 5, False)]), _keyed([(3, 0, 5, True)])), [0])


def test_a_key_of_another_device_is_another_key() -> None:
    np.testing.assert_array_equal(matched(_keyed([(0, 0, 5, False)]), _keyed([(9, 1, 5, True)])), [-1])


def test_what_is_closed_in_the_span_may_have_been_opened_before_it() -> None:
    opens, closes = _keyed([(-(10**9), 0, 0, False)]), _keyed([(2 * 10**9, 0, 0, True)])
    found = pair(opens, closes, np.zeros(1, np.intp), 1, np.array([0, 2 * 10**9, 4 * 10**9]))
    np.testing.assert_array_equal(found.seconds, [[0, 3]])


DURATIONS = st.lists(st.one_of(st.floats(1e-3, 1e9), st.just(0.0), st.integers(1, 100).map(float)), min_size=1)


def counts_of(seconds: Sequence[float], groups: int = 1) -> histogram.Histogram:
    """All durations in one bucket, or each in a group of its own."""
    number = len(seconds)
    group = np.arange(number) % groups if groups > 1 else np.zeros(number, np.intp)
    zeros = np.zeros(number, np.int64)
    return histogram.histogram(zeros, frozen(np.array(seconds, np.float64)), group, groups, np.array([0, 1]))


@given(DURATIONS, st.sampled_from([0.01, 0.1, 0.5, 0.9, 0.99]))
def test_quantiles_lie_within_two_percent(durations: list[float], q: float) -> None:
    exact = np.quantile(durations, q, method="inverted_cdf")
    np.testing.assert_allclose(counts_of(durations).quantile(q), [[exact]], rtol=0.02)


def test_quantiles_of_every_magnitude_lie_within_two_percent() -> None:
    seconds = np.geomspace(histogram.SHORTEST_S, histogram.LONGEST_S, 200_001)
    assert histogram.binned(seconds).max() < histogram.BINS
    found = counts_of(seconds.tolist(), len(seconds)).quantile(0.5)
    np.testing.assert_allclose(found[:, 0], seconds, rtol=0.02)


def drawn_histogram(series: int = 3, buckets: int = 10) -> histogram.Histogram:
    rng = np.random.default_rng(1)
    seconds, time = rng.lognormal(8, 2, 5000), rng.integers(0, 10 * buckets, 5000)
    return histogram.histogram(time, seconds, rng.integers(0, series, 5000), series, np.arange(0, 10 * buckets + 1, 10))


def dense(found: histogram.Histogram) -> NDArray[np.int64]:
    """int64[s, m, BINS]."""
    made = np.zeros((found.shape[0] * found.shape[1], histogram.BINS), np.int64)
    made[found.cell, found.bin] = found.count
    return made.reshape(*found.shape, histogram.BINS)


def test_histograms_of_buckets_add_up() -> None:
    fine = drawn_histogram()
    merged = dense(fine.merged(np.array([1, 4, 9])))
    np.testing.assert_array_equal(merged[:, 0], dense(fine)[:, 1:4].sum(axis=1))
    np.testing.assert_array_equal(merged[:, 1], dense(fine)[:, 4:9].sum(axis=1))


def test_histograms_of_series_add_up() -> None:
    fine = drawn_histogram()
    added = dense(fine.added(np.array([1, 0, 1]), 2))
    np.testing.assert_array_equal(added[0], dense(fine)[1])
    np.testing.assert_array_equal(added[1], dense(fine)[0] + dense(fine)[2])


def test_histograms_can_be_chosen_and_joined() -> None:
    fine = drawn_histogram()
    np.testing.assert_array_equal(dense(fine.rows(np.array([2, 0]))), dense(fine)[[2, 0]])
    parts = [fine.merged(np.arange(first, last + 1)) for first, last in ((0, 4), (4, 10))]
    np.testing.assert_array_equal(dense(histogram.Histogram.joined(parts)), dense(fine))


def test_an_empty_histogram_has_no_quantile() -> None:
    assert np.isnan(counts_of([]).quantile(0.5)).all()


def _keyed(events: list[tuple[int, int, int, bool]]) -> Keyed:
    return Keyed(*(frozen(np.array([each[i] for each in events], np.int64)) for i in range(3)))
