using System.Text.Json.Nodes;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>Frequencies, attention scales and tables against those that the authors' own code computes.</summary>
public sealed class FrequencyGoldenTests
{
    // litgpt's YaRN has its ramp reversed (golden/README.md, point 3): recorded, and no target.
    private const string NotATarget = "yarn_litgpt_reversed_ramp";

    /// <summary>Number of entries by method and peer.</summary>
    public static TheoryData<string, string, int> Groups => new()
    {
        { "abf", "hf-default", 6 },
        { "abf", "rotary-embedding-torch", 6 },
        { "default", "hf-default", 2 },
        { "default", "rotary-embedding-torch", 2 },
        { "dynamic_linear", "yarn-LlamaDynamicScaledRotaryEmbedding", 5 },
        { "dynamic_ntk", "hf-dynamic", 224 },
        { "dynamic_ntk", "yarn-LlamaDynamicScaledRotaryEmbedding", 224 },
        { "dynamic_ntk_by_parts", "yarn-LlamaDynamicPartNTKScaledRotaryEmbedding", 40 },
        { "dynamic_yarn", "yarn-LlamaDynamicYaRNScaledRotaryEmbedding", 80 },
        { "dynamic_yarn", "yarnmodel-LlamaDynamicYaRNScaledRotaryEmbedding", 80 },
        { "giraffe_power", "giraffe", 16 },
        { "giraffe_truncation", "giraffe", 16 },
        { "linear", "giraffe", 4 },
        { "linear", "hf-linear", 16 },
        { "linear", "kaioken-dope", 1 },
        { "linear", "yarn-LlamaLinearScaledRotaryEmbedding", 1 },
        { "llama3", "gpt-fast", 12 },
        { "llama3", "hf-llama3", 80 },
        { "llama3", "litgpt", 3 },
        { "llama3", "mlx-lm", 12 },
        { "llama3", "torchtune", 36 },
        { "longrope", "hf-longrope", 80 },
        { "longrope", "mlx-lm", 12 },
        { "longrope", "ms-LongRoPEScaledRotaryEmbedding", 40 },
        { "longrope_dynamic", "ms-DynamicLongRoPEScaledRotaryEmbedding", 48 },
        { "longrope_mixed", "ms-mixed", 1 },
        { "ntk", "rotary-embedding-torch", 16 },
        { "ntk", "yarn-LlamaNTKScaledRotaryEmbedding", 16 },
        { "ntk_by_parts", "yarn-LlamaPartNTKScaledRotaryEmbedding", 50 },
        { "ntk_mixed", "bojone-ntkmixed", 36 },
        { "resonance", "resonance-ResonanceRotaryEmbedding", 5 },
        { "resonance_ntk", "resonance-ResonanceNTKScaledRotaryEmbedding", 16 },
        { "resonance_yarn", "resonance-ResonanceYaRNScaledRotaryEmbedding", 16 },
        { "resonance_yarn", "resonance-llama-yarn", 48 },
        { "yarn", "hf-yarn", 120 },
        { "yarn", "mlx-lm", 12 },
        { "yarn", "ms-yarn", 16 },
        { "yarn", "yarn-LlamaYaRNScaledRotaryEmbedding", 72 },
    };

    [Theory]
    [MemberData(nameof(Groups))]
    public void Every_entry_of_a_peer_matches(string method, string source, int count)
    {
        var entries = GoldenFrequencies.All.Where(entry => entry.Method == method && entry.Source == source).ToArray();
        Assert.Equal(count, entries.Length);
        foreach (var entry in entries)
        {
            var compared = CompareFrequencies(entry) + CompareScale(entry) + CompareTables(entry);
            Assert.True(compared > 0, $"entry {entry} compared nothing");
        }
    }

    [Fact]
    public void The_groups_and_the_xpos_and_logn_entries_are_the_whole_file()
    {
        var grouped = Groups.Sum(row => (int)((object[])row)[2]);
        int Of(string method) => GoldenFrequencies.All.Count(entry => entry.Method == method);
        Assert.Equal(1489, GoldenFrequencies.All.Count);
        Assert.Equal((15, 1, 3), (Of("xpos"), Of("logn_query_scale"), Of(NotATarget)));
        Assert.Equal(1489, grouped + 15 + 1 + 3);
    }

