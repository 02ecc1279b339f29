using System.Text.Json.Nodes;

namespace CutoffLen.Tests.Cli;

/// <summary>The demo with its real model and texts, through the executable.</summary>
public sealed class DemoTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void From_any_folder_it_shows_the_model_begins_and_keeps_what_it_did_when_interrupted()
    {
        var stopped = CutoffProcess.RunUntil("TERM", () => folder.LengthOf("runs/demo/results.jsonl") > 2000, ["demo"], folder.Root).Exits(143);
        Assert.Contains("native 256 tokens", stopped.Output);
        Assert.Contains("15 cells: 9 before fine-tuning, 6 after", stopped.Error);
        Assert.Contains("start it again to go on", stopped.Error);
        Assert.True(File.ReadAllLines(folder["runs/demo/results.jsonl"]).Length > 1);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void The_context_limit_moves_with_the_cutoff()
    {
        var json = JsonNode.Parse(CutoffProcess.Run(["demo", "--out", folder["out"], "--json"], input: null, timeoutSeconds: 3600).Exits(0).Output)!;
        var cells = json["cells"]!.AsArray();
        Assert.Equal(15, cells.Count);
        Assert.InRange(Limit(cells.Single(cell => (string)cell!["method"]! == "rope" && cell["cutoff"] is null)!), 200, 400);
        // The namesake's claim, with plain RoPE: nothing but the cutoff moves the limit.
        Assert.InRange(Limit(Tuned("rope", 512)), 450, 900);
        Assert.InRange(Limit(Tuned("rope", 1024)), 900, 2048);
        Assert.All(cells.Where(cell => cell!["cutoff"] is not null), cell => Assert.True(Limit(cell!) >= 0.8 * (int)cell!["cutoff"]!, $"{cell["method"]} at {cell["cutoff"]}"));
        Assert.InRange((double)json["slopes"]!.AsArray().Single(slope => (string?)slope!["rope"] == "rope")!["exponent"]!, 0.7, 1.6);
        Assert.True(File.Exists(folder["out/report.html"]));

        JsonNode Tuned(string rope, int cutoff) => cells.Single(cell => (string)cell!["rope"]! == rope && (int?)cell["cutoff"] == cutoff)!;
        static int Limit(JsonNode cell) => (int?)cell["effective_context"]!["tokens"] ?? (int)cell["effective_context"]!["at_least"]!;
    }

    public void Dispose() => folder.Dispose();
}
