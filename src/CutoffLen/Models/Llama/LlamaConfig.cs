using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Models.Attention;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Models.Llama;

/// <summary>The architecture of a LLaMA-type model, under the names of Hugging Face's config.json.</summary>
public sealed record LlamaConfig : IAttentionShape
{
    /// <summary>Hugging Face's model_type, one of <see cref="LlamaFamily.All"/>.</summary>
    public string ModelType { get; init; } = "llama";

    /// <summary>What the network has beside LLaMA's.</summary>
    public LlamaFamily Family => LlamaFamily.Find(ModelType) ?? throw new InvalidOperationException($"there is no model type {ModelType}");

    /// <summary>V, tokens in the vocabulary.</summary>
    public required int VocabSize { get; init; }

    /// <summary>C, width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the MLP.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Decoder layers.</summary>
    public required int NumHiddenLayers { get; init; }

    /// <summary>H, query heads.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>K, key/value heads; divides H.</summary>
    public required int NumKeyValueHeads { get; init; }

    /// <summary>D, even; hidden_size / num_attention_heads where config.json does not say.</summary>
    public required int HeadDim { get; init; }

    /// <summary>The share of a head that position methods encode, its first numbers (partial_rotary_factor).</summary>
    public double PartialRotaryFactor { get; init; } = 1;

    /// <summary>The sliding window of each layer, in tokens, null for a layer without; null where no layer has one.</summary>
    public IReadOnlyList<int?>? Windows { get; init; }

    /// <summary>Tokens; with rope_scaling of yarn or longrope the extended length.</summary>
    public required int MaxPositionEmbeddings { get; init; }

    /// <summary>Base of the rotary frequencies.</summary>
    public double RopeTheta { get; init; } = 10_000;

    /// <summary>rope_scaling, or version 5's rope_parameters, as read; null for vanilla RoPE.</summary>
    public JsonObject? RopeScaling { get; init; }

    /// <summary>original_max_position_embeddings beside rope_scaling, in tokens, where longrope and we put it; null for none.</summary>
    public int? OriginalMaxPositionEmbeddings { get; init; }

    /// <summary>no_rope_layers of smollm3: 1 for a layer with RoPE, 0 for one without; null for other model types.</summary>
    public IReadOnlyList<int>? NoRopeLayers { get; init; }

    /// <summary>The spec of a method that Hugging Face does not know, from our own key; null for none.</summary>
    public string? PositionMethod { get; init; }

    /// <summary>Epsilon inside RMSNorm's root.</summary>
    public double RmsNormEps { get; init; } = 1e-6;

    /// <summary>Whether the output head shares the embedding's weights.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Biases on the query, key and value projections (attention_bias; always in qwen2).</summary>
    public bool QkvBias { get; init; }

    /// <summary>Bias on attention's output projection (attention_bias).</summary>
    public bool OutputBias { get; init; }

    /// <summary>Biases in the MLP (mlp_bias).</summary>
    public bool MlpBias { get; init; }

    /// <summary>How the projections of the decoder layers are kept; null where all weights are floating point numbers.</summary>
    public Quantization? Quantization { get; init; }

    /// <summary>Standard deviation of newly initialised weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>Token that begins a text, or null.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>Tokens that end a text.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>The weights of CLEX's equation, from a checkpoint trained with it; null in all others.</summary>
    public ClexWeights? Clex { get; init; }

    /// <summary>[L, H, R/2] the order of the pairs of each query head, from a checkpoint that has it (<see cref="PositionModel.PairRanks"/>); null in all others.</summary>
    public int[]? PairRanks { get; init; }

    /// <summary>Tokens the model was trained at before any extension.</summary>
    public int NativeLength => PositionConfig.NativeLength;

    /// <summary>Numbers of a head that position methods encode, rounded down as in transformers.</summary>
    public int RotaryDim => (int)(HeadDim * PartialRotaryFactor);

    /// <summary>What position methods need to know of this model.</summary>
    public PositionModel Positions => new(RotaryDim, RopeTheta, NativeLength, NumAttentionHeads, NumKeyValueHeads)
    {
        UnencodedDim = HeadDim - RotaryDim,
        Layers = NumHiddenLayers,
        Windows = Windows,
        Clex = Clex,
        PairRanks = PairRanks,
    };

    /// <summary>The keys of config.json that are about positions.</summary>
    public PositionConfig PositionConfig => new()
    {
        MaxPositionEmbeddings = MaxPositionEmbeddings,
        RopeTheta = RopeTheta,
        RopeScaling = RopeScaling,
        OriginalMaxPositionEmbeddings = OriginalMaxPositionEmbeddings,
        NoRopeLayers = NoRopeLayers,
        Method = PositionMethod,
    };

    /// <summary>A position method for this model; auto is the checkpoint's own.</summary>
    /// <param name="spec">The method.</param>
    /// <param name="targetLength">Tokens that a missing factor is computed for.</param>
    /// <exception cref="UserException">The method does not fit the model.</exception>
    public PositionSetup SetupFor(PositionSpec spec, int targetLength) => new(PositionConfig.Resolve(spec), Positions, targetLength);

    /// <summary>This model with other positions.</summary>
    public LlamaConfig With(PositionConfig positions) => this with
    {
        MaxPositionEmbeddings = positions.MaxPositionEmbeddings,
        RopeTheta = positions.RopeTheta,
        RopeScaling = positions.RopeScaling,
        OriginalMaxPositionEmbeddings = positions.OriginalMaxPositionEmbeddings,
        NoRopeLayers = positions.NoRopeLayers,
        PositionMethod = positions.Method,
    };
}
