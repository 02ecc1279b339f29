using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>What must hold of every registered method and modifier; exceptions stand in the registry with their reason.</summary>
public sealed class MethodPropertyTests
{
    // Beyond every window, chunk and native length of the model below, and of xPos's spans at scale_base 1.
    private const int Long = 200;

    /// <summary>The small model that the specs are made for.</summary>
    internal static readonly PositionModel Model = new(16, 10_000, 32, 4, 2) { Layers = 2, Clex = ClexGoldenTests.Weights(16), PairRanks = Ranks(2 * 4, 8) };

    private static readonly TokenPositions LongRow = TokenPositions.Sequential(Long);

    /// <summary>Single documents: long, of one token, shifted, skipping, with repeated ids.</summary>
    private static readonly IReadOnlyList<TokenPositions> Documents =
    [
        LongRow,
        TokenPositions.Sequential(1),
        TokenPositions.Sequential(90, offset: 500),
        new([.. Enumerable.Range(0, 70).Select(t => t < 30 ? t : t + 400)]),
        new([0, 0, 0, 1, 2, 2, 3, 90, 90, 91, 200]),
    ];

    /// <summary>The same and rows of several documents.</summary>
    private static readonly IReadOnlyList<TokenPositions> Rows =
    [
        .. Documents,
        TokenPositions.Packed([1, 65, 130, 7]),
        new([.. Enumerable.Range(40, 80), .. Enumerable.Range(0, 100)], [0, 80]),
    ];

    private static readonly IReadOnlyList<TokenPositions> RowsWithinNativeLength =
    [
        TokenPositions.Sequential(32),
        TokenPositions.Sequential(32, offset: 500),
        TokenPositions.Packed([5, 32, 1, 20]),
        new([0, 1, 2, 11, 12, 31]),
    ];

    public static TheoryData<string> Methods => [.. PositionMethods.All.Select(entry => entry.Name)];

    /// <summary>A working spec of each method, alone and with each modifier that takes it, and a few with keys that matter.</summary>
    public static TheoryData<string> Specs =>
    [
        .. PositionMethods.All.SelectMany(entry => PositionMethods.Modifiers
            .Where(modifier => modifier != ResonanceMethod.Entry || Create(entry.Example(Model)) is FrequencyMethod)
            .Select(modifier => $"{entry.Example(Model)}+{modifier.Name}")
            .Prepend(entry.Example(Model))),
        "xpos:scale_base=1",
        "dca:mscale=true",
        "dpe:scale_factors=2/8/4/1,topk=5",
        "dpe:scale_factors=3,topk=2+logn",
        "string:shifted_offset=16,attention_factor=1.07",
        "dynamic-yarn:max=128,finetuned=true",
        "permute:decay=false+logn+bca",
        "rerope+bca:window=20+logn",
    ];

