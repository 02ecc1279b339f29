using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Models;
using CutoffLen.Tests.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models;

/// <summary>Logits and likelihoods of Hugging Face's own forward, and of the methods' authors' patches of it.</summary>
public sealed class ModelGoldenTests
{
    private const string Plain = "tiny-random-llama";
    private const double Tolerance = 1e-3;

    private static readonly string[] Folders = [Plain, $"{Plain}-bf16", $"{Plain}-sharded", $"{Plain}-tied-headdim"];

    public static TheoryData<string, string, string> Targets => Cases(spec => spec.Exception is null);

    public static TheoryData<string, string, string> StatefulCases => Cases(spec => spec.Case.Contains("_after"));

    public static TheoryData<string> DecodedCases => new(GoldenSpecs.DecodeLogits.Select(spec => spec.Case));

    [Theory]
    [MemberData(nameof(Targets))]
    public void Gives_the_peers_numbers(string folder, string file, string name)
    {
        var spec = SpecsOf(folder, file).Single(spec => spec.Case == name);
        var golden = GoldenTensors.Read($"{folder}/{file}.safetensors");
        var (logits, nll) = Score(folder, spec);
        AssertNear(golden.Floats($"{name}.nll"), nll);
        AssertNear(golden.Floats($"{name}.logits"), RowsOf(folder, file, name, logits.Length).SelectMany(row => logits[row]));
    }

    /// <summary>Where the peer keeps a longer run's table, ours gives what the peer's fresh model gives.</summary>
    [Theory]
    [MemberData(nameof(StatefulCases))]
    public void Remembers_nothing_of_longer_runs(string folder, string file, string name)
    {
        var fresh = name[..name.IndexOf("_after", StringComparison.Ordinal)];
        var (_, nll) = Score(folder, SpecsOf(folder, file).Single(spec => spec.Case == name));
        AssertNear(GoldenTensors.Read($"{folder}/{file}.safetensors").Floats($"{fresh}.nll"), nll);
    }

    /// <summary>For methods that do not depend on the length that is also what the peer's cached run gives.</summary>
    [Theory]
    [MemberData(nameof(DecodedCases))]
    public void Cached_decoding_is_one_full_forward(string name)
    {
        using var scope = NewDisposeScope();
        var spec = GoldenSpecs.DecodeLogits.Single(spec => spec.Case == name);
        var (full, _) = Score(Plain, spec);
        using var model = Load(Plain, spec);
        var (method, tokens) = (spec.Create(model.Config.Positions), Tokens(Plain, spec.Length));
        using var decoding = new Decoding(model, method, spec.Length);
        for (var length = spec.Prefill!.Value; length <= spec.Length; length++)
        {
            using var step = NewDisposeScope();
            var logits = model.Logits(decoding.Hidden([.. tokens[0].narrow(0, 0, length).data<long>().Select(id => (int)id)]));
            AssertNear(Forward(length)[^1], logits.data<float>());
        }

        // A token of a length-dependent method is not the same in a shorter row; else one forward serves all steps.
        float[][] Forward(int length) => method.DependsOnLength && length < spec.Length
            ? Score(Plain, spec with { Length = length }).Logits
            : full[..length];
    }

    private static TheoryData<string, string, string> Cases(Func<GoldenSpec, bool> wanted)
    {
        var cases = new TheoryData<string, string, string>();
        var files = Folders.Select(folder => (folder, "logits")).Append((Plain, "peer_logits"));
        foreach (var (folder, file) in files)
        {
            foreach (var spec in SpecsOf(folder, file).Where(wanted))
            {
                cases.Add(folder, file, spec.Case);
            }
        }

        return cases;
    }

    private static IReadOnlyList<GoldenSpec> SpecsOf(string folder, string file) =>
        file == "logits" ? GoldenSpecs.Logits(folder) : GoldenSpecs.PeerLogits;

    private static Llama Load(string folder, GoldenSpec spec)
    {
        using var checkpoint = HuggingFaceCheckpoint.Open(Golden.Path(folder));
        var config = checkpoint.Config with { RopeTheta = spec.Base, MaxPositionEmbeddings = spec.NativeLength };
        return new Llama(config, checkpoint.Weights(dtype: ScalarType.Float32));
    }

    private static (float[][] Logits, float[] Nll) Score(string folder, GoldenSpec spec)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var model = Load(folder, spec);
        using var plan = AttentionPlan.Create(spec.Create(model.Config.Positions), spec.Positions, model.Config, CPU);
        var tokens = Tokens(folder, spec.Length);
        var hidden = model.Hidden(tokens, plan)[0];
        var nll = TokenLikelihood.NegativeLog(model, hidden.narrow(0, 0, spec.Length - 1), tokens[0].narrow(0, 1, spec.Length - 1));
        var logits = model.Logits(hidden).data<float>().ToArray().Chunk(model.Config.VocabSize).ToArray();
        return (logits, nll.data<float>().ToArray());
    }

    private static Tensor Tokens(string folder, int count)
    {
        var json = JsonNode.Parse(File.ReadAllText(Golden.Path($"{folder}/tokens.json")))!;
        var ids = (json as JsonArray ?? json["input_ids"]!.AsArray()).Take(count).Select(id => (long)id!).ToArray();
        return tensor(ids, [1, ids.Length]);
    }

    private static IEnumerable<int> RowsOf(string folder, string file, string name, int all)
    {
        var cases = JsonNode.Parse(File.ReadAllText(Golden.Path($"{folder}/{file}.json")))!["cases"]!.AsArray();
        var rows = cases.Single(entry => (string)entry!["case"]! == name)!["rows"]!;
        return rows is JsonArray list ? list.Select(row => (int)row!) : Enumerable.Range(0, all);
    }

    private static void AssertNear(IEnumerable<float> expected, IEnumerable<float> actual)
    {
        var (wanted, given) = (expected.ToArray(), actual.ToArray());
        Assert.Equal(wanted.Length, given.Length);
        Assert.True(wanted.Zip(given).Max(pair => Math.Abs(pair.First - pair.Second)) is var away && away < Tolerance, $"{away} away");
    }
}
