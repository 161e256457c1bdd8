#!/usr/bin/env python3
"""Makes the samples tests/fixtures/packings/mlx-qwen3_5-*: small Qwen3.5 models in MLX's format, written by mlx-lm itself.

    pip install "mlx[cpu]==0.32.4" mlx-lm==0.32.2 torch==2.15.0 transformers==5.24.0
    python3 tests/layouts/mlx_qwen3_5.py tests/fixtures/packings

transformers writes a checkpoint of random weights with a vision tower, and mlx_lm.convert its MLX form, which has none. `1bit`
has groups that hold plus and minus one number; `mixed` is in mlx-lm's mix of 2 and 6 bits, without a head.

expected.json has token ids, the mean loss that mlx-lm gives them with its values in float32, the loss that transformers gives
with the same values in the checkpoint, and for each weight of the checkpoint the first half of the SHA-256 of its values as
mlx-lm has them: f32, 0 without a sign, norms whole.
"""
import hashlib
import json
import pathlib
import shutil
import sys
import tempfile

import mlx.core as mx
import mlx_lm
import mlx_lm.utils
import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, Qwen3_5Config, Qwen3_5ForConditionalGeneration

TEXT = dict(
    hidden_size=128, intermediate_size=256, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1, head_dim=64,
    linear_num_key_heads=2, linear_key_head_dim=32, linear_num_value_heads=6, linear_value_head_dim=64,
    linear_conv_kernel_dim=4, vocab_size=160, rms_norm_eps=1e-6, max_position_embeddings=512,
    rope_parameters={"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25, "mrope_section": [3, 3, 2],
                     "mrope_interleaved": True})
VISION = dict(depth=1, hidden_size=32, intermediate_size=32, num_heads=2, out_hidden_size=128, num_position_embeddings=4)
GROUP = 128


def checkpoint(folder, is_mixed):
    """A checkpoint of random weights and some tokenizer, without which mlx_lm.convert does nothing."""
    torch.manual_seed(5)
    text = TEXT | {"tie_word_embeddings": is_mixed}
    model = Qwen3_5ForConditionalGeneration(Qwen3_5Config(text_config=text, vision_config=VISION, tie_word_embeddings=is_mixed))
    for name, parameter in model.float().named_parameters():
        values = torch.randn_like(parameter)
        if parameter.dim() == 2 and not is_mixed and "visual" not in name:
            groups = values.view(values.shape[0], -1, GROUP) * 0.1
            size = groups.abs().mean(-1, keepdim=True).bfloat16().float()
            values = (torch.where(groups < 0, -1.0, 1.0) * size).view(values.shape)
        elif parameter.dim() == 2:
            values = 0.1 * values
        elif "A_log" in name:
            values = torch.rand_like(values) * 4 - 2
        elif name.endswith("linear_attn.norm.weight"):
            values = 1 + 0.2 * values
        else:
            values = 0.3 * values
        parameter.data = values
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)


def documents():
    """Random ids, among them a document that is shorter than the convolution."""
    random = np.random.default_rng(11)
    return [random.integers(0, TEXT["vocab_size"], length).tolist() for length in (90, 3, 41)]


def mean_loss(logits_of):
    total, count = 0.0, 0
    for ids in documents():
        logits = torch.tensor(logits_of(ids), dtype=torch.float64)[0, :-1]
        total += torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum").item()
        count += len(ids) - 1
    return total / count


def values_of(model):
    """{name in the checkpoint: the values that mlx-lm computes with}"""
    values = {}
    for path, module in model.named_modules():
        own = {name: value for name, value in module.items() if isinstance(value, mx.array)}
        if "scales" in own:
            parts = own["weight"], own["scales"], own["biases"]
            own = {"weight": mx.dequantize(*parts, group_size=module.group_size, bits=module.bits)}
        for name, value in own.items():
            values[f"{path}.{name}".removeprefix("language_model.")] = np.array(value)
    return values


def dense_loss(source, values):
    """transformers' loss of the same values, in the checkpoint's conventions."""
    model = Qwen3_5ForConditionalGeneration.from_pretrained(source, dtype=torch.float32).eval()
    state = model.state_dict()
    for name, value in values.items():
        if name.endswith("norm.weight") and not name.endswith("linear_attn.norm.weight"):
            value = value - 1
        if name.endswith("conv1d.weight"):
            value = value.transpose(0, 2, 1)
        own = "model.language_model." + name.removeprefix("model.") if name.startswith("model.") else name
        assert tuple(state[own].shape) == value.shape, name
        state[own] = torch.tensor(np.ascontiguousarray(value))
    if model.config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.language_model.embed_tokens.weight"]
    model.load_state_dict(state)
    with torch.no_grad():
        return mean_loss(lambda ids: model(input_ids=torch.tensor([ids])).logits.tolist())


def sample(out, is_mixed):
    with tempfile.TemporaryDirectory() as root:
        source, written = pathlib.Path(root) / "checkpoint", pathlib.Path(root) / "mlx"
        checkpoint(source, is_mixed)
        how = dict(quant_predicate="mixed_2_6", q_group_size=64) if is_mixed else dict(q_bits=1, q_group_size=GROUP)
        mlx_lm.convert(str(source), str(written), quantize=True, dtype="bfloat16", **how)
        out.mkdir(exist_ok=True)
        for name in ("config.json", "model.safetensors"):
            shutil.copy(written / name, out)
        model, _ = mlx_lm.utils.load_model(out)
        model.set_dtype(mx.float32)
        values = values_of(model)
        loss = mean_loss(lambda ids: model(mx.array([ids])).tolist())
        hashes = {name: hashlib.sha256((value.astype("<f4") + 0.0).tobytes()).hexdigest()[:16] for name, value in values.items()}
        expected = {"documents": documents(), "mlx_lm_nats": loss, "transformers_nats": dense_loss(source, values),
                    "values": dict(sorted(hashes.items()))}
        lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in expected.items())
        (out / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(f"{out.name}: mlx-lm {loss:.7f}, transformers {expected['transformers_nats']:.7f} nats a token, "
              f"{len(hashes)} weights, {(out / 'model.safetensors').stat().st_size:,} bytes")


def main():
    mx.set_default_device(mx.cpu)
    for name in ("1bit", "mixed"):
        sample(pathlib.Path(sys.argv[1]) / f"mlx-qwen3_5-{name}", name == "mixed")


if __name__ == "__main__":
    main()
