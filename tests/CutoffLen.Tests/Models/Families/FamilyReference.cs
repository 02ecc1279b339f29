using System.Text.Json.Nodes;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Tests.Models.Families;

/// <summary>
/// The networks of the families in the dtype of their weights (float64), from the keys of config.json, after transformers'
/// modeling files (qwen3, olmo2 @ 000c33f; phi3, smollm3 @ 00d4b3d; ministral3 @ 00b364c; mistral and qwen2 are alike but for biases),
/// with masks of masking_utils.py and frequencies of modeling_rope_utils.py. It uses nothing of the product; gradients are autograd's.
/// </summary>
/// <param name="config">config.json.</param>
/// <param name="weights">Every parameter by its name in the checkpoint.</param>
internal sealed class FamilyReference(JsonObject config, IReadOnlyDictionary<string, Tensor> weights)
{
    private readonly string type = (string)config["model_type"]!;
    private readonly int heads = (int)config["num_attention_heads"]!;
    private readonly int keyHeads = (int)config["num_key_value_heads"]!;
    private readonly int headDim = HeadDim(config);

    /// <summary>Names and shapes of the parameters.</summary>
    public static IEnumerable<(string Name, long[] Shape)> Parameters(JsonObject config)
    {
        long hidden = Int("hidden_size"), inner = Int("intermediate_size"), vocabulary = Int("vocab_size");
        long q = Int("num_attention_heads") * HeadDim(config), k = Int("num_key_value_heads") * HeadDim(config);
        var type = (string)config["model_type"]!;
        yield return ("model.embed_tokens.weight", [vocabulary, hidden]);
        for (var n = 0; n < Int("num_hidden_layers"); n++)
        {
            var (attention, mlp) = ($"model.layers.{n}.self_attn.", $"model.layers.{n}.mlp.");
            (string, long, long)[] projections = type == "phi3"
                ? [(attention + "qkv_proj", q + k + k, hidden), (attention + "o_proj", hidden, q), (mlp + "gate_up_proj", 2 * inner, hidden), (mlp + "down_proj", hidden, inner)]
                :
                [
                    (attention + "q_proj", q, hidden), (attention + "k_proj", k, hidden), (attention + "v_proj", k, hidden), (attention + "o_proj", hidden, q),
                    (mlp + "gate_proj", inner, hidden), (mlp + "up_proj", inner, hidden), (mlp + "down_proj", hidden, inner),
                ];
            foreach (var (name, outputs, inputs) in projections)
            {
                yield return (name + ".weight", [outputs, inputs]);
                var isOfAttention = name.Contains("self_attn", StringComparison.Ordinal);
                if (type == "qwen2" ? isOfAttention && !name.EndsWith("o_proj", StringComparison.Ordinal) : (bool?)config[isOfAttention ? "attention_bias" : "mlp_bias"] == true)
                {
                    yield return (name + ".bias", [outputs]);
                }
            }

            if (type is "qwen3" or "olmo2")
            {
                yield return (attention + "q_norm.weight", [type == "qwen3" ? HeadDim(config) : q]);
                yield return (attention + "k_norm.weight", [type == "qwen3" ? HeadDim(config) : k]);
            }

            yield return ($"model.layers.{n}.{(type == "olmo2" ? "post_feedforward_layernorm" : "input_layernorm")}.weight", [hidden]);
            yield return ($"model.layers.{n}.post_attention_layernorm.weight", [hidden]);
        }

        yield return ("model.norm.weight", [hidden]);
        if ((bool?)config["tie_word_embeddings"] != true)
        {
            yield return ("lm_head.weight", [vocabulary, hidden]);
        }

        int Int(string key) => (int)config[key]!;
    }

    /// <summary>[B, T] tokens to logits [B, T, V].</summary>
    public Tensor Logits(Tensor tokens)
    {
        var x = weights["model.embed_tokens.weight"].index_select(0, tokens.flatten()).view(tokens.shape[0], tokens.shape[1], -1);
        for (var n = 0; n < (int)config["num_hidden_layers"]!; n++)
        {
            var name = $"model.layers.{n}.";
            if (type == "olmo2")
            {
                x = x + Norm(name + "post_attention_layernorm", Attention(n, x));
                x = x + Norm(name + "post_feedforward_layernorm", Mlp(name + "mlp.", x));
            }
            else
            {
                x = x + Attention(n, Norm(name + "input_layernorm", x));
                x = x + Mlp(name + "mlp.", Norm(name + "post_attention_layernorm", x));
            }
        }

        return Norm("model.norm", x).matmul(weights[(bool?)config["tie_word_embeddings"] == true ? "model.embed_tokens.weight" : "lm_head.weight"].t());
    }

    private static int HeadDim(JsonObject config) => (int?)config["head_dim"] ?? (int)config["hidden_size"]! / (int)config["num_attention_heads"]!;

    private Tensor Mlp(string name, Tensor x)
    {
        if (type != "phi3")
        {
            return Project(name + "down_proj", silu(Project(name + "gate_proj", x)) * Project(name + "up_proj", x));
        }

        var parts = Project(name + "gate_up_proj", x).chunk(2, dim: -1);
        return Project(name + "down_proj", parts[1] * silu(parts[0]));
    }

