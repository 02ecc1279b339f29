using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Files;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Search;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Runs;

/// <summary>What a search for LongRoPE's factors minimises, and where it looks.</summary>
/// <param name="Length">Tokens of the long factors' context.</param>
public sealed record RopeSearchSettings(int Length)
{
    /// <summary>Sizes and seed.</summary>
    public FactorSearchSettings Search { get; init; } = new();

    /// <summary>Documents that a candidate is measured on, the first that are long enough.</summary>
    public int Documents { get; init; } = 5;

    /// <summary>Tokens at which short factors are searched too, at most the native length; null for 1 each.</summary>
    public int? ShortLength { get; init; }

    /// <summary>Whether n-hat, the start tokens that are not interpolated, is searched; else it is 0.</summary>
    public bool StartTokens { get; init; } = true;

    /// <summary>LongRoPE2's critical pair, from which on factors are searched; null for LongRoPE's space.</summary>
    public CriticalPair? CriticalPair { get; init; }

    /// <summary>Whether only the answers to hidden needles are scored (<see cref="Evaluation.Measures.Needle"/>).</summary>
    public bool Needle { get; init; }

    /// <summary>longrope's attention factor; null for its default.</summary>
    public double? AttentionFactor { get; init; }

    /// <summary>The most tokens that one batch reads.</summary>
    public int BatchTokens { get; init; } = PerplexityEvaluation.StandardBatchTokens;
}

/// <summary>Perplexity of a method on the documents of a search.</summary>
/// <param name="Name">The method.</param>
/// <param name="Perplexity">On the documents.</param>
public sealed record SearchedPerplexity(string Name, double Perplexity);

/// <summary>Factors of one length.</summary>
/// <param name="Length">Tokens at which candidates were measured.</param>
/// <param name="Protocol">How.</param>
/// <param name="Factors">[D/2] the best.</param>
/// <param name="StartTokens">n-hat of the best.</param>
/// <param name="Perplexity">Of the best.</param>
/// <param name="Seeds">Of the seeds, rounded to the step of the factors.</param>
/// <param name="Generations">The lowest perplexity after each generation, the first population's first.</param>
/// <param name="Candidates">Candidates measured.</param>
/// <param name="CriticalPair">The first pair whose factor was searched, of the best; 0 in LongRoPE's space.</param>
public sealed record SearchedFactors(
    int Length, string Protocol, double[] Factors, int StartTokens, double Perplexity, IReadOnlyList<SearchedPerplexity> Seeds,
    IReadOnlyList<double> Generations, int Candidates, int CriticalPair);

/// <summary>What a search found.</summary>
/// <param name="Spec">The <c>longrope</c> spec.</param>
/// <param name="Yarn">YaRN, with its own attention factor, on the same documents.</param>
/// <param name="LongFactors">The long factors.</param>
/// <param name="ShortFactors">The short factors; null where none were searched.</param>
/// <param name="TheoreticalCriticalPair">The critical pair by the model's base and native length.</param>
/// <param name="Documents">Names of the documents.</param>
/// <param name="Checkpoint">The folder of the checkpoint with the factors; null where none was asked for.</param>
public sealed record RopeSearchResult(
    string Spec, SearchedPerplexity Yarn, SearchedFactors LongFactors, SearchedFactors? ShortFactors, int TheoreticalCriticalPair,
    IReadOnlyList<string> Documents, string? Checkpoint);

