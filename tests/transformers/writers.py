"""A small random model in each writer's format, made by the writer itself. See peers.py."""

import contextlib
import json
import os
import shutil
import subprocess

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3_5Config, Qwen3_5ForConditionalGeneration, Qwen3Config

BITGAUGE = "bitgauge"

DOCUMENTS = [
    "Binary weights keep a sign and share a scale.",
    ("The quick brown fox jumps over the lazy dog. " * 4).strip(),
    "~!@#$%^&*()_+ 0123456789 [];',./ {}:\"<>?",
]
# Nats a token: the same values in float32. Libraries that multiply in f16 or bf16 are allowed more.
EXACT, HALF = 1e-5, 3e-3
# Two artifacts of the same values.
KEPT = 1e-6
SETTINGS = dict(
    hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    head_dim=128, vocab_size=384, rms_norm_eps=1e-6, rope_theta=10000.0, tie_word_embeddings=False,
    max_position_embeddings=512,
)
# The other shape: biases, no head, a family without norms of queries and keys, widths of one and a half groups.
LLAMA = dict(
    hidden_size=192, intermediate_size=384, num_attention_heads=3, num_key_value_heads=1, head_dim=64,
    attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
)
# The third: the hybrid decoder of a checkpoint with vision, whose tower is not compared.
QWEN3_5 = dict(
    hidden_size=128, intermediate_size=256, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1, head_dim=64,
    linear_num_key_heads=2, linear_key_head_dim=32, linear_num_value_heads=6, linear_value_head_dim=64, vocab_size=384,
    rms_norm_eps=1e-6, tie_word_embeddings=False, max_position_embeddings=512,
    rope_parameters={"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25, "mrope_section": [3, 3, 2],
                     "mrope_interleaved": True},
)
VISION = dict(depth=1, hidden_size=32, intermediate_size=32, num_heads=2, out_hidden_size=128, num_position_embeddings=4)


def ids_of(text):
    """What the byte tokenizer gives."""
    return torch.tensor([[byte + 1 for byte in text.encode()]])


def nats(logits_of):
    """Mean loss a token; `logits_of` gives the logits of one document's ids."""
    total, tokens = 0.0, 0
    for text in DOCUMENTS:
        ids = ids_of(text)
        with torch.no_grad():
            logits = torch.as_tensor(logits_of(ids))[0, :-1].to(torch.float64)
        total += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        tokens += ids.shape[1] - 1
    return total / tokens


def transformers_nats(folder, **options):
    options = {"trust_remote_code": True, "dtype": torch.float32} | options
    model = AutoModelForCausalLM.from_pretrained(folder, **options).eval()
    return nats(lambda ids: model(input_ids=ids).logits)


