#!/usr/bin/env python3
"""Trains the demo: a small byte-pair Qwen3 with 1-bit weights, packed within the binary budget.

    python3 demo/corpus.py --out build
    python3 demo/train.py --data build --out demo

Every 2-D weight is quantized in each forward pass exactly as it will be stored (bitpack.py), and
the gradient passes straight through to a latent f32 weight. The minutes are shared equally by the
`--trials`, each a training from scratch at one dropout and learning rate; whatever does best on
the validation chapters is packed to model.zip. The held-out chapters decide nothing: after packing,
the zip is read back, its dense f32 weights score them, and the result goes to expected.json.
"""
import argparse
import gzip
import hashlib
import json
import math
import pathlib
import time

import numpy as np
import tokenizers
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import bitpack
from qwen3 import SCALE_GROUP, SEQUENCE, Qwen3, straight_through

WARMUP = 0.03  # share of a trial in which the learning rate rises
RESCUE_AT = 0.08  # share of a trial after which the rows with the largest error are rescued
FREQUENT_SHARE = 0.75  # of the rescue budget, for the embedding rows of the most frequent tokens
DOCUMENT_STARTS = 0.25  # share of training windows that begin where a document does
BUDGET_RESERVE = 512  # bytes left unused, for what the size estimate rounds off

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
    "vocab_size": 4096, "hidden_size": 384, "intermediate_size": 1152, "num_hidden_layers": 8,
    "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 64,
    "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "rope_scaling": None,
    "max_position_embeddings": 1024, "attention_bias": False, "attention_dropout": 0.0,
    "tie_word_embeddings": True, "initializer_range": 0.02, "use_cache": True,
    "use_sliding_window": False, "sliding_window": None, "max_window_layers": 8,
    "bos_token_id": None, "eos_token_id": None, "torch_dtype": "float32",
}


def window_loss(model, windows):
    """Mean next-token cross entropy of windows [B, T + 1], in bf16 where autocast allows."""
    with torch.autocast(windows.device.type, torch.bfloat16):
        logits = model(windows[:, :-1])
    return F.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())


class Data:
    """Token ids of the training and validation text on the device, and the held-out documents."""

    def __init__(self, folder, device):
        corpus = json.loads(gzip.decompress((folder / "corpus.json.gz").read_bytes()))
        self.tokenizer_json = (folder / "tokenizer.json").read_text("utf-8")
        self.documents = json.loads((folder / "documents.json").read_text("utf-8"))
        encode = tokenizers.Tokenizer.from_str(self.tokenizer_json).encode_batch
        separator = encode(["\n\n"])[0].ids
        documents = [e.ids + separator for e in encode([d["text"] for d in corpus["train"]])]
        lengths = np.array([len(ids) for ids in documents])
        starts = np.cumsum(lengths) - lengths
        self.train = torch.tensor(np.concatenate(documents), device=device)
        last = len(self.train) - SEQUENCE - 1
        # Short documents would be learned by heart: only those that fill a window are starts.
        self.starts = torch.tensor(starts[(lengths > SEQUENCE) & (starts <= last)], device=device)
        self.counts = torch.bincount(self.train, minlength=CONFIG["vocab_size"]).cpu().numpy()
        windows = [ids[i:i + SEQUENCE + 1] for ids in (e.ids for e in encode([d["text"] for d in corpus["validation"]]))
                   for i in range(0, len(ids) - SEQUENCE, SEQUENCE)]
        self.validation = torch.tensor(windows, device=device)

    def batch(self, size):
        """`size` random training windows [size, SEQUENCE + 1]."""
        device = self.train.device
        anywhere = torch.randint(len(self.train) - SEQUENCE, (size,), device=device)
        begin = self.starts[torch.randint(len(self.starts), (size,), device=device)]
        start = torch.where(torch.rand(size, device=device) < DOCUMENT_STARTS, begin, anywhere)
        return self.train[start[:, None] + torch.arange(SEQUENCE + 1, device=device)]


def latent_weights(model):
    """{tensor name: f32 array} of the parameters as trained, before quantization."""
    return {name: value.detach().float().cpu().numpy() for name, value in model.named_parameters()}


