using System.Text.Json.Nodes;
using System.Xml.Linq;

namespace CutoffLen.Cli.Tests.Commands;

/// <summary>RULER's tasks on a model of a few kilobytes, which answers none of them.</summary>
public sealed class RulerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public RulerTests() => TinyCheckpoint.SaveWithTexts(folder, texts: 1);

    [Fact]
    public void Tasks_by_length_are_measured_once()
    {
        string[] line =
        [
            "ruler", "-m", folder["model"], "--lengths", "1k,1500", "--tasks", "niah_single_1", "niah_single_2", "--haystack", folder["texts"], "--samples", "2", "--threshold", "50",
            "--rope", "rope", "linear", "--attention", "blocked", "--out", folder["out"], "--dtype", "fp32", "--device", "cpu", "--threads", "1", "--json",
        ];
        var json = JsonNode.Parse(Cutoff.Run(line).Exits(0).Output)!;
        var results = json["results"]!.AsArray();
        Assert.Equal(["rope", "linear:factor=23.4375"], results.Select(r => (string)r!["method"]!));
        Assert.All(results, r => Assert.Equal(
            [("niah_single_1", 1024), ("niah_single_2", 1024), ("niah_single_1", 1500), ("niah_single_2", 1500)],
            r!["ruler"]!["cells"]!.AsArray().Select(cell => ((string)cell!["task"]!, (int)cell["length"]!))));
        Assert.Null(results[0]!["ruler"]!["effective_length"]);
        Assert.Equal("model,method,task,dtype,1024,1500", File.ReadAllLines(folder["out/ruler.csv"])[0]);
        Assert.Equal(1 + (2 * 3), File.ReadAllLines(folder["out/ruler.csv"]).Length);
        Assert.NotNull(XDocument.Parse(File.ReadAllText(folder["out/ruler.html"])["<!DOCTYPE html>\n".Length..]));

        var again = Cutoff.Run(line[..^1]).Exits(0);
        Assert.Contains("8 from an earlier run", again.Error);
        Assert.Contains("niah_single_2", again.Output);
        Assert.Contains("below 50 % at 1,024 tokens already", again.Output);
        Assert.Equal(results.ToJsonString(), JsonNode.Parse(File.ReadAllText(folder["out/ruler.json"]))!["results"]!.ToJsonString());
        Assert.Contains("unknown task 'niah'", Cutoff.Run("ruler", "-m", folder["model"], "--tasks", "niah", "--out", folder["x"]).Exits(1).Error);
    }

    public void Dispose() => folder.Dispose();
}
