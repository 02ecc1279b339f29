using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Models;
using CutoffLen.Reports;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff passkey</c>: how far back a model finds a number, by depth and length.</summary>
internal static class PasskeyCommand
{
    private static readonly Option<IReadOnlyList<int>> LengthsOption = EvaluationOptions.LengthsOf("512..4k");
    private static readonly Option<int> Depths = CommonOptions.Whole("--depths", "Depths of the key, spread evenly from the beginning to the end.", 1, 1000, 10);
    private static readonly Option<int> Trials = CommonOptions.Whole("--trials", "Keys tried at each length and depth.", 1, 10_000, 5);
    private static readonly Option<int> Alternatives = CommonOptions.Whole("--alternatives", "Other keys against which the hidden one's likelihood is ranked.", 0, 1000, 19);

    private static readonly Option<string> Prompt = CommonOptions.Word("--prompt", "What is hidden: a passkey of five digits, or a password of eight letters and digits.", "FORM", "passkey", "password");

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("passkey", "Hide a number in filler text and ask for it: by depth and length; writes passkey.json and passkey.html.")
        {
            EvaluationOptions.Models,
            LengthsOption,
            EvaluationOptions.Ropes,
            Depths,
            Trials,
            Alternatives,
            Prompt,
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
        var passkey = new Passkey(
            parsed.GetValue(LengthsOption)!, parsed.GetValue(Depths), parsed.GetValue(Trials), parsed.GetValue(Alternatives), parsed.GetValue(CommonOptions.Seed),
            Enum.Parse<PasskeyForm>(parsed.GetValue(Prompt)!, ignoreCase: true));
        var specs = parsed.Specs();
        var folder = parsed.PrepareFolder();
        var display = new RunDisplay(parsed.Terminal());
        var compute = parsed.GetCompute();
        using var log = parsed.OpenLog(folder);
        var measured = new List<MeasuredMethod>();
        foreach (var (session, name) in parsed.OpenModels(compute, interrupted))
        {
            measured.AddRange(specs.Select(spec =>
            {
                var model = session.Under(session.Folder.Config.SetupFor(spec, passkey.Lengths[^1]));
                var result = Measure(display, name, session, model, passkey, session.Answers(model, log, parsed.Ranks(), interrupted));
                return MeasuredMethod.Of(name, model) with { Passkey = result };
            }));
        }

        if (parsed.Ranks().Rank > 0)
        {
            return; // rank 0 makes the report
        }

        parsed.Publish(parsed.ReportOf(compute, measured, [new("prompt", parsed.GetValue(Prompt)!), new("seed", $"{passkey.Seed}")]), folder);
    }

    private static PasskeyResult Measure(RunDisplay display, string name, ModelSession session, PositionedModel model, Passkey passkey, SharedAnswers answers)
    {
        using var scorer = new LlamaScorer(model.Model, model.Layers, model.Attention.Path);
        var tokenizer = session.Folder.Tokenizer;
        return display.Show($"{name} {model.Spec}", passkey.Lengths.Count * passkey.Depths, steps => passkey.Run(
            scorer, text => tokenizer.Encode(text), tokens => tokenizer.Decode(tokens), answers, new Steps(steps, answers)));
    }

    private sealed class Steps(IProgress<ProgressStep> steps, SharedAnswers answers) : IProgress<PasskeyCell>
    {
        private int done;

        public void Report(PasskeyCell value) => steps.Report(new ProgressStep(
            ++done, $"{value.Length} tokens, depth {value.Depth:0%}: {value.Found}/{value.Trials} found, rank {value.MeanRank:0.0} of {value.Candidates}{answers.ReusedNote}"));
    }
}
