"""Transformers: a vision encoder, a text encoder, and a language model as it reads a prompt and as it goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from picojoule.workload.builtin.ledger import Ledger
from picojoule.workload.convolution import add_layer, concat_layer, conv_layer, fc_layer
from picojoule.workload.data_flow import Given
from picojoule.workload.movement import embedding_layer, mul_layer, norm_layer, rotary_layer
from picojoule.workload.network import Layer, Network
from picojoule.workload.products import attention_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of the blocks of a transformer.

    Attributes:
        tokens: that run together.
        width: of a token between blocks.
        heads: of the queries.
        kv_heads: of keys and values; several heads of queries share one.
        inner: width between the matrices of the feed-forward part.
        context: tokens that a query looks at, itself included.
    """

    tokens: int
    width: int
    heads: int
    kv_heads: int
    inner: int
    context: int

    @property
    def head(self) -> int:
        return self.width // self.heads

    @property
    def elements(self) -> int:
        return self.tokens * self.width


VIT = Shape(tokens=197, width=768, heads=12, kv_heads=12, inner=3072, context=197)
BERT = Shape(tokens=128, width=768, heads=12, kv_heads=12, inner=3072, context=128)
ENCODER_BLOCKS = 12

LLM_BLOCKS, LLM_VOCABULARY, LLM_CONTEXT = 16, 128_256, 512
LLM_SOURCE = "meta-llama/Llama-3.2-1B, model card and config.json; layout of Hugging Face transformers"


def vit_b16() -> Network:
    """ViT-B/16 for 224 × 224 images: 17.6 G MACs, 86.6 M parameters."""
    shape, patches = VIT, 14
    ledger = Ledger((1, 3, 224, 224), Given(name="input", elements=3 * 224 * 224))
    patch = conv_layer(
        "conv_proj", input_size=(224, 224), in_channels=3, out_channels=768, kernel=(16, 16), stride=(16, 16), bias=True
    )
    x = ledger.put(patch, "input")
    row = concat_layer("tokens", operands=(patches**2 * 768,))
    x = ledger.put(replace(row, biases=768, read_weights=768, written_elements=shape.elements), x)
    x = ledger.put(_learned_sum("positions", shape), x)
    for index in range(ENCODER_BLOCKS):
        name = f"layers.{index}"
        normed = ledger.put(_norm(f"{name}.ln_1", shape), x)
        x = ledger.put(_sum(f"{name}.add_1", shape), _attention(ledger, name, shape, normed), x)
        normed = ledger.put(_norm(f"{name}.ln_2", shape), x)
        x = ledger.put(_sum(f"{name}.add_2", shape), _feed_forward(ledger, name, shape, normed), x)
    x = ledger.put(_norm("ln", shape), x)
    ledger.put(fc_layer("head", in_features=768, out_features=1000, bias=True), x)
    return ledger.network(
        "vit_b16",
        variant="224 × 224 input in patches of 16 × 16, 197 tokens, normalisation first, up to the logits",
        source="Dosovitskiy et al.: An image is worth 16×16 words, ICLR 2021 (arXiv 2010.11929), table 1; "
        "layout of torchvision's vit_b_16",
    )


def bert_base() -> Network:
    """BERT-base over 128 tokens: 11.2 G MACs, 109 M parameters."""
    shape = BERT
    identities = (Given(name=name, elements=shape.tokens) for name in ("tokens", "token_types"))
    ledger = Ledger((1, shape.tokens), *identities)
    x = ledger.put(embedding_layer("embeddings.word", indices=shape.tokens, table=(30_522, 768)), "tokens")
    types = ledger.put(embedding_layer("embeddings.type", indices=shape.tokens, table=(2, 768)), "token_types")
    x = ledger.put(_sum("embeddings.add", shape), x, types)
    # Of the 512 learned positions the first 128 are read.
    x = ledger.put(replace(_learned_sum("embeddings.position", shape), biases=512 * 768), x)
    x = ledger.put(_norm("embeddings.norm", shape), x)
    for index in range(ENCODER_BLOCKS):
        name = f"layers.{index}"
        x = ledger.put(_sum(f"{name}.add_1", shape), _attention(ledger, name, shape, x), x)
        x = ledger.put(_norm(f"{name}.norm_1", shape), x)
        x = ledger.put(_sum(f"{name}.add_2", shape), _feed_forward(ledger, name, shape, x), x)
        x = ledger.put(_norm(f"{name}.norm_2", shape), x)
    ledger.put(fc_layer("pooler", in_features=768, out_features=768, bias=True), x)
    ledger.keep(x)
    return ledger.network(
        "bert_base",
        variant="128 tokens, uncased vocabulary, encoder and pooler without a head of a task",
        source="Devlin et al.: BERT, NAACL 2019 (arXiv 1810.04805), section 3; layout of Hugging Face's BertModel",
    )