    [Fact]
    public void Names_are_unique_and_every_entry_says_what_it_is()
    {
        var entries = PositionMethods.All.Concat<SpecEntry>(PositionMethods.Modifiers).ToArray();
        var names = entries.SelectMany(entry => entry.Aliases.Append(entry.Name)).ToArray();
        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.All(entries, entry =>
        {
            Assert.Matches("^[a-z0-9]+(-[a-z0-9]+)*$", entry.Name);
            Assert.NotEmpty(entry.Summary);
            Assert.NotEmpty(entry.Paper);
            Assert.Equal(entry.Keys.Count, entry.Keys.Select(key => key.Name).Distinct().Count());
            Assert.All(entry.Exceptions, exception => Assert.NotEmpty(exception.Value));
        });
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void At_factor_1_within_the_native_length_it_is_vanilla(string name)
    {
        var entry = PositionMethods.All.Single(entry => entry.Name == name);
        Assert.Equal(entry.Exceptions.ContainsKey(PositionProperty.VanillaAtFactorOne), entry.Vanilla is null);
        foreach (var row in RowsWithinNativeLength)
        {
            var vanilla = Scores(new RopeMethod(Model), row);
            if (entry.Vanilla is { } spec)
            {
                Equal(vanilla, Scores(Create(spec(Model)), row), 1e-6);
                // And the proof that a run prints says so, where ids begin at 0.
                var proof = PositionProof.Of(new PositionSetup(PositionMethods.Parse(spec(Model)), Model), row);
                Assert.True(!proof.DiffersFromVanilla || row.Ids[0] > 0 || row.DocumentStarts.Length > 1, proof.ToString());
            }
            else
            {
                Assert.NotEqual(vanilla, Scores(Create(entry.Example(Model)), row));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void A_target_within_the_native_length_means_factor_1(string name)
    {
        var entry = PositionMethods.All.Single(entry => entry.Name == name);
        var resolved = new PositionSetup(PositionMethods.Parse(entry.Example(Model)), Model, 20).Spec;
        Assert.True(entry.Keys.All(key => key.Name != "factor") || entry.Example(Model).Contains("factor=") || resolved.Method.Number("factor") == 1);
        Assert.Equal(resolved, new PositionSetup(resolved, Model, 10 * Long).Spec);
        Assert.Equal(resolved, PositionMethods.Parse(resolved.ToString()));
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void Rotations_keep_the_length_of_vectors_but_for_one_scale(string spec)
    {
        var spread = Documents.Max(row =>
        {
            var norms = Create(spec).Bands(row).SelectMany(band => Norms(band.Queries).Concat(Norms(band.Keys))).ToArray();
            return norms.Max() - norms.Min();
        });
        Assert.True(spread < 1e-5 != Excepted(spec, PositionProperty.ConstantNorm), $"norms differ by {spread}");
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void Scores_depend_on_the_distance_alone(string spec)
    {
        // Equal vectors at all tokens, so that only positions can tell pairs apart.
        var scores = Scores(Create(spec), LongRow);
        var difference = 0.0;
        for (var i = 1; i < Long; i++)
        {
            for (var j = 1; j <= i; j++)
            {
                var (one, other) = (scores[(i * Long) + j], scores[((i - 1) * Long) + j - 1]);
                difference = Math.Max(difference, double.IsInfinity(one) || double.IsInfinity(other) ? 0 : Math.Abs(one - other));
            }
        }

        Assert.True(difference < 1e-5 != Excepted(spec, PositionProperty.DistanceOnly), $"scores at one distance differ by {difference}");
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void Bands_are_disjoint_stay_in_their_document_and_cover_every_causal_pair(string spec)
    {
        var missing = 0;
        foreach (var row in Rows)
        {
            var bands = Create(spec).Bands(row);
            var start = row.StartOfDocument();
            for (var i = 0; i < row.Length; i++)
            {
                var seen = new int[row.Length];
                foreach (var band in bands.Where(band => band.First[i] <= band.Last[i]))
                {
                    Assert.InRange(band.First[i], start[i], i);
                    Assert.InRange(band.Last[i], start[i], i);
                    Array.ForEach([.. Enumerable.Range(band.First[i], band.Last[i] - band.First[i] + 1)], j => seen[j]++);
                }

                Assert.True(seen.Max() <= 1, $"token {i} sees a key in two bands");
                Assert.Equal(1, seen[i]);
                missing += i - start[i] + 1 - seen.Sum();
            }
        }

        Assert.True(missing == 0 != Excepted(spec, PositionProperty.CoversEveryPair), $"{missing} causal pairs are in no band");
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void Shifted_position_ids_give_the_same_scores(string spec)
    {
        foreach (var row in Rows)
        {
            var shifted = new TokenPositions([.. row.Ids.Select(id => id + 1000)], row.DocumentStarts);
            Equal(Scores(Create(spec), row), Scores(Create(spec), shifted), 1e-5);
        }
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void A_packed_document_gets_the_scores_it_gets_alone(string spec)
    {
        int[] lengths = [1, 65, 130, 7];
        var packed = Scores(Create(spec), TokenPositions.Packed(lengths));
        var (width, start) = (lengths.Sum(), 0);
        foreach (var length in lengths)
        {
            var alone = Scores(Create(spec), TokenPositions.Sequential(length));
            for (var i = 0; i < length; i++)
            {
                var row = ((start + i) * width) + start;
                Equal(alone[(i * length)..((i + 1) * length)], packed[row..(row + length)], 0);
            }

            start += length;
        }
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void What_the_registry_says_of_length_and_attention_is_so(string spec)
    {
        var method = Create(spec);
        var bands = method.Bands(LongRow);
        var changes = bands.Zip(method.Bands(TokenPositions.Sequential(20))).Any(pair => !IsPrefix(pair.Second, pair.First));
        Assert.Equal(method.DependsOnLength, changes);
        Assert.True(!changes || Entries(spec).Any(entry => entry.DependsOnLength));

        var isPlain = bands is [{ Queries: Rotation, BiasSlopes: null } only] && ReferenceEquals(only.Queries, only.Keys)
            && only.First.All(first => first == 0) && only.Last.SequenceEqual(Enumerable.Range(0, Long));
        Assert.Equal(isPlain, !Entries(spec).Any(entry => entry.AltersAttention));
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void The_same_plan_is_the_same_to_the_bit_whatever_came_between(string spec)
    {
        var method = Create(spec);
        var before = PositionProof.HashOf(method.Bands(LongRow));
        Assert.All(Rows, row => Assert.NotEmpty(method.Bands(row)));
        Assert.Equal(before, PositionProof.HashOf(method.Bands(LongRow)));
        Assert.Equal(before, PositionProof.HashOf(Create(spec).Bands(LongRow)));
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void The_frequencies_it_shows_are_those_it_rotates_by(string spec)
    {
        var method = Create(spec);
        var keys = method.Bands(LongRow)[0].Keys as Rotation;
        var shown = method.RotaryFrequencies(Long);
        Assert.Equal(shown is null, keys is null);
        // The first token that is rotated is at position 1; grouped positions have several at 0.
        var token = Enumerable.Range(1, LongRow.Length - 1).FirstOrDefault(t => keys is not null && keys.Sin[t * keys.HalfDim] != 0, 1);
        for (var n = 0; n < (shown?.InverseFrequencies.Length ?? 0); n++)
        {
            var at = (token * keys!.HalfDim) + n;
            Assert.Equal(shown!.InverseFrequencies[n], Math.Atan2(keys.Sin[at], keys.Cos[at]), 1e-6);
        }
    }

    /// <summary>An order of the pairs for each head, always the same.</summary>
    internal static int[] Ranks(int heads, int pairs)
    {
        var random = new Random(heads);
        return [.. Enumerable.Range(0, heads).SelectMany(_ => Enumerable.Range(0, pairs).OrderBy(_ => random.Next()))];
    }

    /// <summary>The method of a spec in the first layer, for the model of these tests at four times its native length.</summary>
    internal static PositionMethod Create(string spec) => new PositionSetup(PositionMethods.Parse(spec), Model, 4 * Model.NativeLength).Layers[0];

    /// <summary>The registry's entries that a spec is made of.</summary>
    internal static IEnumerable<SpecEntry> Entries(string spec)
    {
        var parsed = PositionMethods.Parse(spec);
        return parsed.Modifiers.Prepend(parsed.Method).Select(part => part.Entry);
    }

    private static bool Excepted(string spec, PositionProperty property) => Entries(spec).Any(entry => entry.Exceptions.ContainsKey(property));

    private static bool IsPrefix(Band shorter, Band longer)
    {
        static bool Begins(PositionEncoding one, PositionEncoding other) => (one, other) switch
        {
            (Rotation a, Rotation b) => a.Cos.SequenceEqual(b.Cos.Take(a.Cos.Length)) && a.Sin.SequenceEqual(b.Sin.Take(a.Sin.Length)),
            (RotationByHead a, RotationByHead b) => Begins(a.Chosen, b.Chosen) && Begins(a.Others, b.Others),
            _ => one.GetType() == other.GetType(),
        };
        return Begins(shorter.Queries, longer.Queries) && Begins(shorter.Keys, longer.Keys);
    }

    private static IEnumerable<double> Norms(PositionEncoding encoding) => encoding switch
    {
        Rotation table => table.Cos.Zip(table.Sin, (cos, sin) => Math.Sqrt(((double)cos * cos) + ((double)sin * sin))),
        RotationByHead byHead => Norms(byHead.Chosen).Concat(Norms(byHead.Others)),
        Reordering { Scale: { } scale } => scale.Select(s => (double)s),
        _ => [1.0],
    };

    /// <summary>[T, T] scores of one head with the same query and the same key at every token, negative infinity where none.</summary>
    private static double[] Scores(PositionMethod method, TokenPositions positions)
    {
        var (query, key) = (Vector(1), Vector(2));
        var (length, result) = (positions.Length, new double[positions.Length * positions.Length]);
        Array.Fill(result, double.NegativeInfinity);
        foreach (var band in method.Bands(positions))
        {
            var keys = Enumerable.Range(0, length).Select(j => DenseAttention.Encode(band.Keys, key, j, length, 0, 0)).ToArray();
            for (var i = 0; i < length; i++)
            {
                var encoded = DenseAttention.Encode(band.Queries, query, i, length, 0, 0);
                for (var j = band.First[i]; j <= band.Last[i]; j++)
                {
                    var bias = band.BiasSlopes is { } slopes ? slopes[0] * (positions.Ids[j] - positions.Ids[i]) : 0;
                    result[(i * length) + j] = DenseAttention.Dot(encoded, keys[j]) + bias;
                }
            }
        }

        return result;
    }

    private static float[] Vector(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, Model.HeadDim).Select(_ => (float)(random.NextDouble() - 0.5))];
    }

    private static void Equal(double[] expected, double[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var at = 0; at < expected.Length; at++)
        {
            Assert.True(expected[at] == actual[at] || Math.Abs(expected[at] - actual[at]) <= tolerance, $"at {at}: {actual[at]} instead of {expected[at]}");
        }
    }
}