def bitgauge(*arguments):
    command = [BITGAUGE, "--format", "json", *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode not in (0, 1, 3):
        raise RuntimeError(f"{' '.join(command)}: {run.stderr.strip()[-600:]}")
    return json.loads(run.stdout)


def bitgauge_nats(path, work):
    documents = work / "documents.json"
    documents.write_text(json.dumps(DOCUMENTS))
    report = bitgauge("eval", path, "--documents", documents, "--tokenizer", "byte-utf8", "--device", "cpu")
    found = report["evaluation"]["documents"]
    return sum(document["nats"] for document in found) / sum(len(text.encode()) - 1 for text in DOCUMENTS)


def empty_model(family):
    if family == "qwen3_5":
        config = Qwen3_5Config(text_config=QWEN3_5, vision_config=VISION, tie_word_embeddings=False)
        return Qwen3_5ForConditionalGeneration(config)
    return AutoModelForCausalLM.from_config(LlamaConfig(**SETTINGS | LLAMA) if family == "llama" else Qwen3Config(**SETTINGS))


def dense(folder, few=False, family="qwen3"):
    """A random model; with `few`, matrices of plus and minus one number in every 128 (llama: 64) columns."""
    torch.manual_seed(7)
    model = empty_model(family).to(torch.float32)
    for name, parameter in model.named_parameters():
        if "visual" in name:
            continue
        if parameter.dim() == 2:
            values = torch.randn_like(parameter) * 0.08
            if few:
                groups = values.view(values.shape[0], -1, 64 if family == "llama" else 128)
                size = groups.abs().mean(-1, keepdim=True).half().float()
                values = (torch.where(groups < 0, -1.0, 1.0) * size).view(values.shape)
            parameter.data = values
        elif "norm" in name and (family != "qwen3_5" or "linear_attn" in name):
            parameter.data = 1.0 + 0.1 * torch.randn_like(parameter)
        else:
            parameter.data = 0.3 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder


def changed_config(folder, **fields):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | fields
    path.write_text(json.dumps(config, indent=2))


# Each writer takes a dense folder and an empty one, writes the second, and gives its own loss.


def write_dense(source, out):
    shutil.copytree(source, out, dirs_exist_ok=True)
    return transformers_nats(out), EXACT


def write_mlx(bits, group, mode="affine"):
    def write(source, out):
        import mlx.core as mx
        import mlx_lm.utils

        mx.set_default_device(mx.cpu)
        stored = {}
        for name, value in load_file(source / "model.safetensors").items():
            array = mx.array(value.numpy())
            if array.ndim == 2:
                if mode == "affine":
                    parts = mx.quantize(array, group_size=group, bits=bits)
                else:
                    parts = mx.quantize(array, group_size=group, bits=bits, mode=mode)
                module = name.removesuffix(".weight")
                for suffix, part in zip(("weight", "scales", "biases"), parts):
                    stored[f"{module}.{suffix}"] = part
            else:
                stored[name] = array
        out.mkdir()
        mx.save_safetensors(str(out / "model.safetensors"), stored, {"format": "mlx"})
        shutil.copy(source / "config.json", out)
        settings = {"group_size": group, "bits": bits, "mode": mode}
        changed_config(out, quantization=settings, quantization_config=settings)
        model, _ = mlx_lm.utils.load_model(out)
        return nats(lambda ids: torch.tensor(model(mx.array(ids.numpy())).astype(mx.float32).tolist())), 1e-4

    return write


def convert_to_mlx(**options):
    """mlx-lm's own conversion, which undoes what a checkpoint does to norms and convolutions."""

    def write(source, out):
        import mlx.core as mx
        import mlx_lm

        mx.set_default_device(mx.cpu)
        give_tokenizer(source)
        mlx_lm.convert(str(source), str(out), quantize=True, dtype="float32", **options)
        model, _ = mlx_lm.utils.load_model(out)
        return nats(lambda ids: torch.tensor(model(mx.array(ids.numpy())).tolist())), EXACT

    return write


def write_gptq(bits, group=64, **options):
    def write(source, out):
        # With one worker, its default on two cores, 7.7.0 stops.
        os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
        from gptqmodel import BACKEND, GPTQModel, QuantizeConfig

        give_tokenizer(source)
        settings = QuantizeConfig(bits=bits, group_size=group, **options)
        model = GPTQModel.load(str(source), settings, device="cpu", backend=BACKEND.TORCH)
        samples = [{"input_ids": ids_of(text)[0].tolist(), "attention_mask": [1] * len(text)} for text in DOCUMENTS * 12]
        # It logs to a folder of the place where it is called.
        with contextlib.chdir(out.parent):
            model.quantize(samples, batch_size=1)
        model.save(str(out))
        return transformers_nats(out), HALF

    return write


def give_tokenizer(folder):
    """Some tokenizer, which gptqmodel asks for."""
    if (folder / "tokenizer.json").exists():
        return
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|endoftext|>": 0} | {letter: i + 1 for i, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    end = "<|endoftext|>"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, pad_token=end).save_pretrained(folder)


def write_awq(source, out):
    return write_gptq(4, quant_method="awq", format="gemm", desc_act=False)(source, out)


def write_compressed_tensors(bits, group=128):
    def write(source, out):
        from compressed_tensors.compressors import ModelCompressor
        from compressed_tensors.quantization import (
            QuantizationConfig,
            QuantizationScheme,
            QuantizationStatus,
            apply_quantization_config,
        )

        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
        weights = {"num_bits": bits, "type": "int", "symmetric": True, "strategy": "group", "group_size": group}
        scheme = QuantizationScheme(targets=["Linear"], weights=weights)
        config = QuantizationConfig(
            config_groups={"group_0": scheme}, ignore=["lm_head"], format="pack-quantized",
            quantization_status=QuantizationStatus.FROZEN,
        )
        apply_quantization_config(model, config)
        for module in model.modules():
            if getattr(module, "weight_scale", None) is not None:
                groups = module.weight.view(module.weight.shape[0], -1, group)
                largest = groups.abs().amax(-1) / max(1, 2 ** (bits - 1) - 1)
                module.weight_scale.data = largest.half().to(module.weight_scale.dtype)
        compressor = ModelCompressor.from_pretrained_model(model, quantization_format="pack-quantized")
        compressor.compress_model(model)
        model.save_pretrained(out)
        compressor.update_config(out)
        return transformers_nats(out), 1e-4

    return write


def write_bitnet(kind):
    def write(source, out):
        from transformers.integrations.bitnet import pack_weights

        stored = {}
        for name, value in load_file(source / "model.safetensors").items():
            if value.dim() == 2 and "proj" in name:
                scale = 1.0 / value.abs().mean()
                codes = (value * scale).round().clamp(-1, 1)
                stored[name] = pack_weights(codes)
                is_auto = kind == "autobitlinear"
                stored[name.replace("weight", "weight_scale")] = (1.0 / scale if is_auto else scale).reshape(1)
            else:
                stored[name] = value
        out.mkdir()
        save_file(stored, out / "model.safetensors", {"format": "pt"})
        shutil.copy(source / "config.json", out)
        settings = {"quant_method": "bitnet", "linear_class": kind, "quantization_mode": "offline",
                    "modules_to_not_convert": ["lm_head"]}
        changed_config(out, quantization_config=settings)
        return transformers_nats(out), HALF

    return write


def write_bitsandbytes(**options):
    def write(source, out):
        from transformers import BitsAndBytesConfig

        settings = BitsAndBytesConfig(**options)
        model = AutoModelForCausalLM.from_pretrained(
            source, quantization_config=settings, dtype=torch.float32, device_map="cpu"
        )
        model.save_pretrained(out)
        if not options.get("load_in_8bit"):
            return transformers_nats(out, device_map="cpu"), HALF
        # Its products round their inputs to 8 bits, too: the library's own values are compared.
        model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, device_map="cpu").dequantize().float().eval()
        return nats(lambda ids: model(input_ids=ids).logits), EXACT

    return write


