"""Training is the tutorial's with its faults mended, and repeatable."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from needs_torch import torch

from secondguess.trainer.reference.datasets import load
from secondguess.trainer.reference.settings import Settings
from secondguess.trainer.reference.training import Training

SMALL = Settings(epochs=1, l1_size=4, l2_size=8, lr=0.01, wandb="off")


def trained(settings: Settings, epochs: int = 1) -> tuple[Training, torch.Tensor]:
    """A training after some epochs, with the test scores after the last."""
    train_set, test_set = load("digits", "")
    training = Training(settings, train_set, classes=10)
    for _ in range(epochs):
        for _ in training.steps():
            pass
        scores = training.scores(test_set)
    return training, scores


def test_the_same_seed_gives_the_same_scores_and_another_seed_others():
    _, first = trained(SMALL, epochs=2)
    torch.manual_seed(99)  # whatever else draws random numbers in this process
    _, again = trained(SMALL, epochs=2)
    _, other = trained(replace(SMALL, seed=1), epochs=2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(SMALL)
    assert torch.equal(torch.rand(3), expected)


def test_batchnorms_statistics_keep_moving_after_the_first_evaluation():
    """The tutorial's never leave evaluation again: its statistics stay those of epoch 1."""
    train_set, test_set = load("digits", "")
    training = Training(SMALL, train_set, classes=10)
    statistics = []
    for _ in range(3):
        steps = len(list(training.steps()))
        norm = training.network.layer1[1]
        before = norm.running_mean.clone()
        training.scores(test_set)
        assert steps == 29  # 898 examples in batches of 32
        assert torch.equal(norm.running_mean, before), "evaluating must not move them"
        statistics.append((int(norm.num_batches_tracked), before))
    assert [count for count, _ in statistics] == [29, 58, 87]
    assert not torch.equal(statistics[0][1], statistics[1][1])
    assert not torch.equal(statistics[1][1], statistics[2][1])


def test_each_epoch_trains_on_every_example_once_in_another_order():
    train_set, _ = load("digits", "")
    training = Training(SMALL, train_set, classes=10)
    batches: list[torch.Tensor] = []
    training.network.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0]))
    epochs = []
    for _ in range(2):
        batches.clear()
        assert len(list(training.steps())) == len(batches)
        epochs.append(torch.cat(batches).squeeze(1) * 255)
    assert [len(batch) for batch in batches] == [32] * 28 + [2]
    expected = train_set.images.flatten(1).tolist()
    for images in epochs:
        assert sorted(images.flatten(1).round().tolist()) == sorted(expected)
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0].round().byte(), train_set.images)


def test_scores_are_softmax_in_the_examples_order_however_they_are_batched():
    _, test_set = load("digits", "")
    training, scores = trained(SMALL)
    assert scores.shape == (899, 10) and scores.dtype == torch.float32
    torch.testing.assert_close(scores.sum(1), torch.ones(899))
    training.network.eval()
    with torch.no_grad():
        alone = training.network(test_set.images[500].reshape(1, 1, 8, 8) / 255)
    torch.testing.assert_close(scores[500], alone.softmax(1)[0], atol=1e-5, rtol=0)
    training.settings = replace(SMALL, test_batch_size=7)
    torch.testing.assert_close(training.scores(test_set), scores, atol=1e-5, rtol=0)


def test_it_learns_the_digits():
    """Five epochs of the tutorial's network leave few of 899 wrong; guessing leaves 809."""
    _, test_set = load("digits", "")
    _, scores = trained(Settings(), epochs=5)
    assert int((scores.argmax(1) != test_set.labels).sum()) < 60


def test_bf16_says_what_float32_does_but_where_two_classes_are_close():
    """The same weights: scores differ by less than 0.02, so a guess by no more than that."""
    _, test_set = load("digits", "")
    training, exact = trained(replace(SMALL, epochs=2), epochs=2)
    training.settings = replace(SMALL, precision="bf16")
    rounded = training.scores(test_set)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=0.02, rtol=0)
    torch.testing.assert_close(rounded.sum(1), torch.ones(899))
    two = exact.topk(2).values
    other = rounded.argmax(1) != exact.argmax(1)
    assert (two[other, 0] - two[other, 1] < 0.04).all()
    assert int(other.sum()) < 9


def test_training_in_bf16_errs_in_the_same_range():
    _, test_set = load("digits", "")
    training, scores = trained(Settings(precision="bf16"), epochs=5)
    assert int((scores.argmax(1) != test_set.labels).sum()) < 60
    assert {weight.dtype for weight in training.network.parameters()} == {torch.float32}


@pytest.mark.slow
def test_a_compiled_network_says_what_the_same_weights_say():
    train_set, test_set = load("digits", "")
    compiled, scores = trained(replace(SMALL, compile=True), epochs=2)
    plain = Training(SMALL, train_set, classes=10)
    plain.network.load_state_dict(compiled.network.state_dict())
    torch.testing.assert_close(scores, plain.scores(test_set), atol=1e-4, rtol=0)
    _, alone = trained(SMALL, epochs=2)
    wrong, usual = (int((each.argmax(1) != test_set.labels).sum()) for each in (scores, alone))
    assert abs(wrong - usual) < 50


@pytest.mark.slow
def test_without_a_compiler_compile_is_refused_at_once(tmp_path):
    environment = {**os.environ, "CXX": "/nowhere/g++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    command = ["secondguess", "train", "--compile", "--store", str(tmp_path / "store")]
    done = subprocess.run([sys.executable, "-m", *command], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "torch.compile cannot make code here: it needs a C++ compiler" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store").exists()
