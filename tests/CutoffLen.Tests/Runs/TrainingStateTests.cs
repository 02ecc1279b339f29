using CutoffLen.Common;
using CutoffLen.Runs;

namespace CutoffLen.Tests.Runs;

public sealed class TrainingStateTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""null""")]
    [InlineData("""{"step":3,"settings":null,"machine":{},"trained":{"sequences":1,"targets":1,"beyond_native":0,"positions":[]}}""")]
    [InlineData("""{"step":3,"settings":{},"trained":{"sequences":1,"targets":1,"beyond_native":0,"positions":[]}}""")]
    [InlineData("""{"step":3,"settings":{},"machine":{},"trained":{"sequences":1,"targetz":1,"beyond_native":0,"positions":[]}}""")]
    [InlineData("""{"step":3,"step":4,"settings":{},"machine":{},"trained":{"sequences":1,"targets":1,"beyond_native":0,"positions":[]}}""")]
    [InlineData("""{"step":3,"settings":{"seed":null},"machine":{},"trained":{"sequences":1,"targets":1,"beyond_native":0,"positions":[]}}""")]
    [InlineData("""{"step":3,"settings":{},"machine":{},"trained":{"sequences":1,"targets":1,"beyond_native":0,"positions":[null]}}""")]
    public void A_damaged_state_is_named_and_nothing_is_taken_for_0(string json)
    {
        var path = folder.Write("training_state.json", json);
        Assert.StartsWith($"{path}: ", Assert.Throws<UserException>(() => TrainingState.Read(folder.Root)).Message);
    }
}
