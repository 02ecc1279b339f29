// usage: EvalBench memory LENGTH VOCABULARY DTYPE   peak memory above the weights while every token of a window is scored
//        EvalBench cost LONGEST ROUNDS DTYPE        a prefix sweep 1k .. LONGEST against one pass of LONGEST, in turn
//        EvalBench windows TOKENS LONGEST           tokens that a pi-s256 sweep reads, all lengths together and each alone
//        EvalBench score LENGTH ROUNDS DTYPE        tokens a second of scoring windows of LENGTH (one line of JSON)
using System.Diagnostics;
using System.Globalization;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Hardware;
using CutoffLen.Memory;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Tokenization;
using static TorchSharp.torch;

switch (args)
{
    case ["memory", var length, var vocabulary, var dtype]:
        Memory(int.Parse(length, CultureInfo.InvariantCulture), int.Parse(vocabulary, CultureInfo.InvariantCulture), dtype);
        break;
    case ["cost", var longest, var rounds, var dtype]:
        Cost(int.Parse(longest, CultureInfo.InvariantCulture), int.Parse(rounds, CultureInfo.InvariantCulture), dtype);
        break;
    case ["windows", var tokens, var longest]:
        Windows(int.Parse(tokens, CultureInfo.InvariantCulture), int.Parse(longest, CultureInfo.InvariantCulture));
        break;
    case ["score", var length, var rounds, var dtype]:
        Score(int.Parse(length, CultureInfo.InvariantCulture), int.Parse(rounds, CultureInfo.InvariantCulture), dtype);
        break;
    default:
        Console.Error.WriteLine("EvalBench memory|cost|windows|score ...");
        return 1;
}

return 0;

static LlamaConfig Shape(int vocabulary) => new()
{
    VocabSize = vocabulary, HiddenSize = 256, IntermediateSize = 688, NumHiddenLayers = 6, NumAttentionHeads = 4,
    NumKeyValueHeads = 4, HeadDim = 64, MaxPositionEmbeddings = 1024,
};

static LlamaScorer Scorer(string dtype, int vocabulary)
{
    CpuThreads.Use(0);
    var type = DeviceAndDtype.Choose("cpu", dtype).Dtype;
    var config = Shape(vocabulary);
    using var scope = NewDisposeScope();
    random.manual_seed(0); // the peer's weights
    var model = new LlamaForCausalLM(config, (_, shape) => (shape.Length == 1 ? ones(shape) : randn(shape) * 0.02).to(type).DetachFromDisposeScope());
    return new LlamaScorer(model, new RopeMethod(config.Positions), AttentionPath.Sdpa);
}

