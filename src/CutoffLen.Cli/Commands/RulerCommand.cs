using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Models;
using CutoffLen.Models.Llama;
using CutoffLen.Reports;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff ruler</c>: RULER's synthetic tasks by length.</summary>
internal static class RulerCommand
{
    // More than a token has on average in any vocabulary, so that an essay of so many fills the longest prompt.
    private const int CharactersOfToken = 16;

    private static readonly Option<IReadOnlyList<int>> LengthsOption = EvaluationOptions.LengthsOf("4k..32k");
    private static readonly Option<string[]> Tasks = EvaluationOptions.Many(
        "--tasks", $"Tasks; default all: {string.Join(", ", RulerTasks.Of(null).Select(RulerTasks.PlainName))}.", "NAME", required: false);

    private static readonly Option<string[]> Haystack = EvaluationOptions.Many(
        "--haystack", "Text of the tasks that RULER runs over essays: files, folders and globs as for eval-ppl, or hf:org/name/FILE[@revision] on the hub. Without it they run over noise and are named so.", "PATH", required: false);

    private static readonly Option<int> Needles = CommonOptions.Whole(
        "--needles", "Needles of multikey_1, multivalue and multiquery; another number than RULER's changes their names.", 2, Essay.MostNeedles, RulerTasks.StandardNeedles);

    private static readonly Option<int> Samples = CommonOptions.Whole("--samples", "Samples of each task and length; RULER has 500.", 1, 100_000, 20);
    private static readonly Option<double> Threshold = CommonOptions.Parsed(
        "--threshold", $"Average in percent that the effective length has to reach. Default {RulerResult.StandardThreshold}, Llama2-7B's at 4k.", "PERCENT", RulerResult.StandardThreshold,
        text => double.TryParse(text, out var percent) && percent is > 0 and <= 100 ? percent : throw new UserException($"'{text}' is not a number above 0 and up to 100"));

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("ruler", "Measure RULER's tasks (arXiv 2404.06654) over lengths: needles, variables, words; writes ruler.csv, ruler.json and ruler.html.")
        {
            EvaluationOptions.Models,
            LengthsOption,
            EvaluationOptions.Ropes,
            Tasks,
            Haystack,
            Needles,
            Samples,
            Threshold,
            EvaluationOptions.Out,
            CommonOptions.Device,
            CommonOptions.Dtype,
            CommonOptions.Attention,
            CommonOptions.Threads,
            CommonOptions.Seed,
            CommonOptions.Json,
        }
        .RunsOnEveryRank(Run);

    private static void Run(ParseResult parsed, CancellationToken interrupted)
    {
        var lengths = parsed.GetValue(LengthsOption)!;
        var essay = parsed.GetValue(Haystack) is { Length: > 0 } paths ? Essay.Read([.. paths.SelectMany(parsed.Hub(interrupted).Data)], (long)lengths[^1] * CharactersOfToken) : null;
        var tasks = RulerTasks.Select(RulerTasks.Of(essay, parsed.GetValue(Needles)), parsed.GetValue(Tasks) ?? []);
        var specs = parsed.Specs();
        var folder = parsed.PrepareFolder();
        var compute = parsed.GetCompute();
        var display = new RunDisplay(parsed.Terminal());
        using var log = parsed.OpenLog(folder);
        var measured = new List<MeasuredMethod>();
        foreach (var (model, name) in parsed.OpenModels(compute, interrupted))
        {
            var ruler = new RulerEvaluation(tasks, lengths, parsed.GetValue(Samples), parsed.GetValue(CommonOptions.Seed), text => model.Folder.Tokenizer.Encode(text));
            measured.AddRange(specs.Select(spec =>
            {
                var positioned = model.Under(model.Folder.Config.SetupFor(spec, lengths[^1]));
                var result = Measure(display, name, model, positioned, ruler, model.Answers(positioned, log, parsed.Ranks(), interrupted));
                return MeasuredMethod.Of(name, positioned) with { Ruler = result with { Threshold = parsed.GetValue(Threshold) } };
            }));
        }

        if (parsed.Ranks().Rank > 0)
        {
            return; // rank 0 makes the report
        }

        parsed.Publish(parsed.ReportOf(compute, measured,
        [
            new("samples", $"{parsed.GetValue(Samples)} of each task and length"),
            new("seed", $"{parsed.GetValue(CommonOptions.Seed)}"),
            new("intervals", "Wilson's at 95%, as wide as if every score were yes or no"),
        ]), folder);
    }

    private static RulerResult Measure(RunDisplay display, string name, ModelSession session, PositionedModel model, RulerEvaluation ruler, SharedAnswers answers)
    {
        var folder = session.Folder;
        var sampler = new TokenSampler(model.Model, model.Layers, new Sampling());
        return display.Show($"{name} {model.Spec}", ruler.Total, steps => ruler.Run(
            answers, (prompt, most) => folder.Tokenizer.Decode([.. sampler.Continue(prompt, most, folder.Checkpoint.EosTokenIds)]), new Steps(steps, answers)));
    }

    private sealed class Steps(IProgress<ProgressStep> steps, SharedAnswers answers) : IProgress<RulerProgress>
    {
        public void Report(RulerProgress value) => steps.Report(new ProgressStep(value.Done, $"{value.Cell}{answers.ReusedNote}"));
    }
}
