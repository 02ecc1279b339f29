using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Runs;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Runs;

/// <summary>Whose weights a probe takes. That its peak is the plan's, the tests of <c>cutoff plan</c> say.</summary>
public sealed class MemoryProbeTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public MemoryProbeTests() => TinyCheckpoint.Save(folder["model"]);

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Weights_are_random_where_there_is_a_configuration_alone()
    {
        File.Delete(folder["model/model.safetensors"]);
        Assert.True(Probe(folder["model"]) > 0);
        Assert.True(Probe(folder["model/config.json"]) > 0);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("model.gguf")]
    public void They_are_the_models_in_whatever_format(string file)
    {
        GgufExport.Write(folder["model"], folder["made.gguf"], GgufType.F32);
        if (file == "model.gguf")
        {
            File.Delete(folder["model/model.safetensors"]);
            File.Move(folder["made.gguf"], folder["model/model.gguf"]);
        }

        Assert.True(Probe(folder["model"]) > 0);

        // A file that was cut off is noticed only by who reads it.
        File.WriteAllBytes(folder[$"model/{file}"], File.ReadAllBytes(folder[$"model/{file}"])[..^40]);
        Assert.StartsWith(folder[$"model/{file}"], Assert.Throws<UserException>(() => Probe(folder["model"])).Message, StringComparison.Ordinal);
    }

    private static long Probe(string model) => MemoryProbe.Run(MemoryOutlook.Open(
        new RunConfig { Model = new() { Model = model, Rope = "rope", Device = "cpu", Dtype = "fp32", Threads = get_num_threads() }, Data = new() { CutoffLen = 32 } }, onThisMachine: true));
}