static int[] Tokens(int count, int vocabulary)
{
    var random = new Random(1);
    return [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
}

static ScoringRequest Whole(int[] tokens) => new(tokens, [.. Enumerable.Range(0, tokens.Length - 1)], tokens[1..]);

static void Memory(int length, int vocabulary, string dtype)
{
    using var scorer = Scorer(dtype, vocabulary);
    scorer.Nll([Whole(Tokens(256, vocabulary))]);
    var request = Whole(Tokens(length, vocabulary));
    var estimated = new ScoringMemory(Shape(vocabulary), new RopeMethod(Shape(vocabulary).Positions), AttentionPath.Sdpa, DeviceAndDtype.Choose("cpu", dtype).Dtype).Bytes(length);
    File.WriteAllText("/proc/self/clear_refs", "5"); // resets the peak
    var before = Status("VmRSS");
    var clock = Stopwatch.StartNew();
    scorer.Nll([request]);
    Console.WriteLine(
        $"{length} tokens, vocabulary {vocabulary}, {dtype}: peak {(Status("VmHWM") - before) / 1e6 * 1024:0} MB above the weights, "
        + $"{estimated / 1e6:0} MB estimated (logits of all tokens at once would be {4.0 * length * vocabulary / 1e6:0} MB), {clock.Elapsed.TotalSeconds:0.0} s");
}

static void Cost(int longest, int rounds, string dtype)
{
    const int vocabulary = 1024;
    using var scorer = Scorer(dtype, vocabulary);
    var tokens = Tokens(longest, vocabulary);
    var lengths = Enumerable.Range(0, 32).Select(k => 1024 << k).TakeWhile(length => length <= longest).ToList();
    scorer.Nll([Whole(tokens)]); // the first forward pays for tables and memory
    var ratios = new List<double>();
    for (var round = 0; round < rounds; round++)
    {
        var once = Seconds(() => scorer.Nll([Whole(tokens)]));
        var sweep = Seconds(() => Sweep(scorer, new Prefix(), tokens, lengths));
        ratios.Add(sweep / once);
        Console.WriteLine($"round {round + 1}: one pass of {longest} tokens {once:0.00} s, prefix sweep of {lengths.Count} lengths {sweep:0.00} s, ratio {sweep / once:0.000}");
    }

    ratios.Sort();
    Console.WriteLine($"prefix sweep {lengths[0]}..{longest} costs {ratios[ratios.Count / 2]:0.000} passes of {longest} tokens (median)");
}

static void Windows(int tokens, int longest)
{
    var text = Tokens(tokens, 1024);
    var lengths = Enumerable.Range(0, 32).Select(k => 1024 << k).TakeWhile(length => length <= longest).ToList();
    var together = new Counting();
    Sweep(together, new PiSliding(), text, lengths);
    var alone = new Counting();
    lengths.ForEach(length => Sweep(alone, new PiSliding(), text, [length]));
    Console.WriteLine(
        $"pi-s256 of {tokens} tokens at {lengths[0]}..{longest}: {together.Tokens:#,0} tokens read in {together.Starts.Count:#,0} windows, "
        + $"{together.Starts.Values.Count(n => n > 1)} starts read twice; each length alone reads {alone.Tokens:#,0}, {(double)alone.Tokens / together.Tokens:0.00} times as many");
}

static void Score(int length, int rounds, string dtype)
{
    const int vocabulary = 1024;
    using var scorer = Scorer(dtype, vocabulary);
    random.manual_seed(1); // the peer's tokens
    using var ids = randint(vocabulary, [Math.Max(1, 4096 / length), length + 1], dtype: ScalarType.Int64);
    var batch = Enumerable.Range(0, (int)ids.shape[0]).Select(row => Whole([.. ids[row].data<long>().Select(id => (int)id)])).ToList();
    var loss = scorer.Nll(batch).SelectMany(row => row).Average();
    var seconds = Seconds(() =>
    {
        for (var round = 0; round < rounds; round++)
        {
            scorer.Nll(batch);
        }
    });
    Console.WriteLine($"{{\"tokens_per_second\": {rounds * batch.Count * length / seconds:0.0}, \"peak_mb\": {Status("VmHWM") / 1024.0:0.0}, \"losses\": [{loss:R}]}}");
}

static void Sweep(INllScorer scorer, PerplexityProtocol protocol, int[] tokens, IReadOnlyList<int> lengths)
{
    var file = Path.Combine(Path.GetTempPath(), $"cutoff-bench-{Environment.ProcessId}.jsonl");
    File.Delete(file);
    using (var log = new ResultLog(file))
    {
        var plan = new PerplexityPlan([protocol], lengths, SpecialTokens.None);
        new PerplexityEvaluation(plan, [new EvaluationDocument("bench", tokens, 1, 1)], log).Run(scorer, default);
    }

    File.Delete(file);
}

static double Seconds(Action action)
{
    var clock = Stopwatch.StartNew();
    action();
    return clock.Elapsed.TotalSeconds;
}

static long Status(string name) =>
    long.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

/// <summary>Counts what it is asked to read.</summary>
internal sealed class Counting : INllScorer
{
    public bool DependsOnLength => false;

    public long Tokens { get; private set; }

    /// <summary>How often a window that begins with these tokens was read.</summary>
    public Dictionary<(int, int, int, int), int> Starts { get; } = [];

    public float[][] Nll(IReadOnlyList<ScoringRequest> batch)
    {
        foreach (var request in batch)
        {
            Tokens += request.Inputs.Length;
            var start = (request.Inputs[0], request.Inputs[1], request.Inputs[2], request.Inputs[3]);
            Starts[start] = Starts.GetValueOrDefault(start) + 1;
        }

        return [.. batch.Select(request => new float[request.Positions.Length])];
    }
}
