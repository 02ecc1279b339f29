using System.Text.Json.Nodes;
using System.Xml.Linq;

namespace CutoffLen.Cli.Tests.Commands;

/// <summary>Sweeps and passkeys of a model of a few kilobytes.</summary>
public sealed class EvalPplTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public EvalPplTests() => TinyCheckpoint.SaveWithTexts(folder, texts: 4);

    [Fact]
    public void A_sweep_leaves_a_table_a_csv_a_json_and_a_report()
    {
        var result = Eval("run", "--rope", "rope", "linear", "yarn:factor=4", "--protocol", "pi-s256", "lmeval-disjoint", "--stride", "32", "--longppl", "64", "--attention-resolution", "48");
        // lmeval-disjoint has no stride to change.
        Assert.Contains("--stride goes with", result.Exits(1).Error);
        result = Eval("run", "--rope", "rope", "linear", "yarn:factor=4", "--protocol", "pi-s32", "lmeval-disjoint", "--longppl", "64", "--attention-resolution", "96", "--attention-entropy", "96").Exits(0);
        Assert.Contains("pi-s32", result.Output);
        Assert.Contains("linear:factor=128: tables", result.Error);

        var csv = File.ReadAllLines(folder["run/ppl.csv"]);
        Assert.Equal("model,method,protocol,dtype,32,64,128,256,8192", csv[0]);
        Assert.Equal(1 + (3 * 2), csv.Length);
        Assert.StartsWith("model,rope,pi-s32,fp32,", csv[1]);
        Assert.EndsWith(",", csv[1]);

        var json = JsonNode.Parse(File.ReadAllText(folder["run/ppl.json"]))!;
        var results = json["results"]!.AsArray();
        Assert.Equal(["rope", "linear:factor=128", "yarn:factor=4,original=64"], results.Select(r => (string)r!["method"]!));
        Assert.All(results, r =>
        {
            Assert.Equal(2, r!["perplexity"]!.AsArray().Count);
            Assert.InRange((double)r["perplexity"]![0]!["lengths"]![0]!["perplexity"]!, 1, 1e12);
            Assert.Equal(256, (int)r["by_position"]!["window"]!);
            Assert.NotNull(r["effective_context"]!["text"]);
            Assert.Equal(64, (int)r["longppl"]!["truncated_length"]!);
            Assert.Equal(2, r["attention_resolution"]!["layers"]!.AsArray().Count);
            Assert.EndsWith("+bca:window=64", (string)r["attention_resolution"]!["bca"]!);
            Assert.NotEqual(r["attention_resolution"]!["layers"]!.ToJsonString(), r["attention_resolution"]!["layers_with_bca"]!.ToJsonString());
            Assert.Equal(2, r["attention"]!["entropy"]!.AsArray().Count);
            Assert.InRange((double)r["attention"]!["mean_entropy"]!, 1e-3, Math.Log(96));
        });
        Assert.Equal(0, (double)results[0]!["attention"]!["mean_divergence"]!, 1e-6);
        Assert.InRange((double)results[1]!["attention"]!["mean_divergence"]!, 1e-4, Math.Log(2));
        Assert.Equal(0, (double)results[0]!["proof"]!["largest_logit_difference"]!);
        Assert.True((double)results[1]!["proof"]!["largest_logit_difference"]! > 0);
        Assert.Contains("No text has 8,192 tokens", (string)json["notes"]![0]!);
        Assert.Equal(2 * 2, json["comparisons"]!.AsArray().Count);
        XDocument.Parse(File.ReadAllText(folder["run/report.html"])["<!DOCTYPE html>\n".Length..]);
    }

    [Fact]
    public void Started_again_it_redoes_nothing()
    {
        string[] more = ["--rope", "rope", "dynamic-ntk", "--protocol", "pi-s32", "--batch-tokens", "256", "--json"];
        Eval("run", more).Exits(0);
        var whole = File.ReadAllBytes(folder["run/results.jsonl"]);
        // A line that a kill cut short is measured again.
        File.WriteAllBytes(folder["run/results.jsonl"], whole[..(whole.Length / 2)]);
        Assert.Contains("from an earlier run", Eval("run", more).Exits(0).Error);
        Assert.Equal(whole, File.ReadAllBytes(folder["run/results.jsonl"]));
    }

    [Fact]
    public void Two_models_are_told_apart_and_compared()
    {
        Directory.CreateDirectory(folder["other"]);
        foreach (var file in Directory.EnumerateFiles(folder["model"]))
        {
            File.Copy(file, Path.Combine(folder["other"], Path.GetFileName(file)));
        }

        Eval("run", "-m", folder["other"], "--protocol", "prefix").Exits(0);
        var csv = File.ReadAllLines(folder["run/ppl.csv"]);
        Assert.Equal(["model", "other"], csv.Skip(1).Select(row => row.Split(',')[0]));
        Assert.Equal(csv[1].Split(',')[4], csv[2].Split(',')[4]);
        var comparison = JsonNode.Parse(File.ReadAllText(folder["run/ppl.json"]))!["comparisons"]![0]!["differences"]![0]!;
        Assert.Equal(0, (double)comparison["nll"]!);
        Assert.False((bool)comparison["significant"]!);
    }

    [Fact]
    public void What_cannot_be_measured_is_said_in_a_line()
    {
        folder.Write("empty.jsonl", "{\"text\":\"\"}\n{\"text\":\"  \"}\n");
        folder.Write("short.txt", "the words");
        folder.Write("broken.jsonl", "{\"text\":\n");
        Assert.Contains("no text; all documents are empty", Eval("a", "--data", folder["empty.jsonl"]).Exits(1).Error);
        Assert.Contains("no text is long enough", Eval("a", "--data", folder["short.txt"]).Exits(1).Error);
        Assert.Contains("broken.jsonl", Eval("a", "--data", folder["broken.jsonl"]).Exits(1).Error);
        Assert.Contains("no such file", Eval("a", "--data", folder["nowhere"]).Exits(1).Error);
        Assert.Contains("the protocols are pi-s256", Eval("a", "--protocol", "wikitext").Exits(1).Error);
        Assert.Contains("unknown method", Eval("a", "--rope", "ropes").Exits(1).Error);
        Assert.Contains("is a file", Eval("short.txt").Exits(1).Error);
        Assert.Contains("the shortest is 2", Cutoff.Run("eval-ppl", "-m", folder["model"], "--data", folder["texts"], "--out", folder["b"], "--lengths", "1").Exits(1).Error);
        folder.Write("foreign/results.jsonl", "{\"step\":1}\n");
        Assert.Contains("results.jsonl line 1", Eval("foreign").Exits(1).Error);
        Assert.Equal("{\"step\":1}\n", File.ReadAllText(folder["foreign/results.jsonl"]));
    }

    [Fact]
    public void Passkeys_are_tried_by_depth_and_length()
    {
        string[] line =
        [
            "passkey", "-m", folder["model"], "--lengths", "384,512", "--depths", "3", "--trials", "2", "--alternatives", "4", "--attention", "blocked", "--rope", "rope", "linear", "--out", folder["p"],
            "--dtype", "fp32", "--device", "cpu", "--threads", "1", "--json",
        ];
        var result = Cutoff.Run(line).Exits(0);
        var json = JsonNode.Parse(result.Output)!;
        Assert.Equal(JsonNode.Parse(File.ReadAllText(folder["p/passkey.json"]))!.ToJsonString(), json.ToJsonString());
        Assert.Equal(2, json["results"]!.AsArray().Count);
        Assert.All(json["results"]!.AsArray(), r =>
        {
            Assert.Equal(6, r!["passkey"]!["cells"]!.AsArray().Count);
            Assert.All(r["passkey"]!["cells"]!.AsArray(), cell => Assert.InRange((double)cell!["mean_rank"]!, 1, 5));
        });
        XDocument.Parse(File.ReadAllText(folder["p/passkey.html"])["<!DOCTYPE html>\n".Length..]);
        var again = Cutoff.Run(line).Exits(0);
        Assert.Contains("12 from an earlier run", again.Error);
        Assert.Equal(json["results"]!.ToJsonString(), JsonNode.Parse(again.Output)!["results"]!.ToJsonString());
        Assert.Contains("a passkey prompt has at least", Cutoff.Run("passkey", "-m", folder["model"], "--lengths", "16", "--out", folder["q"]).Exits(1).Error);
    }

    public void Dispose() => folder.Dispose();

    private CutoffResult Eval(string run, params string[] more) => Cutoff.Run(Arguments(run, more));

    private string[] Arguments(string run, params string[] more) =>
    [
        "eval-ppl", "--model", folder["model"], .. more.Contains("--data") ? [] : new[] { "--data", folder["texts"] }, "--lengths", "32..256,8k", "--out", folder[run],
        // auto measures both paths on rows of 8k first, and two processes may choose differently.
        "--attention", "blocked", "--dtype", "fp32", "--device", "cpu", "--threads", "1", .. more,
    ];
}
