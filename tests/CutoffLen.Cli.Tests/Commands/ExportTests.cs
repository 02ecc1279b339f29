using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;

namespace CutoffLen.Cli.Tests.Commands;

/// <summary>The verb; what is in the file is tested by llama.cpp, in tests/CutoffLen.LlamaCppTests.</summary>
public sealed class ExportTests : IDisposable
{
    private static readonly string Demo = Path.Combine(Repository.Root, "configs", "demo", "model");
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void A_checkpoint_becomes_one_file()
    {
        var report = JsonNode.Parse(Cutoff.Run("export", "--model", Demo, "--out", folder["demo.gguf"], "--type", "q8_0", "--json").Exits(0).Output)!;
        Assert.Equal(("llama", "q8_0", "rope"), ((string)report["architecture"]!, (string)report["type"]!, (string)report["method"]!));
        Assert.Equal((long)report["bytes"]!, folder.LengthOf("demo.gguf"));
        // 34 bytes for 32 numbers; rows of 688 are no whole blocks, so six matrices are float16. The rest is norms, names and the tokenizer.
        const int Halves = 6 * 256 * 688;
        Assert.InRange(folder.LengthOf("demo.gguf") - (2 * Halves) - ((5_270_784 - Halves) * 34 / 32), 13 * 256 * 4, 60_000);
        Assert.Contains("6 matrices have rows that are no multiple of 32", (string)Assert.Single(report["notes"]!.AsArray(), note => ((string)note!).Contains("rows", StringComparison.Ordinal))!, StringComparison.Ordinal);
        Assert.Matches("(?m)^positions +rope: freq_base 10000$", Cutoff.Run("export", "--model", Demo, "--out", folder["demo.gguf"]).Exits(0).Output);
        Assert.Equal([folder["demo.gguf"]], Directory.GetFiles(folder.Root));
    }

    [Fact]
    public void Adapters_are_refused_with_what_to_do()
    {
        var adapters = Golden.Path("adapters/pissa/adapter-plain");
        var error = Assert.Single(Cutoff.Run("export", "--model", adapters, "--out", folder["a.gguf"]).Exits(1).ErrorLines);
        Assert.Contains($"cutoff merge --model {adapters}", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stopped_export_leaves_nothing()
    {
        Assert.Throws<OperationCanceledException>(() => GgufExport.Write(Demo, folder["demo.gguf"], stop: new CancellationToken(canceled: true)));
        Assert.Empty(Directory.GetFiles(folder.Root));
    }

    [Theory]
    [InlineData("--type", "q4_0", "q8_0")]
    [InlineData("--format", "onnx", "gguf")]
    [InlineData("--out", "", "is a folder")]
    public void What_cannot_be_is_one_line(string option, string value, string expected)
    {
        var error = Assert.Single(Cutoff.Run(
            ["export", "--model", Demo, .. option == "--out" ? [] : new[] { "--out", folder["x.gguf"] }, option, option == "--out" ? folder.Root : value]).Exits(1).ErrorLines);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(folder.Root));
    }

    public void Dispose() => folder.Dispose();
}
