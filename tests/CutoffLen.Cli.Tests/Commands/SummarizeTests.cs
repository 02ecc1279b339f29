using System.Text.Json;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using CutoffLen.Tokenization;

namespace CutoffLen.Cli.Tests.Commands;

/// <summary>Summaries from records to ROUGE, with a model of a few kilobytes.</summary>
public sealed class SummarizeTests : IDisposable
{
    private const int Window = 256;

    private static readonly string[] RougeNames = ["rouge1", "rouge2", "rougeL", "rougeLsum"];
    private static readonly string[] Topics = ["kings", "ships", "gardens", "letters"];

    private readonly TemporaryFolder folder = new();

    public SummarizeTests()
    {
        folder.Write("shape/tokenizer.model", File.ReadAllBytes(Golden.Path("tokenizers/sp-kept/tokenizer.model")));
        var config = TinyCheckpoint.Config with
        {
            VocabSize = CheckpointTokenizer.Open(folder["shape"]).VocabularySize,
            HiddenSize = 64,
            IntermediateSize = 128,
            HeadDim = 16,
            MaxPositionEmbeddings = Window,
        };
        File.Copy(Path.Combine(TinyCheckpoint.Save(folder["random"], config), "config.json"), folder["shape/config.json"]);
        Cutoff.Run("init", "--config", folder["shape"], "--out", folder["model"]).Exits(0);
        folder.Write("train.jsonl", string.Join('\n', Enumerable.Range(0, 16).Select(n => Line(Topics[n % 4], n))));
        folder.Write("test.jsonl", string.Join('\n', Topics.Select(topic => Line(topic, 50))));
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Training_on_documents_with_summaries_raises_ROUGE()
    {
        var made = Cutoff.Run("summarize", "prepare", "--model", folder["model"], "--data", folder["train.jsonl"], "--document-field", "report", "--document-tokens", "60", "--out", folder["records.jsonl"], "--json").Exits(0);
        Assert.Equal((16, 16), ((int)JsonNode.Parse(made.Output)!["records"]!, (int)JsonNode.Parse(made.Output)!["documents_cut"]!));
        var record = JsonNode.Parse(File.ReadLines(folder["records.jsonl"]).First())!;
        Assert.StartsWith("Read the following article and then summarize it.\nA report of 0 words on kings", (string)record["prompt"]!);
        Assert.EndsWith("\nNow summarize the above article.\nSummary:", (string)record["prompt"]!);
        Assert.Equal(" This article is about kings.", (string)record["completion"]!);

        Cutoff.Run(
            "finetune", "--model", folder["model"], "--data", folder["records.jsonl"], "--cutoff", $"{Window}", "--steps", "60", "--out", folder["run"],
            "--dtype", "fp32", "--device", "cpu", "--threads", "1", "--set", "learning_rate=1e-2", "warmup_steps=5", "per_device_train_batch_size=4", $"cache_dir={folder["cache"]}").Exits(0);
        var ledger = JsonNode.Parse(File.ReadAllText(folder["run/ledger.json"]))!;
        Assert.True((long)ledger["tokens"]!["prompts"]! > (long)ledger["tokens"]!["out"]! / 2);
        Assert.True((long)ledger["trained"]!["targets"]! < 60 * 4 * Window / 2);

        var result = Eval("eval", "--json").Exits(0);
        var json = JsonNode.Parse(result.Output)!;
        Assert.Equal(JsonNode.Parse(File.ReadAllText(folder["eval/summarization.json"]))!.ToJsonString(), json.ToJsonString());
        double F1(int model, string name) => (double)json["results"]![model]!["summarization"]!["f1"]![name]!["mean"]!;
        Assert.All(RougeNames, name => Assert.True(
            F1(1, name) > F1(0, name) + 0.4, $"{name} from {F1(0, name):0.00} to {F1(1, name):0.00}"));
        Assert.Equal(4, json["results"]![1]!["summarization"]!["summaries"]!.AsArray().Count);
        XDocument.Parse(File.ReadAllText(folder["eval/summarization.html"])["<!DOCTYPE html>\n".Length..]);
        // A summary in the log is not written again.
        var logged = File.ReadAllLines(folder["eval/results.jsonl"]).Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal(8, logged.Count);
        logged[^1]["answer"]!["text"] = "as logged";
        folder.Write("kept/results.jsonl", string.Concat(logged.Select(line => line.ToJsonString() + "\n")));
        Assert.Equal("as logged", (string)JsonNode.Parse(Eval("kept", "--json").Exits(0).Output)!["results"]![1]!["summarization"]!["summaries"]![3]!["summary"]!);
        // The same seed draws the same summaries, another one others.
        Assert.Equal(json["results"]!.ToJsonString(), JsonNode.Parse(Eval("again", "--json").Exits(0).Output)!["results"]!.ToJsonString());
        Assert.NotEqual(json["results"]!.ToJsonString(), JsonNode.Parse(Eval("other", "--json", "--seed", "7").Exits(0).Output)!["results"]!.ToJsonString());
    }

    [Fact]
    public void What_cannot_be_summarized_is_said_in_a_line()
    {
        folder.Write("text.txt", "a text");
        folder.Write("empty.jsonl", "\n");
        Assert.Contains("train.jsonl line 1: the object has no field 'document'; a line must be an object with strings 'document' and 'summary'", Prepare("train.jsonl").Exits(1).Error);
        Assert.Contains("text.txt: a .jsonl file is needed", Prepare("text.txt").Exits(1).Error);
        Assert.Contains("no document to summarize", Prepare("empty.jsonl").Exits(1).Error);
        Assert.False(File.Exists(folder["out.jsonl"]));
    }

    private CutoffResult Prepare(string data) => Cutoff.Run("summarize", "prepare", "--model", folder["model"], "--data", folder[data], "--out", folder["out.jsonl"]);

    private CutoffResult Eval(string to, params string[] more) => Cutoff.Run([
        "summarize", "eval", "--model", folder["model"], "--model", folder["run/final"], "--data", folder["test.jsonl"], "--document-field", "report", "--document-tokens", "60",
        "--max-new-tokens", "24", "--out", folder[to], "--dtype", "fp32", "--device", "cpu", "--threads", "1", .. more]);

    private static string Line(string topic, int number) => JsonSerializer.Serialize(new
    {
        report = $"A report of {number} words on {topic}. " + string.Concat(Enumerable.Repeat($"There is much to say of {topic}. ", 6)),
        summary = $"This article is about {topic}.",
    });
}