def rescue_masks(model):
    """{name of a 2-D weight: bool [N]} of the 4-bit rows."""
    return {f"{name}.weight": weight.rescue.cpu().numpy() for name, weight in model.weights().items()}


def spare_bits(model, tokenizer_json):
    """How many bits of the budget rescue rows may take: what an artifact with one in each weight leaves."""
    weights = latent_weights(model)
    one_each = {name: np.arange(len(w)) == 0 for name, w in weights.items() if w.ndim == 2}
    size = len(bitpack.pack(CONFIG, weights, one_each, SCALE_GROUP, tokenizer_json))
    return 8 * (bitpack.budget_bytes(bitpack.parameters(weights)) - size - BUDGET_RESERVE)


def choose_rescue(model, counts, bits, frequent_only):
    """Marks the rows to keep in four bits, at most `bits` more than all-binary storage takes.

    First the embedding rows of the most frequent tokens, up to FREQUENT_SHARE of the bits; then,
    unless `frequent_only`, any rows in the order of their relative squared error when binary.
    """
    table = model.weights()
    embedding = "model.embed_tokens"
    queue = [(embedding, row, FREQUENT_SHARE) for row in np.argsort(-counts, kind="stable")]
    if not frequent_only:
        errors = []
        for name, module in table.items():
            w = module.weight.detach()
            error = (straight_through(w, torch.zeros_like(module.rescue)) - w).square().sum(1) / w.square().sum(1)
            errors += [(-e, name, row) for row, e in enumerate(error.tolist())]
        queue += [(name, row, 1.0) for _, name, row in sorted(errors)]
    masks = {name: np.zeros(len(module.weight), bool) for name, module in table.items()}
    used = 0
    for name, row, share in queue:
        cost = bitpack.row_cost_bits(table[name].weight.shape[1], SCALE_GROUP)
        if not masks[name][row] and used + cost <= share * bits:
            masks[name][row] = True
            used += cost
    for name, module in table.items():
        module.rescue.copy_(torch.from_numpy(masks[name]))


@torch.no_grad()
def validation_loss(model, data):
    """Mean loss over the validation windows, of the quantized model in training precision."""
    model.eval()
    losses = [window_loss(model, chunk) * len(chunk) for chunk in data.validation.split(32)]
    model.train()
    return (sum(losses) / len(data.validation)).item()


@torch.no_grad()
def score(artifact, documents, device):
    """Reads a zip back and scores documents; see score_model."""
    config, weights, tokenizer_json = bitpack.unpack(artifact)
    model = Qwen3(config)
    model.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    return score_model(model.to(device).eval(), tokenizer_json, documents, device)


@torch.no_grad()
def score_model(model, tokenizer_json, documents, device):
    """Scores documents in f32: each one's first SEQUENCE tokens, every position but the first.
    Returns [(sum of nats, scored tokens)], documents under 2 tokens left out."""
    tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json)
    sums = []
    for document in documents:
        ids = torch.tensor(tokenizer.encode(document["text"]).ids[:SEQUENCE], device=device)
        if len(ids) >= 2:
            with sdpa_kernel(SDPBackend.MATH):
                logits = model(ids[None])[0, :-1]
            sums.append((F.cross_entropy(logits, ids[1:], reduction="sum").item(), len(ids) - 1))
    return sums


def save(model, data, out, device, notes):
    """Packs the model to model.zip and writes what it scores to expected.json."""
    weights, rescue = latent_weights(model), rescue_masks(model)
    artifact = bitpack.pack(CONFIG, weights, rescue, SCALE_GROUP, data.tokenizer_json)
    spare = bitpack.check_budget(artifact, weights, rescue)
    sums = score(artifact, data.documents, device)
    nats, tokens = sum(s for s, _ in sums), sum(n for _, n in sums)
    expected = {
        "heldout_ppl": math.exp(nats / tokens), "mean_nats": nats / tokens, "tokens_scored": tokens,
        "documents": len(sums), "document_nats": [s for s, _ in sums], "document_tokens": [n for _, n in sums],
        "parameter_count": bitpack.parameters(weights), "zip_bytes": len(artifact),
        "budget_bytes": bitpack.budget_bytes(bitpack.parameters(weights)), "spare_bytes": spare,
        "rescue_share": bitpack.rescue_share(weights, rescue), "sha256": hashlib.sha256(artifact).hexdigest(),
        "torch": torch.__version__, "precision": "float32, TF32 off",
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", **notes}
    (out / "model.zip").write_bytes(artifact)
    (out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", "utf-8")
    return expected


def learning_rate(progress, peak):
    """Linear warm-up, then a cosine to a hundredth of the peak. progress is 0 to 1."""
    if progress < WARMUP:
        return peak * (progress / WARMUP + 1e-3)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP))))


