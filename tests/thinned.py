"""Tests of many cases, of which `make test` runs a few, spread over the list, and `make slow` the others.

What is thinned says the same of every case; where cases differ in what they show, all of them run.
"""

CASES = {
    "tests/api/test_fuzz.py::test_no_request_makes_the_server_fail": 3,
    "tests/invariants/test_batching.py::test_a_step_is_the_same_however_it_is_batched": 8,
    "tests/invariants/test_hats.py::TestInARun::test_half_precision": 1,
    "tests/invariants/test_hats.py::TestOnTheDisk::test_an_adapter_on_an_adapter": 1,
    "tests/invariants/test_hats.py::TestOnTheDisk::test_peft_loads_an_adapter_and_gives_the_same_logits": 1,
    "tests/invariants/test_reference_gauge.py::test_the_policy_is_the_same_and_the_kl_is_of_whole_prompts": 1,
    "tests/invariants/test_resume.py::test_a_killed_run_leaves_what_a_run_in_peace_leaves": 3,
    "tests/recipes/test_exact_bandit.py::test_in_the_loss_only_k2_is_a_penalty": 1,
    "tests/recipes/test_exact_bandit.py::test_wrong_rewards_miss_the_bound": 2,
    "tests/recipes/test_fresh_process.py::test_log_probs_agree": 2,
    "tests/recipes/test_learning_from_rewards.py::test_it_learns_to_say_no": 8,
    "tests/recipes/test_recipes.py::TestPPO::test_a_critic_of_its_own_learns_the_returns": 1,
    "tests/recipes/test_recipes.py::TestPPO::test_it_learns_what_the_reward_model_likes": 1,
    "tests/recipes/test_recipes.py::TestPPO::test_the_first_batch_must_prove_that_sampler_and_trainer_agree": 1,
    "tests/recipes/test_recipes.py::TestPPO::test_the_same_run_twice_gives_the_same_bytes": 1,
    "tests/servers/test_resume.py::TestSamplingAhead::test_what_was_on_its_way_is_sampled_again_as_it_was": 2,
    "tests/servers/test_training.py::TestOfWhatIsMissing::test_a_run_goes_on_with_the_rest": 1,
    "tests/servers/test_training.py::test_a_run_on_servers_is_the_run_here": 2,
    "tests/unit/models/test_checkpointing.py::test_the_same_gradients_from_less": 1,
    "tests/unit/rounds/test_forgetting.py::test_who_is_cut_off_anywhere_goes_on": 2,
    "tests/unit/store/test_append_only.py::test_the_attacks_would_work_without_the_triggers": 6,
    "tests/unit/world/bench/test_palate_side.py::test_tokens_of_an_epoch_are_those_of_the_rows": 1,
    "tests/unit/world/bench/test_palate_side.py::test_tokens_of_iterations_are_those_that_were_sampled": 1,
}
"""How many cases of each `make test` runs."""


def others(ids):
    """Places of the cases that are left to `make slow`, by the test's name.

    Args:
        ids: Of all tests that were found, in their order.
    """
    places = {name: [k for k, id in enumerate(ids) if id.split("[")[0] == name] for name in CASES}
    left = set()
    for name, all_of_it in places.items():
        few = CASES[name]
        kept = {all_of_it[len(all_of_it) * k // few] for k in range(few)} if len(all_of_it) > few else set(all_of_it)
        left |= set(all_of_it) - kept
    return left
