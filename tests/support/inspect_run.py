"""Run in an environment with inspect_ai: a task that lies here, asked of a model of no network.

`python inspect_run.py TASK MODEL FORMAT OUT`. TASK is `capitals` (choices, two epochs), `sums` (texts, two scorers),
`broken` (a sample with an error, one that ends at a limit) or `cut` (the process dies in its third sample).
"""

import os
import sys
from zlib import crc32

from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, Target, accuracy, choice, match, scorer
from inspect_ai.solver import Generate, TaskState, generate, multiple_choice, solver

CAPITALS = ["Paris", "Lomé", "Quito"]
NAME = ""


def number(*texts: str) -> int:
    """What the checksum of the model's name and these texts gives."""
    return crc32("\0".join([NAME, *texts]).encode())


@scorer(metrics=[accuracy()])
def closeness():
    """A half for a number that is one beside, one for the right one."""

    async def score(state: TaskState, target: Target) -> Score:
        said = state.output.completion.split()[-1].rstrip(".")
        away = abs(int(said) - int(target.text))
        return Score(value={0: 1.0, 1: 0.5}.get(away, 0.0), answer=said, explanation=f"{away} away")

    return score


@solver
def faulty():
    """Fails in the sample `bad`, kills the process in `deadly`."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if state.sample_id == "bad":
            raise RuntimeError("the sandbox é was gone")
        if state.sample_id == "deadly":
            os._exit(9)
        return state

    return solve


def capitals() -> tuple[Task, list[str]]:
    """Four questions with choices, each asked twice; the last has two right ones."""
    samples = [
        Sample(id=f"q{n}", input=f"Which one is number {n}?", choices=CAPITALS, target="ABC"[n % 3]) for n in range(3)
    ]
    samples.append(Sample(id="007", input="Which are in Africa or Europe?", choices=CAPITALS, target=["A", "B"]))
    says = [f"ANSWER: {'ABC'[number('capitals', str(n)) % 3]}" for n in range(8)]
    plan = multiple_choice()
    return Task(MemoryDataset(samples), solver=plan, scorer=choice(), epochs=2, name="capitals"), says


def sums() -> tuple[Task, list[str]]:
    """Four sums in words, judged by `match` and by closeness."""
    samples = [Sample(input=f"{n} + {n + 1} = ? é", target=str(2 * n + 1)) for n in range(4)]
    says = [f"The answer is {2 * n + 1 + number('sums', str(n)) // 13 % 3}" for n in range(4)]
    return Task(MemoryDataset(samples), solver=generate(), scorer=[match(), closeness()], name="sums"), says


def broken() -> tuple[Task, list[str]]:
    """Three sums: the second fails, the third has more messages than it may."""
    talk = [
        ChatMessageSystem(content="Be brief."),
        ChatMessageUser(content="2 + 1 = ?"),
        ChatMessageUser(content="Go!"),
    ]
    samples = [
        Sample(id="good", input="0 + 1 = ?", target="1"),
        Sample(id="bad", input="1 + 1 = ?", target="2"),
        Sample(id="long", input=talk, target="3"),
    ]
    plan = [faulty(), generate()]
    task = Task(
        MemoryDataset(samples), solver=plan, scorer=match(), fail_on_error=False, message_limit=3, name="broken"
    )
    return task, ["1", "3"]


def cut() -> tuple[Task, list[str]]:
    """Three sums, in the third of which the process ends."""
    names = ["one", "two", "deadly"]
    samples = [Sample(id=name, input=f"{n} + 1 = ?", target=str(n + 1)) for n, name in enumerate(names)]
    return Task(MemoryDataset(samples), solver=[faulty(), generate()], scorer=match(), name="cut"), ["1", "2"]


if __name__ == "__main__":
    task, NAME, format, out = sys.argv[1:]
    told, says = {"capitals": capitals, "sums": sums, "broken": broken, "cut": cut}[task]()
    outputs = [ModelOutput.from_content(NAME, text) for text in says]
    for output in outputs:  # else its tokens are counted by a table that is downloaded
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    model = get_model(f"mockllm/{NAME}", custom_outputs=outputs)
    eval(
        told,
        model=model,
        log_dir=out,
        log_format=format,
        log_buffer=1,
        max_samples=1,
        display="none",
    )
