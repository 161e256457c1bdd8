"""Plain Qwen3 with a tied head, whose weights can be quantized in the forward pass as they are stored.

Parameter names are those of a transformers checkpoint, so a state_dict is a model file.
"""
import torch
import torch.nn.functional as F
from torch import nn

import bitpack

SEQUENCE = 512  # tokens of a training window and of a scored document
SCALE_GROUP = 0  # one scale per binary row: the bits go to more rescue rows instead


def straight_through(weight, rescue, group=SCALE_GROUP):
    """The weight [N, K] as stored, with the gradient of the identity; rescue is bool [N].

    The same arithmetic as bitpack.encode, on the device.
    """
    stored_scale = lambda scale: scale.clamp_min(bitpack.SMALLEST_SCALE).half().float()
    with torch.no_grad():
        groups = weight.unflatten(1, (-1, group or weight.shape[1]))
        binary = torch.where(groups >= 0, 1.0, -1.0) * stored_scale(groups.abs().mean(-1, keepdim=True))
        groups = F.pad(weight, (0, -weight.shape[1] % bitpack.RESCUE_GROUP)).unflatten(1, (-1, bitpack.RESCUE_GROUP))
        scale = stored_scale(groups.abs().amax(-1, keepdim=True) / 7)
        four_bit = (scale * (groups / scale).round().clamp(-7, 7)).flatten(1)[:, :weight.shape[1]]
        stored = torch.where(rescue[:, None], four_bit, binary.flatten(1))
    return weight + (stored - weight).detach()


class Weight(nn.Module):
    """A bias-free matrix [N, K]; `rescue` marks its 4-bit rows, None leaves it dense."""

    def __init__(self, rows, columns, std):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, columns) * std)
        self.register_buffer("rescue", None, persistent=False)

    def effective(self):
        return self.weight if self.rescue is None else straight_through(self.weight, self.rescue)

    def forward(self, x):
        return F.linear(x, self.effective())


class Norm(nn.Module):
    """RMS norm in f32 over the last axis, times a plain weight."""

    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def rotary(x, cos, sin):
    """x [B, heads, T, d]: channel i turns with channel i + d/2."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


class Attention(nn.Module):
    """Causal grouped-query attention with a norm per head before the rotary embedding."""

    def __init__(self, c, out_std):
        super().__init__()
        self.heads, self.kv_heads, self.width = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        hidden, std = c["hidden_size"], c["hidden_size"] ** -0.5
        self.q_proj = Weight(self.heads * self.width, hidden, std)
        self.k_proj = Weight(self.kv_heads * self.width, hidden, std)
        self.v_proj = Weight(self.kv_heads * self.width, hidden, std)
        self.o_proj = Weight(hidden, self.heads * self.width, out_std * (self.heads * self.width) ** -0.5)
        self.q_norm = Norm(self.width, c["rms_norm_eps"])
        self.k_norm = Norm(self.width, c["rms_norm_eps"])

    def forward(self, x, cos, sin):
        split = lambda y, heads: y.unflatten(-1, (heads, self.width)).transpose(1, 2)
        v = split(self.v_proj(x), self.kv_heads)
        q = rotary(self.q_norm(split(self.q_proj(x), self.heads)), cos, sin).to(v.dtype)
        k = rotary(self.k_norm(split(self.k_proj(x), self.kv_heads)), cos, sin).to(v.dtype)
        k, v = (y.repeat_interleave(self.heads // self.kv_heads, 1) for y in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """SwiGLU."""

    def __init__(self, c, out_std):
        super().__init__()
        hidden, inner = c["hidden_size"], c["intermediate_size"]
        self.gate_proj = Weight(inner, hidden, hidden ** -0.5)
        self.up_proj = Weight(inner, hidden, hidden ** -0.5)
        self.down_proj = Weight(hidden, inner, out_std * inner ** -0.5)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, c):
        super().__init__()
        out_std = (2 * c["num_hidden_layers"]) ** -0.5
        self.self_attn, self.mlp = Attention(c, out_std), Mlp(c, out_std)
        self.input_layernorm = Norm(c["hidden_size"], c["rms_norm_eps"])
        self.post_attention_layernorm = Norm(c["hidden_size"], c["rms_norm_eps"])


class Decoder(nn.Module):
    """Embedding, layers and final norm, under the names that a checkpoint gives them."""

    def __init__(self, c):
        super().__init__()
        self.embed_tokens = Weight(c["vocab_size"], c["hidden_size"], c["hidden_size"] ** -0.5)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = Norm(c["hidden_size"], c["rms_norm_eps"])


class Qwen3(nn.Module):
    """Qwen3 with a tied head. `dropout` is a 0-d tensor, so that trials share one compiled graph."""

    def __init__(self, c):
        super().__init__()
        self.model = Decoder(c)
        self.register_buffer("dropout", torch.zeros(()), persistent=False)
        frequencies = c["rope_theta"] ** (-torch.arange(0, c["head_dim"], 2).double() / c["head_dim"])
        angles = torch.outer(torch.arange(SEQUENCE).double(), frequencies).float()
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def weights(self):
        """{name without `.weight`: Weight}, in a fixed order."""
        return {name: module for name, module in self.named_modules() if isinstance(module, Weight)}

    def drop(self, x):
        return x * (torch.rand_like(x) >= self.dropout) / (1 - self.dropout) if self.training else x

    def forward(self, ids):
        """ids [B, T] to logits [B, T, vocabulary]."""
        cos, sin = self.cos[:ids.shape[1]], self.sin[:ids.shape[1]]
        embedding = self.model.embed_tokens.effective()
        h = self.drop(F.embedding(ids, embedding))
        for layer in self.model.layers:
            h = h + self.drop(layer.self_attn(layer.input_layernorm(h), cos, sin))
            h = h + self.drop(layer.mlp(layer.post_attention_layernorm(h)))
        return F.linear(self.model.norm(h), embedding)