def llm_1b(form: str) -> Network:
    """A language model of 1.24 G parameters, as it reads 512 tokens (``prefill``) or adds the 512th (``decode``)."""
    tokens = LLM_CONTEXT if form == "prefill" else 1
    shape = Shape(tokens=tokens, width=2048, heads=32, kv_heads=8, inner=8192, context=LLM_CONTEXT)
    ledger = Ledger((1, tokens), Given(name="tokens", elements=tokens))
    table = embedding_layer("embed_tokens", indices=tokens, table=(LLM_VOCABULARY, 2048))
    x = ledger.put(table, "tokens")
    for index in range(LLM_BLOCKS):
        name = f"layers.{index}"
        normed = ledger.put(_rms_norm(f"{name}.input_layernorm", shape), x)
        x = ledger.put(_sum(f"{name}.add_1", shape), _cached_attention(ledger, name, shape, normed), x)
        normed = ledger.put(_rms_norm(f"{name}.post_attention_layernorm", shape), x)
        x = ledger.put(_sum(f"{name}.add_2", shape), _gated_feed_forward(ledger, name, shape, normed), x)
    x = ledger.put(_rms_norm("norm", shape), x)
    # The table of the tokens, once more.
    ledger.put(replace(fc_layer("lm_head", in_features=2048, out_features=LLM_VOCABULARY), shared=True), x)
    what = (
        f"reads a prompt of {tokens} tokens and fills the cache; the causal mask saves nothing"
        if form == "prefill"
        else f"adds one token to a cache of {LLM_CONTEXT - 1}"
    )
    return ledger.network(
        f"llm:1b-{form}",
        variant=f"{what}; 16 blocks of width 2048, 32 heads with 8 for keys and values, logits of the last token, "
        "tied embeddings",
        source=LLM_SOURCE,
    )


def _attention(ledger: Ledger, name: str, shape: Shape, x: str) -> str:
    """Every token looks at every token."""
    q, k, v = (ledger.put(_project(f"{name}.{part}", shape, shape.width, bias=True), x) for part in "qkv")
    return _looked_up(ledger, name, shape, (q,), (k,), (v,), bias=True)


def _cached_attention(ledger: Ledger, name: str, shape: Shape, x: str) -> str:
    """Keys and values of these tokens join those of earlier ones in the cache, and stay."""
    narrow = shape.kv_heads * shape.head
    q = ledger.put(_project(f"{name}.q_proj", shape, shape.width), x)
    k = ledger.put(_project(f"{name}.k_proj", shape, narrow), x)
    v = ledger.put(_project(f"{name}.v_proj", shape, narrow), x)
    q = ledger.put(rotary_layer(f"{name}.q_rotary", elements=shape.elements), q)
    k = ledger.put(rotary_layer(f"{name}.k_rotary", elements=shape.tokens * narrow), k)
    ledger.keep(k, v)
    keys, values = [k], [v]
    earlier = (shape.context - shape.tokens) * narrow
    if earlier:
        keys.append(ledger.give(Given(name=f"{name}.cached_keys", elements=earlier, held=True)))
        values.append(ledger.give(Given(name=f"{name}.cached_values", elements=earlier, held=True)))
    return _looked_up(ledger, name, shape, (q,), tuple(keys), tuple(values), bias=False)


def _looked_up(
    ledger: Ledger,
    name: str,
    shape: Shape,
    queries: tuple[str, ...],
    keys: tuple[str, ...],
    values: tuple[str, ...],
    *,
    bias: bool,
) -> str:
    """softmax(q·k) v, projected. The heads of queries that share keys are rows of one product."""
    cached = (1, shape.kv_heads, shape.context, shape.head)
    asked = (1, shape.heads, shape.tokens, shape.head)
    scores, shares, mixed = attention_layers(name, query=asked, key=cached, value=cached)
    x = ledger.put(shares, ledger.put(scores, *queries, *keys))
    x = ledger.put(mixed, x, *values)
    return ledger.put(_project(f"{name}.o_proj", shape, shape.width, bias=bias), x)


def _feed_forward(ledger: Ledger, name: str, shape: Shape, x: str) -> str:
    x = ledger.put(_project(f"{name}.fc_1", shape, shape.inner, bias=True), x)
    return ledger.put(_project(f"{name}.fc_2", shape, shape.width, from_width=shape.inner, bias=True), x)


def _gated_feed_forward(ledger: Ledger, name: str, shape: Shape, x: str) -> str:
    """The gate's SiLU rides along on its write-back; the product with the other half is a row of its own."""
    gate, up = (ledger.put(_project(f"{name}.{part}_proj", shape, shape.inner), x) for part in ("gate", "up"))
    size = shape.tokens * shape.inner
    x = ledger.put(mul_layer(f"{name}.mul", operands=(size, size), written=size), gate, up)
    return ledger.put(_project(f"{name}.down_proj", shape, shape.width, from_width=shape.inner), x)


def _project(name: str, shape: Shape, width: int, *, from_width: int | None = None, bias: bool = False) -> Layer:
    """A matrix for every token."""
    entering = shape.width if from_width is None else from_width
    return fc_layer(name, in_features=entering, out_features=width, rows=shape.tokens, bias=bias, op="MatMul")


def _sum(name: str, shape: Shape) -> Layer:
    return add_layer(name, operands=(shape.elements, shape.elements), written=shape.elements)


def _learned_sum(name: str, shape: Shape) -> Layer:
    """A learned element for every element; they are too many to ride along, and lie with the weights."""
    layer = add_layer(name, operands=(shape.elements,), written=shape.elements)
    return replace(layer, biases=shape.elements, read_weights=shape.elements, vector_ops=shape.elements)


def _norm(name: str, shape: Shape) -> Layer:
    learned = 2 * shape.width
    return norm_layer(name, elements=shape.elements, parameters=learned, affine=2, op="LayerNormalization")


def _rms_norm(name: str, shape: Shape) -> Layer:
    return norm_layer(
        name,
        elements=shape.elements,
        parameters=shape.width,
        affine=1,
        statistics="root mean square",
        op="RMSNormalization",
    )
