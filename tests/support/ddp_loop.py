"""Anybody's loop under torchrun: a padded sampler, a loader with a forked worker, the Recorder's few lines."""

import sys

import numpy as np
import torch
from torch import distributed
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import secondguess as sg

store, examples, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
distributed.init_process_group("gloo")
numbers = torch.arange(examples)
data = TensorDataset(numbers, numbers % 10)
loader = DataLoader(data, batch_size=4, sampler=DistributedSampler(data, shuffle=False), num_workers=1)
with sg.Recorder(store, run="loop", resume=True) as recorder:
    for epoch in range(recorder.last_epoch + 1, epochs + 1):
        recorder.log(loss=1 / epoch)
        with recorder.table("test_predictions", epoch=epoch) as table:
            for rows, truth in loader:
                scores = np.eye(10, dtype=np.float32)[(truth.numpy() + (rows.numpy() % (3 + epoch) == 0)) % 10]
                table.add(ids=rows, truth=truth, scores=scores)
distributed.destroy_process_group()