    [Fact]
    public void Where_factor_and_lengths_disagree_the_factor_counts_since_transformers_4_56()
    {
        var contradictions = GoldenFrequencies.All.Where(entry => entry.IsContradiction).ToArray();
        Assert.NotEmpty(contradictions);
        foreach (var entry in contradictions)
        {
            var read = entry.Config().ToSpec();
            Assert.Equal(("yarn", (double)entry.Params["rope_scaling"]!["factor"]!), (read.Method.Name, read.Method.Number("factor")));
            // The golden is of an earlier version.
            Assert.NotEqual(entry.Spec(), read);
        }
    }

    [Fact]
    public void The_log_n_scale_of_queries_matches()
    {
        var entry = Assert.Single(GoldenFrequencies.All, entry => entry.Method == "logn_query_scale");
        var positions = entry.Entry["positions"]!.AsArray().Select(p => (int)p!).ToArray();
        var model = new PositionModel(8, 10_000, (int)entry.Params["training_length"]!, 1, 1);
        var band = Assert.Single(new PositionSetup(PositionMethods.Parse("rope+logn"), model).Method.Bands(new TokenPositions(positions)));
        var queries = Assert.IsType<Rotation>(band.Queries);
        for (var row = 0; row < positions.Length; row++)
        {
            var scale = Math.Sqrt(Math.Pow(queries.Cos[row * 4], 2) + Math.Pow(queries.Sin[row * 4], 2));
            Assert.Equal((double)entry.Entry["q_scale"]![row]!, scale, 1e-6);
        }
    }

    private static double Tolerance(GoldenFrequencies entry) => entry.Method switch
    {
        // What float32 leaves of them in the peer; see golden/README.md.
        "llama3" or "giraffe_power" => 2.5e-6,
        "resonance" or "resonance_ntk" or "resonance_yarn" => 2e-5,
        _ => 1e-6,
    };

    private static int CompareFrequencies(GoldenFrequencies entry)
    {
        if (entry.Entry["inv_freq"] is not JsonArray expected)
        {
            return 0;
        }

        var actual = entry.Create().Frequencies(entry.Length).InverseFrequencies;
        Assert.Equal(expected.Count, actual.Length);
        for (var n = 0; n < actual.Length; n++)
        {
            var wanted = (double)expected[n]!;
            var isNear = wanted == 0 ? actual[n] == 0 : Math.Abs((actual[n] / wanted) - 1) <= Tolerance(entry);
            Assert.True(isNear, $"entry {entry} ({entry.Spec()}), pair {n}: {actual[n]:R} instead of {wanted:R}");
        }

        return 1;
    }

    private static int CompareScale(GoldenFrequencies entry)
    {
        if (entry.Entry["mscale"] is not { } scale)
        {
            return 0;
        }

        var actual = entry.Create().Frequencies(entry.Length).AttentionScale;
        Assert.True(Math.Abs(actual - (double)scale) <= 1e-7, $"entry {entry} ({entry.Spec()}): attention scale {actual:R} instead of {scale}");
        return 1;
    }

    private static int CompareTables(GoldenFrequencies entry)
    {
        var tables = new[] { entry.Entry["table"], entry.Entry["table_half"] }.OfType<JsonNode>().ToArray();
        foreach (var table in tables)
        {
            var positions = table["positions"]!.AsArray().Select(p => (int)p!).ToArray();
            // The last token makes the row as long as the peer's.
            var row = positions[^1] < entry.Length - 1 ? positions.Append(entry.Length - 1) : positions;
            var rotation = Assert.IsType<Rotation>(Assert.Single(entry.Create().Bands(new TokenPositions([.. row]))).Queries);
            for (var at = 0; at < positions.Length; at++)
            {
                CompareRow(entry, table, at, positions[at], rotation);
            }
        }

        return tables.Length;
    }

    private static void CompareRow(GoldenFrequencies entry, JsonNode table, int at, int position, Rotation rotation)
    {
        // Angles of float32 positions times float32 frequencies.
        var tolerance = 1e-6 + (3e-7 * position);
        foreach (var (name, values) in new[] { ("cos", rotation.Cos), ("sin", rotation.Sin) })
        {
            var expected = table[name]![at]!.AsArray();
            for (var column = 0; column < expected.Count; column++)
            {
                var actual = values[(at * rotation.HalfDim) + (column % rotation.HalfDim)];
                Assert.True(
                    Math.Abs(actual - (double)expected[column]!) <= tolerance,
                    $"entry {entry} ({entry.Spec()}), {name} at position {position}, column {column}: {actual:R} instead of {expected[column]}");
            }
        }
    }
}
