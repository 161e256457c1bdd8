#!/usr/bin/env python3
"""Texts of generation_config.json and what the real transformers makes of a model that has them.

Takes those that writers publish and save, changes settings and texts from a seed, puts each beside a small model, loads it as
the validator does, and writes texts and answers to settings.json. `cargo test -p conformance --test differential` holds
bitgauge to it.

    ask                       # both versions, each in an environment that it makes
    settings.py               # the version that is installed: its answers are written anew, the others' kept
    settings.py 15 other.json # another seed, for BITGAUGE_SETTINGS=other.json cargo test ...

An answer is the class of the exception, "loads", or "another model" where the logits are not those without the file. Texts
are bytes, each written as the character of its number.
"""

import json
import os
import pathlib
import random
import shutil
import sys
import tempfile

SEED, TEXTS = 14, 360
HERE = pathlib.Path(__file__).parent
RECORDED = HERE / "settings.json"
MODEL = HERE.parent / "fixtures" / "models" / "qwen3_tied"
FILE = "generation_config.json"

# As Qwen, Meta and Mistral publish them, and as transformers, mlx-lm and llm-compressor save them again.
PUBLISHED = [
    {"bos_token_id": 151643, "do_sample": True, "eos_token_id": [151645, 151643], "pad_token_id": 151643, "temperature": 0.6,
     "top_k": 20, "top_p": 0.95, "transformers_version": "4.51.0"},
    {"bos_token_id": 151643, "pad_token_id": 151643, "do_sample": True, "eos_token_id": [151645, 151643],
     "repetition_penalty": 1.05, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "transformers_version": "4.37.0"},
    {"bos_token_id": 151643, "do_sample": False, "eos_token_id": 151643, "max_new_tokens": 2048, "transformers_version": "4.37.0"},
    {"bos_token_id": 248044, "do_sample": True, "eos_token_id": [248046, 248044], "pad_token_id": 248044, "temperature": 1.0,
     "top_k": 20, "top_p": 0.95, "transformers_version": "4.57.0.dev0"},
    {"bos_token_id": 128000, "do_sample": True, "eos_token_id": [128001, 128008, 128009], "temperature": 0.6, "top_p": 0.9,
     "transformers_version": "4.42.3"},
    {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2, "transformers_version": "4.34.0.dev0"},
    {"_from_model_config": True, "output_attentions": False, "output_hidden_states": False, "transformers_version": "5.24.0",
     "use_cache": True},
    {"bos_token_id": 1, "do_sample": True, "eos_token_id": 2, "max_length": 4096, "pad_token_id": 0, "temperature": 0.6,
     "top_p": 0.9, "transformers_version": "4.31.0.dev0"},
    {"bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": 1, "pad_token_id": 0, "transformers_version": "4.42.0"},
    {"chat_format": "chatml", "eos_token_id": 151643, "max_new_tokens": 512, "max_window_size": 24000, "top_k": 0},
    {},
]

# What either version sets, then arguments, methods, and names that neither knows.
NAMES = """assistant_confidence_threshold assistant_early_exit assistant_ensemble_weight assistant_lookbehind bad_words_ids
    begin_suppress_tokens bos_token_id cache_config cache_implementation compile_config constraints continuous_batching_config
    decoder_start_token_id disable_compile diversity_penalty do_sample dola_layers early_stopping encoder_no_repeat_ngram_size
    encoder_repetition_penalty eos_token_id epsilon_cutoff eta_cutoff exponential_decay_length_penalty force_words_ids
    forced_bos_token_id forced_eos_token_id guidance_scale is_assistant length_penalty low_memory max_cache_len max_length
    max_matching_ngram_size max_new_tokens max_time min_length min_new_tokens min_p no_repeat_ngram_size num_assistant_tokens
    num_assistant_tokens_schedule num_beam_groups num_beams num_return_sequences output_attentions output_hidden_states
    output_logits output_scores pad_token_id penalty_alpha prefill_chunk_size prompt_lookup_num_tokens remove_invalid_values
    renormalize_logits repetition_penalty return_dict_in_generate return_legacy_cache sequence_bias speculation_type
    stop_strings suppress_tokens target_lookbehind temperature token_healing top_h top_k top_p transformers_version typical_p
    use_cache use_mtp watermarking_config _commit_hash _from_model_config""".split()
OTHERS = """logits_processor stopping_criteria prefix_allowed_tokens_fn synced_gpus assistant_model streamer negative_prompt_ids
    negative_prompt_attention_mask use_model_defaults self to_dict validate update extra_output_flags __class__ __dict__ dtype
    _original_object_hash _mask_length return_unused_kwargs config_file_name cls kwargs config_dict note force_bos_token_to_be_generated
    from_dict to_json_string to_diff_dict dict_dtype_to_str trust_remote_code subfolder generation_config _from_auto""".split()
# What is looked at while the model is loaded.
CHECKED = """early_stopping max_new_tokens pad_token_id cache_implementation compile_config num_return_sequences num_beams do_sample
    watermarking_config suppress_tokens forced_eos_token_id assistant_ensemble_weight _from_model_config use_cache""".split()
