namespace CutoffLen.Models.Llama;

/// <summary>RMSNorm of queries and keys, before any position encoding.</summary>
public enum QueryKeyNorm
{
    /// <summary>None.</summary>
    None,

    /// <summary>Over each head, with one weight [D] for all heads (Qwen3).</summary>
    Head,

    /// <summary>Over the whole projection, with a weight [H*D] or [K*D] (OLMo 2).</summary>
    Projection,
}

/// <summary>Which layers have a sliding window, by the keys of config.json.</summary>
public enum WindowKeys
{
    /// <summary>None.</summary>
    None,

    /// <summary>All, of <c>sliding_window</c> tokens; null for none.</summary>
    EveryLayer,

    /// <summary>With <c>use_sliding_window</c> those of <c>layer_types</c>; without that list those from <c>max_window_layers</c> on.</summary>
    MaxWindowLayers,

    /// <summary>With <c>use_sliding_window</c> those of <c>layer_types</c>; without that list those without RoPE.</summary>
    NoRopeLayers,
}

/// <summary>
/// A model type of transformers: what its network has beside LLaMA's, and the defaults of its config.json
/// (models/TYPE/configuration_TYPE.py of version 5, huggingface/transformers @ 008e574; mistral's @ 001f85b).
/// </summary>
/// <param name="ModelType">Hugging Face's model_type.</param>
/// <param name="Architecture">The class in transformers.</param>
public sealed record LlamaFamily(string ModelType, string Architecture)
{
    /// <summary>Every model type, LLaMA's first.</summary>
    public static IReadOnlyList<LlamaFamily> All { get; } =
    [
        new("llama", "LlamaForCausalLM") { HasMlpBias = true, KeyHeadsMayBeAbsent = true },
        new("mistral", "MistralForCausalLM") { AttentionBias = false, Windows = WindowKeys.EveryLayer, AbsentWindow = 4096 },
        new("ministral3", "Ministral3ForCausalLM") { AttentionBias = false, Windows = WindowKeys.EveryLayer, RmsNormEps = 1e-5, HeadDim = 128 },
        new("qwen2", "Qwen2ForCausalLM") { AttentionBias = true, HasOutputBias = false, Windows = WindowKeys.MaxWindowLayers, AbsentWindow = 4096 },
        new("qwen3", "Qwen3ForCausalLM") { QueryKeyNorm = QueryKeyNorm.Head, Windows = WindowKeys.MaxWindowLayers, AbsentWindow = 4096, HeadDim = 128 },
        new("smollm3", "SmolLM3ForCausalLM") { HasMlpBias = true, TieWordEmbeddings = true, Windows = WindowKeys.NoRopeLayers },
        new("phi3", "Phi3ForCausalLM")
        {
            AttentionBias = false, FusedProjections = true, HasPartialRotary = true, Windows = WindowKeys.EveryLayer, RmsNormEps = 1e-5, KeyHeadsMayBeAbsent = true,
        },
        new("olmo2", "Olmo2ForCausalLM") { QueryKeyNorm = QueryKeyNorm.Projection, NormsAfter = true, RmsNormEps = 1e-5, KeyHeadsMayBeAbsent = true },
    ];

    /// <summary>The norm of queries and keys.</summary>
    public QueryKeyNorm QueryKeyNorm { get; init; }

    /// <summary>Whether a layer norms the results of attention and MLP, instead of their inputs (OLMo 2).</summary>
    public bool NormsAfter { get; init; }

    /// <summary>Whether q, k, v are one parameter qkv_proj, and gate and up one gate_up_proj (Phi-3).</summary>
    public bool FusedProjections { get; init; }

    /// <summary>Whether the key partial_rotary_factor is read.</summary>
    public bool HasPartialRotary { get; init; }

    /// <summary>Which layers have a sliding window.</summary>
    public WindowKeys Windows { get; init; }

    /// <summary>The sliding window, in tokens, where the key is missing; null for none.</summary>
    public int? AbsentWindow { get; init; }

    /// <summary>Whether q, k, v have biases; null where attention_bias says.</summary>
    public bool? AttentionBias { get; init; }

    /// <summary>Whether attention's output projection has a bias where q, k, v have one.</summary>
    public bool HasOutputBias { get; init; } = true;

    /// <summary>Whether the key mlp_bias is read.</summary>
    public bool HasMlpBias { get; init; }

    /// <summary>tie_word_embeddings where the key is missing.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>rms_norm_eps where the key is missing.</summary>
    public double RmsNormEps { get; init; } = 1e-6;

    /// <summary>head_dim where the key is missing; null for hidden_size / num_attention_heads.</summary>
    public int? HeadDim { get; init; }

    /// <summary>Whether num_key_value_heads may be missing, which means num_attention_heads.</summary>
    public bool KeyHeadsMayBeAbsent { get; init; }

    /// <summary>The family of a model_type; null for an unknown one.</summary>
    public static LlamaFamily? Find(string modelType) => All.FirstOrDefault(family => family.ModelType == modelType);
}