def write_torchao(bits, group=128):
    def write(source, out):
        from torchao.quantization import IntxWeightOnlyConfig
        from torchao.quantization.granularity import PerGroup
        from transformers import TorchAoConfig

        settings = TorchAoConfig(
            IntxWeightOnlyConfig(weight_dtype=getattr(torch, f"int{bits}"), granularity=PerGroup(group), version=2)
        )
        model = AutoModelForCausalLM.from_pretrained(
            source, quantization_config=settings, dtype=torch.float32, device_map="cpu"
        )
        model.save_pretrained(out)
        return transformers_nats(out, device_map="cpu"), EXACT

    return write


def write_fp8(source, out):
    """As Qwen publishes it; the conversion is torch's."""
    stored = {}
    for name, value in load_file(source / "model.safetensors").items():
        if value.dim() == 2 and "proj" in name:
            rows, cols = value.shape[0] // 128, value.shape[1] // 128
            blocks = value.view(rows, 128, cols, 128)
            scale = blocks.abs().amax((1, 3), keepdim=True) / 448.0
            stored[name] = (blocks / scale).view(value.shape).to(torch.float8_e4m3fn)
            stored[name + "_scale_inv"] = scale.view(rows, cols)
        else:
            stored[name] = value
    out.mkdir()
    save_file(stored, out / "model.safetensors", {"format": "pt"})
    shutil.copy(source / "config.json", out)
    settings = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic",
                "modules_to_not_convert": ["lm_head"], "dequantize": True}
    changed_config(out, quantization_config=settings)
    return transformers_nats(out), EXACT


