using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff merge</c>: adapters and base model to one plain checkpoint.</summary>
internal static class MergeCommand
{
    private static readonly Option<string?> Base = new("--base")
    {
        Description = "Folder of the base model, where it is not where the adapters say.",
        HelpName = "DIR",
    };

    private static readonly Option<string> Out = new("--out", "-o") { Description = "Folder of the merged checkpoint.", HelpName = "DIR", Required = true };

    private static readonly Option<string?> TextFile = new("--file")
    {
        Description = "Text to compare the perplexity on before and after; a built-in one otherwise (token ids where the base has no tokenizer).",
        HelpName = "FILE",
    };

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("merge", "Add low-rank adapters into their base model's weights: a plain checkpoint.")
        {
            CommonOptions.Model, Base, Out, TextFile, CommonOptions.Dtype, CommonOptions.Device, CommonOptions.Threads, CommonOptions.Json,
        }
        .Runs((parsed, stop) =>
        {
            var text = parsed.GetValue(TextFile) is { } path ? Utf8Text.Read(path) : null;
            var (hub, baseModel) = (parsed.Hub(stop), parsed.GetValue(Base));
            var adapters = hub.Model(parsed.GetValue(CommonOptions.Model)!, withBase: baseModel is null);
            var report = MergeRun.Run(adapters, parsed.GetValue(Out)!, baseModel is null ? null : hub.Model(baseModel), text, parsed.GetCompute, stop);
            parsed.Print(report, _ =>
            [
                ("merged", parsed.GetValue(Out)!),
                ("perplexity with adapters", FormattableString.Invariant($"{report.PerplexityBefore:0.0000} over {report.Tokens} tokens")),
                ("perplexity merged", FormattableString.Invariant($"{report.PerplexityAfter:0.0000}")),
            ]);
        });
}
