using System.CommandLine;
using CutoffLen.Checkpoints;
using CutoffLen.Cli.Options;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff inspect</c>: what a checkpoint is, and what theory says of its context. Reads no weights.</summary>
internal static class InspectCommand
{
    private static readonly Argument<string> Model = new("MODEL") { Description = $"{CommonOptions.Model.Description} A config.json alone does too." };

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("inspect", "Show a checkpoint's architecture, tokenizer and position method, and what theory says of its context.")
        {
            Model,
            CommonOptions.Json,
        }
        .Runs((parsed, stop) =>
        {
            var (hub, model) = (parsed.Hub(stop), parsed.GetValue(Model)!);
            var folder = hub.Model(model, weights: false);
            parsed.Print(Inspection.Of(AdapterCheckpoint.ExistsIn(folder) ? hub.Model(model) : folder), Inspection.Fields);
        });
}
