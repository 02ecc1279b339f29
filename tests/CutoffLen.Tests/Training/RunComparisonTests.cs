using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Runs;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

public sealed class RunComparisonTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void Runs_that_made_the_same_have_no_differences()
    {
        var compared = RunComparison.Of(Run("one"), Run("other"), 2);
        Assert.All(compared, values => Assert.Equal(0, values.Different));
        Assert.Equal(
            [("optimizer's exp_avg", 6L), ("weights", 5L), ("finished weights", 5L)], compared.Take(3).Select(values => (values.What, values.Values)));
    }

    [Fact]
    public void Every_bit_counts()
    {
        var one = Run("one");
        Assert.Equal(("weights", 1), Difference(one, Run("bit", weight: MathF.BitIncrement(1))));
        Assert.Equal(("optimizer's exp_avg", 6), Difference(one, Run("moment", moment: 3)));
        Assert.Equal(("loss of each step", 1), Difference(one, Run("loss", loss: 0.30000000000000004)));
        Assert.Equal(("data of each step", 1), Difference(one, Run("order", data: "00000001")));
        Assert.Equal(("finished weights", 5), Difference(one, Run("missing", final: false)));
        Assert.Equal(("finished weights", 5), Difference(Run("missing too", final: false), one));
        Assert.Equal(("loss of each step", 1), Difference(one, Run("no loss", loss: null)));
        Assert.All(RunComparison.Of(Run("none", loss: null), new RunFolder(folder["no loss"]), 2), values => Assert.Equal(0, values.Different));
        Assert.Equal(4, RunComparison.Of(one, Run("short", lines: 1), 2).Count(values => values.Different == 1));
    }

    public void Dispose() => folder.Dispose();

    private static (string What, long Different) Difference(RunFolder one, RunFolder other)
    {
        var different = RunComparison.Of(one, other, 2).Single(values => values.Different > 0);
        return (different.What, different.Different);
    }

    private RunFolder Run(string name, float weight = 1, float moment = 2, double? loss = 0.3, string data = "00000000", bool final = true, int lines = 2)
    {
        using var scope = NewDisposeScope();
        var run = new RunFolder(folder[name]);
        Directory.CreateDirectory(run.Checkpoint(2));
        Directory.CreateDirectory(run.Final);
        (string, Tensor)[] weights = [("a.weight", tensor(new[] { 1f, weight, 3f })), ("b.weight", zeros(2))];
        SafetensorsWriter.Write(Path.Combine(run.Checkpoint(2), "model.safetensors"), weights);
        SafetensorsWriter.Write(Path.Combine(run.Checkpoint(2), "optimizer.safetensors"), [("exp_avg.a.weight", ones(3) * moment), ("exp_avg.b.weight", ones(3) * moment)]);
        if (final)
        {
            SafetensorsWriter.Write(Path.Combine(run.Final, "model.safetensors"), [("a.weight", ones(3)), ("b.weight", zeros(2))]);
        }

        for (var step = 1; step <= lines; step++)
        {
            run.Log(new LogLine(step, 0.5, step == 2 ? loss : 1, 1, 1e-3, step + (loss ?? 0), 1, step == 2 ? data : "ff"));
        }

        return run;
    }
}
