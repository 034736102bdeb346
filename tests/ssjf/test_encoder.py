import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from credence.bench.errors import InputError
from credence.ssjf.model import encoder
from credence.ssjf.model.network import ProxyNet, padded, word_pieces


def small_bert(**changes):
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24, **changes
    )
    return BertModel(config).eval()


def states(model, ids, mask):
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).last_hidden_state


IDS, MASK = padded([np.array([2, 7, 9, 11, 3]), np.array([2, 8, 3])], 0)


def test_a_bert_of_any_shape_computes_the_same_as_distilbert():
    bert = small_bert()
    ours = encoder.distilbert_of(bert)
    seen = MASK.bool()
    assert (states(bert, IDS, MASK) - states(ours, IDS, MASK))[seen].abs().max() < 1e-5


def test_the_token_type_matters():
    bert = small_bert()
    weights = encoder.renamed_weights(bert.state_dict(), 3)
    plain = bert.state_dict()["embeddings.position_embeddings.weight"]
    assert not torch.equal(weights["embeddings.position_embeddings.weight"], plain)


def test_a_bert_that_distilbert_cannot_be_is_refused():
    with pytest.raises(InputError, match="1e-12"):
        encoder.distilbert_of(small_bert(layer_norm_eps=1e-5))


def test_the_packaged_weights_convert_exactly():
    ours = encoder.load_encoder()
    assert ours.label == "DistilBERT architecture, MiniLM-L6 weights"
    assert type(ours.model).__name__ == "DistilBertModel"
    theirs = BertModel.from_pretrained(encoder.minilm_folder(), use_safetensors=True).eval()
    pieces = word_pieces(ours.tokenizer, ["Write a poem on the sea.", "Why?"], 64)
    ids, mask = padded(pieces, ours.tokenizer.pad_token_id)
    difference = (states(theirs, ids, mask) - states(ours.model, ids, mask))[mask.bool()]
    assert difference.abs().max() < 1e-5


def test_the_digest_sees_one_changed_number():
    model = encoder.distilbert_of(small_bert())
    before = encoder.weights_digest(model)
    assert before == encoder.weights_digest(encoder.distilbert_of(small_bert()))
    with torch.no_grad():
        model.transformer.layer[1].ffn.lin1.bias[0] += 1e-3
    assert encoder.weights_digest(model) != before


@pytest.mark.parametrize("wrong", ["no/such/folder", "empty"])
def test_a_missing_encoder_is_named(tmp_path, wrong):
    place = tmp_path if wrong == "empty" else tmp_path / wrong
    with pytest.raises(InputError, match="allowed: a folder"):
        encoder.load_encoder(place)


def test_a_folder_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(InputError, match="'gpt2'; allowed: distilbert, bert"):
        encoder.load_encoder(tmp_path)


@pytest.mark.parametrize("layers", [0, 2, 3])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_frozen_layers_first_gives_the_same_summary_as_all_at_once(layers, pooling):
    net = ProxyNet(encoder.distilbert_of(small_bert()), 1, pooling).eval()
    with torch.no_grad():
        apart = net.upper(net.lower(IDS, MASK, layers), MASK, layers)
        whole = states(net.encoder, IDS, MASK)
    for row, size in enumerate((5, 3)):
        wanted = whole[row, 0] if pooling == "first" else whole[row, :size].mean(0)
        torch.testing.assert_close(apart[row], wanted, atol=1e-5, rtol=0)


class Words:
    cls_token_id, sep_token_id = 1, 2

    def __call__(self, texts, **_):
        return {"input_ids": [[int(word) for word in text.split()] for text in texts]}


def test_long_prompts_keep_tail_or_head_and_tail():
    text = " ".join(str(number) for number in range(10, 30))
    assert word_pieces(Words(), [text], 6, "tail")[0].tolist() == [1, 26, 27, 28, 29, 2]
    assert word_pieces(Words(), [text], 10, "head and tail")[0].tolist() == [1, 10, 11, *range(24, 30), 2]
    assert word_pieces(Words(), ["10 11"], 10, "head and tail")[0].tolist() == [1, 10, 11, 2]
    assert word_pieces(Words(), [], 10) == []
    with pytest.raises(InputError, match="max_tokens is 2"):
        word_pieces(Words(), [text], 2)
