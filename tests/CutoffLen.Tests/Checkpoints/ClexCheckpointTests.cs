using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;
using CutoffLen.Tests.Positions.Methods;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints;

/// <summary>CLEX's weights travel with the checkpoint, though they are no parameters of the network.</summary>
public sealed class ClexCheckpointTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    private static LlamaConfig Config => TinyCheckpoint.Config with
    {
        Clex = ClexGoldenTests.Weights(TinyCheckpoint.Config.HeadDim),
        RopeScaling = JsonNode.Parse("""{"type": "clex", "max_factor": 4, "param_factor": 1, "act": "tanh", "time_dt": 0.1}""")!.AsObject(),
    };

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void They_are_read_back_as_they_were_saved_and_give_the_same_method()
    {
        TinyCheckpoint.Save(folder["a"], Config);
        using var checkpoint = HuggingFaceCheckpoint.Open(folder["a"]);
        Assert.Equal(Config.Clex!.Up, checkpoint.Config.Clex!.Up);
        Assert.Equal(Config.Clex.Down, checkpoint.Config.Clex.Down);
        Assert.Equal(Config.Clex.Width, checkpoint.Config.Clex.Width);
        var spec = checkpoint.Config.PositionConfig.Resolve(PositionMethods.Parse("auto"));
        Assert.Equal("clex:max_factor=4,original=64,time_dt=0.1,act=tanh,param_factor=1", spec.ToString());
        Assert.Equal(HashOf(spec, Config.Positions), HashOf(spec, checkpoint.Config.Positions));
        Assert.NotNull(checkpoint.Load());
    }

    [Fact]
    public void Checkpoints_without_them_have_none()
    {
        TinyCheckpoint.Save(folder["a"]);
        using var checkpoint = HuggingFaceCheckpoint.Open(folder["a"]);
        Assert.Null(checkpoint.Config.Clex);
    }

    [Fact]
    public void One_of_the_two_alone_or_shapes_that_do_not_fit_are_errors()
    {
        TinyCheckpoint.Save(folder["a"], Config with { Clex = Config.Clex! with { Down = [.. Config.Clex.Down, 0, 0, 0, 0] } });
        Assert.Contains("transpose", Assert.Throws<UserException>(() => HuggingFaceCheckpoint.Open(folder["a"])).Message, StringComparison.Ordinal);

        var path = Path.Combine(folder["a"], "model.safetensors");
        var bytes = File.ReadAllBytes(path);
        var at = bytes.AsSpan().IndexOf("ode_down_proj"u8);
        "ode_dawn_proj"u8.CopyTo(bytes.AsSpan(at));
        File.WriteAllBytes(path, bytes);
        var problem = Assert.Throws<UserException>(() => HuggingFaceCheckpoint.Open(folder["a"])).Message;
        Assert.Contains("unexpected tensors", problem, StringComparison.Ordinal);
        Assert.Contains("belong together", problem, StringComparison.Ordinal);
    }

    private static string HashOf(PositionSpec spec, PositionModel model) =>
        PositionProof.HashOf(new PositionSetup(spec, model).Method.Bands(TokenPositions.Sequential(200)));
}
