using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using CutoffLen.Tests.Positions.Methods;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints;

/// <summary>DPE's order of the pairs travels with the checkpoint, whatever dtype the weights are stored in.</summary>
public sealed class PairOrderCheckpointTests : IDisposable
{
    private static readonly LlamaConfig Config = TinyCheckpoint.Config with
    {
        HeadDim = 8,
        PairRanks = MethodPropertyTests.Ranks(TinyCheckpoint.Config.NumHiddenLayers * TinyCheckpoint.Config.NumAttentionHeads, 4),
    };

    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void It_is_read_back_as_it_was_saved(ScalarType dtype)
    {
        TinyCheckpoint.Save(folder["a"], Config, dtype: dtype);
        using var checkpoint = HuggingFaceCheckpoint.Open(folder["a"]);
        Assert.Equal(Config.PairRanks, checkpoint.Config.PairRanks);
        Assert.Equal(Config.PairRanks, checkpoint.Config.Positions.PairRanks);
        TinyCheckpoint.Save(folder["b"], Config with { PairRanks = null });
        using var without = HuggingFaceCheckpoint.Open(folder["b"]);
        Assert.Null(without.Config.PairRanks);
    }

    [Fact]
    public void Another_shape_and_what_is_no_order_are_errors()
    {
        Assert.Contains("[2, 4, 4], each head with the numbers 0 to 3", Problem([.. Config.PairRanks!, .. Config.PairRanks!]), StringComparison.Ordinal);
        Assert.Contains("model.dpe.pair_ranks must be I32", Problem([.. Config.PairRanks!.Select(_ => 1)]), StringComparison.Ordinal);
    }

    private string Problem(int[] ranks)
    {
        TinyCheckpoint.Save(folder["a"], Config with { PairRanks = ranks });
        return Assert.Throws<UserException>(() => HuggingFaceCheckpoint.Open(folder["a"])).Message;
    }
}
