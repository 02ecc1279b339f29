using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Positions.Search;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff rope search</c>: LongRoPE's rescale factors for a model.</summary>
internal static class RopeSearchCommand
{
    private static readonly FactorSearchSettings Paper = new();

    private static readonly Option<string[]> Data = EvaluationOptions.Many(
        "--data", "Text to measure candidates on; keep other text apart to judge the result. Documents shorter than --length are left out.", "PATH", required: true, "-d");

    private static readonly Option<int> Length = Required("--length", "Tokens that the model shall read.");
    private static readonly Option<int?> ShortLength = CommonOptions.Parsed<int?>(
        "--short-length", "Search the factors of short contexts too, at this length; 1 each when not given.", "TOKENS", null, text => Predicting(text));

    private static readonly Option<int> Documents = CommonOptions.Whole("--documents", "Measure on the first N documents that are long enough. Default 5.", 1, 100_000, 5);
    private static readonly Option<int> Population = CommonOptions.Whole("--population", "Candidates of the first generation. Default 64.", 3, 1_000_000, Paper.Population);
    private static readonly Option<int> Top = CommonOptions.Whole("--top", "Candidates that are kept and have children. Default 32.", 1, 1_000_000, Paper.Top);
    private static readonly Option<int> Mutations = CommonOptions.Whole("--mutations", "Children by mutation in a generation. Default 16.", 0, 1_000_000, Paper.Mutations);
    private static readonly Option<int> Crossovers = CommonOptions.Whole("--crossovers", "Children by crossover in a generation. Default 16.", 0, 1_000_000, Paper.Crossovers);
    private static readonly Option<int> Generations = CommonOptions.Whole("--generations", "Generations after the first. Default 40.", 0, 1_000_000, Paper.Generations);
    private static readonly Option<double> Probability = CommonOptions.Number("--mutation-probability", "With which a factor of a child is drawn again. Default 0.3.", "P", 0, 1, Paper.MutationProbability);
    private static readonly Option<double?> AttentionFactor = CommonOptions.Parsed<double?>(
        "--attention-factor", "Factor on queries and keys; sqrt(1 + ln(factor) / ln(native length)) when not given.", "FACTOR", null, text => CommonOptions.NumberIn(text, 0.001, 1000));

    private static readonly Option<bool> NoStartTokens = CommonOptions.Flag("Interpolate the first tokens of a document too. Only then has Hugging Face a form of the result.", "--no-start-tokens");
    private static readonly Option<string> Fitness = CommonOptions.Word(
        "--fitness", "What is minimised: perplexity of the text, or needle: of the answers to hidden keys only (LongRoPE2).", "NAME", "perplexity", "needle");

    private static readonly Option<CriticalPair?> Critical = CommonOptions.Parsed<CriticalPair?>(
        "--critical-pair", "LongRoPE2's space: factors from the scale to twice it from pair N on, NTK below; or 'search' to search N too, from the theoretical one down.", "N|search", null,
        CriticalPair.Parse);

    private static readonly Option<string?> Out = new("--out", "-o")
    {
        Description = "Folder for the scores (a search that was stopped goes on), search.json, and final/, the model with the factors.",
        HelpName = "DIR",
    };

    /// <summary>The command with its options.</summary>
    public static Command Create() => new Command("search", "Search LongRoPE's rescale factors for a model by evolution; sizes are the paper's unless given.")
    {
        CommonOptions.Model,
        Data,
        Length,
        ShortLength,
        Documents,
        Population,
        Top,
        Mutations,
        Crossovers,
        Generations,
        Probability,
        AttentionFactor,
        NoStartTokens,
        Fitness,
        Critical,
        EvaluationOptions.BatchTokens,
        Out,
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
        using var model = parsed.OpenModel(interrupted);
        var settings = new RopeSearchSettings(parsed.GetValue(Length))
        {
            Search = new FactorSearchSettings
            {
                Population = parsed.GetValue(Population),
                Top = parsed.GetValue(Top),
                Mutations = parsed.GetValue(Mutations),
                Crossovers = parsed.GetValue(Crossovers),
                Generations = parsed.GetValue(Generations),
                MutationProbability = parsed.GetValue(Probability),
                Seed = parsed.GetValue(CommonOptions.Seed),
            },
            Documents = parsed.GetValue(Documents),
            ShortLength = parsed.GetValue(ShortLength),
            StartTokens = !parsed.GetValue(NoStartTokens),
            CriticalPair = parsed.GetValue(Critical),
            Needle = parsed.GetValue(Fitness) == "needle",
            AttentionFactor = parsed.GetValue(AttentionFactor),
            BatchTokens = parsed.GetValue(EvaluationOptions.BatchTokens),
        };
        var result = RopeSearchRun.Run(
            model, [.. parsed.GetValue(Data)!.SelectMany(parsed.Hub(interrupted).Data)], settings, parsed.GetValue(Out), new RunDisplay(parsed.Terminal()), parsed.Ranks(), interrupted);
        parsed.Print(result, found => Fields(found, settings.CriticalPair is not null));
    }

    private static IReadOnlyList<(string Name, string Value)> Fields(RopeSearchResult result, bool hasCriticalPair) =>
    [
        ("spec", result.Spec),
        .. hasCriticalPair ? [("critical pair", $"{result.LongFactors.CriticalPair} (theoretical {result.TheoreticalCriticalPair})")] : Array.Empty<(string, string)>(),
        .. FieldsOf(result.LongFactors, [result.Yarn]),
        .. result.ShortFactors is null ? [] : FieldsOf(result.ShortFactors, []),
        .. result.Checkpoint is null ? Array.Empty<(string, string)>() : [("checkpoint", result.Checkpoint)],
    ];

    private static IEnumerable<(string Name, string Value)> FieldsOf(SearchedFactors found, IReadOnlyList<SearchedPerplexity> others) =>
    [
        ($"perplexity at {found.Length}", $"{found.Perplexity:0.000} ({found.Protocol}, {found.Candidates} candidates)"),
        .. others.Concat(found.Seeds.Select(seed => seed with { Name = $"seed {seed.Name}" })).Select(other => ($"  {other.Name}", $"{other.Perplexity:0.000}")),
    ];

    private static Option<int> Required(string name, string description)
    {
        var option = CommonOptions.Parsed(name, description, "TOKENS", Predicting);
        option.Required = true;
        return option;
    }

    private static int Predicting(string text) => EvaluationOptions.Predicting(Lengths.ParseOne(text));
}
