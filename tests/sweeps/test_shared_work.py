"""What runs share is counted before they run, by what decides each item of work."""

from itertools import product

from configured import experiment

from crescent.sweeps.shared_work import WorkItem, shared, work_items


def of(*overrides: str) -> list[WorkItem]:
    return work_items(experiment("tracking=none", *overrides))


def keys(stage: str, *jobs: list[WorkItem]) -> set[str]:
    return {item.key for job in jobs for item in job if item.stage == stage}


def test_a_sweep_says_what_its_jobs_share() -> None:
    points = product(("none", "rejection"), (1, 5), range(2))
    jobs = [of(f"dedup={dedup}", f"vote.draws={draws}", f"seed={seed}") for dedup, draws, seed in points]
    assert shared(jobs) == (
        "8 jobs have 2 streams of questions, 4 pools, 2 ledgers of draws, 8 trainings; the base is scored once"
    )


def test_what_cannot_change_a_result_is_shared() -> None:
    assert [one.key for one in of("engine.max_batch=3", "train.micro_batch_tokens=512")] == [one.key for one in of()]


def test_another_bait_is_another_stream_and_the_same_scoring() -> None:
    jobs = of(), of("domain.bait=Ask me.")
    assert len(keys("elicit", *jobs)) == 2 and len(keys("finetune", *jobs)) == 2
    assert len({item.key for job in jobs for item in job if item.role == "base"}) == 1


def test_a_number_format_left_open_is_the_work_of_what_it_means_here() -> None:
    meant = experiment("model.dtype=auto").resolved().model.dtype
    auto, named = ([one.key for one in of(f"model.dtype={dtype}")] for dtype in ("auto", meant))
    assert meant in ("float32", "bfloat16") and auto == named


def test_runs_with_stores_of_their_own_share_nothing() -> None:
    mine, other = ({item.key for item in of(f"store={name}")} for name in ("a", "b"))
    assert not mine & other


def test_each_pass_of_a_student_asks_anew_and_the_base_is_scored_once() -> None:
    job = of("iterations=3")
    assert len(keys("elicit", job)) == len(keys("finetune", job)) == 3
    assert [item.role for item in job if item.stage == "evaluate"] == ["base", "student", "student", "student"]


def test_a_pool_that_is_kept_is_another_from_the_second_pass_on() -> None:
    fresh, kept = ([one.key for one in of("iterations=2", f"iterate.pool={pool}")] for pool in ("fresh", "keep"))
    assert fresh[:9] == kept[:9] and set(fresh[9:]).isdisjoint(kept[9:])  # the stream is the same


def test_seed_data_needs_no_stream_and_only_some_sources_need_draws() -> None:
    jobs = [of(f"source={source}") for source in ("seed_gold", "rephrase", "metamath")]
    assert shared(jobs).startswith("3 jobs have 2 sets of rewritten questions, 1 ledger of draws, 3 trainings")


def test_a_source_that_takes_no_vote_trains_alike_whatever_the_vote() -> None:
    assert len(keys("finetune", *(of("source=metamath", f"vote.draws={draws}") for draws in (1, 3)))) == 1
    assert len(keys("finetune", *(of("source=rephrase", f"vote.draws={draws}") for draws in (1, 3)))) == 2


def test_a_teacher_and_a_student_are_scored_each() -> None:
    jobs = [of("distill=organism_small", f"seed={seed}") for seed in range(2)]
    assert shared(jobs).endswith("; the teacher is scored once; the base is scored once")
    assert shared([of("eval=none")]).endswith("1 training")


def test_numbers_of_pairs_share_a_selection_and_selections_share_the_vote() -> None:
    jobs = [of("select=diverse", "select.count=80", f"source.num_pairs={pairs}") for pairs in (20, 40)]
    jobs += [of("select=agreement"), of("select=diverse", "select.count=80", "select.share=0.1", "iterations=2")]
    assert (
        len(keys("vote", *jobs[:3])) == 1 and len(keys("select", *jobs[:3])) == 2 and len(keys("select", jobs[3])) == 2
    )
    assert {item.units for item in jobs[0] if item.stage == "select"} == {80}
    assert keys("select", jobs[0]) < keys("select", jobs[3])


def test_objectives_and_retention_share_all_draws_and_need_a_training_each() -> None:
    jobs = [of(f"objective={goal}", f"retain={way}") for goal in ("sft", "dpo") for way in ("none", "shots", "anchor")]
    keys = {stage: {one.key for job in jobs for one in job if one.stage == stage} for stage in ("answer", "contrast")}
    assert len(keys["answer"]) == len(keys["contrast"]) == 1
    assert shared(jobs).startswith("6 jobs have 1 stream of questions, 1 pool, 1 ledger of draws, 6 trainings;")
