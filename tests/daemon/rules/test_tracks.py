"""The tracker: who is who from one prediction to the next, and what never happens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reflexd.rules.tracks import LEAST_OVERLAP, MISSES, MOST_SEEN, MOST_TRACKS, Tracker, overlap
from reflexd_models.base import Detection
from tests.daemon.rules.scenes import PATIENT, at

S = 1_000_000_000
share = st.integers(0, 20).map(lambda n: n / 20)


@st.composite
def found(draw: st.DrawFn) -> Detection:
    left, right = sorted(draw(st.tuples(share, share)))
    top, bottom = sorted(draw(st.tuples(share, share)))
    return Detection(draw(st.sampled_from(["cat", "dog"])), draw(share), (left, top, right, bottom))


stories = st.lists(st.tuples(st.integers(1, S), st.lists(found(), max_size=6)), max_size=25)


def follow(tracker: Tracker, detections: list[Detection], taken_at: int) -> list[int]:
    seen = [(one, ((one.box[0] + one.box[2]) / 2, one.box[3])) for one in detections]
    return [track.number if track is not None else 0 for track in tracker.follow(seen, taken_at)]


@PATIENT
@given(stories)
def test_no_two_detections_are_one_track_and_no_number_comes_back(story):
    tracker, now, gone, newest = Tracker(), 0, set(), 0
    for step, detections in story:
        now += step
        before = {track.number: (track.label, track.box) for track in tracker.tracks}
        numbers = follow(tracker, detections, now)
        living = {track.number for track in tracker.tracks}
        assert len(set(numbers)) == len(numbers)
        assert not gone & {*numbers, *living}
        assert set(numbers) <= living
        for number, one in zip(numbers, detections, strict=True):
            if number in before:
                assert before[number][0] == one.label
                assert overlap(before[number][1], one.box) >= LEAST_OVERLAP
            else:
                assert number > newest
        newest = max([newest, *numbers])
        gone |= before.keys() - living


@PATIENT
@given(stories)
def test_nobody_is_new_who_overlaps_with_a_track_that_was_left_over(story):
    tracker, now = Tracker(), 0
    for step, detections in story:
        now += step
        before = {track.number: (track.label, track.box) for track in tracker.tracks}
        numbers = follow(tracker, detections, now)
        left_over = [before[number] for number in before.keys() - set(numbers)]
        fresh = [one for number, one in zip(numbers, detections, strict=True) if number not in before]
        assert not any(one.label == label and overlap(one.box, box) >= LEAST_OVERLAP for one in fresh for label, box in left_over)


@PATIENT
@given(stories)
def test_the_same_story_gives_the_same_tracks(story):
    def tell() -> list[list[int]]:
        tracker, now, told = Tracker(), 0, []
        for step, detections in story:
            now += step
            told.append(follow(tracker, detections, now))
        return told

    assert tell() == tell()


@PATIENT
@given(stories)
def test_overlap_is_what_counting_squares_says(story):
    boxes = [one.box for _, detections in story for one in detections][:6]
    for one in boxes:
        for other in boxes:
            both, either = len(squares(one) & squares(other)), len(squares(one) | squares(other))
            assert abs(overlap(one, other) - (both / either if both else 0)) < 1e-9


def squares(box: tuple[float, ...]) -> set[tuple[int, int]]:
    left, top, right, bottom = (round(edge * 20) for edge in box)
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


def test_two_who_pass_each_other_stay_who_they_are():
    tracker = Tracker()
    for step in range(11):
        numbers = follow(tracker, [at(0.2 + step * 0.06, 0.5, size=0.2), at(0.8 - step * 0.06, 0.65, size=0.2)], step * S // 10)
        assert numbers == [1, 2]


def test_the_best_overlap_decides_and_not_the_order():
    tracker = Tracker()
    follow(tracker, [at(0.3, 0.5), at(0.5, 0.5)], 0)
    assert follow(tracker, [at(0.48, 0.5), at(0.31, 0.5)], 1) == [2, 1]


def test_a_track_outlives_a_few_misses_or_a_second_whichever_is_longer():
    for period, kept in ((S // 10, 10), (S, MISSES)):
        for misses in (kept, kept + 1):
            for sights in (1, 2, 3):
                tracker = Tracker()
                for step in range(sights):
                    follow(tracker, [at(0.5, 0.5)], (7 + step) * S)
                last = (6 + sights) * S
                for step in range(1, misses + 1):
                    follow(tracker, [], last + step * period)
                assert (follow(tracker, [at(0.5, 0.5)], last + (misses + 1) * period) == [1]) == (misses == kept)


def test_a_fifth_of_the_union_is_enough_to_be_the_same() -> None:
    for width, number in ((0.2, 1), (0.19, 2)):
        tracker = Tracker()
        follow(tracker, [Detection("cat", 0.9, (0.0, 0.0, 1.0, 1.0))], 0)
        assert follow(tracker, [Detection("cat", 0.9, (0.0, 0.0, width, 1.0))], 1) == [number]


def test_of_two_that_overlap_alike_the_older_track_and_the_better_detection_win() -> None:
    left, middle, right = (Detection("cat", 0.9, (x, 0.0, x + 0.5, 0.5)) for x in (0.0, 0.25, 0.5))
    tracker = Tracker()
    assert follow(tracker, [right, left], 0) == [1, 2]
    assert follow(tracker, [middle], 1) == [1]
    another = Tracker()
    follow(another, [middle], 0)
    assert follow(another, [right, left], 1) == [1, 2]


def test_a_track_tells_where_it_was_before_and_how_sure_it_has_been() -> None:
    tracker = Tracker()
    for x, score in ((0.5, 0.6), (0.52, 0.8), (0.54, 0.7)):
        follow(tracker, [at(x, 0.5, score)], round(x * S))
    (track,) = tracker.tracks
    assert (track.number, track.label, track.best, track.missed) == (1, "person", 0.8, 0)
    assert track.seen_at == round(0.54 * S)
    assert track.before is not None
    assert [round(one, 9) for one in (*track.before, *track.at)] == [0.52, 0.5, 0.54, 0.5]
    tracker.forget()
    assert tracker.tracks == []
    assert follow(tracker, [at(0.54, 0.5)], S) == [2], "no number is used twice"


def test_what_is_followed_is_bounded():
    tracker = Tracker()
    for step in range(8):
        far = [at(n % 9 / 9 + 0.05, n // 9 / 9 + 0.05 + step / 1000, label=str(step), size=0.01) for n in range(MOST_SEEN + 9)]
        numbers = follow(tracker, far, step)
        assert all(numbers[:MOST_SEEN])
        assert not any(numbers[MOST_SEEN:])
        assert len(tracker.tracks) <= MOST_TRACKS
    assert {track.label for track in tracker.tracks} == {"6", "7"}, "those that were seen last"
    numbers = [track.number for track in tracker.tracks]
    assert numbers == sorted(numbers), "the older ones come first, which win a draw"
