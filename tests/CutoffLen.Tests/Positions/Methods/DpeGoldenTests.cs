using System.Text.Json.Nodes;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>DPE against the numbers of the authors' own functions: attention, contributions of the pairs, and their choice.</summary>
public sealed class DpeGoldenTests
{
    private static readonly GoldenTensors Expected = GoldenTensors.Read("dpe.safetensors");
    private static readonly JsonArray Json = JsonNode.Parse(File.ReadAllText(Golden.Path("dpe.json")))!["cases"]!.AsArray();

    public static TheoryData<string> Cases => [.. Json.Select(entry => (string)entry!["case"]!)];

    public static TheoryData<string> Inputs => [.. Json.Select(entry => (string)entry!["inputs"]!).Distinct()];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Attention_is_that_of_the_authors(string name)
    {
        var entry = Json.Single(entry => (string)entry!["case"]! == name)!;
        var (q, k, v) = Read((string)entry["inputs"]!);
        var (heads, keyValueHeads, headDim) = (q.Shape[0], k.Shape[0], q.Shape[2]);
        var (factors, window, topk) = (Numbers(entry["scale_factors"]!), (int)entry["local_window"]!, (int?)entry["topk"]);
        var model = new PositionModel(headDim, (double)entry["base"]!, 64, heads, keyValueHeads)
        {
            Layers = 2,
            PairRanks = topk is null ? null : Ranks(name, topk.Value),
        };
        var spec = $"dpe:scale_factors={string.Join('/', factors)},local_window={window}" + (topk is null ? "" : $",topk={topk}");
        var bands = new PositionSetup(PositionMethods.Parse(spec), model).Layers[(int)entry["layer"]!].Bands(TokenPositions.Sequential(q.Shape[1]));
        var attention = new DenseAttention(bands, q.Values, k.Values, v.Values, heads, keyValueHeads, headDim);

        var rows = Numbers(entry["out_rows"]!);
        Compare($"{name}.out", rows);
        // The authors' cached step floors window / s and their full forward does not; where s divides the window they agree.
        var agree = window >= q.Shape[1] || factors.All(s => window % s == 0);
        Assert.Equal(agree, (double)entry["decode_differs"]! < 1e-5);
        if (agree)
        {
            Compare($"{name}.decode_out", [q.Shape[1] - 1]);
        }

        void Compare(string tensor, int[] rows)
        {
            var ours = Enumerable.Range(0, heads).SelectMany(head => rows.SelectMany(row => attention.Output(head, attention.Weights(head, row))));
            Assert.All(Expected.Floats(tensor).Zip(ours, (theirs, ours) => ours - theirs), difference => Assert.Equal(0, difference, 1e-5));
            Assert.Equal(heads * rows.Length * headDim, Expected.Floats(tensor).Length);
        }
    }

    [Theory]
    [MemberData(nameof(Inputs))]
    public void Contributions_and_choice_are_those_of_the_authors(string name)
    {
        var (q, k, _) = Read(name);
        using var scope = NewDisposeScope();
        var (queries, keys) = (tensor(q.Values, [.. q.Shape.Select(n => (long)n)]), tensor(k.Values, [.. k.Shape.Select(n => (long)n)]));
        var half = q.Shape[2] / 2;
        // The second layer's queries and keys are the first one's, reversed and scaled.
        double[] ours = [.. PairContributions.Of(queries, keys, half), .. PairContributions.Of(queries.flip(-1) * 0.7f, keys.flip(-1) * 1.1f, half)];

        var theirs = Expected.Floats($"{name}.contributions");
        Assert.Equal([2, q.Shape[0], half], Expected.Shape($"{name}.contributions"));
        Assert.All(theirs.Zip(ours), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * pair.First));
        var ranks = PairContributions.Ranks(ours, half);
        foreach (var entry in Json.Where(entry => (string)entry!["inputs"]! == name && entry["topk"] is not null))
        {
            Assert.Equal(Expected.Ints($"{(string)entry!["case"]!}.chosen"), ranks.Select(rank => rank < (int)entry["topk"]! ? 1 : 0));
        }
    }

    private static ((float[] Values, int[] Shape) Q, (float[] Values, int[] Shape) K, (float[] Values, int[] Shape) V) Read(string inputs)
    {
        var (file, prefix) = inputs == "a" ? (GoldenTensors.Read("attention_inputs.safetensors"), "") : (Expected, $"{inputs}.");
        (float[] Values, int[] Shape) Tensor(string name) => (file.Floats(prefix + name), file.Shape(prefix + name));
        return (Tensor("q"), Tensor("k"), Tensor("v"));
    }

    private static int[] Numbers(JsonNode numbers) => [.. numbers.AsArray().Select(number => (int)number!)];

    // Any order in which the authors' choice comes first.
    private static int[] Ranks(string name, int topk)
    {
        var (chosen, half) = (Expected.Ints($"{name}.chosen"), Expected.Shape($"{name}.chosen")[2]);
        return [.. chosen.Chunk(half).SelectMany(head => head.Select((isChosen, n) => isChosen == 1 ? head[..n].Sum() : topk + n - head[..n].Sum()))];
    }
}
