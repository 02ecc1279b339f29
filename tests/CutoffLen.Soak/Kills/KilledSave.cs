using System.Globalization;
using CutoffLen.Checkpoints;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Soak.Kills;

/// <summary>
/// Saves to one folder without end, in larger files than the others and in several shards: at every moment a whole checkpoint
/// is there, and none older than the last that was done.
/// </summary>
internal sealed class KilledSave(TemporaryFolder folder) : KilledCommand("save", folder)
{
    /// <summary>The hidden verb of the process that saves.</summary>
    public const string Verb = "save-loop";

    public override string? Executable => Program.Executable;

    public override void Prepare() => Duration = TimeSpan.FromSeconds(2);

    public override string[] Arguments(string run) => [Verb, Folder[run]];

    public override IEnumerable<string> AfterKill(string run, CutoffResult killed)
    {
        var numbers = killed.Output.Split('\n')[..^1].Select(line => line.Split(' ')).Select(words => (Word: words[0], Number: int.Parse(words[1], CultureInfo.InvariantCulture))).ToList();
        var begun = numbers.Select(line => line.Number).DefaultIfEmpty().Max();
        var done = numbers.Where(line => line.Word == "done").Select(line => line.Number).DefaultIfEmpty().Max();
        if (done > 0 || Directory.Exists(Folder[run]))
        {
            var number = NumberOf(Folder[run]);
            // Each process counts from 1 again, so without a save of its own the folder has that of an earlier one.
            if (number is null || (done > 0 && (number < done || number > begun)))
            {
                yield return $"the checkpoint is number {number?.ToString(CultureInfo.InvariantCulture) ?? "of two saves"}; {done} was done and {begun} begun";
            }
        }
    }

    public override IEnumerable<string> Differences(string run) => [];

    /// <summary>Saves checkpoint 1, 2, 3, ... until it is killed. Every weight of number n is n, and so is initializer_range.</summary>
    public static void Loop(string target)
    {
        var config = new LlamaConfig
        {
            VocabSize = 4000, HiddenSize = 256, IntermediateSize = 1024, NumHiddenLayers = 4, NumAttentionHeads = 4,
            NumKeyValueHeads = 4, HeadDim = 64, MaxPositionEmbeddings = 64,
        };
        for (var n = 1; ; n++)
        {
            using var scope = NewDisposeScope();
            var weights = LlamaParameters.Of(config).Select(parameter => (parameter.Name, full(parameter.Shape, (float)n))).ToList();
            Console.WriteLine($"begin {n}");
            CheckpointWriter.Save(target, config with { InitializerRange = n }, weights, ScalarType.BFloat16, maxShardBytes: 4_000_000);
            Console.WriteLine($"done {n}");
        }
    }

    /// <summary>The one number that the configuration and every weight have; null where they differ.</summary>
    private static int? NumberOf(string target)
    {
        using var scope = NewDisposeScope();
        using var checkpoint = HuggingFaceCheckpoint.Open(target);
        var number = (int)checkpoint.Config.InitializerRange;
        return checkpoint.FileCount > 1 && checkpoint.Load().parameters().All(weight => weight.eq(number).all().item<bool>()) ? number : null;
    }
}
