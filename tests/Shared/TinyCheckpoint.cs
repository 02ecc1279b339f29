using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Models.Llama;
using CutoffLen.Tokenization;
using static TorchSharp.torch;

namespace CutoffLen.Tests;

/// <summary>A model of a few kilobytes, made on the fly.</summary>
internal static class TinyCheckpoint
{
    public static LlamaConfig Config { get; } = new()
    {
        VocabSize = 40,
        HiddenSize = 16,
        IntermediateSize = 24,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        HeadDim = 4,
        MaxPositionEmbeddings = 64,
        BosTokenId = 1,
        EosTokenIds = [2],
    };

    /// <summary>Random weights in the current scope; the same for the same seed.</summary>
    public static List<(string Name, Tensor Tensor)> Weights(LlamaConfig config, int seed = 0, ScalarType dtype = ScalarType.Float32)
    {
        var generator = new Generator((ulong)seed, CPU);
        return [.. LlamaParameters.Of(config).Select(parameter => (parameter.Name, randn(parameter.Shape, generator: generator).to(dtype)))];
    }

    /// <summary>Saves such a model and returns its folder.</summary>
    public static string Save(string folder, LlamaConfig? config = null, int seed = 0, ScalarType dtype = ScalarType.Float32, long maxShardBytes = CheckpointWriter.DefaultShardBytes)
    {
        using var scope = NewDisposeScope();
        CheckpointWriter.Save(folder, config ?? Config, Weights(config ?? Config, seed), dtype, maxShardBytes: maxShardBytes);
        return folder;
    }

    /// <summary>In a folder such a model with a tokenizer, as model/, and <paramref name="texts"/> files that it can read, as texts/.</summary>
    public static void SaveWithTexts(TemporaryFolder folder, int texts)
    {
        folder.Write("model/tokenizer.model", File.ReadAllBytes(Golden.Path("tokenizers/sp-kept/tokenizer.model")));
        var vocabulary = CheckpointTokenizer.Open(folder["model"]).VocabularySize;
        Save(folder["made"], Config with { VocabSize = vocabulary });
        foreach (var file in Directory.EnumerateFiles(folder["made"]))
        {
            File.Copy(file, Path.Combine(folder["model"], Path.GetFileName(file)));
        }

        for (var n = 1; n <= texts; n++)
        {
            folder.Write($"texts/{n - 1}.txt", string.Concat(Enumerable.Range(0, 60).Select(word => $"the {word * n} of many words and more. ")));
        }
    }

    /// <summary>
    /// The command line of a run on such a model and its texts: a step a line in the log, a checkpoint every second step.
    /// What <paramref name="more"/> says, options and then settings, takes the place of the same here.
    /// </summary>
    public static string[] FinetuneArguments(TemporaryFolder folder, string run, params string[] more)
    {
        string[] settings = ["logging_steps=1", "warmup_steps=1", "learning_rate=1e-3", $"cache_dir={folder["cache"]}", "save_steps=2"];
        return
        [
            "finetune", "--model", folder["model"], .. more.Contains("--data") ? [] : new[] { "--data", folder["texts"] }, "--cutoff", "96",
            "--rope", "linear:factor=2", "--out", folder[run], "--dtype", "fp32", "--device", "cpu", "--threads", "1",
            "--set", .. settings.Where(setting => !more.Any(text => text.StartsWith(setting[..(setting.IndexOf('=') + 1)], StringComparison.Ordinal))), .. more,
        ];
    }

    /// <summary>Changes config.json.</summary>
    public static void EditConfig(string folder, Action<JsonObject> edit)
    {
        var path = Path.Combine(folder, "config.json");
        var json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        edit(json);
        File.WriteAllText(path, json.ToJsonString());
    }

    /// <summary>The bytes of every weight that a folder's model has once it is loaded.</summary>
    public static Dictionary<string, byte[]> Load(string folder, ScalarType? dtype = null)
    {
        using var scope = NewDisposeScope();
        using var checkpoint = HuggingFaceCheckpoint.Open(folder);
        var model = checkpoint.Load(dtype: dtype);
        return model.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter.bytes.ToArray());
    }
}
