using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
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
        using var log = new ResultLog(Path.Combine(folder, RunFolder.ResultsFile), parsed.Ranks());
        var measured = new List<MeasuredMethod>();
        foreach (var (model, name) in parsed.OpenModels(compute, interrupted))
        {
            var ruler = new RulerEvaluation(
                tasks, lengths, parsed.GetValue(Samples), parsed.GetValue(CommonOptions.Seed), text => model.Folder.Tokenizer.Encode(text), log, parsed.Ranks());
            measured.AddRange(specs.Select(spec => Measure(display, name, model, model.Folder.Config.SetupFor(spec, lengths[^1]), ruler, parsed.GetValue(Threshold), interrupted)));
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

    private static MeasuredMethod Measure(
        RunDisplay display, string name, ModelSession session, PositionSetup positions, RulerEvaluation ruler, double threshold, CancellationToken interrupted)
    {
        var model = session.Under(positions);
        var (folder, run) = (session.Folder, RunKey.Of(session.Folder.Identity, model.Spec, model.Model.Dtype, model.Model.Device, batchTokens: 0));
        var sampler = new TokenSampler(model.Model, model.Layers, new Sampling());
        var result = display.Show($"{name} {model.Spec}", ruler.Total, steps => ruler.Run(
            run, (prompt, most) => folder.Tokenizer.Decode([.. sampler.Continue(prompt, most, folder.Checkpoint.EosTokenIds)]), new Steps(steps), interrupted));
        return MeasuredMethod.Of(name, model) with { Ruler = result with { Threshold = threshold } };
    }

    private sealed class Steps(IProgress<ProgressStep> steps) : IProgress<RulerProgress>
    {
        public void Report(RulerProgress value) => steps.Report(new ProgressStep(
            value.Done, $"{value.Cell}{(value.Reused > 0 ? $", {value.Reused} from an earlier run" : "")}"));
    }
}
