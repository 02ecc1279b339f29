using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Hardware;
using CutoffLen.Positions.Search;
using CutoffLen.Runs;
using CutoffLen.Tests.Distributed;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Runs;

/// <summary>The search on a model: its journal, its checkpoint, what it refuses.</summary>
public sealed class RopeSearchRunTests : IDisposable
{
    private static readonly RopeSearchSettings Settings = new(128)
    {
        Search = new FactorSearchSettings { Population = 8, Top = 4, Mutations = 4, Crossovers = 4, Generations = 3, Seed = 7 },
        Documents = 2,
        ShortLength = 32,
    };

    private readonly TemporaryFolder folder = new();

    public RopeSearchRunTests() => TinyCheckpoint.SaveWithTexts(folder, texts: 3);

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_search_killed_in_the_middle_goes_on_and_finds_the_same(bool searchesCriticalPair)
    {
        var settings = searchesCriticalPair ? SearchingCriticalPair() : Settings;
        var whole = Search(settings, "whole");
        using var stop = new CancellationTokenSource();
        var candidates = 0;
        var killer = new RunProgress((_, _, _) =>
        {
            if (++candidates == 20)
            {
                stop.Cancel();
            }
        });
        Assert.ThrowsAny<OperationCanceledException>(() => Search(settings, "killed", killer, stop: stop.Token));
        var lines = File.ReadAllLines(folder["killed/results.jsonl"]);
        Assert.False(Directory.Exists(folder["killed/final"]));
        File.AppendAllText(folder["killed/results.jsonl"], "{\"run\":\"half a li");

        var resumed = Search(settings, "killed");

        Assert.Equal(whole.Spec, resumed.Spec);
        Assert.Equal(whole.LongFactors.Generations, resumed.LongFactors.Generations);
        Assert.Equal(
            File.ReadAllText(folder["whole/search.json"]).Replace(folder["whole"], "", StringComparison.Ordinal),
            File.ReadAllText(folder["killed/search.json"]).Replace(folder["killed"], "", StringComparison.Ordinal));
        var all = File.ReadAllLines(folder["killed/results.jsonl"]);
        Assert.Equal(lines, all[..lines.Length]);
        // Nothing is measured twice.
        Assert.Equal(File.ReadAllLines(folder["whole/results.jsonl"]), all);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Ranks_find_what_one_rank_finds(bool searchesCriticalPair)
    {
        var settings = (searchesCriticalPair ? SearchingCriticalPair() : Settings) with { BatchTokens = 128, ShortLength = null }; // a document is a batch
        var one = Search(settings, "one");
        Assert.All(ThreadCollectives.Run(2, ranks => Search(settings, "two", ranks: ranks)), two =>
        {
            Assert.Equal(one.Spec, two.Spec);
            Assert.Equal((one.Yarn.Perplexity, one.LongFactors.Perplexity), (two.Yarn.Perplexity, two.LongFactors.Perplexity));
            Assert.Equal(one.LongFactors.CriticalPair, two.LongFactors.CriticalPair);
            Assert.Equal(one.LongFactors.Generations, two.LongFactors.Generations);
        });
        Assert.Equal(File.ReadAllLines(folder["one/results.jsonl"]), File.ReadAllLines(folder["two/results.jsonl"]));
    }

    [Fact]
    public void The_critical_pair_is_searched_from_the_theoretical_one_down()
    {
        var found = Search(SearchingCriticalPair() with { ShortLength = null }, "out");

        Assert.Equal(["linear", "ntk", "yarn", "pair 0", "pair 1"], found.LongFactors.Seeds.Select(seed => seed.Name));
        var json = JsonNode.Parse(File.ReadAllText(folder["out/search.json"]))!;
        Assert.Equal((found.LongFactors.CriticalPair, 1), ((int)json["long_factors"]!["critical_pair"]!, (int)json["theoretical_critical_pair"]!));
        // Where pair 1 is critical, pair 0 is NTK's: not interpolated. Where pair 0 is, it is at least the scale, 128 / 32.
        var first = found.LongFactors.Factors[0];
        Assert.True(found.LongFactors.CriticalPair == 1 ? first == 1 : first is >= 4 and <= 8, $"{found.LongFactors.CriticalPair}: {first}");
        Assert.InRange(found.LongFactors.Factors[1], Math.Max(4, first), 8);
        Assert.Equal(found.LongFactors.Perplexity, Measured(folder["out/final"], "auto", 128), 1e-4 * found.LongFactors.Perplexity);
    }

    [Fact]
    public void The_checkpoint_has_the_factors_in_Hugging_Faces_form_and_the_perplexity_that_was_found()
    {
        var found = Search(Settings with { StartTokens = false }, "out");

        var json = JsonNode.Parse(File.ReadAllText(folder["out/final/config.json"]))!;
        Assert.Equal((128, 64), ((int)json["max_position_embeddings"]!, (int)json["original_max_position_embeddings"]!));
        Assert.Equal("longrope", (string)json["rope_scaling"]!["rope_type"]!);
        Assert.Equal(found.LongFactors.Factors, json["rope_scaling"]!["long_factor"]!.AsArray().Select(factor => (double)factor!));
        Assert.Equal(found.ShortFactors!.Factors, json["rope_scaling"]!["short_factor"]!.AsArray().Select(factor => (double)factor!));
        Assert.Equal(found.Spec, (string)JsonNode.Parse(File.ReadAllText(folder["out/search.json"]))!["spec"]!);

        Assert.Equal(found.LongFactors.Perplexity, Measured(folder["out/final"], "auto", 128), 1e-4 * found.LongFactors.Perplexity);
        Assert.Equal(found.ShortFactors.Perplexity, Measured(folder["out/final"], "auto", 32), 1e-4 * found.ShortFactors.Perplexity);
        Assert.Equal(found.Yarn.Perplexity, Measured(folder["model"], "yarn", 128), 1e-4 * found.Yarn.Perplexity);
        Assert.All(found.LongFactors.Seeds, seed => Assert.True(found.LongFactors.Perplexity <= seed.Perplexity));
        Assert.All(found.ShortFactors.Seeds, seed => Assert.True(found.ShortFactors.Perplexity <= seed.Perplexity));
    }

    [Fact]
    public void A_second_search_begins_with_the_factors_of_the_first()
    {
        Search(Settings with { StartTokens = false, ShortLength = null }, "first");
        var first = JsonNode.Parse(File.ReadAllText(folder["first/search.json"]))!["long_factors"]!["factors"]!.AsArray().Select(factor => (double)factor!).ToArray();
        using var model = ModelSession.Open(folder["first/final"], Compute);
        var none = Settings with { Search = Settings.Search with { Population = 3, Generations = 0 } };

        var second = RopeSearchRun.Run(model, [folder["texts"]], none with { Length = 256 });

        Assert.StartsWith("longrope:factor=4,original=64,", second.Spec, StringComparison.Ordinal);
        Assert.InRange(second.LongFactors.Candidates, 2, 3); // two of the seeds may round to the same factors
        // Position interpolation on top: twice each factor.
        Assert.Equal(
            Measured(folder["model"], $"longrope:factor=4,original=64,long={string.Join('/', first.Select(factor => Math.Min(5, 2 * factor)))}", 256),
            second.LongFactors.Seeds[0].Perplexity, 1e-4 * second.LongFactors.Seeds[0].Perplexity);
        Assert.Equal(["rope", "own", "root of own"], second.ShortFactors!.Seeds.Select(seed => seed.Name));
    }

    [Fact]
    public void Only_the_answers_to_needles_are_scored()
    {
        var tokenizer = CheckpointTokenizer.Open(folder["model"]);
        int[] Encode(string text) => tokenizer.Encode(text, addSpecial: false);
        var documents = EvaluationDocuments.Read([folder["texts"]], tokenizer, most: 2, cacheFolder: folder["cache"]).Documents;
        var (protocol, hidden) = Needle.Hide(documents, 300, Encode, seed: 3);
        var window = Assert.Single(protocol.Windows(300, 300));
        Assert.All(hidden.Zip([0.25, 0.75]), pair =>
        {
            var (document, depth) = pair;
            Assert.Equal(300, document.Tokens.Length);
            var text = tokenizer.Decode(document.Tokens[..window.FirstTarget], skipSpecial: true);
            var key = tokenizer.Decode(document.Tokens[window.FirstTarget..window.TargetEnd]).Trim();
            Assert.InRange(int.Parse(key, System.Globalization.CultureInfo.InvariantCulture), 10_000, 99_999);
            Assert.EndsWith("What is the pass key? The pass key is", text, StringComparison.Ordinal);
            Assert.Equal(depth, text.IndexOf($"The pass key is {key}.", StringComparison.Ordinal) / (double)text.Length, 0.15);
        });
        Assert.Equal(2, hidden.Select(document => document.Identity).Distinct().Count());
        Assert.Contains("30 are too few", Assert.Throws<UserException>(() => Needle.Hide(documents, 30, Encode, 3)).Message, StringComparison.Ordinal);

        var found = Search(Settings with { Length = 300, Needle = true, CriticalPair = new(1), ShortLength = null }, "needle");
        Assert.Equal(protocol.Name, found.LongFactors.Protocol);
        Assert.Equal(1, found.LongFactors.Factors[0]);
        Assert.InRange(found.LongFactors.Factors[1], 4.69, 9.38);
    }

    [Theory]
    [InlineData(64, null, null, "--length 64: the model has 64 tokens already")]
    [InlineData(128, 65, null, "--short-length 65: short factors hold up to the native length, 64 tokens")]
    [InlineData(128, null, 2, "--critical-pair 2: heads with 4 rotated elements have pairs 0 to 1")]
    [InlineData(1 << 20, null, null, "no text has 1048576 tokens; the longest of 3 has ")]
    public void What_does_not_fit_the_model_is_an_error(int length, int? shortLength, int? pair, string message)
    {
        var settings = Settings with { Length = length, ShortLength = shortLength, CriticalPair = pair is { } given ? new(given) : null };
        Assert.StartsWith(message, Assert.Throws<UserException>(() => Search(settings, "bad")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_whose_method_is_more_than_frequencies_is_refused()
    {
        TinyCheckpoint.EditConfig(folder["model"], config => config["cutoff_position_method"] = "rerope:window=16");
        Assert.Contains("rerope:window=16", Assert.Throws<UserException>(() => Search(Settings, "bad")).Message, StringComparison.Ordinal);
    }

    /// <summary>Gives the tiny model 32 native tokens. Pair 1 turns less than once in them and pair 0 less than ten times: both are candidates.</summary>
    private RopeSearchSettings SearchingCriticalPair()
    {
        TinyCheckpoint.EditConfig(folder["model"], config => config["max_position_embeddings"] = 32);
        return Settings with { StartTokens = false, CriticalPair = CriticalPair.Searched };
    }

    private static DeviceAndDtype Compute => DeviceAndDtype.Choose("cpu", "fp32");

    private RopeSearchResult Search(RopeSearchSettings settings, string name, IRunDisplay? display = null, ICollectives? ranks = null, CancellationToken stop = default)
    {
        using var model = ModelSession.Open(folder["model"], Compute);
        return RopeSearchRun.Run(model, [folder["texts"]], settings, folder[name], display, ranks, stop);
    }

    private double Measured(string model, string rope, int length)
    {
        using var session = ModelSession.Open(model, Compute);
        return PerplexityRun.Measure(session, [folder["texts"]], [length], rope, "prefix", documents: 2).Lengths[0].Perplexity!.Value;
    }
}
