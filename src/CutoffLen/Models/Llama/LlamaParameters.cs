using CutoffLen.Common;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>Names and shapes of the parameters of an architecture, without the network.</summary>
public static class LlamaParameters
{
    /// <summary>The embedding, [V, C].</summary>
    public const string Embedding = "model.embed_tokens.weight";

    /// <summary>The output head, [V, C]; no parameter of its own where it is tied to the embedding.</summary>
    public const string Head = "lm_head.weight";

    /// <summary>Hugging Face's names and shapes, in the order of <c>named_parameters()</c>.</summary>
    public static IEnumerable<(string Name, long[] Shape)> Of(LlamaConfig config)
    {
        yield return (Embedding, [config.VocabSize, config.HiddenSize]);
        for (var layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            foreach (var (name, shape) in OfLayer(config))
            {
                yield return ($"model.layers.{layer}.{name}", shape);
            }
        }

        yield return ("model.norm.weight", [config.HiddenSize]);
        if (!config.TieWordEmbeddings)
        {
            yield return (Head, [config.VocabSize, config.HiddenSize]);
        }
    }

    /// <summary>The number of parameters; tied embeddings count once.</summary>
    public static long Count(LlamaConfig config) =>
        OfLayer(config).Sum(Size) * config.NumHiddenLayers
        + Of(config with { NumHiddenLayers = 0 }).Sum(Size);

    /// <summary>Whether a parameter is the matrix of a decoder layer's linear module, which quantization keeps in 4 bits.</summary>
    public static bool IsProjection(string name, long[] shape) => shape.Length == 2 && name is not (Embedding or Head);

    /// <summary>The numbers of all these matrices, and of the largest.</summary>
    public static (long Count, long Largest) Projections(LlamaConfig config)
    {
        var sizes = OfLayer(config).Where(parameter => IsProjection(parameter.Name, parameter.Shape)).Select(Size).ToList();
        return (sizes.Sum() * config.NumHiddenLayers, sizes.Max());
    }

    private static long Size((string Name, long[] Shape) parameter) =>
        parameter.Shape.Aggregate(1L, (size, length) => checked(size * length));

    private static IEnumerable<(string Name, long[] Shape)> OfLayer(LlamaConfig config)
    {
        long hidden = config.HiddenSize, inner = config.IntermediateSize;
        var (family, norm) = (config.Family, new long[] { hidden });
        var queries = (long)config.NumAttentionHeads * config.HeadDim;
        var keys = (long)config.NumKeyValueHeads * config.HeadDim;
        return
        [
            .. If(!family.NormsAfter, ("input_layernorm.weight", norm)),
            .. family.FusedProjections ? Projection("self_attn.qkv_proj", queries + (2 * keys), hidden, config.QkvBias) :
            [
                .. Projection("self_attn.q_proj", queries, hidden, config.QkvBias),
                .. Projection("self_attn.k_proj", keys, hidden, config.QkvBias),
                .. Projection("self_attn.v_proj", keys, hidden, config.QkvBias),
            ],
            .. Projection("self_attn.o_proj", hidden, queries, config.OutputBias),
            .. If(family.QueryKeyNorm == QueryKeyNorm.Head, ("self_attn.q_norm.weight", [config.HeadDim]), ("self_attn.k_norm.weight", [config.HeadDim])),
            .. If(family.QueryKeyNorm == QueryKeyNorm.Projection, ("self_attn.q_norm.weight", [queries]), ("self_attn.k_norm.weight", [keys])),
            ("post_attention_layernorm.weight", norm),
            .. family.FusedProjections ? Projection("mlp.gate_up_proj", 2 * inner, hidden, config.MlpBias) :
            [
                .. Projection("mlp.gate_proj", inner, hidden, config.MlpBias),
                .. Projection("mlp.up_proj", inner, hidden, config.MlpBias),
            ],
            .. Projection("mlp.down_proj", hidden, inner, config.MlpBias),
            .. If(family.NormsAfter, ("post_feedforward_layernorm.weight", norm)),
        ];
    }

    private static (string Name, long[] Shape)[] If(bool condition, params (string Name, long[] Shape)[] parameters) => condition ? parameters : [];

    private static IEnumerable<(string Name, long[] Shape)> Projection(string name, long outputs, long inputs, bool bias)
    {
        yield return ($"{name}.weight", [outputs, inputs]);
        if (bias)
        {
            yield return ($"{name}.bias", [outputs]);
        }
    }
}

/// <summary>
/// New weights as Hugging Face's LlamaPreTrainedModel draws them. Matrices are normal with standard deviation
/// <see cref="LlamaConfig.InitializerRange"/>, norms are one, biases zero.
/// </summary>
public static class InitialWeights
{
    /// <summary>Every parameter in float32 on the CPU, in the current scope. They depend on the seed, not on the dtype they are stored in.</summary>
    public static IEnumerable<(string Name, Tensor Tensor)> Draw(LlamaConfig config, long seed) =>
        LlamaParameters.Of(config).Select((parameter, number) => (parameter.Name, First(config, parameter.Name, parameter.Shape, seed, number)));

    private static Tensor First(LlamaConfig config, string name, long[] shape, long seed, int number)
    {
        if (shape.Length == 1)
        {
            return name.EndsWith(".bias", StringComparison.Ordinal) ? zeros(shape) : ones(shape);
        }

        using var generator = new Generator(new KeyedRandom(seed, "initial-weights", number).NextBits() >> 1);
        return randn(shape, ScalarType.Float32, generator: generator).mul_(Kept(config.InitializerRange));
    }
}
