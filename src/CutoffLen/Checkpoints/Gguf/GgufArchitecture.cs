using CutoffLen.Common;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>
/// A network under llama.cpp's names (src/llama-arch.cpp) and in its order of rows. Architecture <c>llama</c> holds LLaMA and Mistral, and those of
/// the other families under frequencies that need a list of factors, which <c>qwen2</c> and <c>smollm3</c> do not read.
/// </summary>
internal sealed class GgufArchitecture
{
    private readonly LlamaConfig config;
    private readonly GgufPositions positions;

    /// <summary>Chooses the architecture.</summary>
    /// <exception cref="UserException">llama.cpp has none for this network under these positions.</exception>
    public GgufArchitecture(LlamaConfig config, GgufPositions positions)
    {
        (this.config, this.positions) = (config, positions);
        if (config.Family.QueryKeyNorm == QueryKeyNorm.Head && positions.Factors.Count > 0)
        {
            throw new UserException("llama.cpp's qwen3 takes rope, abf, linear, ntk and yarn (beta_fast 32, beta_slow 1) only");
        }

        Name = config.Family.QueryKeyNorm == QueryKeyNorm.Head ? "qwen3" : positions.SkipsEveryFourthLayer ? "smollm3"
            : positions.Temperature is not null ? "mistral3"
            : config.ModelType == "qwen2" && positions.Factors.Count == 0 ? "qwen2"
            : "llama";
        if (positions.SkipsEveryFourthLayer && (positions.Factors.Count > 0 || positions.Temperature is not null))
        {
            throw new UserException("llama.cpp's smollm3 takes rope, abf, linear, ntk and yarn (beta_fast 32, beta_slow 1) only, the same for all layers with RoPE");
        }

        if (Name is not ("llama" or "qwen2") && (config.QkvBias || config.OutputBias || config.MlpBias))
        {
            throw new UserException($"llama.cpp's {Name} has no biases, but config.json has \"attention_bias\" or \"mlp_bias\"");
        }
    }

    /// <summary>general.architecture.</summary>
    public string Name { get; }

    /// <summary>Refuses networks that have other parts.</summary>
    /// <exception cref="UserException">It is one.</exception>
    public static void Require(LlamaConfig config)
    {
        if (config.Windows is not null || config.PartialRotaryFactor != 1 || config.Family is { NormsAfter: true } or { FusedProjections: true } or { QueryKeyNorm: QueryKeyNorm.Projection })
        {
            throw new UserException($"no export of {config.ModelType}{(config.Windows is null ? "" : " with a sliding window")}; allowed are llama, mistral, ministral3, qwen2, qwen3 and smollm3 without sliding windows");
        }
    }

    /// <summary>Adds the keys about the network.</summary>
    public void AddTo(GgufMetadata metadata)
    {
        foreach (var (key, value) in new[]
        {
            ("vocab_size", config.VocabSize),
            ("context_length", config.MaxPositionEmbeddings),
            ("embedding_length", config.HiddenSize),
            ("block_count", config.NumHiddenLayers),
            ("feed_forward_length", config.IntermediateSize),
            ("attention.head_count", config.NumAttentionHeads),
            ("attention.head_count_kv", config.NumKeyValueHeads),
            ("attention.key_length", config.HeadDim),
            ("attention.value_length", config.HeadDim),
            ("rope.dimension_count", config.HeadDim),
        })
        {
            metadata.Add($"{Name}.{key}", value);
        }

        metadata.Add($"{Name}.attention.layer_norm_rms_epsilon", (float)config.RmsNormEps);
        positions.AddTo(metadata, Name);
    }

    /// <summary>Every tensor: matrices in the type asked for, vectors in float32.</summary>
    /// <param name="weights">The weights by Hugging Face's names, in float32 on the CPU.</param>
    /// <param name="type">The matrices' type; rows that are no multiple of 32 are float16 where q8_0 is asked for, as in llama.cpp's converter.</param>
    public IEnumerable<GgufTensor> Tensors(WeightSource weights, GgufType type)
    {
        foreach (var (name, values) in positions.Factors)
        {
            yield return new GgufTensor($"{name}.weight", [values.Length], GgufType.F32, () => tensor(Array.ConvertAll(values, value => (float)value)));
        }

        foreach (var (name, shape) in LlamaParameters.Of(config))
        {
            var stored = shape.Length == 1 ? GgufType.F32 : type == GgufType.Q8 && shape[1] % GgufTypes.BlockSize != 0 ? GgufType.F16 : type;
            yield return new GgufTensor(NameOf(name), shape, stored, () => Reordered(name, weights(name, shape).Dense()));
        }
    }

    private Tensor Reordered(string name, Tensor weight) => ReorderedHeads(Name, name, config) is { } heads ? Interleaved(weight, heads) : weight;

    /// <summary>
    /// Heads of a projection whose rows llama.cpp has in another order; null for all other parameters. qwen2 and qwen3 rotate elements n and n + D/2 of a head,
    /// as Hugging Face's weights are ordered; the others rotate 2n and 2n + 1 (llama_model_rope_type).
    /// </summary>
    public static int? ReorderedHeads(string architecture, string name, LlamaConfig config) =>
        architecture is "qwen2" or "qwen3" ? null
        : name.Contains(".q_proj.", StringComparison.Ordinal) ? config.NumAttentionHeads
        : name.Contains(".k_proj.", StringComparison.Ordinal) ? config.NumKeyValueHeads
        : null;

    /// <summary>Rows n and n + D/2 of each head become neighbours, 2n and 2n + 1 (LlamaModel.permute in convert_hf_to_gguf.py).</summary>
    private static Tensor Interleaved(Tensor rows, int heads) =>
        rows.view(heads, 2, rows.shape[0] / heads / 2, -1).transpose(1, 2).reshape(rows.shape); // [H, 2, D/2, C] -> [H, D/2, 2, C]

    /// <summary>The way back.</summary>
    public static Tensor Deinterleaved(Tensor rows, int heads) =>
        rows.view(heads, rows.shape[0] / heads / 2, 2, -1).transpose(1, 2).reshape(rows.shape); // [H, D/2, 2, C] -> [H, 2, D/2, C]

    /// <summary>llama.cpp's name of a parameter.</summary>
    public static string NameOf(string name) => name.Split('.') switch
    {
        ["lm_head", var kind] => $"output.{kind}",
        ["model", "embed_tokens", var kind] => $"token_embd.{kind}",
        ["model", "norm", var kind] => $"output_norm.{kind}",
        ["model", "layers", var layer, "input_layernorm", var kind] => $"blk.{layer}.attn_norm.{kind}",
        ["model", "layers", var layer, "post_attention_layernorm", var kind] => $"blk.{layer}.ffn_norm.{kind}",
        ["model", "layers", var layer, "self_attn", "o_proj", var kind] => $"blk.{layer}.attn_output.{kind}",
        ["model", "layers", var layer, "self_attn", ("q_norm" or "k_norm") and var norm, var kind] => $"blk.{layer}.attn_{norm}.{kind}",
        ["model", "layers", var layer, "self_attn", var projection, var kind] => $"blk.{layer}.attn_{projection[0]}.{kind}",
        ["model", "layers", var layer, "mlp", var projection, var kind] => $"blk.{layer}.ffn_{projection.Split('_')[0]}.{kind}",
        _ => throw new ArgumentException($"llama.cpp has no name for {name}", nameof(name)),
    };
}