    private Tensor Attention(int layer, Tensor x)
    {
        var name = $"model.layers.{layer}.self_attn.";
        var (q, k, v) = type == "phi3" ? Split(Project(name + "qkv_proj", x)) : (Project(name + "q_proj", x), Project(name + "k_proj", x), Project(name + "v_proj", x));
        if (type == "olmo2")
        {
            (q, k) = (Norm(name + "q_norm", q), Norm(name + "k_norm", k));
        }

        (q, k, v) = (ByHead(q), ByHead(k), ByHead(v)); // [B, T, N, D]
        if (type == "qwen3")
        {
            (q, k) = (Norm(name + "q_norm", q), Norm(name + "k_norm", k));
        }

        (q, k, v) = (q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)); // [B, N, T, D]
        if (type != "smollm3" || (int)config["no_rope_layers"]![layer]! == 1)
        {
            (q, k) = (Rotate(q), Rotate(k));
        }

        if (type == "ministral3")
        {
            q = q * Temperature(q.shape[2]);
        }

        (k, v) = (k.repeat_interleave(heads / keyHeads, 1), v.repeat_interleave(heads / keyHeads, 1));
        var scores = q.matmul(k.transpose(2, 3)) * Math.Pow(headDim, -0.5); // [B, H, T, T]
        scores = scores.masked_fill(Seen(layer, x.shape[1]).logical_not(), double.NegativeInfinity);
        return Project(name + "o_proj", scores.softmax(-1).matmul(v).transpose(1, 2).flatten(2));

        Tensor ByHead(Tensor heads) => heads.view(heads.shape[0], heads.shape[1], -1, headDim);

        (Tensor, Tensor, Tensor) Split(Tensor qkv) => (
            qkv.narrow(-1, 0, heads * headDim), qkv.narrow(-1, heads * headDim, keyHeads * headDim), qkv.narrow(-1, (heads + keyHeads) * headDim, keyHeads * headDim));
    }

    private Tensor Project(string name, Tensor x)
    {
        var y = x.matmul(weights[name + ".weight"].t());
        return weights.TryGetValue(name + ".bias", out var bias) ? y + bias : y;
    }

    private Tensor Norm(string name, Tensor x) =>
        weights[name + ".weight"] * (x * (x.pow(2).mean([-1], keepdim: true) + (double)config["rms_norm_eps"]!).rsqrt());

    /// <summary>[T, T]: kv_idx &lt;= q_idx, and in a layer with a window kv_idx &gt; q_idx - sliding_window.</summary>
    private Tensor Seen(int layer, long length)
    {
        var (queries, keys) = (arange(length).unsqueeze(-1), arange(length).unsqueeze(0));
        var causal = keys.le(queries);
        return Window(layer) is { } window ? causal.logical_and(keys.gt(queries - window)) : causal;
    }

    private int? Window(int layer)
    {
        var window = (int?)config["sliding_window"];
        if (type is "mistral" or "ministral3" or "phi3")
        {
            return window;
        }

        if ((bool?)config["use_sliding_window"] != true)
        {
            return null;
        }

        var slides = config["layer_types"] is JsonArray types ? (string)types[layer]! == "sliding_attention"
            : type == "smollm3" ? (int)config["no_rope_layers"]![layer]! == 0
            : layer >= (int)config["max_window_layers"]!;
        return slides ? window : null;
    }

    private Tensor Temperature(long length)
    {
        var block = config["rope_parameters"]!;
        var (beta, original) = ((double)block["llama_4_scaling_beta"]!, (double)block["original_max_position_embeddings"]!);
        return tensor([.. Enumerable.Range(0, (int)length).Select(t => 1 + (beta * Math.Log(1 + Math.Floor(t / original))))]).unsqueeze(-1); // [T, 1]
    }

    private Tensor Rotate(Tensor x)
    {
        var length = (int)x.shape[2];
        var dim = (int)(headDim * ((double?)config["partial_rotary_factor"] ?? 1));
        var theta = (double?)config["rope_theta"] ?? (double)config["rope_parameters"]!["rope_theta"]!;
        var (factors, scale) = LongRope(length, dim / 2);
        var frequencies = Enumerable.Range(0, dim / 2).Select(n => Math.Pow(theta, -2.0 * n / dim) / factors[n]).ToArray();
        var angles = tensor([.. Enumerable.Range(0, length).SelectMany(t => frequencies.Concat(frequencies).Select(frequency => t * frequency))], [length, dim]);
        var (rotated, rest) = (x.narrow(-1, 0, dim), x.narrow(-1, dim, headDim - dim));
        var half = cat([-rotated.narrow(-1, dim / 2, dim / 2), rotated.narrow(-1, 0, dim / 2)], -1);
        return cat([(rotated * angles.cos() * scale) + (half * angles.sin() * scale), rest], -1);
    }

    private (double[] Factors, double AttentionScale) LongRope(int length, int count)
    {
        if (config["rope_scaling"] is not JsonObject block)
        {
            return ([.. Enumerable.Repeat(1.0, count)], 1);
        }

        Assert.Equal("longrope", (string?)block["rope_type"]);
        var original = (double)config["original_max_position_embeddings"]!;
        var list = block[length > original ? "long_factor" : "short_factor"]!.AsArray();
        return ([.. list.Select(factor => (double)factor!)], Math.Sqrt(1 + (Math.Log((double)config["max_position_embeddings"]! / original) / Math.Log(original))));
    }
}
