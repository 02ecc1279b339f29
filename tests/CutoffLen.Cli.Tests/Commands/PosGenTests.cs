using System.Text.Json.Nodes;

namespace CutoffLen.Cli.Tests.Commands;

public sealed class PosGenTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void Sequences_are_made_and_an_untrained_model_guesses_them()
    {
        string[] task = ["--task", "cot", "--modulus", "5", "--length", "16", "--test-length", "48", "--test", "40"];
        Assert.Contains("train.jsonl", Cutoff.Run(["posgen", "make", .. task, "--train", "3", "--out", folder["data"]]).Exits(0).Output);
        Assert.Equal("""{"prompt": "0123", "completion": "110230033121"}""", File.ReadLines(folder["data/train.jsonl"]).First());
        Cutoff.Run("init", "--config", folder["data/model"], "--out", folder["model"]).Exits(0);
        string[] measure = ["posgen", "accuracy", "--model", folder["model"], .. task, "--rope", "rope", "rope+resonance", "--dtype", "fp32", "--device", "cpu", "--threads", "1", "--attention", "blocked"];
        var json = JsonNode.Parse(Cutoff.Run([.. measure, "--json"]).Exits(0).Output)!;
        Assert.Equal(["rope", "rope+resonance"], json["results"]!.AsArray().Select(result => (string)result!["method"]!));
        Assert.All(json["results"]!.AsArray(), result => Assert.InRange((double)result!["beyond"]!["share"]!, 0.05, 0.5));
        Assert.Contains("rope+resonance", Cutoff.Run([.. measure, "--out", folder["results"]]).Exits(0).Output);
        var kept = File.ReadAllText(folder["results/results.jsonl"]);
        Assert.Equal(json["results"]!.ToJsonString(), JsonNode.Parse(Cutoff.Run([.. measure, "--out", folder["results"], "--json"]).Exits(0).Output)!["results"]!.ToJsonString());
        Assert.Equal(kept, File.ReadAllText(folder["results/results.jsonl"]));
        Assert.Contains("--test-length 8: has to be more than --length 64", Cutoff.Run("posgen", "make", "--test-length", "8", "--out", folder["x"]).Exits(1).Error);
        Assert.False(Directory.Exists(folder["x"]));
    }

    public void Dispose() => folder.Dispose();
}
