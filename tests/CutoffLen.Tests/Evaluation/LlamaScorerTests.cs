using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Models;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Tests.Models;
using CutoffLen.Tokenization;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Evaluation;

public sealed class LlamaScorerTests
{
    private static readonly int[] Tokens = ReadTokens();

    public static TheoryData<string> Specs => new() { "rope", "yarn:factor=4", "dynamic-ntk:factor=2", "rerope:window=24", "alibi" };

    [Theory]
    [MemberData(nameof(Specs))]
    public void Scores_are_those_of_dense_logits_whatever_is_asked_for_and_batched(string spec)
    {
        using var model = Open();
        var method = Method(model, spec);
        using var scorer = new LlamaScorer(model, method);
        var expected = Dense(model, method, Tokens[..64]);
        Near(expected, scorer.Nll([Whole(Tokens[..64])])[0]);

        int[] some = [3, 4, 17, 62];
        var other = Tokens[100..164];
        var batch = scorer.Nll([new ScoringRequest(Tokens[..64], some, [.. some.Select(p => Tokens[p + 1])]), Whole(other)]);
        Near([.. some.Select(p => expected[p])], batch[0]);
        Near(Dense(model, method, other), batch[1]);
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void Every_protocol_is_within_1e5_nats_of_a_naive_dense_computation(string spec)
    {
        using var model = Open();
        using var folder = new TemporaryFolder();
        var method = Method(model, spec);
        using var scorer = new LlamaScorer(model, method);
        int[] lengths = [16, 48, 100];
        int[] stream = [Sources.Bos, .. Tokens[1..]];
        PerplexityProtocol[] protocols = [.. PerplexityProtocols.All, PerplexityProtocols.Parse("pi", 32), PerplexityProtocols.Parse("hf-stride", 20), PerplexityProtocols.Parse("longlora-all", 50)];
        using var log = new ResultLog(folder["results.jsonl"]);
        var plan = new PerplexityPlan(protocols, lengths, new SpecialTokens(Sources.Bos, 2, [Sources.Bos], []));
        var scores = new PerplexityEvaluation(plan, [new EvaluationDocument("t", stream, 1, 1)], log, batchTokens: 400).Run(scorer, PerplexityEvaluationTests.Key);

        // The stem and stride by which the source's own loop is known.
        (string Stem, int Stride)[] known = [("pi", 256), ("prefix", 0), ("yarn-trunc", 0), ("longlora-all", 256), ("llamacpp-half", 0), ("lmeval-disjoint", 0), ("hf-stride", 512), ("pi", 32), ("hf-stride", 20), ("longlora-all", 50)];
        var forwards = new Dictionary<string, float[]>();
        for (var p = 0; p < protocols.Length; p++)
        {
            foreach (var result in PerplexityStatistics.Perplexity(scores, p).Lengths.Where(r => r.MeanNll is not null))
            {
                var expected = Sources.Of(known[p].Stem, stream, result.Length, known[p].Stride, Naive);
                Assert.Equal(expected, result.MeanNll!.Value, 1e-5);
            }
        }

        float Naive(int[] read, int position, int target)
        {
            var key = string.Join(' ', read);
            if (!forwards.TryGetValue(key, out var logLikelihoods))
            {
                forwards.Add(key, logLikelihoods = LogLikelihoods(model, method, read));
            }

            return -logLikelihoods[(position * model.Config.VocabSize) + target];
        }
    }

    [Fact]
    public void A_sweep_of_the_model_is_resumed_to_the_same_bits()
    {
        using var model = Open();
        using var scorer = new LlamaScorer(model, Method(model, "yarn:factor=4"));
        var texts = new[] { new EvaluationDocument("a", Tokens, 1, 1), new EvaluationDocument("b", [.. Tokens.Reverse()], 1, 1) };
        var plan = new PerplexityPlan([new PiSliding(16), new LlamaCppHalf()], [16, 64], SpecialTokens.None);
        using var folder = new TemporaryFolder();
        PerplexityScores Run(string file, INllScorer model)
        {
            using var log = new ResultLog(folder[file]);
            return new PerplexityEvaluation(plan, texts, log, batchTokens: 256).Run(model, PerplexityEvaluationTests.Key);
        }

        var expected = Run("whole.jsonl", scorer);
        Assert.Throws<OperationCanceledException>(() => Run("cut.jsonl", new StopsAfter(scorer, 3)));
        var resumed = Run("cut.jsonl", scorer);
        Assert.Equal(expected.Windows, resumed.Windows);
        Assert.Equal(expected.Curves.SelectMany(c => c.Score.Sums), resumed.Curves.SelectMany(c => c.Score.Sums));
        Assert.Equal(File.ReadAllBytes(folder["whole.jsonl"]), File.ReadAllBytes(folder["cut.jsonl"]));
    }

    [Fact]
    public void No_token_is_likelier_than_the_likeliest()
    {
        using var model = Open();
        using var scorer = new LlamaScorer(model, Method(model, "rope"));
        int[][] rows = [Tokens[..24], Tokens[30..54]];
        var likeliest = scorer.Likeliest(rows);
        Assert.Equal([24, 24], likeliest.Select(row => row.Length));
        int[] positions = [.. Enumerable.Range(0, 24)];
        foreach (var (row, best) in rows.Zip(likeliest))
        {
            var least = scorer.Nll([new ScoringRequest(row, positions, best)])[0];
            for (var shift = 1; shift < 40; shift++)
            {
                var others = scorer.Nll([new ScoringRequest(row, positions, [.. best.Select(token => (token + (shift * 37)) % model.Config.VocabSize)])])[0];
                Assert.All(least.Zip(others), pair => Assert.True(pair.First <= pair.Second));
            }
        }
    }

    [Fact]
    public void LongPPL_is_that_of_its_authors_code()
    {
        using var model = Open();
        var cases = JsonNode.Parse(File.ReadAllText(Golden.Path("longppl.json")))!["cases"]!.AsArray();
        Assert.Equal(30, cases.Count);
        Assert.All(cases, golden =>
        {
            using var measured = new LlamaScorer(model, Method(model, Spec(golden!["model"])));
            using var evaluator = new LlamaScorer(model, Method(model, Spec(golden["evaluator"])));
            var settings = new LongPplSettings(
                golden["trunc_len"]!.GetValue<int>(), golden["sliding_window"]!.GetValue<int>(), golden["alpha"]!.GetValue<double>(), golden["beta"]!.GetValue<double>());
            var result = LongPpl.Measure(measured, Tokens, LongPpl.KeyTokens(evaluator, Tokens, settings));
            Assert.Equal(golden["loss_indices"]!.AsArray().Select(i => i!.GetValue<int>() + 1), result.KeyTokens);
            Assert.Equal(golden["n_token"]!.GetValue<int>(), result.Tokens);
            // Relative, as perplexities of untrained weights go to thousands.
            Assert.Equal(1, result.Perplexity / golden["ppl"]!.GetValue<double>(), 1e-4);
            Assert.Equal(golden["longppl"] is null, result.LongPerplexity is null);
            Assert.Equal(1, (result.LongPerplexity ?? 1) / (golden["longppl"]?.GetValue<double>() ?? 1), 1e-4);
        });

        static string Spec(JsonNode? name) => name!.GetValue<string>() switch { "default" => "rope", "linear_f2" => "linear:factor=2", _ => "dynamic-ntk:factor=2" };
    }

    [Theory]
    [InlineData("rope", "rope")]
    [InlineData("xpos_half_sb512", "xpos:scale_base=512")]
    [InlineData("xpos_half_sb32", "xpos:scale_base=32")]
    public void Scores_by_distance_and_their_resolution_are_the_golden_ones(string name, string spec)
    {
        var golden = JsonNode.Parse(File.ReadAllText(Golden.Path("attention_resolution.json")))!["cases"]!.AsArray().Single(c => c!["case"]!.GetValue<string>() == name)!;
        using var scope = NewDisposeScope();
        var inputs = SafetensorsFile.Open(Golden.Path("attention_inputs.safetensors"));
        var (q, k) = (inputs.Read("q").unsqueeze(0), inputs.Read("k").unsqueeze(0)); // [1, H, T, D], [1, K, T, D]
        var config = TinyModels.Config() with { NumAttentionHeads = (int)q.shape[1], NumKeyValueHeads = (int)k.shape[1], HeadDim = (int)q.shape[3], RopeTheta = 10_000 };
        var length = (int)q.shape[2];
        using var plan = AttentionPlan.Create(new PositionSetup(PositionMethods.Parse(spec), config.Positions, length).Method, TokenPositions.Sequential(length), config, CPU);
        var heads = AttentionResolution.ScoresByDistance(plan, q, k);
        var expected = golden["per_head"]!.AsArray();
        Assert.Equal(expected.Count, heads.Length);
        for (var h = 0; h < heads.Length; h++)
        {
            Assert.All(heads[h].Zip(expected[h]!["s"]!.AsArray()), pair => Assert.Equal(pair.Second!.GetValue<double>(), pair.First, 2e-6));
            Assert.Equal(expected[h]!["R"]!.GetValue<double>(), AttentionResolution.Of(heads[h]), 1e-7);
        }
    }

    [Fact]
    public void A_block_mask_hides_far_distances_from_the_resolution()
    {
        using var model = Open();
        var dense = AttentionResolution.Measure(model, Method(model, "rope"), Tokens[..64]);
        var masked = AttentionResolution.Measure(model, Method(model, "rope+bca:window=16"), Tokens[..64]);
        Assert.Equal(model.Config.NumHiddenLayers, dense.Length);
        Assert.All(dense.Concat(masked), r => Assert.InRange(r, -1, 1));
        Assert.NotEqual(dense, masked);
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void Answers_after_a_cached_prompt_are_those_of_whole_forwards(string spec)
    {
        using var model = Open();
        var method = Method(model, spec);
        using var scorer = new LlamaScorer(model, method);
        // Beyond the native length of 64, where methods that look at the length do.
        var prompt = Tokens[..80];
        int[][] answers = [[7, 8, 9], [300, 2], [5], [40, 41, 42]];
        var scores = scorer.Answer(prompt, 4, answers);
        for (var a = 0; a < answers.Length; a++)
        {
            int[] row = [.. prompt, .. answers[a][..^1]];
            var whole = scorer.Nll([new ScoringRequest(row, [.. Enumerable.Range(prompt.Length - 1, answers[a].Length)], answers[a])])[0];
            Assert.Equal(whole.Sum(n => (double)n), scores.Nll[a], 1e-4);
        }

        // Greedy: each decoded token is likelier than any other after the prompt and those before it.
        for (var n = 0; n < scores.Decoded.Length; n++)
        {
            int[] read = [.. prompt, .. scores.Decoded[..n]];
            var best = LogLikelihoods(model, method, read)[^model.Config.VocabSize..];
            Assert.Equal(Array.IndexOf(best, best.Max()), scores.Decoded[n]);
        }
    }

    [Fact]
    public void A_value_that_is_not_a_number_is_traced_to_its_layer_and_position()
    {
        using var model = Open();
        using (no_grad())
        {
            // Layer 2's projection turns whatever it reads into an infinity.
            model.get_parameter("model.layers.2.mlp.down_proj.weight")!.fill_(float.PositiveInfinity);
        }

        using var scorer = new LlamaScorer(model, Method(model, "rope"));
        var problem = Assert.Throws<UserException>(() => scorer.Nll([Whole(Tokens[..20])]));
        Assert.Contains("not a number", problem.Message);
        Assert.Contains("layer 2, at position 0", problem.Message);
    }

    [Fact]
    public void The_probe_tells_a_method_that_acts_from_one_that_does_not()
    {
        using var model = Open();
        var (vanilla, none) = PositionProbe.Prove(model, model.Config.SetupFor(PositionMethods.Parse("rope"), 512));
        Assert.Equal(0, none);
        Assert.Equal(vanilla.VanillaHash, vanilla.Hash);
        // Acts beyond the native length of 64 only, which a probe of 64 tokens side by side would not see.
        Assert.True(PositionProbe.Prove(model, model.Config.SetupFor(PositionMethods.Parse("dynamic-ntk:factor=2"), 512)).LargestLogitDifference > 0.01);
        Assert.Equal(0, PositionProbe.Prove(model, model.Config.SetupFor(PositionMethods.Parse("dynamic-ntk:factor=2"), 32)).LargestLogitDifference);
    }

    private static LlamaForCausalLM Open()
    {
        using var checkpoint = HuggingFaceCheckpoint.Open(Golden.Path("tiny-random-llama"));
        return checkpoint.Load();
    }

    private static PositionMethod Method(LlamaForCausalLM model, string spec) => new PositionSetup(PositionMethods.Parse(spec), model.Config.Positions, 256).Method;

    private static ScoringRequest Whole(int[] tokens) => new(tokens, [.. Enumerable.Range(0, tokens.Length - 1)], tokens[1..]);

    private static float[] Dense(LlamaForCausalLM model, PositionMethod method, int[] tokens)
    {
        var all = LogLikelihoods(model, method, tokens);
        return [.. Enumerable.Range(0, tokens.Length - 1).Select(p => -all[(p * model.Config.VocabSize) + tokens[p + 1]])];
    }

    /// <summary>[T * V] log-softmax of all logits of one row, all at once.</summary>
    private static float[] LogLikelihoods(LlamaForCausalLM model, PositionMethod method, int[] tokens)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var plan = AttentionPlan.Create(method, TokenPositions.Sequential(tokens.Length), model.Config, CPU);
        var logits = model.Logits(model.Hidden(tensor(Array.ConvertAll(tokens, id => (long)id)).view(1, -1), plan));
        return nn.functional.log_softmax(logits.to(ScalarType.Float32), -1).data<float>().ToArray();
    }

    private static void Near(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 1e-5f * Math.Max(1, pair.First)));
    }

    private static int[] ReadTokens()
    {
        var json = JsonNode.Parse(File.ReadAllText(Golden.Path("tiny-random-llama/tokens.json")))!;
        var array = json as JsonArray ?? json["input_ids"]?.AsArray() ?? json["tokens"]!.AsArray();
        return [.. array.Select(id => id!.GetValue<int>())];
    }

    private sealed class StopsAfter(INllScorer inner, int batches) : INllScorer
    {
        private int done;

        public bool DependsOnLength => inner.DependsOnLength;

        public float[][] Nll(IReadOnlyList<ScoringRequest> batch) => done++ == batches ? throw new OperationCanceledException() : inner.Nll(batch);
    }
}
