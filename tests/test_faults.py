"""The faults that a store, a page and an import must survive, each with the tests that show it.

D: damage and kills; N: W&B and the network; S: hostile SQL; W: the page; I: what is imported.
"""

import ast
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
STORE, PAGE, IMPORT = "analysis/store", "analysis/page", "analysis/importers"
SERVING = "analysis/serving"
WANDB = "analysis/importers/wandb"
# What must be survived, in words, and the tests that show it: a file below `tests`, then names of tests in it.
CASES: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "D1": (
        "a kill at a random time while epochs are written",
        {f"{STORE}/test_durability.py": ("test_what_was_acknowledged_is_there_after_each_of_100_kills",)},
    ),
    "D2": (
        "a kill before or after each system call of a commit",
        {
            f"{STORE}/test_durability.py": (
                "test_a_kill_before_any_of_the_file_operations_leaves_the_old_state_or_the_new",
            ),
            f"{STORE}/test_workplace.py": (
                "test_a_kill_in_any_system_call_that_changes_a_disk_leaves_the_old_run_or_the_new",
            ),
        },
    ),
    "D3": (
        "any open, write, sync, link or rename fails",
        {
            f"{STORE}/test_durability.py": (
                "test_a_disk_that_fails_at_any_operation_of_beginning_a_run_leaves_the_name_free",
                "test_a_disk_that_fails_at_any_operation_of_a_commit_changes_nothing",
                "test_a_disk_that_fails_at_any_operation_of_ending_a_run_loses_nothing",
            )
        },
    ),
    "D4": (
        "a full disk during an epoch",
        {
            f"{STORE}/test_durability.py": ("test_a_file_that_may_not_grow_loses_its_epoch_and_no_other",),
            "trainer/test_recorder.py": ("test_a_batch_that_the_disk_refused_is_not_left_out_in_silence",),
        },
    ),
    "D5": (
        "a full disk while the record is written",
        {f"{STORE}/test_durability.py": ("test_a_disk_that_fails_at_any_operation_of_a_commit_changes_nothing",)},
    ),
    "D6": (
        "a power loss with the record durable and its data not",
        {f"{STORE}/test_durability.py": ("test_everything_a_record_names_is_durable_before_the_record_is_there",)},
    ),
    "D7": (
        "a sync that fails",
        {
            f"{STORE}/test_disk.py": (
                "test_data_that_cannot_be_made_durable_gets_no_name",
                "test_a_name_that_cannot_be_made_durable_is_taken_back",
            )
        },
    ),
    "D8": (
        "a store that is read-only, no folder, or without a parent",
        {
            f"{STORE}/test_hard_places.py": (
                "test_a_store_that_may_only_be_read_answers_and_refuses_to_record",
                "test_a_file_in_the_place_of_the_store_is_no_store",
            ),
            f"{STORE}/test_writer.py": ("test_a_store_that_cannot_be_one_is_refused_before_anything_is_recorded",),
        },
    ),
    "D9": (
        "two trainers commit one epoch",
        {f"{STORE}/test_concurrency.py": ("test_of_two_writers_of_an_epoch_one_wins_and_one_is_told_in_200_races",)},
    ),
    "D10": (
        "a reader beside a writer",
        {f"{STORE}/test_concurrency.py": ("test_every_answer_beside_a_writer_is_what_was_committed_up_to_an_epoch",)},
    ),
    "D11": (
        "clearing up beside a reader and a writer",
        {
            f"{STORE}/test_check.py": (
                "test_a_long_read_goes_on_while_what_was_superseded_is_removed",
                "test_nothing_of_a_writer_at_work_is_removed",
                "test_a_writer_that_begins_between_looking_and_removing_keeps_its_files",
                "test_an_import_at_work_is_left_alone",
            )
        },
    ),
    "D12": (
        "half-written and foreign files in a folder",
        {
            f"{STORE}/test_hard_places.py": ("test_foreign_files_in_a_store_are_read_by_nobody",),
            f"{STORE}/test_check.py": ("test_foreign_files_and_parts_are_left_out_of_answers_and_named",),
        },
    ),
    "D13": (
        "a committed file that was deleted",
        {
            f"{STORE}/test_hard_places.py": ("test_an_epoch_whose_file_was_deleted_is_named_and_the_rest_answers",),
            f"{STORE}/test_check.py": (
                "test_a_deleted_file_and_a_deleted_record_are_named_everywhere",
                "test_a_deleted_run_json_is_named_everywhere",
            ),
        },
    ),
    "D14": (
        "a flipped bit anywhere",
        {f"{STORE}/test_check.py": ("test_150_changed_bits_never_change_an_answer_in_silence",)},
    ),
    "D15": (
        "a file cut anywhere, or with a hole",
        {
            f"{STORE}/test_verified.py": (
                "test_a_file_cut_at_any_length_or_with_a_hole_anywhere_is_left_out",
                "test_a_file_that_is_not_whole_leaves_out_its_own_epoch_only",
            )
        },
    ),
    "D16": (
        "a record that is broken, empty, there twice, or of a later version",
        {
            f"{STORE}/test_runs.py": (
                "test_a_commit_that_cannot_be_trusted_is_left_out_by_name",
                "test_a_copied_record_counts_once_and_is_named",
            ),
            f"{STORE}/test_check.py": (
                "test_a_record_that_cannot_be_trusted_is_named_and_the_rest_answers",
                "test_a_number_that_two_records_have_is_named",
            ),
        },
    ),
    "D17": (
        "a clock that jumps back",
        {
            f"{STORE}/test_runs.py": ("test_epochs_are_listed_in_order_however_they_were_committed",),
        },
    ),
    "D18": (
        "SIGTERM or Ctrl-C in the middle of a commit",
        {"analysis/test_signals.py": ("test_a_commit_that_a_signal_meets_is_finished_if_it_can_be_and_else_is_none",)},
    ),
    "D20": (
        "a path with anything in it",
        {f"{STORE}/test_hard_places.py": ("test_a_store_in_any_folder_is_recorded_and_asked",)},
    ),
    "N1": (
        "W&B refuses connections",
        {"trainer/mirror/test_mirror.py": ("test_n1_refused_connections_make_an_offline_run",)},
    ),
    "N2": (
        "W&B never answers",
        {"trainer/mirror/test_mirror.py": ("test_n2_a_server_that_never_answers_makes_an_offline_run",)},
    ),
    "N3": (
        "W&B dies or hangs during a run",
        {
            "trainer/mirror/test_mirror.py": (
                "test_n3_a_wandb_that_fails_from_epoch_2_on",
                "test_n3_a_training_is_not_held_up_by_a_full_pipe",
            )
        },
    ),
    "N4": (
        "W&B's end never comes",
        {"trainer/mirror/test_mirror.py": ("test_n4_a_finish_that_never_returns_is_left",)},
    ),
    "N5": ("a full disk under W&B", {"trainer/mirror/test_mirror.py": ("test_n5_a_full_disk_under_wandb",)}),
    "N6": (
        "W&B raises anything",
        {"trainer/mirror/test_mirror.py": ("test_n6_whatever_a_live_run_raises_is_counted",)},
    ),
    "N7": (
        "no W&B, or another one",
        {"trainer/mirror/test_mirror.py": ("test_n7_a_wandb_that_cannot_be_imported",)},
    ),
    "N8": (
        "a server that fails, lies or stops",
        {
            f"{WANDB}/server/test_api.py": (
                "test_a_broken_download_is_told_and_repaired_by_the_next",
                "test_what_goes_wrong_is_one_line",
                "test_a_server_that_never_answers_is_left",
            )
        },
    ),
    "N9": (
        "a manifest that asks for too much",
        {
            f"{WANDB}/server/test_api.py": (
                "test_a_manifest_that_asks_too_much_is_refused_before_any_download",
                "test_an_artifact_of_two_million_files_is_refused_before_its_manifest",
            )
        },
    ),
    "S1": (
        "hostile statements",
        {
            "analysis/engine/test_guard.py": (
                "test_what_does_more_than_read_the_tables_is_refused_in_one_line_and_changes_nothing",
                "test_the_engine_by_itself_writes_nothing_and_reads_nothing_outside",
            )
        },
    ),
    "S2": (
        "what writes inside a SELECT, several statements",
        {
            "analysis/engine/test_guard.py": (
                "test_what_does_more_than_read_the_tables_is_refused_in_one_line_and_changes_nothing",
                "test_the_refusal_says_what_to_do",
            )
        },
    ),
    "S3": (
        "a kind of node that is not known",
        {"analysis/engine/test_guard.py": ("test_a_node_that_is_not_known_is_refused",)},
    ),
    "S4": (
        "a query without end",
        {
            f"{SERVING}/test_worker.py": (
                "test_a_question_that_takes_too_long_is_stopped_and_said",
                "test_a_question_that_takes_too_much_memory_is_said",
            ),
            f"{SERVING}/test_bounds.py": ("test_a_question_beyond_its_memory_is_said_and_the_next_is_answered",),
        },
    ),
    "S5": (
        "an answer without bounds",
        {
            f"{SERVING}/test_worker.py": ("test_rows_beyond_a_thousand_are_not_sent_and_it_says_so",),
            f"{SERVING}/test_bounds.py": (
                "test_a_page_of_two_thousand_columns_shows_the_first_hundred_and_says_so",
                "test_a_cell_of_four_hundred_megabytes_is_not_sent",
                "test_an_answer_has_at_most_so_many_bytes",
            ),
        },
    ),
    "S6": (
        "a worker that crashes",
        {f"{SERVING}/test_worker.py": ("test_a_question_whose_process_is_killed_is_said_and_the_next_is_answered",)},
    ),
    "S7": (
        "fifty questions at once",
        {
            f"{SERVING}/test_worker.py": (
                "test_slow_questions_hold_up_others_no_longer_than_their_limit",
                "test_what_asks_nothing_is_answered_while_all_processes_compute",
            ),
            f"{SERVING}/test_pool.py": (
                "test_of_a_hundred_and_fifty_at_once_two_are_asked_a_hundred_wait_and_the_others_are_told",
            ),
        },
    ),
    "S8": (
        "what one query leaves for the next",
        {"analysis/engine/test_guard.py": ("test_state_that_one_command_leaves_is_invisible_to_the_next",)},
    ),
    "S9": ("SQL that is useful", {"analysis/engine/test_guard.py": ("test_useful_sql_is_answered",)}),
    "S10": (
        "a name made of SQL",
        {
            f"{STORE}/test_hard_places.py": ("test_runs_tables_and_data_sets_of_any_name_are_recorded_and_asked",),
            "analysis/test_cli.py": ("test_a_run_of_any_name_can_be_asked_about",),
        },
    ),
    "S11": (
        "a link in the store that leads out of it",
        {f"{STORE}/test_check.py": ("test_links_that_lead_out_of_the_store_are_named",)},
    ),
    "W1": ("a foreign host", {f"{PAGE}/test_gate.py": ("test_on_every_route_is_refused",)}),
    "W2": (
        "another site, no token",
        {
            f"{PAGE}/test_gate.py": (
                "test_on_every_route_is_refused",
                "test_a_form_without_the_field_of_our_own_forms_is_refused",
            )
        },
    ),
    "W3": ("a route without the gate", {f"{PAGE}/test_gate.py": ("test_every_route_is_known_to_these_tests",)}),
    "W4": (
        "script in a name",
        {
            f"{PAGE}/test_gate.py": (
                "test_the_class_that_is_markup_is_shown_as_text",
                "test_what_was_typed_comes_back_as_text",
                "test_nothing_in_a_page_is_inline_or_from_elsewhere",
            ),
            "analysis/answers/test_html.py": (
                "test_no_name_runs_in_a_chart",
                "test_no_name_runs_in_an_answer_in_a_notebook",
                "test_no_name_runs_in_a_chart_in_a_notebook",
            ),
        },
    ),
    "W5": (
        "an image that is something else",
        {
            "analysis/test_content.py": (
                "test_what_is_no_image_is_no_image_cell",
                "test_type_and_suffix_are_those_of_the_first_bytes",
            )
        },
    ),
    "W6": (
        "an image that is broken or huge",
        {
            f"{SERVING}/test_bounds.py": ("test_an_image_of_twenty_thousand_pixels_is_a_placeholder_with_its_size",),
            f"{IMPORT}/test_importing.py": ("test_images_that_cannot_be_decoded_are_missing_and_the_rest_is_taken",),
        },
    ),
    "W7": (
        "an image that is gone",
        {
            f"{SERVING}/test_bounds.py": ("test_missing_examples_leave_the_page_with_placeholders_and_their_number",),
            "analysis/tables/test_pictures.py": ("test_a_missing_examples_file_is_said_and_everything_else_is_shown",),
        },
    ),
    "W8": ("a path that leads out", {f"{PAGE}/test_gate.py": ("test_no_file_is_served_by_a_path",)}),
    "W9": (
        "slow, huge and idle connections",
        {
            f"{PAGE}/test_gate.py": (
                "test_a_head_of_a_megabyte_is_refused_and_others_are_answered",
                "test_two_hundred_idle_connections_leave_the_page_open",
            ),
            f"{SERVING}/test_connections.py": (
                "test_eleven_hundred_half_open_connections_leave_the_page_open",
                "test_a_head_that_does_not_come_is_waited_for_a_few_seconds",
                "test_a_body_that_does_not_come_is_not_waited_for_either",
            ),
        },
    ),
    "W10": (
        "the token in a log, an address, a command line, an error",
        {
            f"{PAGE}/test_gate.py": (
                "test_a_page_never_says_the_token_or_the_cookie",
                "test_its_token_becomes_a_strict_cookie_that_scripts_cannot_read",
            )
        },
    ),
    "W11": (
        "every answer has its headers",
        {
            f"{PAGE}/test_gate.py": ("test_the_pages_own_links_and_forms_are_answered_with_every_header",),
            f"{SERVING}/test_connections.py": ("test_what_is_no_request_is_answered_with_every_header",),
        },
    ),
    "W12": (
        "a browser without a network",
        {f"{PAGE}/test_gate.py": ("test_nothing_in_a_page_is_inline_or_from_elsewhere",)},
    ),
    "W13": (
        "values that JSON does not have",
        {
            "analysis/test_cli.py": ("test_every_type_is_strict_json_with_its_exact_value",),
            "analysis/engine/test_exact.py": ("test_a_value_leaves_duckdb_as_it_is",),
        },
    ),
    "I1": (
        "a table file that is no JSON, or too much of it",
        {
            f"{WANDB}/table/test_table.py": (
                "test_what_is_no_table_is_refused_with_file_and_row",
                "test_two_gigabytes_of_brackets_are_refused_at_once",
                "test_text_that_is_not_utf_8_is_refused",
            )
        },
    ),
    "I2": (
        "a table file whose rows and columns do not fit",
        {f"{WANDB}/table/test_table.py": ("test_what_is_no_table_is_refused_with_file_and_row",)},
    ),
    "I3": (
        "a path of media that leads elsewhere",
        {
            f"{WANDB}/test_media.py": (
                "test_a_path_that_leads_elsewhere_is_refused_and_counted",
                "test_links_pipes_devices_and_folders_are_refused_by_name",
            )
        },
    ),
    "I4": (
        "a table that W&B cut",
        {
            f"{WANDB}/table/test_table.py": ("test_a_table_that_was_cut_says_so",),
            f"{WANDB}/test_offline.py": ("test_exactly_ten_thousand_rows_are_whole_where_the_log_says_so",),
        },
    ),
    "I5": (
        "an image that is not the one the table means",
        {
            f"{WANDB}/test_media.py": (
                "test_a_changed_byte_is_refused",
                "test_a_file_of_another_size_than_the_table_says_is_refused",
            )
        },
    ),
    "I6": (
        "Parquet that is encrypted, odd or a bomb",
        {
            f"{IMPORT}/test_files.py": (
                "test_a_file_that_becomes_a_thousand_times_as_large_is_refused",
                "test_a_file_of_too_many_columns_is_refused_by_its_footer",
                "test_a_file_without_columns_is_refused",
                "test_a_file_without_rows_is_a_run_without_rows",
                "test_dates_of_96_bits_are_dates",
                "test_nested_columns_stay_nested",
                "test_an_encrypted_file_is_refused",
            ),
            "analysis/commands/test_apart.py": ("test_a_file_of_an_unknown_compression_is_refused_in_one_line",),
        },
    ),
    "I7": (
        "a file that crashes its reader",
        {
            "analysis/commands/test_apart.py": (
                "test_json_that_crashes_its_reader_is_refused_in_one_line",
                "test_a_crash_is_said_with_its_signal",
            )
        },
    ),
    "I8": (
        "a class that comes, goes or is renamed",
        {
            "analysis/ask/test_scope.py": (
                "test_a_class_added_in_a_later_epoch_is_not_dropped_before_or_after_compaction",
                "test_a_class_removed_or_renamed_is_null_where_it_was_not_known",
                "test_a_class_that_a_table_has_not_is_said_with_the_answer_in_stacks_joins_and_free_sql",
            )
        },
    ),
    "I9": (
        "ids that change their type, or are missing",
        {
            f"{IMPORT}/test_oddities.py": ("test_ids_of_a_table_json_become_text",),
            "trainer/recording/test_columns.py": ("test_what_is_neither_text_nor_an_integer_is_no_id",),
        },
    ),
    "I10": (
        "an id that is there twice",
        {
            "analysis/ask/test_joins.py": ("test_repeated_ids_are_refused_in_a_join_and_answered_alone",),
            f"{IMPORT}/test_oddities.py": ("test_repeated_ids_are_counted_exactly_among_many",),
        },
    ),
    "I11": (
        "scores that are no probabilities",
        {
            f"{IMPORT}/test_oddities.py": ("test_a_csv_s_odd_rows_are_kept_and_counted",),
            "trainer/test_recorder.py": ("test_nan_scores_of_a_diverged_model_are_kept_and_counted",),
        },
    ),
    "I12": (
        "labels outside the classes",
        {
            f"{IMPORT}/test_oddities.py": (
                "test_labels_of_several_kinds_are_text_and_those_outside_the_classes_are_counted",
            )
        },
    ),
    "I13": (
        "no row, one row, one class",
        {
            "analysis/ask/test_questions.py": (
                "test_one_row_and_one_class_are_answered",
                "test_a_model_without_errors_has_none_in_every_question",
            ),
            f"{WANDB}/table/test_table.py": ("test_a_table_without_rows_has_its_columns",),
        },
    ),
    "I14": (
        "ids that differ between tables",
        {"analysis/ask/test_joins.py": ("test_partly_overlapping_examples_are_counted_on_each_side",)},
    ),
    "I15": (
        "classes in another order",
        {
            "analysis/ask/test_scope.py": (
                "test_scores_are_aligned_by_class_where_two_runs_list_their_classes_in_another_order",
                "test_joined_scores_are_aligned_by_class_too",
            )
        },
    ),
}
# Ranks that train together: what they record waits for its own design.
WAITING = {"D19"}
GROUPS = {"D": 20, "N": 9, "S": 11, "W": 13, "I": 15}


@cache
def names_in(file: str) -> set[str]:
    """The names of the tests that a file has."""
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_case_is_here() -> None:
    known = {f"{letter}{number}" for letter, count in GROUPS.items() for number in range(1, count + 1)}
    assert set(CASES) | WAITING == known
    assert len(known) == 68


def test_every_case_has_a_test() -> None:
    assert [case for case, (_, tests) in CASES.items() if not any(tests.values())] == []


def test_every_test_that_a_case_names_is_there() -> None:
    named = [(file, name) for _, tests in CASES.values() for file, names in tests.items() for name in names]
    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []
