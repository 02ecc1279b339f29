using System.CommandLine;
using System.Diagnostics;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Models;
using CutoffLen.Positions.Methods;
using CutoffLen.Reports;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff eval-ppl</c>: perplexity over lengths, where the context ends, and a report.</summary>
internal static class EvalPplCommand
{
    private static readonly Option<string[]> Data = EvaluationOptions.Many(
        "--data", "Text to measure on: .txt (a document a file), .jsonl (a document a line), also .gz and .zst, .parquet (a document a row), folders and globs of them, or hf:org/name/FILE[@revision] on the hub.", "PATH", required: true, "-d");

    private static readonly Option<IReadOnlyList<int>> LengthsOption = EvaluationOptions.LengthsOf("512..8k");

    private static readonly Option<string[]> Protocols = EvaluationOptions.Many(
        "--protocol", $"How perplexity is measured: {string.Join(", ", PerplexityProtocols.All.Select(p => p.Name))}; default {PerplexityProtocols.Default}; give several to compare them.", "NAME", required: false);

    private static readonly Option<int?> Stride = CommonOptions.Parsed<int?>("--stride", "Stride of the protocol in tokens; changes the protocol's name.", "TOKENS", null, text => Lengths.ParseOne(text));
    private static readonly Option<int?> Documents = CommonOptions.Parsed<int?>("--documents", "Measure on the first N documents only.", "N", null, text => Lengths.ParseOne(text));
    private static readonly Option<bool> Concatenate = CommonOptions.Flag("Make one text of all documents, one after another.", "--concatenate");
    private static readonly Option<string> TextField = new("--dataset-text-field")
    {
        Description = CommonOptions.KeyOf("dataset_text_field").Description,
        HelpName = "NAME",
        DefaultValueFactory = _ => DataFile.StandardTextField,
    };

    private static readonly Option<string?> CacheDir = new("--cache-dir") { Description = "Folder of the token caches; the user's cache folder when not given.", HelpName = "DIR" };
    private static readonly Option<double> Delta = CommonOptions.Parsed(
        "--delta", "The rise in nats that ends the effective context. Default 0.1.", "NATS", EffectiveContext.StandardDelta,
        text => double.TryParse(text, out var nats) && nats > 0 && double.IsFinite(nats) ? nats : throw new UserException($"'{text}' is not a number of nats above 0"));

    private static readonly Option<int?> LongPplLength = CommonOptions.Parsed<int?>(
        "--longppl", "Also measure LongPPL, with key tokens found against this shorter context.", "TOKENS", null, text => Lengths.ParseOne(text));

    private static readonly Option<int?> ResolutionLength = CommonOptions.Parsed<int?>(
        "--attention-resolution", "Also measure attention resolution, with BCA off and on, on the first tokens of the first text that has them.", "TOKENS", null, text => Lengths.ParseOne(text));

    private static readonly Option<int?> EntropyLength = CommonOptions.Parsed<int?>(
        "--attention-entropy", "Also measure attention entropy, and the divergence from the checkpoint's own method, on the first tokens of the first text that has them.", "TOKENS", null, text => Lengths.ParseOne(text));

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("eval-ppl", "Measure perplexity over lengths and where the context ends; writes ppl.csv, ppl.json and report.html.")
        {
            EvaluationOptions.Models,
            Data,
            LengthsOption,
            EvaluationOptions.Ropes,
            Protocols,
            Stride,
            Documents,
            Concatenate,
            TextField,
            CacheDir,
            Delta,
            LongPplLength,
            ResolutionLength,
            EntropyLength,
            EvaluationOptions.BatchTokens,
            EvaluationOptions.Out,
            CommonOptions.Device,
            CommonOptions.Dtype,
            CommonOptions.Attention,
            CommonOptions.Threads,
            CommonOptions.Json,
        }
        .RunsOnEveryRank(Run);

    private static void Run(ParseResult parsed, CancellationToken interrupted)
    {
        var protocols = (parsed.GetValue(Protocols) is { Length: > 0 } names ? names : [PerplexityProtocols.Default])
            .Select(name => PerplexityProtocols.Parse(name, parsed.GetValue(Stride))).DistinctBy(p => p.Name).ToList();
        var specs = parsed.Specs();
        var lengths = parsed.GetValue(LengthsOption)!;
        var folder = parsed.PrepareFolder();
        var (compute, ranks) = (parsed.GetCompute(), parsed.Ranks());
        var started = Stopwatch.StartNew();
        using var log = parsed.OpenLog(folder);

        var measured = new List<MeasuredMethod>();
        var comparisons = new List<MethodComparison>();
        ModelScores? baseline = null;
        EvaluationDocuments? first = null;
        IReadOnlyList<ProtocolNote> notes = [];
        string[] data = [.. parsed.GetValue(Data)!.SelectMany(parsed.Hub(interrupted).Data)];
        foreach (var (model, name) in parsed.OpenModels(compute, interrupted))
        {
            var special = model.Folder.Tokenizer.SpecialTokens;
            var documents = EvaluationDocuments.Read(
                data, model.Folder.Tokenizer, parsed.GetValue(Documents), parsed.GetValue(Concatenate), parsed.GetValue(CacheDir), parsed.GetValue(TextField)!, cancel: interrupted);
            (first, notes) = first is null ? (documents, [.. protocols.Select(p => ProtocolNote.Of(p, special))]) : (first, notes);
            var plan = new PerplexityPlan(protocols, lengths, special);
            var run = new PerplexityRun(plan, documents.Documents, log, parsed.GetValue(EvaluationOptions.BatchTokens), new RunDisplay(parsed.Terminal()), interrupted, ranks);
            foreach (var spec in specs)
            {
                var positioned = model.Under(model.Folder.Config.SetupFor(spec, lengths[^1]));
                var scores = run.Measure(name, model, positioned);
                var longPpl = parsed.GetValue(LongPplLength) is { } shorter ? LongPpl(positioned, documents, lengths[^1], shorter, ranks, interrupted) : null;
                var resolution = TokensFor(ResolutionLength) is { } ofResolution ? AttentionResolution.OffAndOn(positioned.Model, positioned.Spec, ofResolution) : null;
                var attention = TokensFor(EntropyLength) is { } ofEntropy
                    ? AttentionDistributions.Measure(positioned.Model, positioned.Layers, model.Folder.Config.SetupFor(PositionMethods.Auto, lengths[^1]).Layers, ofEntropy)
                    : null;
                if (ranks.Rank > 0)
                {
                    continue; // rank 0 makes the report
                }

                measured.Add(MeasuredMethod.Of(name, model.Folder.Config, scores, parsed.GetValue(Delta)) with
                {
                    LongPpl = longPpl, AttentionResolution = resolution, AttentionDistributions = attention,
                });
                comparisons.AddRange(baseline is null ? [] : MethodComparison.Of(name, scores, baseline));
                baseline ??= scores;
            }

            int[]? TokensFor(Option<int?> option) => parsed.GetValue(option) is { } length ? FirstTokens(documents, option.Name, length) : null;
        }

        if (ranks.Rank > 0)
        {
            return;
        }

        var report = parsed.ReportOf(compute, measured, Settings(parsed, started)) with
        {
            Perplexity = new PerplexitySection(notes, lengths, Corpus.Of(first!), comparisons, [.. PerplexitySection.NotesOn(measured, first!)]),
        };
        parsed.Publish(report, folder);
    }

    private static LongPplSummary LongPpl(PositionedModel model, EvaluationDocuments documents, int longest, int shorter, ICollectives ranks, CancellationToken interrupted)
    {
        using var scorer = new LlamaScorer(model.Model, model.Layers, model.Attention.Path);
        return Evaluation.Measures.LongPpl.Measure(scorer, documents.Documents, longest, shorter, ranks, interrupted);
    }

    private static int[] FirstTokens(EvaluationDocuments documents, string option, int length)
    {
        var document = documents.Documents.FirstOrDefault(d => d.Tokens.Length >= length)
            ?? throw new UserException($"{option} {length}: no text has so many tokens; the longest has {documents.Documents.Max(d => d.Tokens.Length)}");
        return length >= 2 ? document.Tokens[..length] : throw new UserException($"{option} {length}: two tokens are the least");
    }

    private static IReadOnlyList<Setting> Settings(ParseResult parsed, Stopwatch started) =>
    [
        new("threads", $"{TorchSharp.torch.get_num_threads()}"),
        new("batch", $"{parsed.GetValue(EvaluationOptions.BatchTokens)} tokens"),
        new("bootstrap", Bootstrap.Description),
        new("time", RunDisplay.Format(started.Elapsed)),
    ];
}
