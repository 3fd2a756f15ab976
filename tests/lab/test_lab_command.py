"""rldistill lab field: words, numbers, JSON, exit codes."""

import json

import pytest

from rldistill.cli.main import EXIT_ERROR, EXIT_USAGE, main
from rldistill.lab.rows import ROWS


def answer(capsys, *flags):
    """The last line of --json, as an object."""
    assert main(["lab", "field", *flags, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("name", ROWS)
def test_json_says_what_the_table_says(name, capsys):
    record = answer(capsys, "--method", name, "--world", "chain")
    assert record["method"] == name
    assert record["world"] == "chain"
    assert record["is_gradient"] is ROWS[name].is_gradient
    assert (record["asymmetry"] < 1e-8) is ROWS[name].is_gradient


def test_the_counterexample_in_numbers(capsys):
    figure2 = ("--world", "counterexample", "--loss", "figure2")
    on_policy = answer(capsys, "--method", "on-policy-distill+R", *figure2)
    assert not on_policy["is_gradient"]
    assert on_policy["followed"] == "cycle"
    assert on_policy["followed_time"] == pytest.approx(124, abs=0.1)
    n_distill = answer(capsys, "--method", "n-distill+R", *figure2)
    assert n_distill["is_gradient"]
    assert n_distill["followed"] == "moving"


def test_the_answer_in_words(capsys):
    flags = ["--method", "on-policy-distill", "--world", "counterexample", "--loss", "figure2"]
    assert main(["lab", "field", *flags]) == 0
    text = capsys.readouterr().out
    assert "NOT the gradient of any function" in text
    assert "max |J - J^T|" in text
    assert "theorem 1" in text
    assert main(["lab", "field", "--method", "n-distill", "--world", "random"]) == 0
    assert "No asymmetry was found" in capsys.readouterr().out


def test_a_bandit_cannot_show_it_and_says_so(capsys):
    flags = ["--method", "on-policy-distill", "--world", "chain", "--size", "1"]
    assert main(["lab", "field", *flags]) == 0
    text = capsys.readouterr().out
    assert "No asymmetry was found" in text
    assert "this world does not show it" in text


def test_a_large_world_is_looked_at_in_part_and_says_so(capsys):
    flags = ["--method", "td-v0", "--world", "grid", "--size", "6", "--points", "1"]
    assert main(["lab", "field", *flags]) == 0
    assert "parameters were looked at" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_answer(capsys):
    flags = ("--method", "on-policy-distill", "--world", "random")
    first, second = (answer(capsys, *flags, "--seed", "3") for _ in range(2))
    assert first == second
    assert answer(capsys, *flags, "--seed", "4")["asymmetry"] != first["asymmetry"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--method", "n-distil", "--world", "chain"], "Did you mean n-distill"),
        (["--method", "n-distill", "--world", "chian"], "Did you mean chain"),
        (["--method", "td-v0+R", "--world", "chain"], "use td-v0"),
        (["--method", "n-distill", "--world", "chain", "--loss", "figure2"], "counterexample"),
        (
            ["--method", "baseline", "--world", "counterexample", "--loss", "figure2"],
            "--loss has no effect: baseline has no loss",
        ),
        (["--method", "baseline", "--world", "chain", "--loss", "cross-entropy"], "no effect"),
        (["--method", "ppd", "--world", "chain", "--loss", "cross-entropy"], "has the loss kl"),
        (["--method", "distral", "--world", "chain"], "a learner of its own"),
        (["--method", "n-distill", "--world", "random", "--size", "1000000"], "memory"),
        (["--method", "n-distill", "--world", "chain", "--points", "0"], "--points"),
        (["--method", "n-distill", "--world", "chain", "--seed", "-1"], "--seed"),
        (["--method", "n-distill", "--world", "chain", "--actions", "1"], "2 actions already"),
    ],
)
def test_bad_input_is_told_in_one_line(flags, message, capsys):
    assert main(["lab", "field", *flags]) == EXIT_ERROR
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert message in said.err
    assert not said.out


def test_usage(capsys):
    assert main(["lab"]) == 0
    assert "usage: rldistill lab field" in capsys.readouterr().out
    assert main(["lab", "feild"]) == EXIT_USAGE
    assert "Did you mean field" in capsys.readouterr().err
    assert main(["lab", "field", "--method", "n-distill"]) == EXIT_USAGE


def test_rows_of_the_method_table_that_the_lab_does_not_know(capsys):
    """Their own code is asked; what theory says is left open."""
    record = answer(capsys, "--method", "kickstarting", "--world", "random")
    assert record["is_gradient"] is False
    assert record["table_says_gradient"] is None
    assert answer(capsys, "--method", "rusu-kl", "--world", "chain")["is_gradient"] is True
    assert main(["lab", "field", "--method", "gkd", "--world", "chain"]) == 0
    said = capsys.readouterr().out
    assert "its own code was asked" in said
    assert "loss js" in said
    assert answer(capsys, "--method", "ppd", "--world", "chain")["loss"] == "kl"
    assert main(["lab", "field", "--method", "rsl-rl", "--world", "chain"]) == EXIT_ERROR
    assert "continuous actions" in capsys.readouterr().err
    assert main(["lab", "field", "--method", "kickstartng", "--world", "chain"]) == EXIT_ERROR
    assert "Did you mean kickstarting" in capsys.readouterr().err