/// <summary>
/// LongRoPE's search (arXiv 2402.13753) on a model and texts. Scores are kept in the folder's results.jsonl: a search that was
/// killed tries the same candidates again and finds them there. The checkpoint has the model's weights as they are stored, and
/// the factors in config.json.
/// </summary>
public sealed class RopeSearchRun
{
    /// <summary>The file with the result.</summary>
    public const string ResultFile = "search.json";

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        WriteIndented = true,
    };

    private readonly ModelSession model;
    private readonly RopeSearchSettings settings;
    private readonly IRunDisplay display;
    private readonly ICollectives ranks;
    private readonly CancellationToken stop;
    private readonly ResultLog log;
    private readonly string identity;
    private readonly double[] own;
    private AttentionPath path;

    private RopeSearchRun(ModelSession model, RopeSearchSettings settings, ResultLog log, IRunDisplay? display, ICollectives? ranks, CancellationToken stop)
    {
        (this.model, this.settings, this.log, this.stop) = (model, settings, log, stop);
        (this.display, this.ranks) = (display ?? RunProgress.None, ranks ?? SingleRank.Instance);
        Check();
        (identity, own) = (model.Folder.Identity, OwnFactors());
    }

    private LlamaConfig Config => model.Folder.Config;

    private int Pairs => Config.RotaryDim / 2;

    private double[] Ones => [.. Enumerable.Repeat(1.0, Pairs)];

    private double Scale => settings.Length / (double)Config.NativeLength;

    /// <summary>Searches, and saves the checkpoint.</summary>
    /// <param name="model">The model.</param>
    /// <param name="data">Files, folders and globs to measure on.</param>
    /// <param name="settings">What to search for.</param>
    /// <param name="folder">Folder of results.jsonl and of the checkpoint, <c>final</c>; null to keep nothing.</param>
    /// <param name="display">Shows progress.</param>
    /// <param name="ranks">The ranks that share the documents of a candidate; null for one.</param>
    /// <param name="stop">Stops it; the scores so far are kept.</param>
    /// <exception cref="UserException">A setting does not fit the model, or no document is long enough.</exception>
    public static RopeSearchResult Run(
        ModelSession model, IReadOnlyList<string> data, RopeSearchSettings settings, string? folder = null, IRunDisplay? display = null,
        ICollectives? ranks = null, CancellationToken stop = default)
    {
        if (folder is not null)
        {
            (ranks ?? SingleRank.Instance).OnFirst(() =>
            {
                OutputFolder.Create(folder);
                display?.Enter(folder);
            });
        }

        using var log = folder is null ? new ResultLog() : new ResultLog(Path.Combine(folder, RunFolder.ResultsFile), ranks);
        var run = new RopeSearchRun(model, settings, log, display, ranks, stop);
        var result = run.Search(EvaluationDocuments.Read(data, model.Folder.Tokenizer, cancel: stop).LongEnough(settings.Length, settings.Documents));
        return folder is null ? result : run.Save(result, new RunFolder(folder));
    }

    private void Check()
    {
        if (settings.Length <= Config.MaxPositionEmbeddings)
        {
            throw new UserException($"--length {settings.Length}: the model has {Config.MaxPositionEmbeddings} tokens already; a search is for more");
        }

        if (settings.ShortLength > Config.NativeLength)
        {
            throw new UserException($"--short-length {settings.ShortLength}: short factors hold up to the native length, {Config.NativeLength} tokens");
        }

        if (settings.CriticalPair?.Given >= Pairs)
        {
            throw new UserException($"--critical-pair {settings.CriticalPair.Given}: heads with {Config.RotaryDim} rotated elements have pairs 0 to {Pairs - 1}");
        }
    }

    /// <summary>The factors that the checkpoint's own method has at its own length.</summary>
    private double[] OwnFactors()
    {
        var length = Config.MaxPositionEmbeddings;
        var setup = Config.SetupFor(PositionMethods.Auto, length);
        return setup.Layers.OfEveryLayer is FrequencyMethod method
            ? FactorSeed.FactorsOf(setup.Model, method.Frequencies(length))
            : throw new UserException($"a search needs a checkpoint whose method only sets frequencies; this one's is '{setup.Spec}'");
    }

    private RopeSearchResult Search(IReadOnlyList<EvaluationDocument> documents)
    {
        var evaluation = EvaluationOf(documents, settings.Length);
        var yarn = model.Under(Config.SetupFor(PositionMethods.Parse("yarn"), settings.Length));
        path = yarn.Attention.Path;
        var baseline = new SearchedPerplexity($"{yarn.Spec}", PerplexityOf(evaluation.Run(yarn, identity, cancel: stop).Scores));

        var criticalPairs = settings.CriticalPair?.Candidates(Config.Positions);
        var space = criticalPairs is not null ? FactorSpace.LongRope2(Pairs, Scale, criticalPairs)
            : FactorSpace.LongRope(Pairs, Scale, settings.StartTokens ? [.. FactorSpace.StartTokens.Where(start => start <= Config.NativeLength)] : []);
        var seeds = FactorSeed.Of(Config.Positions, own, Config.MaxPositionEmbeddings, settings.Length);
        if (settings.CriticalPair == CriticalPair.Searched)
        {
            seeds = [.. seeds, .. FactorSeed.OfCriticalPairs(criticalPairs!, Pairs, Scale, settings.Search.Seed)];
        }

        var atLong = Search("long factors", space, seeds, evaluation, candidate => SpecOf(candidate.Factors, Ones, candidate.Start));
        var atShort = settings.ShortLength is { } length ? SearchShort(atLong, EvaluationOf(documents, length)) : null;
        return new RopeSearchResult(
            $"{SpecOf(atLong.Factors, atShort?.Factors ?? Ones, atLong.StartTokens)}", baseline, atLong, atShort,
            CriticalPair.Theoretical(Config.Positions), [.. documents.Select(document => document.Name)], null);
    }

    /// <summary>
    /// The recovery of short contexts (arXiv 2402.13753, section 3.3). Factors are at most 1.25 times the largest that the weights
    /// were tuned with; weights that were tuned with factors want some of them at short lengths too.
    /// </summary>
    private SearchedFactors SearchShort(SearchedFactors atLong, PerplexityEvaluation evaluation) => Search(
        "short factors", FactorSpace.LongRope(Pairs, Math.Max(1, own.Max())),
        [new("rope", Ones), new("own", own), new("root of own", Array.ConvertAll(own, Math.Sqrt))], evaluation,
        candidate => SpecOf(atLong.Factors, candidate.Factors, atLong.StartTokens));

    private SearchedFactors Search(
        string title, FactorSpace space, IReadOnlyList<FactorSeed> seeds, PerplexityEvaluation evaluation, Func<RescaleFactors, PositionSpec> specOf)
    {
        var search = new FactorSearch(space, settings.Search, candidate => PerplexityOf(evaluation, specOf(candidate)));
        var most = settings.Search.Candidates + Math.Max(0, seeds.Count - settings.Search.Population);
        var found = display.Show(title, most, steps => search.Run(seeds, new Steps(steps, settings.Search.Generations)));
        return new SearchedFactors(
            evaluation.Plan.Lengths[0], evaluation.Plan.Protocols[0].Name, found.Best.Factors, found.Best.Start, found.Fitness,
            [.. seeds.Zip(found.Seeds, (seed, perplexity) => new SearchedPerplexity(seed.Name, perplexity))], found.Generations, found.Candidates,
            found.Best.CriticalPair);
    }

    private PerplexityEvaluation EvaluationOf(IReadOnlyList<EvaluationDocument> documents, int length)
    {
        var tokenizer = model.Folder.Tokenizer;
        PerplexityProtocol protocol = new Prefix();
        if (settings.Needle)
        {
            (protocol, documents) = Needle.Hide(documents, length, text => tokenizer.Encode(text, addSpecial: false), settings.Search.Seed);
        }

        return new PerplexityEvaluation(new PerplexityPlan([protocol], [length], tokenizer.SpecialTokens), documents, log, settings.BatchTokens, ranks);
    }

    private double PerplexityOf(PerplexityEvaluation evaluation, PositionSpec spec)
    {
        var setup = Config.SetupFor(spec, settings.Length);
        using var scorer = new LlamaScorer(model.Network, setup.Layers, path);
        return PerplexityOf(evaluation.Run(scorer, RunKey.Of(identity, setup.Spec, model.Network.Dtype, model.Network.Device, settings.BatchTokens), cancel: stop));
    }

    private static double PerplexityOf(PerplexityScores scores) =>
        Math.Exp(scores.Windows.Sum(window => window.Score.Sum) / scores.Windows.Sum(window => window.Score.Count));

    private PositionSpec SpecOf(double[] longFactors, double[] shortFactors, int start) => PositionMethods.Parse(
        $"longrope:factor={SpecKey.Text(Scale)},original={Config.NativeLength},long={SpecKey.Text((object)longFactors)},short={SpecKey.Text((object)shortFactors)}"
        + (settings.AttentionFactor is { } attention ? $",attention_factor={SpecKey.Text(attention)}" : "") + (start > 0 ? $",start={start}" : ""));

    private RopeSearchResult Save(RopeSearchResult result, RunFolder folder)
    {
        var setup = Config.SetupFor(PositionMethods.Parse(result.Spec), settings.Length);
        model.Under(setup); // the proof that it is applied
        result = result with { Checkpoint = folder.Final };
        ranks.OnFirst(() =>
        {
            model.Folder.SaveAs(folder.Final, Config.With(PositionConfig.Of(setup, Config.ModelType)));
            folder.Write(ResultFile, JsonSerializer.Serialize(result, Json) + "\n");
        });
        return result;
    }

    /// <summary>Candidates done, with the generation, the best perplexity and the speed since the first candidate.</summary>
    private sealed class Steps(IProgress<ProgressStep> steps, int generations) : IProgress<FactorSearchProgress>
    {
        private readonly Stopwatch watch = Stopwatch.StartNew();

        public void Report(FactorSearchProgress value) => steps.Report(new ProgressStep(
            value.Candidates,
            $"generation {value.Generation}/{generations}, best {value.Fitness:0.000}{(value.Best.CriticalPair > 0 ? $" from pair {value.Best.CriticalPair} on" : "")}, "
            + $"{value.Candidates / Math.Max(1e-3, watch.Elapsed.TotalSeconds):0.0} candidates/s"));
    }
}