def write_gguf(kind):
    def write(source, out):
        import gguf

        out.mkdir()
        file = out / "model.gguf"
        writer = gguf.GGUFWriter(file, "qwen3")
        writer.add_block_count(SETTINGS["num_hidden_layers"])
        writer.add_context_length(SETTINGS["max_position_embeddings"])
        writer.add_embedding_length(SETTINGS["hidden_size"])
        writer.add_feed_forward_length(SETTINGS["intermediate_size"])
        writer.add_head_count(SETTINGS["num_attention_heads"])
        writer.add_head_count_kv(SETTINGS["num_key_value_heads"])
        writer.add_key_length(SETTINGS["head_dim"])
        writer.add_value_length(SETTINGS["head_dim"])
        writer.add_rope_freq_base(SETTINGS["rope_theta"])
        writer.add_layer_norm_rms_eps(SETTINGS["rms_norm_eps"])
        writer.add_vocab_size(SETTINGS["vocab_size"])
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, SETTINGS["num_hidden_layers"])
        stored = {}
        for name, value in load_file(source / "model.safetensors").items():
            place = names.get_name(name, try_suffixes=(".weight",))
            if value.dim() == 2:
                data = gguf.quants.quantize(value.numpy(), kind)
                writer.add_tensor(place, data, raw_dtype=kind)
                stored[name] = torch.from_numpy(gguf.quants.dequantize(data, kind).copy())
            else:
                writer.add_tensor(place, value.numpy())
                stored[name] = value
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        # The values are the library's; transformers runs them.
        values = out.with_name(out.name + "-values")
        shutil.copytree(source, values)
        save_file(stored, values / "model.safetensors", {"format": "pt"})
        return transformers_nats(values), EXACT

    return write


def write_bitpack(source, out):
    bitgauge("pack", source, out, "--bases", "2", "--rescue-fraction", "0.1")
    return transformers_nats(out), EXACT


def write_for_library(form, ending, bound, dtype=torch.float32):
    """A form that transformers loads by itself, from bitgauge; it must count the parameters that bitgauge says."""

    def write(source, out):
        archive = out.with_name(f"library{ending}")
        bitgauge("pack", source, archive, "--as", form, "--budget", "ternary")
        shutil.unpack_archive(archive, out)
        report = bitgauge("inspect", archive)
        model = AutoModelForCausalLM.from_pretrained(out, dtype=dtype).eval()
        counted = sum(parameter.numel() for parameter in model.parameters())
        if counted != report["model"]["parameters"]:
            raise RuntimeError(f"{counted} parameters, bitgauge says {report['model']['parameters']}")
        return nats(lambda ids: model(input_ids=ids).logits), bound

    return write


