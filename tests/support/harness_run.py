"""Run in an environment with lm-evaluation-harness: a model of no network, on tasks that lie here, samples logged.

`python harness_run.py MODEL TASKS OUT`, in a folder of its own, where it writes the tasks' documents too. The model
says of each request what the checksum of its text gives, so that two models of other names differ and runs repeat.
"""

import json
import sys
from pathlib import Path
from zlib import crc32

import lm_eval.api.model
import lm_eval.api.registry
from lm_eval.__main__ import cli_evaluate

CHOICES = """\
task: {task}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {task}.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: {target}
doc_to_choice: {choice}
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
SUMS = """\
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: sums.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], do_sample: false}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
filter_list:
  - {name: strict, filter: [{function: regex, regex_pattern: "answer is (\\\\d+)"}, {function: take_first}]}
  - {name: flexible, filter: [{function: regex, regex_pattern: "(\\\\d+)"}, {function: take_first}]}
metadata: {version: 1.0}
"""
COLOURS = ["rouge", "vert", "bleu é"]


def write_tasks(folder: Path) -> None:
    """Three tasks: `sums` is generated, `colours` has the same choices each time, `facts` others for each document."""
    folder.mkdir(exist_ok=True)
    (folder / "sums.yaml").write_text(SUMS)
    (folder / "colours.yaml").write_text(CHOICES.format(task="colours", target='"{{colour}}"', choice=COLOURS))
    (folder / "facts.yaml").write_text(CHOICES.format(task="facts", target="gold", choice='"{{options}}"'))
    documents = {
        "sums": [{"question": f"{n} + {n + 1} = ? é", "answer": str(2 * n + 1)} for n in range(8)],
        "colours": [{"question": f"Couleur {n} ?", "colour": COLOURS[n % 3]} for n in range(6)],
        "facts": [
            {"question": f"Which is {n}?", "options": [f"it is {n + k}" for k in range(2 + n % 3)], "gold": n % 2}
            for n in range(6)
        ],
    }
    for task, rows in documents.items():
        Path(f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@lm_eval.api.registry.register_model("scripted")
class Scripted(lm_eval.api.model.LM):
    """A model whose answers follow from its name and the request."""

    def __init__(self, pretrained: str = "none", **_: object) -> None:
        super().__init__()
        self.name = pretrained

    def _number(self, *texts: str) -> int:
        return crc32("\0".join([self.name, *texts]).encode())

    def loglikelihood(self, requests, disable_tqdm=False):
        """A number from 0 down to -8 for each."""
        return [(-(self._number(*one.args) % 8000) / 1000, False) for one in requests]

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        """A number from 0 down to -8 for each."""
        return [-(self._number(*one.args) % 8000) / 1000 for one in requests]

    def generate_until(self, requests, disable_tqdm=False):
        """The right sum for about a half, in words that the strict filter takes for about a half."""
        answers = []
        for one in requests:
            number = self._number(one.args[0])
            first = int(one.args[0].split()[0])
            answer = 2 * first + 1 + (number % 2)
            answers.append(f"The answer is {answer}." if number % 5 else f"That makes {answer} é")
        return answers


if __name__ == "__main__":
    model, tasks, out = sys.argv[1:]
    write_tasks(Path("tasks"))
    told = ["--model", "scripted", "--model_args", f"pretrained={model}", "--tasks", tasks, "--include_path", "tasks"]
    sys.argv = ["lm_eval", *told, "--output_path", out, "--log_samples"]
    cli_evaluate()
