using System.Text;
using System.Text.Json.Nodes;

namespace CutoffLen.Cli.Tests.Commands;

/// <summary>A model and data by name, through the command line, from a hub on this machine.</summary>
public sealed class HubNamesTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Adapters_are_trained_on_a_model_and_data_by_name_and_keep_the_names()
    {
        using var models = new LocalHub();
        using var texts = new LocalHub("org/texts", isDataset: true);
        TinyCheckpoint.SaveWithTexts(folder, texts: 1);
        foreach (var file in Directory.GetFiles(folder["model"]))
        {
            models.Files[Path.GetFileName(file)] = File.ReadAllBytes(file);
        }

        texts.Files["train.jsonl"] = Encoding.UTF8.GetBytes($"{{\"content\":\"{File.ReadAllText(folder["texts/0.txt"])}\"}}\n");
        var data = Run(texts, "eval-ppl", "--model", folder["model"], "--data", "hf:org/texts/train.jsonl", "--dataset-text-field", "content", "--cache-dir", folder["cache"], "--lengths", "64", "--out", folder["eval"]);
        Assert.Contains("download org/texts, MB", data.Exits(0).Error);

        var ruler = Run(texts, "ruler", "--model", folder["model"], "--haystack", "hf:org/texts/essays.txt", "--out", folder["ruler"]);
        Assert.Contains("org/texts has no file essays.txt", ruler.Exits(1).Error);

        Directory.Delete(folder["model"], recursive: true);
        string[] more = ["dataset_text_field=content", "--data", $"hf:org/texts/train.jsonl@{LocalHub.Commit}", "--method", "lora", "--steps", "1"];
        var arguments = TinyCheckpoint.FinetuneArguments(folder, "run", more).Select(argument => argument == folder["model"] ? "org/tiny" : argument).ToArray();
        Run(models, arguments).Exits(0);
        var config = File.ReadAllText(folder["run/config.yaml"]);
        Assert.Contains($"model: \"org/tiny@{LocalHub.Commit}\"", config);
        Assert.Contains($"hf:org/texts/train.jsonl@{LocalHub.Commit}", config);
        var adapters = JsonNode.Parse(File.ReadAllText(folder["run/final/adapter_config.json"]))!;
        Assert.Equal(("org/tiny", LocalHub.Commit), ((string)adapters["base_model_name_or_path"]!, (string)adapters["revision"]!));

        // Everything is in the cache now.
        var inspected = Run(null, "inspect", folder["run/final"], "--json").Exits(0);
        Assert.EndsWith($"models--org--tiny/snapshots/{LocalHub.Commit}", (string)JsonNode.Parse(inspected.Output)!["checkpoint"]!);
        Assert.StartsWith("cutoff: org/tyni: there is no such folder here; as a name on the hub: HF_HUB_OFFLINE", Run(null, "tokenize", "--model", "org/tyni", "x").Exits(1).Error);
    }

    /// <summary>The command line with a hub, or offline.</summary>
    private CutoffResult Run(LocalHub? hub, params string[] arguments)
    {
        (string Name, string? Value)[] variables =
        [
            ("HF_HOME", folder["home"]), ("HF_ENDPOINT", hub?.Endpoint.ToString()), ("HF_HUB_OFFLINE", hub is null ? "1" : null), ("HF_HUB_CACHE", null), ("HF_TOKEN", null),
        ];
        var before = variables.Select(variable => Environment.GetEnvironmentVariable(variable.Name)).ToList();
        Array.ForEach(variables, variable => Environment.SetEnvironmentVariable(variable.Name, variable.Value));
        try
        {
            return Cutoff.Run(arguments);
        }
        finally
        {
            foreach (var (variable, value) in variables.Zip(before))
            {
                Environment.SetEnvironmentVariable(variable.Name, value);
            }
        }
    }
}
