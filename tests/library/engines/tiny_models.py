"""Models of the real architectures with tiny random weights, saved as a folder with their processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

DIM = 16
_QWEN = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
_ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}


def tokenizer(special: Sequence[str] = (), **names: str) -> Any:
    """One token a byte, and the special ones."""
    letters = {letter: n for n, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab=letters, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)
    if special:
        wrapped.add_special_tokens({"additional_special_tokens": list(special)})
    return wrapped


def _qwen_text(tokens: Any, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokens),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "rope_parameters": _ROPE,
        "bos_token_id": None,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
        **more,
    }


def _marks(tokens: Any) -> dict[str, int]:
    return {
        "image_token_id": tokens.convert_tokens_to_ids("<|image_pad|>"),
        "video_token_id": tokens.convert_tokens_to_ids("<|video_pad|>"),
        "vision_start_token_id": tokens.convert_tokens_to_ids("<|vision_start|>"),
        "vision_end_token_id": tokens.convert_tokens_to_ids("<|vision_end|>"),
    }


def colqwen2(folder: Path, *, newer: bool = False, seed: int = 3) -> Path:
    """ColQwen2; on Qwen2.5-VL when `newer`."""
    tokens = tokenizer(_QWEN, pad_token="<|endoftext|>", eos_token="<|endoftext|>")
    vision: dict[str, Any] = {"depth": 2, "num_heads": 4, "patch_size": 14, "spatial_merge_size": 2, "hidden_size": 32}
    if newer:
        vision |= {"out_hidden_size": 32, "intermediate_size": 64, "window_size": 56, "fullatt_block_indexes": [1]}
        kind: Any = transformers.Qwen2_5_VLConfig
    else:
        vision |= {"embed_dim": 32, "mlp_ratio": 2}
        kind = transformers.Qwen2VLConfig
    vlm = kind(text_config=_qwen_text(tokens), vision_config=vision, **_marks(tokens))
    config = transformers.ColQwen2Config(vlm_config=vlm, embedding_dim=DIM)
    torch.manual_seed(seed)
    transformers.ColQwen2ForRetrieval(config).save_pretrained(folder)
    images = transformers.Qwen2VLImageProcessorPil(min_pixels=4 * 28 * 28, max_pixels=768 * 28 * 28)
    transformers.ColQwen2Processor(images, tokens).save_pretrained(folder)
    return folder


def colpali(folder: Path) -> Path:
    """ColPali on PaliGemma: pictures of 56 x 56, 4 x 4 patches."""
    tokens = tokenizer(["<image>"], pad_token="<pad>", eos_token="<eos>", bos_token="<bos>")
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 56,
        "patch_size": 14,
        "projection_dim": 32,
    }
    text = {
        "model_type": "gemma",
        "vocab_size": len(tokens) + 1100,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "pad_token_id": tokens.pad_token_id,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
    }
    vlm = transformers.PaliGemmaConfig(
        text_config=text,
        vision_config=vision,
        projection_dim=32,
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(4)
    config = transformers.ColPaliConfig(vlm_config=vlm, embedding_dim=DIM)
    transformers.ColPaliForRetrieval(config).save_pretrained(folder)
    images = transformers.SiglipImageProcessorPil(size={"height": 56, "width": 56})
    images.image_seq_length = 16
    transformers.ColPaliProcessor(images, tokens).save_pretrained(folder)
    return folder


def colmodernvbert(folder: Path) -> Path:
    """ColModernVBert: tiles of 64 x 64, each 4 tokens, and the whole picture behind them."""
    marks = [f"<row_{row + 1}_col_{column + 1}>" for row in range(6) for column in range(6)]
    around = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"]
    tokens = tokenizer([*around, *marks], pad_token="<pad>", eos_token="<eos>", bos_token="<bos>")
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 64,
        "patch_size": 16,
        "model_type": "siglip_vision_model",
    }
    text = {
        "model_type": "modernbert",
        "vocab_size": len(tokens),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "pad_token_id": tokens.pad_token_id,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "cls_token_id": tokens.bos_token_id,
        "sep_token_id": tokens.eos_token_id,
    }
    vlm = transformers.ModernVBertConfig(
        text_config=text,
        vision_config=vision,
        pixel_shuffle_factor=2,
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(5)
    config = transformers.ColModernVBertConfig(vlm_config=vlm, embedding_dim=DIM)
    transformers.ColModernVBertForRetrieval(config).save_pretrained(folder)
    images = transformers.Idefics3ImageProcessorPil(size={"longest_edge": 192}, max_image_size={"longest_edge": 64})
    transformers.ColModernVBertProcessor(images, tokens, image_seq_len=4).save_pretrained(folder)
    return folder


def qwen3_vl(folder: Path) -> Path:
    """Qwen3-VL as Qwen3-VL-Embedding ships it: the model that writes, whose last state is the vector."""
    tokens = tokenizer(_QWEN, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "out_hidden_size": 32,
        "num_heads": 4,
        "intermediate_size": 64,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    config = transformers.Qwen3VLConfig(
        text_config=_qwen_text(tokens, head_dim=8), vision_config=vision, **_marks(tokens)
    )
    torch.manual_seed(6)
    transformers.Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
    tokens.save_pretrained(folder)
    images = transformers.Qwen2VLImageProcessorPil(
        patch_size=16, merge_size=2, temporal_patch_size=2, min_pixels=4 * 32 * 32, max_pixels=1280 * 32 * 32
    )
    images.save_pretrained(folder)
    return folder


_OWN_CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel


class TinyConfig(PretrainedConfig):
    model_type = "tiny_colembed"


class TinyModel(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.words = torch.nn.Embedding(256, 16)
        self.post_init()

    def _rows(self, lists):
        made = [self.words(torch.tensor(one)) for one in lists]
        return torch.nn.utils.rnn.pad_sequence(made, batch_first=True)

    def forward_queries(self, queries, batch_size=8):
        return self._rows([list(query.encode()) for query in queries])

    def forward_images(self, images, batch_size=8):
        tall = [[image.width // 32] * (image.height // 32) for image in images]
        return self._rows([[image.getpixel((0, 0))[0], *one] for image, one in zip(images, tall)])
"""


def own_code(folder: Path) -> Path:
    """A model with code of its own that has Nemotron ColEmbed V2's two methods, and leaves a mark when it is run."""
    import importlib.util
    import json

    folder.mkdir(parents=True, exist_ok=True)
    mark = f"open({str(folder / 'ran')!r}, 'w').close()\n"
    (folder / "modeling_tiny.py").write_text(_OWN_CODE + "\n" + mark)
    spec = importlib.util.spec_from_file_location("modeling_tiny", folder / "modeling_tiny.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(7)
    module.TinyModel(module.TinyConfig()).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "modeling_tiny.TinyConfig", "AutoModel": "modeling_tiny.TinyModel"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "ran").unlink()
    return folder