def reset(model, seed, dropout, device):
    """New random weights in place (a compiled graph stays valid), and no rescue rows."""
    torch.manual_seed(seed)
    model.load_state_dict(Qwen3(CONFIG).state_dict())
    model.dropout.fill_(dropout)
    for module in model.weights().values():
        if module.rescue is None:
            module.rescue = torch.zeros(len(module.weight), dtype=torch.bool, device=device)


def train(model, step_loss, data, trial, options, best, bits):
    """One trial; returns the best validation loss so far, having saved whatever improved on `best`."""
    dropout, peak = (float(x) for x in trial.split(":"))
    reset(model, options.seed, dropout, options.device)
    choose_rescue(model, data.counts, bits, frequent_only=True)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                                  lr=peak, betas=(0.9, 0.95), fused=options.device == "cuda")
    begin = time.monotonic()
    length = 60 * options.minutes / len(options.trials)
    checked, rescued, step, progress = 0, False, 0, 0.0
    while progress < 1:
        progress = min(1.0, (time.monotonic() - begin) / length)
        if progress >= RESCUE_AT and not rescued:
            choose_rescue(model, data.counts, bits, frequent_only=False)
            rescued = True
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(progress, peak)
        loss = step_loss(model, data.batch(options.batch))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if step % 10 == 0:
            loss.item()  # keeps the clock honest: the device runs at most ten steps behind
        if int(progress * options.checks) > checked:  # the last time when progress is 1
            checked = int(progress * options.checks)
            validation = validation_loss(model, data)
            line = (f"dropout {dropout} rate {peak} step {step} {time.monotonic() - begin:.0f}s "
                    f"train {loss.item():.4f} validation {validation:.4f}")
            if validation < best:
                best = validation
                notes = {"validation_nats": validation, "dropout": dropout, "learning_rate": peak, "steps": step,
                         "training_tokens": step * options.batch * SEQUENCE, "distinct_tokens": len(data.train)}
                result = save(model, data, options.out, options.device, notes)
                line += f" | packed: held-out perplexity {result['heldout_ppl']:.3f}, {result['spare_bytes']} bytes spare"
            print(line, flush=True)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="what corpus.py wrote")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for model.zip and expected.json")
    parser.add_argument("--minutes", type=float, default=7.7, help="wall-clock time of all trials together")
    parser.add_argument("--trials", nargs="+", default=["0.1:2e-3", "0.25:2e-3", "0.25:4e-3"],
                        help="dropout:learning rate of each training")
    parser.add_argument("--checks", type=int, default=4, help="validations per trial")
    parser.add_argument("--batch", type=int, default=48, help="windows per step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--eager", action="store_true", help="do not compile the model")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    options.out.mkdir(parents=True, exist_ok=True)

    data = Data(options.data, options.device)
    torch.manual_seed(options.seed)
    model = Qwen3(CONFIG).to(options.device)
    bits = spare_bits(model, data.tokenizer_json)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(data.train):,} training tokens, "
          f"{len(data.validation)} validation windows, {len(data.documents)} held-out documents, "
          f"{bits:,} bits for rescue rows", flush=True)
    step_loss = window_loss if options.eager else torch.compile(window_loss)
    reset(model, options.seed, 0.1, options.device)
    step_loss(model, data.batch(options.batch)).backward()  # compiles outside the measured minutes
    model.zero_grad()
    best = math.inf
    for trial in options.trials:
        best = train(model, step_loss, data, trial, options, best, bits)
    print((options.out / "expected.json").read_text("utf-8"))


if __name__ == "__main__":
    main()
