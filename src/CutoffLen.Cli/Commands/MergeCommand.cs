using System.CommandLine;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Tokenization;
using CutoffLen.Training;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff merge</c>: adapters and base model to one plain checkpoint.</summary>
internal static class MergeCommand
{
    // Only the two losses on it are compared, so any text does.
    private const string BundledText =
        """
        A map is folded before it is carried. The traveller who unfolds it in the rain sees one valley at a time and must
        remember how the roads ran on the part that is hidden again. On the first day the river was on the left, and the
        village had two bridges; on the third day somebody says that there was only one. Whoever wrote the notes in the
        margin knew the country better: "From the mill it is forty minutes to the pass, with a load an hour. Do not trust
        the path along the stream after a storm." She had counted steps between the stones, 1,200 in all, and drawn a
        small cross where the water is good. In winter the numbers do not hold. What is near on paper can be far on
        foot, and what was said at the beginning of a long walk is often needed at its end.
        """;

    private static readonly Option<string?> Base = new("--base")
    {
        Description = "Folder of the base model, where it is not where the adapters say.",
        HelpName = "DIR",
    };

    private static readonly Option<string> Out = new("--out", "-o") { Description = "Folder of the merged checkpoint.", HelpName = "DIR", Required = true };

    private static readonly Option<string?> TextFile = new("--file")
    {
        Description = "Text to compare the perplexity on before and after; a built-in one otherwise.",
        HelpName = "FILE",
    };

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("merge", "Add low-rank adapters into their base model's weights: a plain checkpoint.")
        {
            CommonOptions.Model, Base, Out, TextFile, CommonOptions.Dtype, CommonOptions.Device, CommonOptions.Threads, CommonOptions.Json,
        }
        .Runs((parsed, _) =>
        {
            var adapters = parsed.GetValue(CommonOptions.Model)!;
            if (!AdapterCheckpoint.ExistsIn(adapters))
            {
                throw new UserException($"--model {adapters}: holds no adapter_config.json; merge takes a folder of adapters, such as final/ of a run with method: lora");
            }

            var baseModel = parsed.GetValue(Base) ?? AdapterConfig.Read(adapters).BaseIn(adapters);
            var text = parsed.GetValue(TextFile) is { } path ? Utf8Text.Read(path) : BundledText;
            var ids = CheckpointTokenizer.Open(baseModel).Encode(text);
            var compute = parsed.GetCompute();
            var report = LoraMerge.Merge(adapters, baseModel, parsed.GetValue(Out)!, [ids], compute.Dtype, compute.Device);
            Print(parsed, report);
        });

    private static void Print(ParseResult parsed, MergeReport report)
    {
        if (parsed.GetValue(CommonOptions.Json))
        {
            Terminal.PrintJson(report);
            return;
        }

        Terminal.PrintFields(
        [
            ("merged", parsed.GetValue(Out)!),
            ("perplexity with adapters", FormattableString.Invariant($"{report.PerplexityBefore:0.0000} over {report.Tokens} tokens")),
            ("perplexity merged", FormattableString.Invariant($"{report.PerplexityAfter:0.0000}")),
        ]);
    }
}
