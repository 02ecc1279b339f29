using System.Text.Json.Nodes;

namespace CutoffLen.Cli.Tests.Commands;

/// <summary>The demo with its real model and texts.</summary>
public sealed class DemoTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void From_any_folder_it_shows_the_model_begins_and_keeps_what_it_did_when_interrupted()
    {
        var stopped = CutoffProcess.RunUntil("TERM", () => folder.LengthOf("runs/demo/results.jsonl") > 2000, ["demo"], folder.Root).Exits(143);
        Assert.Contains("native 256 tokens", stopped.Output);
        Assert.Contains("13 cells: 9 before fine-tuning, 4 after", stopped.Error);
        Assert.Contains("start it again to go on", stopped.Error);
        Assert.True(File.ReadAllLines(folder["runs/demo/results.jsonl"]).Length > 1);
    }

    /// <summary>
    /// The demo's own configuration, reduced to about two minutes of one core: plain RoPE is fine-tuned alone, in steps of 2048
    /// tokens instead of 4096, and 10 documents are measured instead of 30. It holds the demo's claim for plain RoPE, that the
    /// limit moves with the cutoff. It says nothing of the other methods, which 'cutoff demo' compares.
    /// </summary>
    [Fact]
    [Trait("Category", "Slow")]
    public void The_context_limit_moves_with_the_cutoff()
    {
        var demo = Path.Combine(Repository.Root, "configs", "demo");
        var json = JsonNode.Parse(Cutoff.Run(
            "sweep", "--config", Path.Combine(demo, "demo.yaml"), "--out", folder["out"], "--json", "--set",
            $"model={Path.Combine(demo, "model")}", $"data={Path.Combine(demo, "northanger-abbey.jsonl")}", $"eval_data={Path.Combine(demo, "persuasion.jsonl")}",
            "ropes=rope,yarn", "finetune_ropes=rope", "max_steps=20", "tokens_per_step=2k", "save_steps=0", "max_eval_documents=10", "attention=blocked", "dtype=fp32", "device=cpu",
            $"cache_dir={folder["cache"]}").Exits(0).Output)!;
        var cells = json["cells"]!.AsArray();
        Assert.Equal(5, cells.Count);
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