VALUES = [None, True, False, 0, 1, 2, 3, -1, 0.0, 0.5, 1.0, -0.5, 1e308, float("nan"), float("inf"), float("-inf"), 10**30,
          2**53, 2**53 + 1, 2**64, "", "x", "never", "5.24.0", [], [0], [1, 2], ["x"], [None], [[1, 2]], [1, "x"], {}, {"x": 1}, {"dtype": 5},
          {"dtype": "x"}, [{"dtype": 5}], [1.5]]
CACHES = """static offloaded_static sliding_window hybrid hybrid_chunked offloaded_hybrid offloaded_hybrid_chunked dynamic
    dynamic_full offloaded quantized paged Static mamba""".split()


def value_of(rng, name):
    if name == "cache_implementation" and rng.random() < 0.7:
        return rng.choice(CACHES)
    if name == "watermarking_config" and rng.random() < 0.6:
        return rng.choice([{}, {"bias": 1.5}, {"seeding_scheme": "x"}, {"ngram_len": 5}, {"context_width": 0}])
    if name in ("num_return_sequences", "num_beams") and rng.random() < 0.7:
        return rng.choice([None, 0, 1, 2, 3, 4, -1, 1.0, 2.0, True, 2**53, 2**53 + 1])
    return rng.choice(VALUES)


def changed_text(rng, text):
    """The same settings, or none, as other bytes."""
    return rng.choice([
        lambda: b"\xef\xbb\xbf" + text, lambda: text[: rng.randrange(len(text))], lambda: text.decode().encode("utf-16"),
        lambda: b'{"temperature": 1, ' + text[1:], lambda: text[:-1] + b', "max_new_tokens": 0, "max_new_tokens": 5}',
        lambda: text[:-1] + b', "early_stopping": true, "early_stopping": "x"}', lambda: text.replace(b",", b",,", 1),
        lambda: b"[" + text + b"]", lambda: json.dumps(text.decode()).encode(), lambda: text + b"x", lambda: text + b"\0",
        lambda: rng.choice([b"", b" ", b"null", b"1", b"NaN", b"true", b'"x"', b"[]", b"[" * 2000, b"{}{}"]),
        lambda: b'{"temperature": ' + b"9" * rng.choice([4300, 4301]) + b"}", lambda: text.replace(b":", b"=", 1),
        lambda: b'{"top_k": ' + b"[" * rng.choice([3, 100, 130, 900]) + b"]" * 900 + b"}", lambda: text.replace(b'"', b"'"),
        lambda: b'{"stop_strings": "' + rng.choice([b"\\ud800", b"\xff", b"\xc3\xa9", b"\n", b"\\u0000", b"\\x"]) + b'"}',
        lambda: text[:-1] + b"," + b"}", lambda: b"// x\n" + text, lambda: b"\n\t " + text + b" \r\n", lambda: b"\x0c" + text,
        lambda: text[:-1] + b', "top_k": 007}', lambda: text[:-1] + b', "top_k": -0}', lambda: text[:-1] + b', "top_p": .5}',
    ])()


def make_text(rng):
    settings = dict(rng.choice(PUBLISHED))
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        name = rng.choice(rng.choices([CHECKED, NAMES, OTHERS], [6, 5, 2])[0])
        settings[name] = value_of(rng, name)
    if rng.random() < 0.1:
        settings = settings | {"num_return_sequences": value_of(rng, "num_return_sequences"), "num_beams": value_of(rng, "num_beams")}
    text = json.dumps(settings, indent=rng.choice([None, 2])).encode()
    return changed_text(rng, text) if len(text) > 2 and rng.random() < 0.25 else text


def texts(seed):
    rng = random.Random(seed)
    found = dict.fromkeys(json.dumps(settings).encode() for settings in PUBLISHED)
    while len(found) < TEXTS:
        found.setdefault(make_text(random.Random(rng.getrandbits(64))))
    return list(found)


def ask(folder):
    import torch
    import transformers

    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, torch_dtype=torch.float32)
        with torch.no_grad():
            return model(input_ids=torch.tensor([[1, 5, 2, 7]])).logits.double().sum().item()
    except Exception as error:
        return type(error).__name__


def main(seed, target):
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    import transformers

    transformers.logging.set_verbosity_error()
    sys.stderr = open(os.devnull, "w")
    kept = json.loads(target.read_text())["cases"] if target.exists() else []
    kept = {case["text"]: case["says"] for case in kept}
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("config.json", "model.safetensors"):
            shutil.copy(MODEL / name, folder)
        without = ask(folder)
        assert isinstance(without, float), without
        for text in texts(seed):
            pathlib.Path(folder, FILE).write_bytes(text)
            answer = ask(folder)
            if not isinstance(answer, str):
                answer = "loads" if answer == without else "another model"
            text = text.decode("latin-1")
            cases.append({"text": text, "says": kept.get(text, {}) | {transformers.__version__: answer}})
    lines = ",\n".join(json.dumps(case) for case in cases)
    target.write_text(f'{{"seed": {seed}, "cases": [\n{lines}\n]}}\n')
    loads = sum(case["says"][transformers.__version__] == "loads" for case in cases)
    print(f"transformers {transformers.__version__}: {len(cases)} texts, {loads} load")


if __name__ == "__main__":
    seed, target = sys.argv[1:3] or (SEED, RECORDED)
    main(int(seed), pathlib.Path(target))
