#!/usr/bin/env python3
"""Trains the demo with plain floating-point weights: something to pack (docs/packing.md).

    python3 demo/corpus.py --out build
    python3 demo/train_dense.py --data build --out build/dense

The text, shape and optimizer of train.py without its quantizer, for a fixed number of steps. `--small` trains a
fourteenth of it, which a CPU does in some minutes. Writes a Hugging Face folder with BF16 weights.
"""
import argparse
import json
import pathlib
import time

import torch
from safetensors.torch import save_file

from qwen3 import SEQUENCE, Qwen3
from train import CONFIG as DEMO_CONFIG
from train import Data, learning_rate, score_model, validation_loss, window_loss

SMALL = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3,
         "num_attention_heads": 2, "num_key_value_heads": 1}


def train(model, step_loss, data, options):
    """Trains in place and prints what the validation chapters lose on the way."""
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.rate, betas=(0.9, 0.95), fused=options.device == "cuda")
    begin = time.monotonic()
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step / options.steps, options.rate)
        loss = step_loss(model, data.batch(options.batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % (options.steps // 8) == 0:
            print(f"step {step + 1} {time.monotonic() - begin:.0f}s train {loss.item():.4f} "
                  f"validation {validation_loss(model, data):.4f}", flush=True)


def save(model, config, data, out):
    """Writes config.json, tokenizer.json and the weights."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (out / "tokenizer.json").write_text(data.tokenizer_json, "utf-8")
    weights = {name: value.detach().bfloat16().cpu().contiguous() for name, value in model.named_parameters()}
    save_file(weights, out / "model.safetensors", {"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="what corpus.py wrote")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the model folder to write")
    parser.add_argument("--small", action="store_true", help="a model of 1.1 instead of 15.3 million parameters")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rate", type=float, default=4e-3, help="peak learning rate")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--batch", type=int, default=4, help="windows per step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    data = Data(options.data, options.device)
    config = {**DEMO_CONFIG, **(SMALL if options.small else {}), "torch_dtype": "bfloat16"}
    torch.manual_seed(options.seed)
    model = Qwen3(config).to(options.device)
    model.dropout.fill_(options.dropout)
    step_loss = torch.compile(window_loss) if options.device == "cuda" else window_loss
    train(model, step_loss, data, options)
    save(model, config, data, options.out)
    model.eval()
    sums = score_model(model.bfloat16().float(), data.tokenizer_json, data.documents, options.device)
    nats, tokens = sum(s for s, _ in sums), sum(n for _, n in sums)
    print(f"held-out documents: {nats / tokens:.6f} nats a token over {tokens} tokens, weights rounded to BF16")


if __name__ == "__main__":
    main()
