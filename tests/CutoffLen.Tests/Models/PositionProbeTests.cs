using CutoffLen.Checkpoints;
using CutoffLen.Models;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Tests.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models;

/// <summary>Every method and modifier inside a real model: its answers change wherever the tables say that they must.</summary>
public sealed class PositionProbeTests
{
    public static TheoryData<string> Specs => MethodPropertyTests.Specs;

    [Theory]
    [MemberData(nameof(Specs))]
    public void The_model_answers_as_the_tables_say(string spec)
    {
        using var scope = NewDisposeScope();
        using var checkpoint = HuggingFaceCheckpoint.Open(Golden.Path("tiny-random-llama"));
        // The head dimension of MethodPropertyTests' model; CLEX's weights and the order of the pairs are not part of the network.
        var config = checkpoint.Config;
        var model = new LlamaForCausalLM(config with
        {
            Clex = ClexGoldenTests.Weights(config.HeadDim),
            PairRanks = MethodPropertyTests.Ranks(config.NumHiddenLayers * config.NumAttentionHeads, config.HeadDim / 2),
        }, checkpoint.Weights());
        var (proof, difference) = PositionProbe.Prove(model, model.Config.SetupFor(PositionMethods.Parse(spec), 256));
        Assert.True(float.IsFinite((float)difference), $"{spec}: the largest difference is {difference}");
        Assert.Equal(proof.DiffersFromVanilla, difference > 1e-3);
    }
}
