"""A small transformers training as people write them, made from a config; also as a program of several processes.

`torchrun … transformers_loop.py STORE FOLDER` trains, evaluates and predicts on eleven texts.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.utils.data import Dataset

import secondguess as sg

EXAMPLES = 11
WORDS = ["[PAD]", "[UNK]", "good", "bad", "so", "film", "a", "it", "was"]


class Texts(Dataset[Any]):
    """Four tokens each, and a label that follows from the second."""

    def __init__(self, count: int = EXAMPLES) -> None:
        generator = torch.Generator().manual_seed(count)
        self.tokens = torch.randint(2, len(WORDS), (count, 4), generator=generator)
        self.truth = self.tokens[:, 1] % 2

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, place: int) -> Any:
        return {"input_ids": self.tokens[place], "labels": int(self.truth[place])}


def tokenizer() -> Any:
    """Of whole words, with no files."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")


def model_of(kind: str = "BertForSequenceClassification", **config: Any) -> Any:
    """A model of one small layer."""
    torch.manual_seed(0)
    names = {"id2label": {0: "neg", 1: "pos"}, "label2id": {"neg": 0, "pos": 1}}
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    made = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=8, **{**small, **names, **config})
    return getattr(transformers, kind)(made)


def trainer_of(folder: Path, model: Any, *callbacks: Any, arguments: Any = None, **how: Any) -> Any:
    """A Trainer on 16 texts in batches of 4, which evaluates eleven in batches of 3."""
    usual = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "per_device_eval_batch_size": 3}
    quiet = {"report_to": [], "save_strategy": "no", "disable_tqdm": True, "logging_strategy": "no", "use_cpu": True}
    given = {"eval_strategy": "epoch", **usual, **quiet, **(arguments or {})}
    sets = {"train_dataset": Texts(16), "eval_dataset": Texts(), **how}
    settings = transformers.TrainingArguments(output_dir=str(folder), **given)
    return transformers.Trainer(model=model, args=settings, callbacks=list(callbacks), **sets)


def accuracy(said: Any) -> dict[str, float]:
    return {"acc": float((said.predictions.argmax(1) == said.label_ids).mean()), "seen": float(np.size(said.label_ids))}


def main(store: str, folder: str) -> None:
    callback = sg.callbacks.HuggingFacePredictions(store, run="ddp", patience_s=60)
    trainer = trainer_of(Path(folder), model_of(), callback, compute_metrics=accuracy)
    trainer.train()
    trainer.predict(Texts(5))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
