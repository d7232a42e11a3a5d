"""Small random models of the published families, as transformers saves them, with a tokenizer."""

import json

import torch
from transformers import Phi3Config, Phi3ForCausalLM

VOCABULARY = 512

LONGROPE = dict(
    hidden_size=48, num_attention_heads=6, num_key_value_heads=2, tie_word_embeddings=True,
    sliding_window=262144, max_position_embeddings=512, original_max_position_embeddings=16,
    partial_rotary_factor=0.75,
    rope_parameters=dict(rope_type='longrope', rope_theta=10000.0, partial_rotary_factor=0.75,
                         factor=32.0, original_max_position_embeddings=16,
                         short_factor=[1.0, 1.02, 1.05], long_factor=[1.5, 2.0, 3.5]))

# What each family has that others have not, at small sizes; head sizes are hidden / heads.
FAMILIES = {
    'phi4': dict(hidden_size=48, num_attention_heads=8, num_key_value_heads=2,
                 rope_theta=250000.0, max_position_embeddings=64, bos_token_id=5,
                 eos_token_id=6, pad_token_id=7),
    'phi3-mini': dict(hidden_size=48, num_attention_heads=4, num_key_value_heads=4,
                      sliding_window=7, max_position_embeddings=64, bos_token_id=1,
                      eos_token_id=500, pad_token_id=500),
    'phi3-medium': dict(hidden_size=80, num_attention_heads=20, num_key_value_heads=5,
                        sliding_window=11, max_position_embeddings=64, bos_token_id=1,
                        eos_token_id=[500, 501], pad_token_id=None),
    'phi4-mini': dict(**LONGROPE, bos_token_id=99, eos_token_id=99, pad_token_id=99)}


def make_model(family, seed=1):
    sizes = dict(vocab_size=VOCABULARY, intermediate_size=72, num_hidden_layers=2,
                 tie_word_embeddings=False) | FAMILIES[family]
    torch.manual_seed(seed)
    model = Phi3ForCausalLM(Phi3Config(**sizes)).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Norms around 1: the model must be one whose logits tell weights apart.
            parameter.normal_(float(parameter.dim() == 1), 0.2)
    return model


def make_folder(folder, family, dtype=torch.float32, tokenizer=True, **options):
    make_model(family).to(dtype).save_pretrained(folder, **options)
    if tokenizer:
        write_tokenizer(folder)
    return folder


def write_tokenizer(folder, size=VOCABULARY):
    """What import carries without reading it; only the ids in tokenizer.json are looked at."""
    vocabulary = {f't{i}': i for i in range(size)}
    (folder / 'tokenizer.json').write_text(json.dumps(
        {'version': '1.0', 'truncation': None, 'padding': None,
         'added_tokens': [{'id': size - 1, 'content': f't{size - 1}', 'single_word': False,
                           'lstrip': True, 'rstrip': True, 'normalized': False, 'special': True}],
         'normalizer': None, 'pre_tokenizer': {'type': 'Whitespace'}, 'post_processor': None,
         'decoder': None,
         'model': {'type': 'WordLevel', 'vocab': vocabulary, 'unk_token': 't0'}}))
    (folder / 'tokenizer_config.json').write_text(json.dumps(
        {'tokenizer_class': 'PreTrainedTokenizerFast', 'eos_token': f't{size - 1}'}))
    (folder / 'special_tokens_map.json').write_text(json.dumps({'eos_token': f't{size - 1}'}))
    (folder / 'chat_template.jinja').write_text(
        "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}")
