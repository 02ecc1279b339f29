using System.CommandLine;
using CutoffLen.Checkpoints;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Hardware;
using CutoffLen.Models.Llama;
using CutoffLen.Tokenization;
using Serilog;
using static TorchSharp.torch;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff init</c>: a model that has learned nothing yet.</summary>
internal static class InitCommand
{
    private static readonly Option<string> Config = new("--config", "-c")
    {
        Description = "Its config.json, the folder with it, or a model's name on the hub; tokenizer files beside it are copied.",
        HelpName = "PATH",
        Required = true,
    };

    private static readonly Option<string> Out = new("--out", "-o") { Description = "Folder of the checkpoint.", HelpName = "DIR", Required = true };

    private static readonly Option<ScalarType> Dtype = CommonOptions.Parsed(
        "--dtype", "Number format of the stored weights: fp32 or bf16.", "DTYPE", ScalarType.Float32, text => text switch
        {
            "fp32" => ScalarType.Float32,
            "bf16" => ScalarType.BFloat16,
            _ => throw new UserException($"'{text}' is not a number format of stored weights; allowed are fp32 and bf16"),
        });

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("init", "Make a randomly initialised checkpoint from a config.json.")
        {
            Config, Out, Dtype, CommonOptions.Seed, CommonOptions.Json,
        }
        .Runs((parsed, stop) =>
        {
            var config = HuggingFaceCheckpoint.ReadConfig(parsed.Hub(stop).Model(parsed.GetValue(Config)!, weights: false), out var folder);
            CheckTokenizer(folder, config);
            TorchLibrary.Require();
            using var scope = NewDisposeScope();
            var weights = InitialWeights.Draw(config, parsed.GetValue(CommonOptions.Seed));
            CheckpointWriter.Save(parsed.GetValue(Out)!, config, weights, parsed.GetValue(Dtype), source: folder);
            Print(parsed, config);
        });

    private static void CheckTokenizer(string folder, LlamaConfig config)
    {
        if (CheckpointTokenizer.ExistsIn(folder))
        {
            CheckpointTokenizer.Open(folder, config.VocabSize);
        }
        else
        {
            Log.Warning("{Folder:l} holds no tokenizer; put tokenizer.model or tokenizer.json into the checkpoint before it is trained", folder);
        }
    }

    private static void Print(ParseResult parsed, LlamaConfig config)
    {
        var result = new Initialised(Path.GetFullPath(parsed.GetValue(Out)!), LlamaParameters.Count(config), parsed.GetValue(CommonOptions.Seed));
        parsed.Print(result, _ =>
        [
            ("checkpoint", parsed.GetValue(Out)!),
            ("parameters", FormattableString.Invariant($"{result.Parameters:N0}")),
            ("native context", FormattableString.Invariant($"{config.NativeLength:N0} tokens")),
        ]);
    }

    private sealed record Initialised(string Checkpoint, long Parameters, int Seed);
}
