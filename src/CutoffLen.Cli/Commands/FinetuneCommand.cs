using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Runs;
using Serilog;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff finetune</c>: trains a checkpoint at a chosen cutoff length.</summary>
internal static class FinetuneCommand
{
    private static readonly Option<string?> Resume = TrainingOptions.Text(
        "--resume", "Go on with a run: auto takes the newest checkpoint in --out, if there is one; or a folder checkpoint-N.", "auto|DIR");

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("finetune", "Fine-tune a checkpoint at a cutoff length: all weights, or low-rank adapters.") { Resume }
        .WithTrainingOptions()
        .RunsOnEveryRank((parsed, stop) =>
        {
            var config = parsed.Hub(stop).Localized(parsed.ResolveTraining());
            using var plan = FinetunePlan.Open(config, parsed.Ranks(), stop);
            var run = new FinetuneRun(plan, parsed.GetValue(Resume), display: new RunDisplay(parsed.Terminal())) { OnEvaluation = Line };
            FinetuneLog.Ending(run, run.Run(stop));
        });

    /// <summary>A measurement during training.</summary>
    private static void Line(EvaluationLine line) => Log.Information(
        "step {Step}: perplexity {Lengths:l} ({Protocol:l}, {Documents} document{Plural:l}, {Time:l})", line.Step,
        string.Join(", ", line.Eval.Lengths.Select(length => FormattableString.Invariant($"{length.Ppl:0.00} at {length.Length}"))),
        line.Eval.Protocol, line.Eval.Lengths[0].Documents, line.Eval.Lengths[0].Documents == 1 ? "" : "s", RunDisplay.Format(TimeSpan.FromSeconds(line.EvalSeconds)));
}
