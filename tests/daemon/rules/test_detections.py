"""Conditions on what a detector finds: in a zone, so many of them, for so long, over a line; and what does not count."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexd.config.conditions import ValueCondition
from reflexd.config.settings import RuleSettings
from reflexd.rules.asked import followed_by, labels_of
from reflexd.rules.stage import Stage
from reflexd.rules.tracks import MISSED_NS, MISSES
from reflexd_models.base import Detection
from tests.daemon.rules.scenes import PATIENT, Scene, at
from tests.daemon.rules.story import FOLLOW, acts, lets_go
from tests.daemon.rules.test_zones import cut

NOBODY: tuple[()] = ()
IN, OUT = at(0.4, 0.9), at(0.6, 0.9)      # their boxes overlap by a third, so one who steps over is still the same
GAP_S = 0.6                               # the camera's max_age_ms is 500


def test_feet_decide_whether_something_is_in_a_zone():
    one = Scene({"at_least": 0.7, "zone": "path"}, zones={"path": [[0, 0.8], [1, 0.8], [1, 1], [0, 1]]})
    assert one.truths(at(0.5, 0.79), at(0.5, 0.81), at(0.5, 1.0), NOBODY) == [False, True, True, False]


def test_the_centre_decides_where_that_was_asked_for():
    one = Scene({"at_least": 0.7, "zone": "path"}, stands_at="centre", zones={"path": [[0, 0.3], [1, 0.3], [1, 0.5], [0, 0.5]]})
    assert one.truths(at(0.5, 0.6), at(0.5, 0.4), at(0.5, 0.9)) == [True, False, False]


def test_thresholds_hysteresis_and_hits_mean_the_same_in_a_zone():
    one = Scene({"at_least": 0.7, "release_below": 0.5, "zone": "path"})
    assert one.truths(*(at(0.3, 0.9, score) for score in (0.6, 0.7, 0.5, 0.49))) == [False, True, True, False]
    two = Scene({"at_least": 0.7, "hits": 2, "of": 3, "zone": "path"})
    assert two.truths(IN, NOBODY, IN, OUT, OUT, IN) == [False, False, True, False, False, False]


def test_the_verdict_tells_where_how_many_and_how_long():
    one = Scene({"at_least": 0.7, "zone": "path", "hits": 2, "of": 3},
                {"at_least": 0.5, "zone": "path", "count": 2, "dwell_s": 0.2})
    one.truths(*[(at(0.1, 0.9, 0.82), at(0.3, 0.9, 0.6))] * 2)
    verdicts = [str(verdict) for verdict in one.stage.rules[0].verdicts]
    assert verdicts == [
        "model.person person at least 0.7 in path: 0.82 (2 of 3 hits, 2 needed)",
        "model.person person at least 0.5, 2 of them in path for 0.2 s: 0.1 s (score 0.60)",
    ]


def test_of_a_count_the_least_sure_one_that_is_needed_decides():
    one = Scene({"at_least": 0.7, "zone": "path", "count": 2})
    two, three = (at(0.1, 0.9, 0.9), at(0.3, 0.9, 0.6)), (at(0.1, 0.9, 0.9), at(0.3, 0.9, 0.6), at(0.45, 0.9, 0.75))
    assert one.truths(two, three, (at(0.1, 0.9), at(0.6, 0.9))) == [False, True, False]


def test_other_labels_are_not_counted():
    one = Scene({"at_least": 0.5, "count": 2})
    assert one.truths((at(0.1, 0.5), at(0.3, 0.5, label="dog")), (at(0.1, 0.5), at(0.3, 0.5))) == [False, True]


def test_what_stands_in_a_mask_does_not_count():
    one = Scene({"at_least": 0.5}, masks=[[[0, 0.5], [0.5, 0.5], [0.5, 1], [0, 1]]])
    assert one.truths(at(0.2, 0.9), (at(0.2, 0.9, 0.9), at(0.7, 0.9, 0.6)), at(0.7, 0.9, 0.4)) == [False, True, False]
    assert one.stage.sources["model.person"].scores == {"person": 0.4}


def test_what_is_too_small_or_too_large_does_not_count():
    one = Scene({"at_least": 0.5}, min_area=0.04, max_area=0.25)
    sizes = [0.1, 0.19, 0.21, 0.49, 0.51]
    assert one.truths(*(at(0.5, 0.9, size=size) for size in sizes)) == [False, False, True, True, False]


@pytest.mark.parametrize(("limits", "counts"), [
    ({"min_area": 0.25}, [False, True, True]), ({"max_area": 0.25}, [True, True, False]),
    ({"min_area": 0.25, "max_area": 0.25}, [False, True, False]),
])
def test_a_box_that_is_just_as_large_as_it_has_to_be_counts_and_each_limit_stands_for_itself(limits, counts):
    one = Scene({"at_least": 0.5}, **limits)
    boxes = [(0.0, 0.0, 0.25, 0.5), (0.0, 0.0, 0.5, 0.5), (0.0, 0.0, 1.0, 1.0)]
    assert one.truths(*(Detection("person", 0.9, box) for box in boxes)) == counts


def test_a_prediction_with_a_number_that_is_none_makes_it_unknown():
    one = Scene({"at_least": 0.5, "zone": "path"}, {"crosses": "gate"})
    assert one.truths(IN, at(math.nan, 0.9), at(0.3, 0.9, math.nan), IN)[1:3] == [None, None]


@pytest.mark.parametrize(("condition", "seen", "known"), [
    ({"at_least": 0.5, "zone": "path"}, (OUT,), None),           # one in the zone may have been left out
    ({"at_least": 0.5, "zone": "path"}, (IN, OUT), True),
    ({"at_least": 0.5, "count": 2}, (IN,), None),
    ({"at_least": 0.5, "zone": "path", "dwell_s": 1}, (IN,), None),
])
def test_what_was_left_out_is_not_known_to_be_absent(condition, seen, known):
    one = Scene(condition)
    one.finds(*seen, cut=True)
    assert one.truth is known
    one.finds(*seen)
    assert one.truth is bool(known)


@pytest.mark.parametrize(("condition", "steps", "why"), [
    ({"at_least": 0.5, "zone": "path"}, [(OUT,)], "more may be there than the network tells"),
    ({"at_least": 0.5, "dwell_s": 0.3, "count": 33}, [tuple(at(0.02 + place / 40, 0.9, size=0.02) for place in range(33))],
     "more are there than can be followed"),
])
def test_why_it_is_not_known_whether_enough_are_there(condition, steps, why):
    one = Scene(condition)
    for step in steps:
        one.finds(*step, cut="tells" in why)
    assert one.stage.rules[0].verdicts[0][2:5] == (None, why, None)
    one.finds()
    assert one.truth is False
    assert why not in one.verdict


def test_what_a_mask_leaves_of_a_prediction_that_was_cut_is_not_known_to_be_all():
    one = Scene({"at_least": 0.5}, masks=[[[0, 0.5], [0.5, 0.5], [0.5, 1], [0, 1]]])
    one.finds(at(0.2, 0.9), cut=True)
    assert one.truth is None
    assert one.truths(at(0.2, 0.9)) == [False]


def test_what_a_mask_leaves_of_a_prediction_that_was_cut_counts():
    one = Scene({"at_least": 0.5}, masks=[[[0, 0.5], [0.5, 0.5], [0.5, 1], [0, 1]]])
    one.finds(at(0.2, 0.9), at(0.8, 0.9, 0.6), cut=True)
    assert one.truth is True
    assert one.stage.sources["model.person"].scores == {"person": 0.6}


def test_what_is_beyond_the_bound_of_what_is_followed_is_not_known_to_have_come_just_now():
    one = Scene({"at_least": 0.5, "dwell_s": 0.05})
    crowd = [at(0.02 + place / 40, 0.9, 0.9, "person", 0.02) for place in range(33)]
    assert one.truths(tuple(crowd[:32]), tuple(crowd)) == [False, True]
    many = Scene({"at_least": 0.5, "dwell_s": 0.05, "count": 33})
    assert many.truths(tuple(crowd[:32]), tuple(crowd)) == [False, None]


def test_a_label_that_the_network_does_not_watch_is_unknown():
    one = Scene({"at_least": 0.5, "zone": "path"})
    one.finds(IN)
    one.finds(IN, watched=())
    assert one.stage.rules[0].verdicts[0][2:] == (None, "the network gave no score for it", None, "")
    assert one.stage.rules[0].tests[0].there == 0


def test_nobody_dwells_of_whom_the_network_says_nothing():
    one = Scene({"at_least": 0.5, "dwell_s": 0.3})
    one.truths(IN, IN)
    one.finds(IN, watched=())
    assert one.stage.rules[0].verdicts[0][2:] == (None, "the network gave no score for it", None, "")


def test_dwell_begins_when_a_track_steps_in_and_ends_when_it_steps_out():
    one = Scene({"at_least": 0.5, "zone": "path", "dwell_s": 0.3})
    assert one.truths(OUT, OUT, OUT, OUT, IN, IN, IN, IN, IN, OUT, IN, IN, IN, IN) == [
        False, False, False, False, False, False, False, True, True, False, False, False, False, True]


def unless(condition):
    """A scene whose one rule acts on anybody, unless that is so."""
    one = Scene({"at_least": 0.1})
    one.stage = Stage(one.stage.settings.model_copy(update={"rule": (RuleSettings.model_validate({
        "name": "unless", "when": [{"model": "person", "label": "person", "at_least": 0.1}], "then": FOLLOW,
        "unless": [{"model": "person", "label": "person", **condition}]}),)}))
    return one


def test_what_stood_there_at_the_first_look_is_not_known_to_have_come_just_now_where_it_is_not_wanted():
    one = unless({"at_least": 0.5, "zone": "path", "dwell_s": 0.3})
    assert one.truths(IN, IN, IN, IN, OUT, IN, IN) == [None, None, None, False, True, True, True]
    one.wait(GAP_S)
    assert one.truths(OUT, IN, IN, IN, IN) == [True, True, True, True, False], "this one was seen to come"


def test_of_a_count_too_the_first_look_is_in_doubt_only_until_the_time_is_over():
    one = unless({"at_least": 0.5, "count": 2, "dwell_s": 0.3})
    first, second = at(0.2, 0.9, size=0.2), at(0.8, 0.9, size=0.2)
    assert one.truths(first, (first, second), (first, second)) == [None, None, None]
    said = one.stage.rules[0].verdicts[1]
    assert said[2:4] == (pytest.approx(0.1), "what was there at the first look may have come before it")
    assert one.truths((first, second), (first, second)) == [True, False], "the second was seen to come"


@pytest.mark.parametrize(("scores", "truth", "note"), [
    ([0.9], None, "1 of 3 hits, 2 needed, 2 not seen"),
    ([0.3], None, "0 of 3 hits, 2 needed, 2 not seen"),
    ([0.3, 0.3], False, "0 of 3 hits, 2 needed"),
    ([0.9, 0.3], None, "1 of 3 hits, 2 needed, 1 not seen"),
    ([0.9, 0.9], True, "2 of 3 hits, 2 needed"),
    ([0.9, 0.3, 0.3], False, "1 of 3 hits, 2 needed"),
])
def test_where_it_is_not_wanted_a_prediction_that_is_missing_may_have_been_a_hit(scores, truth, note):
    one = unless({"at_least": 0.5, "hits": 2, "of": 3})
    for score in scores:
        one.finds(at(0.2, 0.9, score))
    assert one.stage.rules[0].verdicts[1].truth is truth
    assert one.stage.rules[0].verdicts[1].note == note


def test_of_many_the_time_of_the_last_one_that_is_needed_counts():
    def boxes(number):
        return tuple(at(0.1 + 0.3 * place, 0.9, 0.9 - place / 10, size=0.2) for place in range(number))

    for count, stood in ((1, 0.3), (2, 0.2), (3, 0.1)):
        one = Scene({"at_least": 0.5, "dwell_s": 5, "count": count})
        one.truths(boxes(1), boxes(2), boxes(3), boxes(3))
        said = one.stage.rules[0].verdicts[0]
        assert said.observed == pytest.approx(stood)
        assert (said.unit, said.margin) == ("s", pytest.approx(stood - 5))
        assert said.note == f"score {1 - count / 10:.2f}"
        assert one.stage.rules[0].tests[0].threshold() == 5


def test_a_stay_begins_with_a_score_that_is_a_hit_and_goes_on_with_one_that_does_not_release():
    condition = {"at_least": 0.7, "release_below": 0.5, "dwell_s": 0.3}
    late = [at(0.4, 0.9, score) for score in (0.69, 0.69, 0.69, 0.7, 0.7, 0.7, 0.7)]
    assert Scene(condition).truths(*late) == [False] * 6 + [True]
    long = [at(0.4, 0.9, score) for score in (0.7, *[0.5] * 12, 0.7)]
    assert Scene(condition).truths(*long)[-1] is True, "as unsure as it was, it was never given up"
    gone = [at(0.4, 0.9, score) for score in (0.7, *[0.49] * 12, 0.7)]
    assert Scene(condition).truths(*gone)[-1] is False


@pytest.mark.parametrize(("unsure", "dwelt"), [(3, True), (4, False)])
def test_a_stay_outlives_three_unsure_predictions_however_far_apart_they_are(unsure, dwelt):
    one = Scene({"at_least": 0.5, "dwell_s": 1.5})
    one.finds(IN, after_s=0.4)
    for _ in range(unsure):
        one.finds(at(0.4, 0.9, 0.3), after_s=0.4)
    one.finds(IN, after_s=0.4)
    assert one.truth is dwelt


def test_what_is_said_of_one_who_is_not_sure_enough_to_dwell():
    one = Scene({"at_least": 0.5, "dwell_s": 0.3})
    one.finds(at(0.4, 0.9, 0.3))
    assert one.stage.rules[0].verdicts[0][2:] == (0.3, "", -0.2, "")
    one.finds()
    assert one.stage.rules[0].verdicts[0][2:] == (0.0, "", -0.5, "")


def test_two_who_take_turns_have_not_dwelt():
    one = Scene({"at_least": 0.5, "zone": "path", "dwell_s": 0.3})
    here, there = at(0.1, 0.3, size=0.2), at(0.4, 0.9, size=0.2)
    assert one.truths(here, here, there, there, at(0.4, 0.3, size=0.2), at(0.1, 0.9, size=0.2)) == [False] * 6


def test_one_who_is_missed_for_a_moment_has_dwelt_on():
    one = Scene({"at_least": 0.5, "zone": "path", "dwell_s": 0.4})
    assert one.truths(IN, NOBODY, NOBODY, IN, IN, NOBODY, IN) == [False, False, False, False, True, False, True]


def test_dwell_does_not_count_over_a_gap_a_failure_or_a_stop():
    for interrupt in (lambda one: one.wait(GAP_S), lambda one: one.loses("camera.gate"), lambda one: one.stage._void()):
        one = Scene({"at_least": 0.5, "zone": "path", "dwell_s": 0.2})
        assert one.truths(IN, IN, IN) == [False, False, True]
        before = one.stage.sources["model.person"].tracks[0].number
        interrupt(one)
        assert one.truths(IN, IN, IN) == [False, False, True]
        assert one.stage.sources["model.person"].tracks[0].number != before


def test_a_hit_after_a_gap_is_the_first_one():
    one = Scene({"at_least": 0.5, "zone": "path", "hits": 2, "of": 3})
    assert one.truths(IN, IN) == [False, True]
    one.wait(GAP_S)
    assert one.truths(IN, IN) == [False, True]


step = st.tuples(st.sampled_from([0.1, 0.1, 0.1, 0.3, GAP_S]), st.sampled_from(["in", "in", "in", "out", "away"]),
                 st.sampled_from([0.9, 0.9, 0.9, 0.3]))


@settings(PATIENT, max_examples=150)
@given(st.lists(step, min_size=1, max_size=40), st.sampled_from([0.2, 0.5, 1.0, 1.7]))
def test_dwell_is_what_looking_back_over_the_whole_story_says(story, dwell_s):
    one = Scene({"at_least": 0.5, "zone": "path", "dwell_s": dwell_s})
    times: list[float] = []
    for number, (after_s, where, score) in enumerate(story):
        one.finds(*{"in": [at(0.4, 0.9, score)], "out": [at(0.6, 0.9, score)], "away": []}[where], after_s=after_s)
        times.append(round((times[-1] if times else 0) + after_s, 3))
        assert one.truth == (stood(story[:number + 1], times) >= round(dwell_s, 3))


def stood(story, times):
    """For how long the thing has been in the zone, from now back; negative while it is not surely there."""
    def sure(k):
        return story[k][1] == "in" and story[k][2] >= 0.5

    newest = len(story) - 1
    if not sure(newest):
        return -1
    since = newest
    for k in range(newest - 1, -1, -1):
        missed = since - 1 - k     # predictions between two sure ones
        lost = missed > MISSES and any(times[m] - times[k] > MISSED_NS / 1e9 + 1e-9 for m in range(k + MISSES + 1, since))
        if story[k + 1][0] > 0.5 or story[k][1] == "out" or (sure(k) and lost):
            break
        if sure(k):
            since = k
    return round(times[newest] - times[since], 3)


crowd = st.lists(st.tuples(st.sampled_from([0.1, 0.45, 0.55, 0.9]), st.sampled_from([0.2, 0.5, 0.6, 0.9]),
                           st.sampled_from(["person", "dog"])), max_size=6)


@PATIENT
@given(st.lists(crowd, max_size=12), st.integers(1, 3))
def test_a_count_is_what_counting_says(story, count):
    one = Scene({"at_least": 0.6, "zone": "path", "count": count})
    for people in story:
        one.finds(*(at(x, 0.9, score, label) for x, score, label in people))
        assert one.truth == (sum(x <= 0.5 and score >= 0.6 and label == "person" for x, score, label in people) >= count)


def test_a_crossing_is_told_once_and_for_its_direction():
    left, right = at(0.44, 0.9), at(0.56, 0.9)
    for direction, told in [("forward", [False, False, True, False, False]), ("backward", [False, True, False, False, True]),
                            ("either", [False, True, True, False, True])]:
        one = Scene({"crosses": "gate", "direction": direction})
        # the line goes downwards, so the right hand of who looks along it is on the left of the picture
        assert one.truths(left, right, left, left, right) == told


def test_a_crossing_claims_and_lets_go():
    one = Scene({"crosses": "gate"})
    one.finds(at(0.44, 0.9))
    assert acts(one.finds(at(0.56, 0.9)))
    assert lets_go(one.finds(at(0.56, 0.9)))


def test_feet_that_tremble_on_the_line_cross_it_once():
    one = Scene({"crosses": "gate"})
    feet = [0.45, 0.498, 0.502, 0.499, 0.501, 0.505, 0.503, 0.52, 0.53]
    assert one.truths(*(at(x, 0.9) for x in feet)) == [False] * 7 + [True, False]
    back = [0.505, 0.499, 0.495, 0.501, 0.52]
    assert one.truths(*(at(x, 0.9) for x in back)) == [False] * 5, "over the line and back is no crossing"


def test_who_is_a_hundredth_of_the_frame_from_the_line_is_clear_of_it():
    one = Scene({"crosses": "gate"}, lines={"gate": [[0, 0.01], [1, 0.01]]})
    assert one.truths(at(0.5, 0.005), at(0.5, 0.02)) == [False, True]


def test_a_label_crosses_for_itself():
    one = Scene({"crosses": "gate"}, {"crosses": "gate", "label": "dog"})
    for x in (0.44, 0.56):
        one.finds(at(x, 0.9, label="dog"), at(0.2, 0.9), at(0.8, 0.3, label="cat"), watched=("person", "dog", "cat"))
    assert [verdict.truth for verdict in one.stage.rules[0].verdicts] == [False, True]


def test_who_is_beyond_the_bound_of_what_is_followed_crosses_nothing():
    one = Scene({"crosses": "gate"})
    crowd = [at(0.02 + place / 40, 0.9, size=0.02) for place in range(33)]
    assert one.truths(tuple(crowd), tuple(crowd)) == [False, False]


def test_what_is_said_after_a_crossing_and_where_nobody_is():
    one = Scene({"crosses": "gate"})
    one.truths(at(0.44, 0.9), at(0.56, 0.9), at(0.6, 0.9))
    assert one.stage.rules[0].verdicts[0].note == "0 new, the last 0.1 s before, the nearest 0.10 from the line"
    assert one.truths(at(0.7, 0.9), (at(0.8, 0.9), at(0.65, 0.3)), NOBODY) == [False] * 3
    assert one.stage.rules[0].verdicts[0].note == "0 new, the last 0.4 s before"


def test_what_is_said_of_a_crossing_by_one_who_was_never_sure_enough():
    one = Scene({"crosses": "gate", "direction": "backward"})      # from left to right in the picture
    assert one.truths(at(0.44, 0.9, 0.4), at(0.56, 0.9, 0.3)) == [False, False]
    test, said = one.stage.rules[0].tests[0], one.stage.rules[0].verdicts[0]
    assert said[2:] == (0.4, "crossed, and was never sure enough", pytest.approx(-0.1), "")
    assert test.threshold() == 0.5
    one.finds(at(0.44, 0.9, 0.3))
    assert said.what == "model.person person crosses gate backward"
    assert one.stage.rules[0].verdicts[0][2:5] == (False, "0 new, the nearest 0.06 from the line", None), "it went the other way"
    assert test.threshold() is None


def test_of_many_who_were_not_sure_enough_the_surest_is_told_and_none_beside_one_who_was():
    one = Scene({"crosses": "gate"})
    steps = [[at(x, y, score, size=0.3) for y, score in ((0.3, 0.45), (0.6, 0.3), (0.9, sure))]
             for sure in (0.4, 0.5) for x in (0.44, 0.56)]
    one.finds(*steps[0])
    one.finds(*steps[1])
    assert one.stage.rules[0].verdicts[0].observed == 0.45
    two = Scene({"crosses": "gate"})
    two.finds(*steps[2])
    two.finds(*steps[3])
    assert two.stage.rules[0].verdicts[0][:5] == (True, "model.person person crosses gate", True, "1 new", None)
    assert two.stage.rules[0].tests[0].threshold() is None


def test_past_the_end_of_the_line_nothing_is_crossed():
    one = Scene({"crosses": "gate"}, lines={"gate": [[0.5, 0], [0.5, 0.5]]})
    assert one.truths(at(0.44, 0.9), at(0.56, 0.9), at(0.56, 0.45), at(0.44, 0.45)) == [False, False, False, True]


def test_a_gap_is_no_step_over_the_line():
    one = Scene({"crosses": "gate"})
    one.finds(at(0.44, 0.9))
    one.wait(GAP_S)
    assert one.truths(at(0.56, 0.9), at(0.56, 0.9)) == [False, False]


def test_a_crossing_counts_for_who_was_sure_enough_once():
    one = Scene({"crosses": "gate", "at_least": 0.8})
    assert one.truths(at(0.44, 0.9, 0.85), at(0.56, 0.9, 0.4), at(0.44, 0.9, 0.4))[1:] == [True, True]
    two = Scene({"crosses": "gate", "at_least": 0.8})
    assert two.truths(at(0.44, 0.9, 0.7), at(0.56, 0.9, 0.4)) == [False, False]


def test_a_crossing_is_not_seen_again_when_another_source_speaks():
    one = Scene({"crosses": "gate"})
    one.stage = Stage(one.stage.settings.model_copy(update={"rule": (one.stage.settings.rule[0].model_copy(
        update={"when": (*one.stage.settings.rule[0].when, *_button())}),)}))
    one.finds(at(0.44, 0.9))
    one.finds(at(0.56, 0.9))
    assert not acts(one.feels("button", True))
    assert one.truth is False


def _button():
    return (ValueCondition.model_validate({"sensor": "button", "is": True}),)


places = st.tuples(st.integers(6, 14), st.integers(6, 14))


@settings(PATIENT, max_examples=150)
@given(st.lists(places, min_size=1, max_size=25), st.tuples(places, places).filter(lambda ends: ends[0] != ends[1]))
def test_crossings_are_what_the_equations_of_each_step_say(path, ends):
    walk = [path[0]]
    for x, y in path[1:]:      # steps so short that the boxes overlap, between places that are never on the line
        walk.append((max(min(x, walk[-1][0] + 3), walk[-1][0] - 3), max(min(y, walk[-1][1] + 3), walk[-1][1] - 3)))
    (ax, ay), (bx, by) = ends
    line = (((ax + 0.37) / 20, (ay + 0.41) / 20), ((bx + 0.43) / 20, (by + 0.29) / 20))
    ways = {"forward": 1, "backward": -1}
    scenes = {way: Scene({"crosses": "gate", "direction": way}, lines={"gate": line}, stands_at="centre") for way in ways}
    spots = [(x / 20, y / 20) for x, y in walk]
    if any(off(line, spot) < 0.011 for spot in spots):
        return
    for before, now in zip([spots[0], *spots], spots, strict=False):
        crossed = cut(line, before, now)
        for way, one in scenes.items():
            one.finds(at(now[0], now[1] + 0.3, size=0.6))
            assert one.truth == (crossed == ways[way])


def off(line, spot):
    (ax, ay), (bx, by) = line
    return abs((bx - ax) * (spot[1] - ay) - (by - ay) * (spot[0] - ax)) / math.hypot(bx - ax, by - ay)


def test_only_what_a_rule_asks_for_is_followed():
    plain, dwelling = Scene({"at_least": 0.5, "zone": "path"}), Scene({"at_least": 0.5, "dwell_s": 1})
    for one, tracks in ((plain, 0), (dwelling, 1)):
        one.finds(IN, at(0.8, 0.3, label="dog"))
        assert len(one.stage.sources["model.person"].tracks) == tracks
    assert followed_by(dwelling.stage.settings, "person") == labels_of(dwelling.stage.settings, "person") == {"person"}
    crossing = Scene({"crosses": "gate", "label": "dog"})
    assert followed_by(crossing.stage.settings, "person") == labels_of(crossing.stage.settings, "person") == {"dog"}


def test_a_reload_that_leaves_the_model_alone_leaves_its_tracks():
    one = Scene({"at_least": 0.5, "zone": "path", "dwell_s": 0.3})
    one.truths(OUT, (), (), (), (), (), (), (), (), (), (), (), (), IN, IN, IN)
    followed = [track.number for track in one.stage.sources["model.person"].tracks]
    one.stage = Stage(one.stage.settings, one.stage)
    assert one.truths(IN) == [True]
    assert [track.number for track in one.stage.sources["model.person"].tracks] == followed != [0]


def test_a_reload_after_which_nobody_has_to_be_followed_forgets_the_tracks():
    one = Scene({"at_least": 0.5, "dwell_s": 0.3})
    one.truths(IN, IN)
    assert one.stage.sources["model.person"].tracks
    rule = Scene({"at_least": 0.5}).stage.settings.rule
    one.stage.let_go([], [], one.now)
    one.stage = Stage(one.stage.settings.model_copy(update={"rule": rule}), one.stage)
    assert one.truths(IN, IN) == [True, True]
    assert not one.stage.sources["model.person"].tracks


def test_hits_are_counted_at_the_pace_that_the_model_is_given():
    one = Scene({"at_least": 0.5, "hits": 3, "of": 3}, rate_hz=2.5)
    for expected in (False, False, True):
        one.finds(IN, after_s=0.4)
        assert one.truth is expected
    assert one.stage.sources["model.person"].period_ns == 400_000_000


def test_the_same_predictions_give_the_same_commands():
    def tell():
        one = Scene({"at_least": 0.5, "zone": "path", "dwell_s": 0.2, "hits": 2, "of": 4}, {"crosses": "gate"})
        return [one.finds(at(0.5 + 0.1 * math.sin(n), 0.9, 0.5 + 0.4 * math.cos(n * n)), after_s=0.7 if n % 17 == 0 else 0.1)
                for n in range(200)]

    assert repr(tell()) == repr(tell())


@pytest.mark.parametrize("condition", [{"at_least": 0.5, "zone": "path"}, {"at_least": 0.5, "dwell_s": 0.1}, {"crosses": "gate"}])
def test_nothing_is_known_before_the_first_prediction_and_after_the_last_is_stale(condition):
    one = Scene(condition)
    assert one.truth is None
    one.truths(IN, IN)
    one.wait(GAP_S)
    one.feels("button", True)
    verdict = one.stage.rules[0].tests[0].judge(one.now, None)
    assert verdict.truth is None
    assert "last heard" in verdict.note
