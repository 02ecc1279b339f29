using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using CutoffLen.Reports;
using CutoffLen.Runs;
using CutoffLen.Tokenization;

namespace CutoffLen.Cli.Commands;

/// <summary>
/// <c>cutoff summarize prepare</c> and <c>cutoff summarize eval</c>: long-document summarization as in Position Interpolation (arXiv
/// 2306.15595, section 3.5). The one makes records to fine-tune on, the other summarizes and scores by ROUGE.
/// </summary>
internal static class SummarizeCommand
{
    private static readonly JsonSerializerOptions RecordOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly Option<string[]> DataPaths = EvaluationOptions.Many(
        "--data", "Files (.jsonl, also .gz and .zst), folders or globs; a line has a document and its summary.", "PATH", required: true);

    private static readonly Option<string> DocumentField = Field("--document-field", "Field of the document.", new SummarizationFields().Document);
    private static readonly Option<string> SummaryField = Field("--summary-field", "Field of the summary.", new SummarizationFields().Summary);
    private static readonly Option<int> DocumentTokens = CommonOptions.Parsed(
        "--document-tokens", "Tokens of a document that are read, the first ones; default 15000.", "TOKENS", new SummarizationFields().DocumentTokens, Lengths.ParseOne);

    private static readonly Option<string> Out = new("--out", "-o") { Description = "The .jsonl file to write, a record of prompt and completion a line.", HelpName = "FILE", Required = true };
    private static readonly Option<int> MaxNewTokens = CommonOptions.Whole("--max-new-tokens", "Most tokens of a summary.", 1, 1 << 24, 1000);
    private static readonly Option<int?> Documents = CommonOptions.Parsed<int?>("--documents", "Summarize the first N documents only.", "N", null, text => Lengths.ParseOne(text));
    private static readonly Option<double> Temperature = GenerateCommand.TemperatureOf(SummarizationRun.PaperSampling.Temperature);
    private static readonly Option<double> TopP = GenerateCommand.TopPOf(SummarizationRun.PaperSampling.TopP);

    /// <summary>The command with its two verbs.</summary>
    public static Command Create() => new("summarize", "Summarize long documents: make training records, or measure by ROUGE.")
    {
        new Command("prepare", "Make records of prompt and completion for 'cutoff finetune' from documents and summaries.")
        {
            CommonOptions.Model, DataPaths, DocumentField, SummaryField, DocumentTokens, Out, CommonOptions.Json,
        }
        .Runs(Prepare),
        new Command("eval", "Summarize documents and score by ROUGE; writes summarization.json and summarization.html.")
        {
            EvaluationOptions.Models,
            DataPaths,
            EvaluationOptions.Ropes,
            DocumentField,
            SummaryField,
            DocumentTokens,
            Documents,
            MaxNewTokens,
            Temperature,
            TopP,
            CommonOptions.Seed,
            EvaluationOptions.Out,
            CommonOptions.Device,
            CommonOptions.Dtype,
            CommonOptions.Threads,
            CommonOptions.Json,
        }
        .RunsOnEveryRank(Evaluate),
    };

    private static void Prepare(ParseResult parsed, CancellationToken interrupted)
    {
        var tokenizer = CheckpointTokenizer.Open(parsed.Hub(interrupted).Model(parsed.GetValue(CommonOptions.Model)!, weights: false));
        OutputFolder.Create(Path.GetDirectoryName(Path.GetFullPath(parsed.GetValue(Out)!))!);
        var (records, cut, longest) = (0, 0, 0);
        using var file = new AtomicFile(parsed.GetValue(Out)!);
        foreach (var example in SummarizationExample.Read(FilesOf(parsed, interrupted), FieldsOf(parsed), tokenizer))
        {
            interrupted.ThrowIfCancellationRequested();
            JsonSerializer.Serialize(file.Stream, new { prompt = example.Prompt, completion = example.Completion }, RecordOptions);
            file.Stream.WriteByte((byte)'\n');
            (records, cut) = (records + 1, cut + (example.IsCut ? 1 : 0));
            longest = Math.Max(longest, tokenizer.Encode(example.Prompt + example.Completion).Length + 1);
        }

        if (records == 0)
        {
            throw new UserException($"{string.Join(", ", parsed.GetValue(DataPaths)!)}: no document to summarize");
        }

        file.Commit();
        parsed.Print(new { Records = records, DocumentsCut = cut, LongestRecordTokens = longest, File = parsed.GetValue(Out)! }, made =>
        [
            ("records", $"{made.Records}"),
            ("documents cut", $"{made.DocumentsCut}, at {parsed.GetValue(DocumentTokens)} tokens"),
            ("longest record", $"{made.LongestRecordTokens} tokens with EOS: the cutoff that loses nothing"),
            ("written", made.File),
        ]);
    }

    private static void Evaluate(ParseResult parsed, CancellationToken interrupted)
    {
        var specs = parsed.Specs();
        var sampling = new Sampling(parsed.GetValue(Temperature), parsed.GetValue(TopP), parsed.GetValue(CommonOptions.Seed));
        var folder = parsed.PrepareFolder();
        var display = new RunDisplay(parsed.Terminal());
        var compute = parsed.GetCompute();
        var files = FilesOf(parsed, interrupted);
        using var log = parsed.OpenLog(folder);
        var measured = new List<MeasuredMethod>();
        foreach (var (session, name) in parsed.OpenModels(compute, interrupted))
        {
            var examples = SummarizationExample.Read(files, FieldsOf(parsed), session.Folder.Tokenizer);
            var run = new SummarizationRun(
                [.. parsed.GetValue(Documents) is { } most ? examples.Take(most) : examples], sampling, parsed.GetValue(MaxNewTokens));
            measured.AddRange(specs.Select(spec => display.Show($"{name} {spec}", run.Examples.Count, steps =>
            {
                var (result, model) = run.Measure(session, spec, log, parsed.Ranks(), new Steps(steps), interrupted);
                return MeasuredMethod.Of(name, model) with { Summarization = result };
            })));
        }

        if (parsed.Ranks().Rank > 0)
        {
            return; // rank 0 makes the report
        }

        parsed.Publish(parsed.ReportOf(compute, measured,
        [
            new("documents", $"{measured[0].Summarization!.Summaries.Count}, of each at most {parsed.GetValue(DocumentTokens)} tokens"),
            new("sampling", FormattableString.Invariant($"temperature {sampling.Temperature}, top-p {sampling.TopP}, at most {parsed.GetValue(MaxNewTokens)} tokens, seed {sampling.Seed}")),
            new("bootstrap", $"{Bootstrap.Description}, drawn over documents"),
        ]), folder);
    }

    private static string[] FilesOf(ParseResult parsed, CancellationToken interrupted) => [.. parsed.GetValue(DataPaths)!.SelectMany(parsed.Hub(interrupted).Data)];

    private static SummarizationFields FieldsOf(ParseResult parsed) =>
        new(parsed.GetValue(DocumentField)!, parsed.GetValue(SummaryField)!, parsed.GetValue(DocumentTokens));

    private static Option<string> Field(string name, string description, string standard) =>
        new(name) { Description = description, HelpName = "NAME", DefaultValueFactory = _ => standard };

    private sealed class Steps(IProgress<ProgressStep> steps) : IProgress<ScoredSummary>
    {
        private int done;

        public void Report(ScoredSummary value) => steps.Report(new ProgressStep(
            ++done, FormattableString.Invariant($"{value.PromptTokens} tokens read, {value.Tokens} written, ROUGE-1 {100 * value.Rouge.Rouge1.F1:0.0}")));
    }
}
