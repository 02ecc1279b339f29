using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Hardware;
using CutoffLen.Models.Llama;
using CutoffLen.Tokenization.HuggingFace;
using Serilog;
using Serilog.Core;
using static TorchSharp.torch;

namespace CutoffLen.Runs.Check;

/// <summary>Compares a resumed run with an undisturbed one, on a made model and text.</summary>
internal static class ResumeCheck
{
    private const int Half = 2;
    private const int Cutoff = 128;
    private const int Rows = 8;

    private static readonly LlamaConfig Model = new()
    {
        VocabSize = 256,
        HiddenSize = 64,
        IntermediateSize = 96,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        HeadDim = 16,
        MaxPositionEmbeddings = 64,
    };

    /// <summary>What was compared, and how many values differ. The files are deleted.</summary>
    public static IReadOnlyList<ComparedValues> Run(DeviceAndDtype compute, CancellationToken stop)
    {
        var scratch = Directory.CreateTempSubdirectory("cutoff-check-");
        var log = Log.Logger;
        try
        {
            Log.Logger = Logger.None; // what the runs log is about folders that are deleted
            var (model, text) = (Path.Combine(scratch.FullName, "model"), Path.Combine(scratch.FullName, "text.txt"));
            SaveModel(model);
            File.WriteAllText(text, Letters(Rows * Cutoff));
            return VerifyResume.Run(
                new RunConfig
                {
                    Model = new() { Model = model, Rope = "yarn", Device = compute.DeviceName, Dtype = compute.DtypeName, Threads = get_num_threads() },
                    Data = new() { Data = [text], CutoffLen = Cutoff, CacheDir = Path.Combine(scratch.FullName, "cache") },
                    Training = new() { OutputDir = Path.Combine(scratch.FullName, "runs"), LearningRate = 1e-3, GradientAccumulationSteps = 2 },
                },
                Half, stop: stop);
        }
        finally
        {
            Log.Logger = log;
            scratch.Delete(recursive: true);
        }
    }

    /// <summary>Random weights, and a tokenizer whose tokens are the 256 bytes.</summary>
    private static void SaveModel(string folder)
    {
        using var scope = NewDisposeScope();
        CheckpointWriter.Save(folder, Model, InitialWeights.Draw(Model, 1));
        var vocabulary = new JsonObject(ByteAlphabet.Characters.Index().Select(letter => KeyValuePair.Create($"{letter.Item}", (JsonNode?)letter.Index)));
        var tokenizer = new JsonObject
        {
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
        };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString());
    }

    private static string Letters(int count)
    {
        var random = new KeyedRandom(1, "letters");
        return string.Concat(Enumerable.Range(0, count).Select(_ => (char)random.Between('a', 'z')));
    }
}
