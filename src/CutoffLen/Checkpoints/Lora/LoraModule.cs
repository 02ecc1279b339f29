using CutoffLen.Models.Llama;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>
/// A module with a low-rank adapter, and PEFT's names and shapes of the adapter's tensors, without PEFT's prefix. A linear
/// layer's weight is [out, in]; the embedding's is [in, out]: a token's row for each of V inputs.
/// </summary>
/// <param name="Name">The module, for example model.layers.0.self_attn.q_proj.</param>
/// <param name="WeightShape">The shape of its weight.</param>
/// <param name="R">Rank.</param>
/// <param name="Scale">What the product is multiplied by.</param>
public sealed record LoraModule(string Name, long[] WeightShape, int R, double Scale)
{
    /// <summary>Whether it is the embedding; otherwise it is a linear layer.</summary>
    public bool IsEmbedding => Weight == LlamaParameters.Embedding;

    /// <summary>The module's own weight.</summary>
    public string Weight => Name + ".weight";

    /// <summary>The module's own bias.</summary>
    public string Bias => Name + ".bias";

    /// <summary>A, [r, in].</summary>
    public (string Name, long[] Shape) A => (Name + (IsEmbedding ? ".lora_embedding_A" : ".lora_A.weight"), [R, In]);

    /// <summary>B, [out, r].</summary>
    public (string Name, long[] Shape) B => (Name + (IsEmbedding ? ".lora_embedding_B" : ".lora_B.weight"), [Out, R]);

    /// <summary>B's bias, [out].</summary>
    public (string Name, long[] Shape) LoraBias => (Name + ".lora_B.bias", [Out]);

    /// <summary>DoRA's magnitudes, [out].</summary>
    public (string Name, long[] Shape) Magnitude => (Name + ".lora_magnitude_vector", [Out]);

    private long In => WeightShape[IsEmbedding ? 0 : 1];

    private long Out => WeightShape[IsEmbedding ? 1 : 0];
}
