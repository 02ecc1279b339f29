using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff rope pairs</c>: the pairs of each head that contribute most to its scores, which <c>dpe:topk</c> scales.</summary>
internal static class RopePairsCommand
{
    private static readonly Option<string[]> Data = EvaluationOptions.Many(
        "--data", "Text to measure on. Documents shorter than --length are left out.", "PATH", required: true, "-d");

    private static readonly Option<int?> Length = CommonOptions.Parsed<int?>(
        "--length", "Tokens of each document; the native length when not given.", "TOKENS", null, text => EvaluationOptions.Predicting(Lengths.ParseOne(text)));

    private static readonly Option<int> Documents = CommonOptions.Whole("--documents", "Measure on the first N documents that are long enough. Default 10.", 1, 100_000, 10);
    private static readonly Option<string> Out = new("--out", "-o") { Description = "Folder of the checkpoint with the order of the pairs.", HelpName = "DIR", Required = true };

    /// <summary>The command with its options.</summary>
    public static Command Create() => new Command("pairs", "Order the pairs of each head by their part in its scores, for dpe:topk (DPE).")
    {
        CommonOptions.Model, Data, Length, Documents, Out, CommonOptions.Device, CommonOptions.Dtype, CommonOptions.Attention, CommonOptions.Threads, CommonOptions.Json,
    }
    .Runs((parsed, stop) =>
    {
        using var model = parsed.OpenModel(stop);
        var (length, folder) = (parsed.GetValue(Length) ?? model.Folder.Config.NativeLength, parsed.GetValue(Out)!);
        var measured = PairOrderRun.Run(
            model, [.. parsed.GetValue(Data)!.SelectMany(parsed.Hub(stop).Data)], length, parsed.GetValue(Documents), folder, new RunDisplay(parsed.Terminal()), stop);
        parsed.Print(new { Checkpoint = folder, Documents = measured, Length = length }, _ =>
        [
            ("measured", $"{measured} {(measured == 1 ? "text" : "texts")} of {length} tokens"),
            ("checkpoint", folder),
        ]);
    });
}
