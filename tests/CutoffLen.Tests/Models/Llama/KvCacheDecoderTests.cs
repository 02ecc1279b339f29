using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Tests.Positions;
using CutoffLen.Tests.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Llama;

/// <summary>Length-dependent methods are functions of the row: no run, and no cache, leaves anything behind.</summary>
public sealed class KvCacheDecoderTests
{
    private const string Plain = "tiny-random-llama";
    private const double Tolerance = 1e-3;

    public static TheoryData<string> StatefulCases => new(
        GoldenSpecs.Logits(Plain).Select(spec => spec.Case).Where(name => name.Contains("_after", StringComparison.Ordinal)));

    public static TheoryData<string> DecodedCases => new(GoldenSpecs.DecodeLogits.Select(spec => spec.Case));

    /// <summary>Where the peer keeps a longer run's table, ours gives what the peer's fresh model gives.</summary>
    [Theory]
    [MemberData(nameof(StatefulCases))]
    public void Remembers_nothing_of_longer_runs(string name)
    {
        var fresh = name[..name.IndexOf("_after", StringComparison.Ordinal)];
        var (_, nll) = Score(GoldenSpecs.Logits(Plain).Single(spec => spec.Case == name));
        AssertNear(GoldenTensors.Read($"{Plain}/logits.safetensors").Floats($"{fresh}.nll"), nll);
    }

    /// <summary>For methods that do not depend on the length that is also what the peer's cached run gives.</summary>
    [Theory]
    [MemberData(nameof(DecodedCases))]
    public void Cached_decoding_is_one_full_forward(string name)
    {
        using var scope = NewDisposeScope();
        var spec = GoldenSpecs.DecodeLogits.Single(spec => spec.Case == name);
        var (full, _) = Score(spec);
        using var model = Load(spec);
        var (method, tokens) = (spec.Create(model.Config.Positions), Tokens(spec.Length));
        using var decoder = new KvCacheDecoder(model, method, spec.Length);
        for (var length = spec.Prefill!.Value; length <= spec.Length; length++)
        {
            using var step = NewDisposeScope();
            var logits = model.Logits(decoder.Hidden([.. tokens[0].narrow(0, 0, length).data<long>().Select(id => (int)id)]));
            AssertNear(Forward(length)[^1], logits.data<float>());
        }

        // A token of a length-dependent method is not the same in a shorter row; else one forward serves all steps.
        float[][] Forward(int length) => method.DependsOnLength && length < spec.Length
            ? Score(spec with { Length = length }).Logits
            : full[..length];
    }

    /// <summary>Before, at and beyond the native length, where length-dependent methods change earlier tokens.</summary>
    [Theory]
    [MemberData(nameof(MethodPropertyTests.Specs), MemberType = typeof(MethodPropertyTests))]
    public void Cached_decoding_is_one_full_forward_under_every_method(string name)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (config, method) = (TinyModels.ForEveryMethod, MethodPropertyTests.Create(name));
        using var model = TinyModels.Random(config);
        var tokens = TinyModels.Tokens(config, 1, 40);
        var ids = tokens.data<long>().Select(id => (int)id).ToArray();
        using var decoder = new KvCacheDecoder(model, method, ids.Length);
        foreach (var length in new[] { 30, 31, 32, 33, 34, 40 })
        {
            using var step = NewDisposeScope();
            using var plan = AttentionPlan.Create(method, TokenPositions.Sequential(length), config, CPU);
            var expected = model.Hidden(tokens.narrow(1, 0, length), plan)[0][-1];
            AssertNear(expected.data<float>(), decoder.Hidden(ids.AsSpan(0, length))[0].data<float>());
        }
    }

    private static LlamaForCausalLM Load(GoldenSpec spec)
    {
        using var checkpoint = HuggingFaceCheckpoint.Open(Golden.Path(Plain));
        var config = checkpoint.Config with { RopeTheta = spec.Base, MaxPositionEmbeddings = spec.NativeLength };
        return new LlamaForCausalLM(config, checkpoint.Weights(dtype: ScalarType.Float32));
    }

    private static (float[][] Logits, float[] Nll) Score(GoldenSpec spec)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var model = Load(spec);
        using var plan = AttentionPlan.Create(spec.Create(model.Config.Positions), spec.Positions, model.Config, CPU);
        var tokens = Tokens(spec.Length);
        var hidden = model.Hidden(tokens, plan)[0];
        var nll = TokenLikelihood.NegativeLog(model, hidden.narrow(0, 0, spec.Length - 1), tokens[0].narrow(0, 1, spec.Length - 1));
        var logits = model.Logits(hidden).data<float>().ToArray().Chunk(model.Config.VocabSize).ToArray();
        return (logits, nll.data<float>().ToArray());
    }

    private static Tensor Tokens(int count)
    {
        var json = JsonNode.Parse(File.ReadAllText(Golden.Path($"{Plain}/tokens.json")))!;
        var ids = (json as JsonArray ?? json["input_ids"]!.AsArray()).Take(count).Select(id => (long)id!).ToArray();
        return tensor(ids, [1, ids.Length]);
    }

    private static void AssertNear(IEnumerable<float> expected, IEnumerable<float> actual)
    {
        var (wanted, given) = (expected.ToArray(), actual.ToArray());
        Assert.Equal(wanted.Length, given.Length);
        Assert.True(wanted.Zip(given).Max(pair => Math.Abs(pair.First - pair.Second)) is var away && away < Tolerance, $"{away} away");
    }
}
