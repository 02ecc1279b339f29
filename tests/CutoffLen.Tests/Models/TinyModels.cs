using CutoffLen.Models.Llama;
using CutoffLen.Tests.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models;

/// <summary>Small models with random weights for tests of the network and of training.</summary>
internal static class TinyModels
{
    public static LlamaConfig Config(int heads = 4, int keyValueHeads = 2, bool tied = false, int layers = 2) => new()
    {
        VocabSize = 61,
        HiddenSize = 32,
        IntermediateSize = 48,
        NumHiddenLayers = layers,
        NumAttentionHeads = heads,
        NumKeyValueHeads = keyValueHeads,
        HeadDim = 8,
        MaxPositionEmbeddings = 64,
        TieWordEmbeddings = tied,
    };

    /// <summary>The network around the attention that <see cref="MethodPropertyTests.Specs"/> are made for.</summary>
    public static LlamaConfig ForEveryMethod { get; } = Config(MethodPropertyTests.Model.Heads, MethodPropertyTests.Model.KeyValueHeads) with
    {
        HeadDim = MethodPropertyTests.Model.HeadDim,
        MaxPositionEmbeddings = MethodPropertyTests.Model.NativeLength,
        RopeTheta = MethodPropertyTests.Model.Base,
        Clex = MethodPropertyTests.Model.Clex,
        PairRanks = MethodPropertyTests.Model.PairRanks,
    };

    /// <summary>Weights large enough that attention is far from uniform.</summary>
    public static LlamaForCausalLM Random(LlamaConfig config, ScalarType dtype = ScalarType.Float32, ulong seed = 1)
    {
        var generator = new Generator(seed);
        return new LlamaForCausalLM(config, (name, shape) =>
        {
            using var scope = NewDisposeScope();
            var drawn = shape.Length == 1 ? rand(shape, generator: generator) + 0.5 : randn(shape, generator: generator) * 0.3;
            return drawn.to(dtype).DetachFromDisposeScope();
        });
    }

    public static Tensor Tokens(LlamaConfig config, int batch, int length, int seed = 7)
    {
        var random = new Random(seed);
        var ids = Enumerable.Range(0, batch * length).Select(_ => (long)random.Next(config.VocabSize)).ToArray();
        return tensor(ids, [batch, length]);
    }
}
