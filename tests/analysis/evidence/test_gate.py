"""Rules of a gate: each with what keeps it and what does not, its exit code, and what cannot be judged."""

import json

import pytest
from recording import record

from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput
from secondguess.analysis.evidence import gate
from secondguess.analysis.evidence.paired import wilson

IDS = [f"{number:04d}" for number in range(1000)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """From old to new: 0000 to 0029 are fixed, 0100 to 0109 broken."""
    path = tmp_path_factory.mktemp("store")
    record(path, "old", {1: [(name, 1, 0 if number < 30 else 1) for number, name in enumerate(IDS)]})
    record(path, "new", {1: [(name, 1, 0 if 100 <= number < 110 else 1) for number, name in enumerate(IDS)]})
    record(path, "part", {1: [(name, 1, 1) for name in IDS[:500]]})
    return path


def ran(capsys, store, *command):
    with pytest.raises(SystemExit) as ended:
        main(["gate", *command, "--store", str(store)])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (("--max-broken", "10"), 0),
        (("--max-broken", "9"), 1),
        (("--max-broken-rate", "1%"), 0),
        (("--max-broken-rate", "0.0099"), 1),
        (("--max-broken-rate", "1%", "--significant"), 1),  # Wilson's upper end is 1.83 %
        (("--max-broken-rate", "1.9%", "--significant"), 0),
        (("--min-gain", "2%"), 0),
        (("--min-gain", "2.1%"), 1),
        (("--min-gain", "0", "--significant"), 0),
        (("--min-gain", "1%", "--significant"), 1),
        (("--max-broken", "9", "--min-gain", "0"), 1),
    ],
)
def test_each_rule_passes_and_fails(store, capsys, rule, code):
    found, out, _ = ran(capsys, store, "old", "new", *rule)
    assert (found, out.split(":")[0]) == (code, "passed" if code == 0 else "failed")
    shares = "rate" in " ".join(rule) or "gain" in " ".join(rule)
    assert ("point estimate" in out) == (shares and "--significant" not in rule)


def test_what_cannot_be_judged_is_said_and_is_no_failure(store, capsys, tmp_path):
    empty = tmp_path / "empty.sql"
    empty.write_text("SELECT id FROM \"old@1\" WHERE id = 'none'")
    other = tmp_path / "other.sql"
    other.write_text("SELECT 'elsewhere' AS id")
    drops = tmp_path / "drops.sql"
    drops.write_text("DROP TABLE x")
    for command, reason in [
        (("old", "gone", "--max-broken", "1"), "no run named 'gone'"),
        (("old", "part", "--max-broken", "1"), "do not have the same examples: 500 only_a"),
        (("old", "new"), "no rule is named"),
        (("old", "new", "--min-gain", "5"), "'5' is no share"),
        (("old", "new", "--min-gain", "much"), "'much' is no share"),
        (("old", "new", "--protect", str(empty)), "gives no id"),
        (("old", "new", "--protect", str(other)), "1 protected ids are not labelled examples of both"),
        (("old", "new", "--protect", str(tmp_path / "gone.sql")), "no file "),
        (("old", "new", "--protect", str(drops)), "not judged"),
        (("old", "new", "--max-broken", "-1"), "Invalid value"),
    ]:
        code, out, err = ran(capsys, store, *command)
        assert (code, out) == (2, "")
        assert reason in err


def test_protected_ids_must_not_break(store, capsys, tmp_path):
    golden = tmp_path / "golden.sql"
    golden.write_text("SELECT id FROM \"old@1\" WHERE id < '0100'")
    assert ran(capsys, store, "old", "new", "--protect", str(golden))[0] == 0
    golden.write_text("SELECT id FROM \"old@1\" WHERE id <= '0101'")
    code, out, _ = ran(capsys, store, "old", "new", "--protect", str(golden), "--format", "json")
    told = json.loads(out)
    assert (code, told["passed"], told["rules"]) == (
        1,
        False,
        [{"name": "protect", "bound": 0, "value": 2, "passed": False, "said": "0100, 0101"}],
    )
    assert told["comparison"]["broken"] == 10


def test_markdown_begins_with_the_verdict(store, capsys):
    _, out, _ = ran(capsys, store, "old", "new", "--max-broken", "9", "--format", "markdown")
    assert out.startswith("**failed: old@1 → new@1**\n\n- FAIL max-broken: 10, bound 9 (counted)\n- new@1 errs less\n")


def test_markdown_shows_a_name_as_it_is(store, capsys):
    record(store, "a|b`c", {1: [("0000", 1, 1)]})
    record(store, "plain", {1: [("0000", 1, 1)]})
    _, out, _ = ran(capsys, store, "a|b`c", "plain", "--max-broken", "0", "--format", "markdown")
    assert out.startswith("**passed: a\\|b\\`c@1 → plain@1**\n")


def test_the_worse_end_of_a_rate_is_wilsons():
    assert wilson(10, 1000)[1] == pytest.approx(0.0183, abs=5e-5)


@pytest.mark.parametrize(("text", "value"), [("0.5%", 0.005), ("-0.5 %", -0.005), ("0", 0), ("1", 1), ("100%", 1)])
def test_a_share_is_read(text, value):
    assert gate.share(text) == value


@pytest.mark.parametrize("text", ["5", "", "%", "nan", "1%1", "150%"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(BadInput, match="is no share"):
        gate.share(text)
