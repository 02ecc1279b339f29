using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Models.Attention;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>Logits and losses of whole models against Hugging Face's and the peers' patches inside it.</summary>
public sealed class ModelGoldenTests
{
    private const double Tolerance = 1e-3;

    private static readonly (string Folder, string File, int Count, int Excepted)[] Files =
    [
        ("tiny-random-llama", "logits", 38, 6),
        ("tiny-random-llama", "peer_logits", 30, 0),
        ("tiny-random-llama-bf16", "logits", 6, 3),
        ("tiny-random-llama-sharded", "logits", 3, 0),
        ("tiny-random-llama-tied-headdim", "logits", 19, 0),
    ];

    public static TheoryData<string, string, string> Cases
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            foreach (var (folder, file, golden) in Files.SelectMany(f => Specs(f.Folder, f.File).Select(golden => (f.Folder, f.File, golden))))
            {
                data.Add(folder, file, golden.Case);
            }

            return data;
        }
    }

    [Fact]
    public void Every_case_of_every_file_has_a_spec_and_exceptions_are_few()
    {
        foreach (var (folder, file, count, excepted) in Files)
        {
            Assert.Equal(Json(folder, file).Select(entry => (string)entry!["case"]!), Specs(folder, file).Select(golden => golden.Case));
            Assert.Equal((count, excepted), (Specs(folder, file).Count, Specs(folder, file).Count(golden => golden.Exception is not null)));
        }
    }

    [Fact]
    public void Decoding_has_a_spec_for_every_case_and_an_exception_where_the_peer_caches_rotated_keys()
    {
        Assert.Equal(Json("tiny-random-llama", "decode_logits").Select(entry => (string)entry!["case"]!), GoldenSpecs.DecodeLogits.Select(golden => golden.Case));
        Assert.Equal(
            ["dynamic_f1_decode", "dynamic_f2_decode", "longrope_f4_decode"],
            GoldenSpecs.DecodeLogits.Where(golden => golden.Exception is not null).Select(golden => golden.Case));
        Assert.All(GoldenSpecs.DecodeLogits, golden => Assert.Equal((128, 48), (golden.Length, golden.Prefill)));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_and_losses_match(string folder, string file, string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var checkpoint = HuggingFaceCheckpoint.Open(Golden.Path(folder));
        var model = checkpoint.Load(dtype: ScalarType.Float32);
        var golden = Specs(folder, file).Single(golden => golden.Case == name);
        using var plan = AttentionPlan.Create(golden.Create(checkpoint.Config.Positions), golden.Positions, checkpoint.Config, CPU);
        var tokens = tensor(Tokens(folder)[..golden.Length]);
        var logits = model.Logits(model.Hidden(tokens.view(1, -1), plan))[0];

        var expected = GoldenTensors.Read($"{folder}/{file}.safetensors");
        var rows = Json(folder, file).Single(entry => (string)entry!["case"]! == name)!["rows"] is JsonArray list
            ? list.Select(row => (long)row!).ToArray()
            : [.. Enumerable.Range(0, golden.Length).Select(row => (long)row)];
        var worst = Worst(expected.Floats($"{name}.logits"), logits.index_select(0, tensor(rows)));
        var losses = nn.functional.cross_entropy(logits.narrow(0, 0, golden.Length - 1), tokens.narrow(0, 1, golden.Length - 1), reduction: nn.Reduction.None);
        var worstLoss = Worst(expected.Floats($"{name}.nll"), losses);
        if (golden.Exception is null)
        {
            Assert.True(worst < Tolerance && worstLoss < Tolerance, $"{golden.Spec}: logits differ by {worst}, losses by {worstLoss}");
        }
        else
        {
            // An exception that is none any more should go.
            Assert.True(worst > Tolerance, $"{golden.Spec} matches, though: {golden.Exception}");
        }
    }

    private static IReadOnlyList<GoldenSpec> Specs(string folder, string file) => file == "logits" ? GoldenSpecs.Logits(folder) : GoldenSpecs.PeerLogits;

    private static JsonArray Json(string folder, string file) =>
        JsonNode.Parse(File.ReadAllText(Golden.Path($"{folder}/{file}.json")))!["cases"]!.AsArray();

    private static long[] Tokens(string folder)
    {
        var json = JsonNode.Parse(File.ReadAllText(Golden.Path($"{folder}/tokens.json")))!;
        return [.. (json as JsonArray ?? json["input_ids"]!.AsArray()).Select(token => (long)token!)];
    }

    private static double Worst(float[] expected, Tensor actual)
    {
        var values = actual.to(ScalarType.Float32).contiguous().data<float>().ToArray();
        Assert.Equal(expected.Length, values.Length);
        return expected.Zip(values).Max(pair => Math.Abs((double)pair.First - pair.Second));
    }
}