def families():
    import gguf

    kinds = gguf.GGMLQuantizationType
    few = True
    of_qwen = {
        "dense": (write_dense, False), "dense ±s": (write_dense, few), "bitpack": (write_bitpack, False),
        "MLX 1 bit": (write_mlx(1, 128), few), "MLX 2 bits": (write_mlx(2, 64), False),
        "MLX 4 bits": (write_mlx(4, 64), False), "MLX 8 bits": (write_mlx(8, 64), False),
        "MLX mxfp4": (write_mlx(4, 32, "mxfp4"), False), "MLX nvfp4": (write_mlx(4, 16, "nvfp4"), False),
        "GPTQ 4 bits": (write_gptq(4), False), "GPTQ 2 bits": (write_gptq(2), False),
        "GPTQ 3 bits": (write_gptq(3), False), "AWQ": (write_awq, False),
        "compressed-tensors 4": (write_compressed_tensors(4), False),
        "compressed-tensors 2": (write_compressed_tensors(2), few),
        "BitNet bitlinear": (write_bitnet("bitlinear"), few),
        "BitNet autobitlinear": (write_bitnet("autobitlinear"), few),
        "pack --as bitnet-f32": (write_for_library("bitnet-f32", ".zip", 1e-3), few),
        "pack --as bitnet": (write_for_library("bitnet", ".zip", HALF, torch.float16), few),
        "pack --as dense": (write_for_library("dense", ".tar.xz", EXACT), few),
        "bitsandbytes nf4": (write_bitsandbytes(load_in_4bit=True, bnb_4bit_quant_type="nf4"), False),
        "bitsandbytes nf4 nested": (
            write_bitsandbytes(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True), False),
        "bitsandbytes fp4": (write_bitsandbytes(load_in_4bit=True, bnb_4bit_quant_type="fp4"), False),
        "bitsandbytes int8": (write_bitsandbytes(load_in_8bit=True), False),
        "torchao int4": (write_torchao(4), False), "torchao int2": (write_torchao(2), few),
        "FP8": (write_fp8, False),
        "GGUF F16": (write_gguf(kinds.F16), few), "GGUF Q8_0": (write_gguf(kinds.Q8_0), False),
        "GGUF Q4_0": (write_gguf(kinds.Q4_0), False), "GGUF TQ1_0": (write_gguf(kinds.TQ1_0), few),
        "GGUF TQ2_0": (write_gguf(kinds.TQ2_0), few),
    }
    of_llama = {
        "llama MLX 1 bit": (write_mlx(1, 64), few), "llama MLX 3 bits": (write_mlx(3, 32), False),
        "llama MLX 5 bits": (write_mlx(5, 64), False), "llama MLX 6 bits": (write_mlx(6, 32), False),
        "llama MLX mxfp8": (write_mlx(8, 32, "mxfp8"), False),
        "llama GPTQ 8, by act": (write_gptq(8, 32, desc_act=True), False),
        "llama GPTQ 3, ragged": (write_gptq(3, 128, desc_act=False, act_group_aware=False), False),
        "llama GPTQ 2, v2": (write_gptq(2, format="gptq_v2", sym=False), False), "llama AWQ": (write_awq, False),
        "llama compressed-tens. 1": (write_compressed_tensors(1, 64), few),
        "llama compressed-tens. 3": (write_compressed_tensors(3, 64), False),
        "llama compressed-tens. 8": (write_compressed_tensors(8, 64), False),
        "llama bitlinear": (write_bitnet("bitlinear"), few),
        "llama nf4 nested": (
            write_bitsandbytes(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True), False),
        "llama int8": (write_bitsandbytes(load_in_8bit=True), False), "llama torchao int3": (write_torchao(3, 32), False),
        "llama pack --as dense": (write_for_library("dense", ".tar.xz", EXACT), few),
    }
    of_qwen3_5 = {
        "qwen3_5 dense": (write_dense, False), "qwen3_5 bitpack": (write_bitpack, False),
        "qwen3_5 MLX 1 bit": (convert_to_mlx(q_bits=1, q_group_size=128), few),
        "qwen3_5 MLX 4 bits": (convert_to_mlx(q_bits=4, q_group_size=64), False),
        "qwen3_5 MLX mixed": (convert_to_mlx(quant_predicate="mixed_2_6", q_group_size=64), False),
        "qwen3_5 MLX mxfp4": (convert_to_mlx(q_bits=4, q_group_size=32, q_mode="mxfp4"), False),
    }
    groups = {"qwen3": of_qwen, "llama": of_llama, "qwen3_5": of_qwen3_5}
    return {name: (*what, family) for family, group in groups.items() for name, what in group.items()}
