"""Roles are checked against all values before they are believed: one reading is taken and said, several are asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.importers.axes import by_epoch, by_run
from secondguess.analysis.importers.source import SourceRun, SourceTable, TableRows


def taken(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the import of a file says on stdout; it is in the store `s` beside it, as run r."""
    main(["import", str(path), "--run", "r", "--store", str(path.parent / "s"), *words])
    return capsys.readouterr().out


def csv(folder: Path, text: str, name: str = "t.csv") -> Path:
    (folder / name).write_text(text.replace("|", "\n") + "\n")
    return folder / name


def rows(folder: Path, columns: str) -> list[tuple[Any, ...]]:
    return sg.connect(folder / "s").sql(f"SELECT {columns} FROM r ORDER BY id").fetchall()


def refused(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Why an import stops; nothing is in the store then."""
    with pytest.raises(SystemExit) as stop:
        taken(path, capsys, *words)
    assert stop.value.code == 1
    assert not (path.parent / "s" / "r").exists()
    return capsys.readouterr().err


def test_a_probability_beside_two_labels_is_the_score_of_the_second(tmp_path: Path, capsys) -> None:
    """By hand: at 0.5, a3 and a4 are wrong."""
    said = taken(csv(tmp_path, "id,target,pred|a1,1,0.91|a2,0,0.12|a3,1,0.38|a4,0,0.71|a5,0,0.05"), capsys)
    assert "pred is taken for the probability of 1: the guess is 1 where it is >= 0.5, else 0" in said
    assert rows(tmp_path, "id, guess, truth, round(score_0, 2), round(score_1, 2), round(confidence, 2)") == [
        ("a1", 1, 1, pytest.approx(0.09), pytest.approx(0.91), pytest.approx(0.91)),
        ("a2", 0, 0, pytest.approx(0.88), pytest.approx(0.12), pytest.approx(0.88)),
        ("a3", 0, 1, pytest.approx(0.62), pytest.approx(0.38), pytest.approx(0.62)),
        ("a4", 1, 0, pytest.approx(0.29), pytest.approx(0.71), pytest.approx(0.71)),
        ("a5", 0, 0, pytest.approx(0.95), pytest.approx(0.05), pytest.approx(0.95)),
    ]


@pytest.mark.parametrize("column", ["y_prob", "Probability", "prediction_score", "Scored Probabilities"])
def test_a_lone_probability_is_one_by_whatever_name(tmp_path: Path, capsys, column: str) -> None:
    taken(csv(tmp_path, f"id,y_true,{column}|a,1,0.9|b,0,0.7|c,0,0.2"), capsys)
    assert rows(tmp_path, "guess, truth") == [(1, 1), (1, 0), (0, 0)]


def test_a_lone_probability_of_one_of_two_names_asks_of_which(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "id,label,prob|a,cat,0.9|b,dog,0.7|c,dog,0.2")
    said = refused(path, capsys)
    assert "--truth label --run r --classes cat,dog" in said
    assert "--truth label --run r --classes dog,cat" in said
    taken(path, capsys, "--truth", "label", "--classes", "dog,cat")
    assert rows(tmp_path, "guess, truth, round(score_1, 2)") == [
        ("cat", "cat", pytest.approx(0.9)),
        ("cat", "dog", pytest.approx(0.7)),
        ("dog", "dog", pytest.approx(0.2)),
    ]


@pytest.mark.parametrize(("no", "yes"), [("False", "True"), ("no", "yes"), ("negative", "positive")])
def test_names_that_say_which_is_which_need_no_question(tmp_path: Path, capsys, no: str, yes: str) -> None:
    taken(csv(tmp_path, f"id,label,prob|a,{yes},0.9|b,{no},0.7|c,{no},0.2"), capsys)
    assert rows(tmp_path, "guess, truth") == [(yes, yes), (yes, no), (no, no)]


def test_a_guess_follows_from_the_scores(tmp_path: Path, capsys) -> None:
    said = taken(csv(tmp_path, "id,target,prob_0,prob_1,prob_2|a1,0,.7,.2,.1|a2,2,.1,.5,.4|a3,1,.2,.6,.2"), capsys)
    assert "no column has the guess: it is the class with the highest score" in said
    assert rows(tmp_path, "guess, truth, round(confidence, 2)") == [
        (0, 0, pytest.approx(0.7)),
        (1, 2, pytest.approx(0.5)),
        (1, 1, pytest.approx(0.6)),
    ]


@pytest.mark.parametrize(
    ("text", "labels", "said"),
    [
        ("a,1,LABEL_1|b,0,LABEL_0|c,0,LABEL_1", [(1, 1), (0, 0), (1, 0)], "such as 'LABEL_0' is read as 0"),
        ("a,class 1,1|b,class 0,0|c,class 0,1", [(1, 1), (0, 0), (1, 0)], "such as 'class 0' is read as 0"),
        ("a,cat,Cat|b,dog,dog |c,cat,dog ", [("cat", "cat"), ("dog", "dog"), ("dog", "cat")], "'Cat' as 'cat'"),
        ("a,x,X|b,y,y|c,y,x", [("x", "x"), ("y", "y"), ("x", "y")], "'X' as 'x'"),
        ("a,1,True|b,0,False|c,0,True", [(1, 1), (0, 0), (1, 0)], "False and True of the guess are read as 0 and 1"),
        ("a,1.0,1|b,0.0,0|c,,1", [(1, 1), (0, 0), (1, None)], "labels such as 1.0"),
    ],
)
def test_two_vocabularies_with_one_reading_are_one(
    tmp_path: Path, capsys, text: str, labels: list[Any], said: str
) -> None:
    assert said in taken(csv(tmp_path, f"id,label,pred|{text}"), capsys)
    assert rows(tmp_path, "guess, truth") == labels


def test_numbers_against_names_ask_for_the_names_in_order(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "id,label,pred|a,1,dog|b,0,cat|c,0,dog")
    said = refused(path, capsys)
    assert "no pred is ever a label (cat, dog against 0, 1)" in said
    assert f"--guess pred --truth label --run r --classes cat,dog --store {tmp_path}/s; or " in said
    taken(path, capsys, "--classes", "cat,dog")
    assert rows(tmp_path, "guess, truth") == [("dog", "dog"), ("cat", "cat"), ("dog", "cat")]


def test_labels_that_never_meet_are_kept_where_a_person_names_both_and_said(tmp_path: Path, capsys) -> None:
    said = taken(csv(tmp_path, "id,label,pred|a,1,dog|b,0,cat"), capsys, "--guess", "pred", "--truth", "label")
    assert "no pred is ever a label" in said
    assert rows(tmp_path, "guess, truth") == [("dog", "1"), ("cat", "0")]


def test_numbers_on_a_line_are_a_regression(tmp_path: Path, capsys) -> None:
    said = taken(csv(tmp_path, "id,target,pred|a,2.5,2.4|b,1.0,1.1|c,3.0,2.0"), capsys)
    assert "pred and target are numbers on a line, not classes" in said
    assert rows(tmp_path, "guess, truth, wrong") == [(2.4, 2.5, None), (1.1, 1.0, None), (2.0, 3.0, None)]


def test_whole_numbers_are_a_regression_where_a_person_says_so(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "id,age,pred|a,31,33|b,45,44|c,22,22")
    taken(path, capsys, "--truth", "age")
    assert rows(tmp_path, "wrong") == [(True,), (True,), (False,)]
    said = taken(path, capsys, "--truth", "age", "--regression", "--overwrite")
    assert "pred and age are numbers on a line, not classes" in said
    assert rows(tmp_path, "guess, truth, wrong") == [(33.0, 31.0, None), (44.0, 45.0, None), (22.0, 22.0, None)]
    taken(csv(tmp_path, "id,pred|a,3|b,4"), capsys, "--regression", "--overwrite")
    assert rows(tmp_path, "guess") == [(3.0,), (4.0,)]
    frame = pa.table({"id": ["a", "b"], "pred": [3, 4], "label": [3, 5]})
    sg.connect(tmp_path / "s").import_frame(frame, run="r", regression=True, overwrite=True)
    assert rows(tmp_path, "guess, truth") == [(3.0, 3.0), (4.0, 5.0)]


def test_many_whole_numbers_are_said_to_be_taken_for_classes(tmp_path: Path, capsys) -> None:
    numbers = [f"{n},{n},{n + 1}" for n in range(21)]
    assert "the numbers of pred and label are taken for classes; for amounts say --regression" in taken(
        csv(tmp_path, "|".join(["id,label,pred", *numbers])), capsys
    )
    few = csv(tmp_path, "|".join(["id,label,pred", *numbers[:-1]]))
    assert "taken for classes" not in taken(few, capsys, "--overwrite")
    two = csv(tmp_path, "id,label,pred|a,1.0,1.5|b,2.0,1.2")
    assert "is an error; --regression takes them for numbers" in taken(two, capsys, "--overwrite")


@pytest.mark.parametrize("options", [("--confidence", "sure"), ("--right", "ok")])
def test_numbers_on_a_line_stay_so_beside_other_roles(tmp_path: Path, capsys, options: tuple[str, ...]) -> None:
    path = csv(tmp_path, "id,label,pred,sure,ok|a,1.5,1.25,0.5,1|b,2.5,2.5,0.75,0")
    assert "pred and label are numbers on a line" in taken(path, capsys, *options)
    assert rows(tmp_path, "guess, truth") == [(1.25, 1.5), (2.5, 2.5)]


def test_numbers_that_have_names_or_a_confidence_are_classes_without_a_word(tmp_path: Path, capsys) -> None:
    numbers = "".join(f"|{n},{n},{n},0.5,1" for n in range(21))
    path = csv(tmp_path, f"id,label,pred,sure,ok{numbers}")
    for options in (("--confidence", "sure"), ("--right", "ok"), ("--classes", ",".join(f"c{n}" for n in range(21)))):
        assert "taken for classes" not in taken(path, capsys, "--overwrite", *options)


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        ("id,label,pred|a,1,2|b,cat,2", (), "column 'label' has 1, cat"),
        ("id,label|a,1", (), "of guesses that are numbers, and there are none; name them with --guess COLUMN"),
        ("id,label,pred|a,1,2", ("--classes", "cat,dog"), "without classes, scores, confidence or verdicts"),
        ("id,label,pred|a,1,2", ("--guess", "pred >= 1"), "--guess 'pred >= 1' makes classes of them"),
    ],
)
def test_what_are_no_numbers_is_no_regression(
    tmp_path: Path, capsys, text: str, options: tuple[str, ...], why: str
) -> None:
    assert why in refused(csv(tmp_path, text), capsys, "--regression", *options)


def test_a_predicted_price_and_its_price_are_on_a_line(tmp_path: Path, capsys) -> None:
    said = taken(csv(tmp_path, "id,price,predicted_price|a,100.5,99.25|b,50,52.25"), capsys)
    assert "predicted_price and price are numbers on a line" in said


def test_fractions_beside_a_few_stars_are_on_a_line_and_shares_or_two_classes_are_not(tmp_path: Path, capsys) -> None:
    said = taken(csv(tmp_path, "id,target,pred|a,1,1.25|b,5,4.5|c,3,3"), capsys)
    assert "pred and target are numbers on a line" in said
    assert rows(tmp_path, "guess, truth, wrong") == [(1.25, 1.0, None), (4.5, 5.0, None), (3.0, 3.0, None)]
    for text in ("a,1,0.25|b,5,0.5|c,3,0.75", "a,1,1.25|b,2,0.5|c,1,-0.75"):
        said = taken(csv(tmp_path, f"id,target,pred|{text}"), capsys, "--overwrite")
        assert "no pred is ever a target" in said


def test_a_margin_beside_0_and_1_asks_from_where_on_it_means_1(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "id,target,pred|a,1,2.4|b,0,-1.1|c,0,0.3")
    assert "--guess 'pred >= 0' --truth target" in refused(path, capsys)
    taken(path, capsys, "--guess", "pred >= 0")
    assert rows(tmp_path, "guess, truth") == [(1, 1), (0, 0), (1, 0)]


@pytest.mark.parametrize("header", ["score_bleu,score_rouge", "prob_rain,prob_snow", "p_id,p_len"])
def test_numbers_that_are_called_like_scores_stay_what_they_are(tmp_path: Path, capsys, header: str) -> None:
    one, other = header.split(",")
    taken(csv(tmp_path, f"id,target,pred,{header}|a,x,x,0.5,0.75|b,y,x,0.25,0.125"), capsys)
    store = sg.connect(tmp_path / "s")
    assert store.sql(f"SELECT {one}, {other}, typeof({one}), confidence FROM r ORDER BY id").fetchall()[0] == (
        ("0.5" if one == "p_id" else 0.5),
        0.75,
        ("VARCHAR" if one == "p_id" else "DOUBLE"),
        None,
    )


def test_logarithms_stay_and_are_said_and_softmax_makes_probabilities(tmp_path: Path, capsys) -> None:
    """exp(-0.2231) is 0.8, exp(-1.6094) is 0.2."""
    path = csv(tmp_path, "id,label,logprob_a,logprob_b|x,a,-0.2231,-1.6094|y,b,-0.2231,-1.6094")
    assert "logarithms of probabilities and stay as they are; --softmax makes" in taken(path, capsys)
    assert rows(tmp_path, "guess, round(score_0, 4)") == [("a", pytest.approx(-0.2231))] * 2
    taken(path, capsys, "--softmax", "--overwrite")
    assert rows(tmp_path, "guess, round(confidence, 3)") == [("a", pytest.approx(0.8))] * 2


def test_scores_without_sum_and_guess_are_asked(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "id,label,logit_0,logit_1|a,0,3.1,1.2|b,1,0.1,2.2")
    said = refused(path, capsys)
    assert "--truth label --run r --scores 'logit_*' --softmax" in said
    assert "--no-scores" in said
    taken(path, capsys, "--truth", "label", "--scores", "logit_*")
    assert rows(tmp_path, "guess, truth") == [(0, 0), (1, 1)]


def test_a_submission_s_label_is_asked_or_told_by_the_file_s_name(tmp_path: Path, capsys) -> None:
    said = refused(csv(tmp_path, "ImageId,Label|1,9|2,2"), capsys)
    assert f"--guess Label --run r --store {tmp_path}/s; or " in said
    assert "--truth Label" in said
    taken(csv(tmp_path, "ImageId,Label|1,9|2,2", "my_submission.csv"), capsys)
    assert rows(tmp_path, "id, guess") == [("1", 9), ("2", 2)]


def test_a_label_with_a_number_that_is_always_high_may_be_a_guess_with_its_confidence(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "id,text,label,score|a,hi,POSITIVE,0.99|b,bye,NEGATIVE,0.87")
    said = refused(path, capsys)
    assert f"--guess label --confidence score --run r --store {tmp_path}/s; or " in said
    assert "--truth label" in said
    taken(path, capsys, "--guess", "label", "--confidence", "score")
    assert rows(tmp_path, "guess, round(confidence, 2)") == [
        ("POSITIVE", pytest.approx(0.99)),
        ("NEGATIVE", pytest.approx(0.87)),
    ]


def test_nothing_recognised_is_no_success_and_shows_the_command(tmp_path: Path, capsys) -> None:
    said = refused(csv(tmp_path, "file_id,cell_line|9633,U-251 MG|9634,CACO-2"), capsys)
    assert "no column is recognised as guess, truth or scores; the table has: file_id, cell_line" in said
    assert "--id file_id --guess cell_line" in said


def test_two_guesses_are_two_runs_to_choose_from(tmp_path: Path, capsys) -> None:
    said = refused(csv(tmp_path, "text,true_label,bert_pred,finbert_pred|x,0,1,0|y,1,1,1"), capsys)
    assert f"--guess bert_pred --truth true_label --run bert_pred --store {tmp_path}/s; or " in said


def test_of_two_guesses_the_one_that_meets_the_truth_is_taken_and_said(tmp_path: Path, capsys) -> None:
    text = "id,true_label,predicted_label,predicted_class|a,family,family car,family|b,family,sport car,sport"
    assert "predicted_class is taken for the guess" in taken(csv(tmp_path, text), capsys)
    assert rows(tmp_path, "guess, truth") == [("family", "family"), ("sport", "family")]


def test_the_guess_s_own_confidence_sorts_the_errors(tmp_path: Path, capsys) -> None:
    text = "image_id,true_label,predicted_label,confidence|i1,cat,cat,0.90|i2,dog,cat,0.60|i3,cat,dog,0.95"
    taken(csv(tmp_path, text), capsys)
    assert sg.connect(tmp_path / "s").ask("errors", "r").project("id, round(confidence, 2)").fetchall() == [
        ("i3", pytest.approx(0.95)),
        ("i2", pytest.approx(0.6)),
    ]


def test_a_confidence_that_is_low_where_one_class_is_guessed_is_the_other_s_probability(tmp_path: Path, capsys) -> None:
    said = taken(csv(tmp_path, "id,label,pred,prob|a,0,0,0.1|b,1,1,0.9|c,1,0,0.3"), capsys)
    assert "prob is low where pred is 0: it is taken for the probability of 1" in said
    assert rows(tmp_path, "round(confidence, 2), round(score_1, 2)") == [
        (pytest.approx(0.9), pytest.approx(0.1)),
        (pytest.approx(0.9), pytest.approx(0.9)),
        (pytest.approx(0.7), pytest.approx(0.3)),
    ]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("id,sentiment,predicted_sentiment|a,good,good|b,bad,good", [("good", "good"), ("good", "bad")]),
        ("id,species,species_pred|a,x,y|b,y,y", [("y", "x"), ("y", "y")]),
        ("id,target,0,1,2|a,0,.7,.2,.1|b,2,.1,.5,.4", [(0, 0), (1, 2)]),
        ("id,target,pred_A,pred_B|a,A,.7,.3|b,A,.1,.9", [("A", "A"), ("B", "A")]),
        ("id,label,emotion,joy,anger|a,joy,u,.7,.3|b,joy,v,.1,.9", [("joy", "joy"), ("anger", "joy")]),
        ("id,y_test,y_pred|a,1,1|b,0,1", [(1, 1), (1, 0)]),
        ("id,truth,score_cat,score_dog|a,0,.9,.1|b,0,.2,.8", [("cat", "cat"), ("dog", "cat")]),
    ],
)
def test_names_that_only_make_sense_together_do(tmp_path: Path, capsys, text: str, pairs: list[Any]) -> None:
    taken(csv(tmp_path, text), capsys)
    assert rows(tmp_path, "guess, truth") == pairs


def test_percentages_are_no_confidence_unless_named(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "id,label,pred,confidence|a,x,x,91.5|b,y,x,60.5")
    assert "confidence goes from 60.5 to 91.5 and is no probability" in taken(path, capsys)
    assert rows(tmp_path, "confidence, source_confidence") == [(None, 91.5), (None, 60.5)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--image", "n"), "column 'n' is list<element: int64>, which is no image"),
        (("--guess", "n"), "which is no guess"),
        (("--truth", "n"), "which is no truth"),
        (("--confidence", "label"), "is not numbers in every row"),
        (("--scores", "label"), "no numeric column matches"),
        (("--guess", "label >= 1"), "is not numbers in every row"),
        (("--guess", "gone >= 1"), "no column named 'gone'"),
        (("--id", "id,gone"), "no column named 'gone' for --id"),
        (("--epoch-column", "label"), "no whole number from 0"),
        (("--run-column", "gone"), "no column named 'gone'"),
    ],
)
def test_a_role_that_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, capsys, words: tuple[str, ...], said: str
) -> None:
    table = pa.table({"id": ["a", "b"], "label": ["x", "y"], "pred": ["x", "x"], "n": [[1, 2], [3]]})
    pq.write_table(table, tmp_path / "t.parquet")
    message = refused(tmp_path / "t.parquet", capsys, *words)
    assert said in message
    assert "Traceback" not in message


def test_several_columns_are_one_id(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "doc_id,filter,target,pred|1,strict,a,a|1,loose,a,b")
    assert "an id is doc_id, filter with '|' between them" in taken(path, capsys, "--id", "doc_id,filter")
    assert rows(tmp_path, "id, filter") == [("1|loose", "loose"), ("1|strict", "strict")]


def test_ids_that_repeat_offer_the_column_that_tells_them_apart(tmp_path: Path, capsys) -> None:
    text = "model,id,label,pred|resnet,a,0,1|resnet,b,1,1|vit,a,0,0|vit,b,1,1"
    said = taken(csv(tmp_path, text), capsys)
    assert "2 ids come again, but not within one model; to make runs of them: secondguess import" in said
    assert "--run-column model" in said
    main(["import", str(tmp_path / "t.csv"), "--run-column", "model", "--store", str(tmp_path / "s")])
    store = sg.connect(tmp_path / "s")
    assert store.sql("SELECT run, errors FROM runs WHERE run <> 'r' ORDER BY run").fetchall() == [
        ("resnet", [1]),
        ("vit", [0]),
    ]


def test_an_epoch_column_makes_epochs_and_0_is_the_first(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "epoch,id,label,pred|0,a,x,y|0,b,x,x|1,a,x,x|1,b,x,x")
    assert "epoch counts from 0: epoch 1 is its 0" in taken(path, capsys, "--epoch-column", "epoch")
    found = sg.connect(tmp_path / "s").ask("errors-over-time", "r").project("epoch, errors").fetchall()
    assert found == [(1, 1), (2, 0)]


STEPS = "ep,gs,id,label,pred|1,5,a,x,y|1,5,b,x,x|1,10,a,x,x|1,10,b,x,x|2,5,a,x,y|2,5,b,x,y|2,,a,x,x|2,,b,x,y"


def test_a_step_column_makes_validations_within_each_epoch(tmp_path: Path, capsys) -> None:
    said = taken(csv(tmp_path, STEPS), capsys, "--epoch-column", "ep", "--step-column", "gs")
    assert "epoch 1:5: 2 rows" in said and "epoch 2: 2 rows" in said
    found = sg.connect(tmp_path / "s").ask("errors-over-time", "r").project("epoch, step, errors").fetchall()
    assert found == [(1, 5, 1), (1, 10, 0), (2, 5, 2), (2, None, 1)]


def test_where_ids_repeat_within_an_epoch_but_not_within_a_step_of_it_both_columns_are_offered(
    tmp_path: Path, capsys
) -> None:
    said = taken(csv(tmp_path, STEPS.replace("ep,gs", "epoch,global_step")), capsys)
    assert "6 ids come again, but not within one epoch and global_step; to make validations of them" in said
    assert "--epoch-column epoch --step-column global_step" in said


def test_a_step_column_without_an_epoch_asks_which(tmp_path: Path, capsys) -> None:
    path = csv(tmp_path, "gs,id,label,pred|5,a,x,y|10,a,x,x")
    said = refused(path, capsys, "--step-column", "gs")
    assert "name its column with --epoch-column, or one epoch with --epoch; where it counts epochs itself" in said
    taken(path, capsys, "--step-column", "gs", "--epoch", "3")
    assert sg.connect(tmp_path / "s").sql('SELECT epoch, step FROM "r@all" ORDER BY ALL').fetchall() == [
        (3, 5),
        (3, 10),
    ]


@pytest.mark.parametrize("step", ["-1", "1.5", "late", "1e300"])
def test_a_step_that_is_no_whole_number_is_refused(tmp_path: Path, capsys, step: str) -> None:
    path = csv(tmp_path, f"gs,id,label,pred|{step},a,x,y|10,a,x,x")
    assert "no whole number from 0" in refused(path, capsys, "--step-column", "gs", "--epoch", "1")


def test_validations_are_added_one_by_one_and_one_that_is_there_or_comes_after_the_end_is_refused(
    tmp_path: Path, capsys
) -> None:
    path = csv(tmp_path, "id,label,pred|a,x,y|b,x,x")
    for words in (("--epoch", "1"), ("--epoch", "2", "--step", "20"), ("--epoch", "2", "--step", "10")):
        taken(path, capsys, *words)
    opened = sg.connect(tmp_path / "s")
    assert opened.sql('SELECT epoch, step FROM "r@all" GROUP BY ALL ORDER BY ALL').fetchall() == [
        (1, None),
        (2, 10),
        (2, 20),
    ]
    for words, why in (
        (("--epoch", "2", "--step", "10"), "r/test_predictions@2:10 is there already (epochs: 1, 2:10, 2:20)"),
        (("--epoch", "1", "--step", "10"), "@1 is committed without a step, as the end of epoch 1"),
        (("--step", "10"), "--step 10 is a step within an epoch; name that with --epoch"),
    ):
        with pytest.raises(SystemExit):
            taken(path, capsys, *words)
        assert why in capsys.readouterr().err
    assert len(opened.sql('SELECT epoch, step FROM "r@all" GROUP BY ALL').fetchall()) == 3


def test_a_run_of_w_and_b_s_keeps_its_labels_without_a_question(tmp_path: Path, capsys) -> None:
    path = tmp_path / "t.table.json"
    path.write_text(json.dumps({"columns": ["id", "label"], "data": [["a", 1], ["b", 0]]}))
    taken(path, capsys)
    assert rows(tmp_path, "id, truth") == [("a", 1), ("b", 0)]


def test_ids_and_labels_come_as_they_are_written(tmp_path: Path, capsys) -> None:
    taken(csv(tmp_path, "id,label,pred|0001,010,010|2105.10,NA,12e3"), capsys)
    assert rows(tmp_path, "id, guess, truth") == [("0001", "010", "010"), ("2105.10", "12e3", "NA")]


@pytest.mark.parametrize(("column", "lacks"), [("--truth", "guess"), ("--guess", "truth")])
def test_a_question_says_which_role_a_table_lacks_and_how_to_name_it(
    tmp_path: Path, capsys, column: str, lacks: str
) -> None:
    taken(csv(tmp_path, "id,label|a,1|b,0"), capsys, column, "label")
    with pytest.raises(SystemExit):
        main(["ask", "errors", "r", "--store", str(tmp_path / "s")])
    said = capsys.readouterr().err
    assert f"r@1 has no {lacks}, so nothing in it is right or wrong; errors needs it" in said
    assert f"import it with --{lacks} COLUMN" in said


def test_a_number_that_is_called_score_1_and_is_alone_keeps_type_and_digits(tmp_path: Path, capsys) -> None:
    """The store's own score_1 is a class's score, so the column is renamed, and that is said."""
    said = taken(csv(tmp_path, "id,target,pred,score_1|a,x,x,12.25|b,y,x,-3.0625"), capsys)
    assert "column 'score_1' is called 'source_score_1'" in said
    assert rows(tmp_path, "source_score_1, typeof(source_score_1)") == [(12.25, "DOUBLE"), (-3.0625, "DOUBLE")]


def test_questions_say_where_every_row_is_an_error(tmp_path: Path, capsys) -> None:
    text = "id,label,pred|" + "|".join(f"{at},{at % 2},{('cat', 'dog')[at % 2]}" for at in range(20))
    taken(csv(tmp_path, text), capsys, "--guess", "pred", "--truth", "label")
    main(["ask", "errors-over-time", "r", "--store", str(tmp_path / "s")])
    assert "every labelled row is an error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,label,pred,prob|a,cat,cat,.9|b,dog,cat,.8|c,cow,dog,.4", ()),
        ("id,label,pred,prob|a,0,0,.1|b,1,1,.9|c,1,0,.3", ("--confidence", "prob")),
    ],
)
def test_a_confidence_stays_the_guess_s_with_a_third_class_or_where_a_person_says_so(
    tmp_path: Path, capsys, text: str, words: tuple[str, ...]
) -> None:
    assert "confidence = prob" in taken(csv(tmp_path, text), capsys, *words)


def test_an_offer_keeps_what_was_asked_for(tmp_path: Path, capsys) -> None:
    text = "id,model,epoch,target,pred|a,m,1,x,y|a,m,2,x,x|a,n,1,y,y|a,n,2,y,y"
    said = taken(csv(tmp_path, text), capsys, "--epoch-column", "epoch")
    assert "--epoch-column epoch --run-column model" in said


@pytest.mark.parametrize("apart", [lambda *told: [by_epoch(*told)], by_run], ids=["epochs", "runs"])
def test_a_source_is_read_once_however_many_epochs_or_runs_it_becomes(apart: Any) -> None:
    batch = pa.record_batch({"id": ["a", "b", "a"], "epoch": ["1", "1", "2"]})
    read = []

    def batches(columns: Any = None) -> Iterator[pa.RecordBatch]:
        read.append(columns)
        yield batch

    table = SourceTable("t", None, None, lambda: TableRows(batch.schema, 3, batches))
    runs = apart(SourceRun("r", {}, tables=[table]), "epoch")
    parts = [one.read() for run in runs for one in run.tables]
    assert [part.rows for part in parts] == [2, 1]
    assert [[row for one in part.batches() for row in one.to_pylist()] for part in parts] == [
        [{"id": "a"}, {"id": "b"}],
        [{"id": "a"}],
    ]
    assert len(read) == 1
