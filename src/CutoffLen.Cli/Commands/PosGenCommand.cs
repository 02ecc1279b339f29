using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.PosGen;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Files;
using CutoffLen.Runs;
using Spectre.Console;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff posgen make</c> and <c>cutoff posgen accuracy</c>: sequences whose rule holds at any length.</summary>
internal static class PosGenCommand
{
    private static readonly Option<string> Task = CommonOptions.Word("--task", "Which earlier numbers the next one depends on.", "NAME", "recurrent", "cot", "semirecurrent");
    private static readonly Option<int> Modulus = CommonOptions.Whole("--modulus", "Numbers are below it.", 2, PosGenText.MostNumbers, 17);
    private static readonly Option<int> Far = CommonOptions.Whole("--far", "Far numbers that a number depends on.", 1, 16, 1);
    private static readonly Option<int> Near = CommonOptions.Whole("--near", "Near numbers that a number depends on.", 1, 16, 3);
    private static readonly Option<int> Length = CommonOptions.Whole("--length", "Numbers of a training sequence.", 2, 1 << 20, 64);
    private static readonly Option<int> TestLength = CommonOptions.Whole("--test-length", "Numbers of the other sequences.", 3, 1 << 20, 256);
    private static readonly Option<int> Train = CommonOptions.Whole("--train", "Training sequences.", 1, 10_000_000, 10_000);
    private static readonly Option<int> Test = CommonOptions.Whole("--test", "Sequences of validation, and as many of the test.", 1, 1_000_000, 1_000);
    private static readonly Option<string?> Results = new("--out", "-o") { Description = "Folder for what was predicted; finished work in it is not redone.", HelpName = "DIR" };
    private static readonly Option<string> Out = new("--out", "-o") { Description = "Folder for train.jsonl, validation.jsonl, test.jsonl and model/.", HelpName = "DIR", Required = true };

    /// <summary>The command with its two verbs.</summary>
    public static Command Create() => new("posgen", "PosGen (arXiv 2403.00071): sequences of one rule, shorter in training than in the test.")
    {
        new Command("make", "Write the sequences, and a small model's configuration and tokenizer for 'cutoff init'.")
        {
            Task, Modulus, Far, Near, Length, TestLength, Train, Test, Out,
        }
        .Runs((parsed, _) => Make(parsed)),
        new Command("accuracy", "Share of the numbers that models predict, within the trained length and beyond it.")
        {
            EvaluationOptions.Models, EvaluationOptions.Ropes, Task, Modulus, Far, Near, Length, TestLength, Test, Results,
            CommonOptions.Device, CommonOptions.Dtype, CommonOptions.Attention, CommonOptions.Threads, CommonOptions.Json,
        }
        .RunsOnEveryRank(Accuracy),
    };

    private static void Make(ParseResult parsed)
    {
        var (task, length, testLength) = TaskOf(parsed);
        var folder = parsed.GetValue(Out)!;
        OutputFolder.Create(folder);
        PosGenText.Write(folder, task, length, testLength, parsed.GetValue(Train), parsed.GetValue(Test));
        parsed.Terminal().Output.WriteLine($"written: {Path.Combine(folder, "train.jsonl, validation.jsonl, test.jsonl, model/")}");
    }

    private static void Accuracy(ParseResult parsed, CancellationToken interrupted)
    {
        var (task, length, testLength) = TaskOf(parsed);
        var sequences = task.Sequences(parsed.GetValue(Test), parsed.GetValue(Test), testLength).ToList();
        var (specs, compute) = (parsed.Specs(), parsed.GetCompute());
        var display = new RunDisplay(parsed.Terminal());
        using var log = parsed.GetValue(Results) is { } folder ? parsed.OpenLog(parsed.PrepareFolder(folder)) : new ResultLog();
        var measured = new List<(string Model, string Method, PosGenAccuracy Accuracy)>();
        foreach (var (session, name) in parsed.OpenModels(compute, interrupted))
        {
            foreach (var spec in specs)
            {
                var model = session.Under(session.Folder.Config.SetupFor(spec, testLength + 1));
                using var scorer = new LlamaScorer(model.Model, model.Layers, model.Attention.Path);
                var answers = session.Answers(model, log, parsed.Ranks(), interrupted);
                var accuracy = display.Show($"{name} {model.Spec}", sequences.Count, steps => PosGenAccuracy.Measure(
                    scorer.Likeliest, text => session.Folder.Tokenizer.Encode(text), task, sequences, length, answers, new Steps(steps)));
                measured.Add((name, $"{model.Spec}", accuracy));
            }
        }

        if (parsed.Ranks().Rank > 0)
        {
            return; // rank 0 prints
        }

        if (parsed.GetValue(CommonOptions.Json))
        {
            parsed.Terminal().PrintJson(new
            {
                Task = parsed.GetValue(Task),
                task.Modulus, task.Far, task.Near, length, testLength,
                Sequences = sequences.Count,
                Results = measured.Select(m => new { m.Model, m.Method, Inside = Json(m.Accuracy.Inside), Beyond = Json(m.Accuracy.Beyond), m.Accuracy.ByPosition }),
            });
            return;
        }

        var table = new Table().RoundedBorder().AddColumns("model", "method", $"to {length}, %", "95% interval", $"to {testLength}, %", "95% interval");
        foreach (var (name, method, accuracy) in measured)
        {
            table.AddRow([.. new[] { name, method }.Concat(Cells(accuracy.Inside)).Concat(Cells(accuracy.Beyond)).Select(text => new Text(text))]);
        }

        parsed.Terminal().Print(table);
    }

    private static (PosGenTask Task, int Length, int TestLength) TaskOf(ParseResult parsed)
    {
        var task = new PosGenTask(
            Enum.Parse<PosGenFamily>(parsed.GetValue(Task)!, ignoreCase: true), parsed.GetValue(Modulus), parsed.GetValue(Far), parsed.GetValue(Near));
        var (length, testLength) = (parsed.GetValue(Length), parsed.GetValue(TestLength));
        return length <= task.Seeds ? throw new UserException($"--length {length}: the first {task.Seeds} numbers are given, so it has to be at least {task.Seeds + 1}")
            : testLength <= length ? throw new UserException($"--test-length {testLength}: has to be more than --length {length}")
            : (task, length, testLength);
    }

    private static object Json(PosGenShare share) => new { share.Share, Interval = share.Interval is { } i ? new[] { i.Low, i.High } : null };

    private static IEnumerable<string> Cells(PosGenShare share) => [$"{100 * share.Share:0.00}", share.Interval is { } i ? $"{100 * i.Low:0.00}–{100 * i.High:0.00}" : "-"];

    private sealed class Steps(IProgress<ProgressStep> steps) : IProgress<int>
    {
        public void Report(int value) => steps.Report(new ProgressStep(value, $"{value} sequences"));
    }
}
