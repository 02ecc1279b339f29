// usage: PositionsBench forward|attention LENGTH ROUNDS SPEC...   or   PositionsBench memory SPEC LENGTH...
// forward: a whole model's forward under each method, in turn with vanilla RoPE's; attention: one attention alone.
// memory: the peak of resident memory above the start during one attention, forward and backward, for each length.
using System.Diagnostics;
using CutoffLen.Hardware;
using CutoffLen.Models;
using CutoffLen.Positions;
using static TorchSharp.torch;

CpuThreads.Use(0);
using var noGrad = no_grad();
var dtype = Compute.Choose("cpu").Dtype;
var config = new LlamaConfig
{
    VocabSize = 1024, HiddenSize = 256, IntermediateSize = 688, NumHiddenLayers = 6, NumAttentionHeads = 4,
    NumKeyValueHeads = 4, HeadDim = 64, MaxPositionEmbeddings = 1024,
};
if (args[0] == "memory")
{
    Memory(args[1], [.. args[2..].Select(int.Parse)]);
}
else
{
    Compare(args[0] == "forward" ? Forward : Attention, int.Parse(args[1]), int.Parse(args[2]), args[3..]);
}

PositionMethod Method(string spec, int length) => PositionMethods.Create(PositionSpec.Parse(spec), config.Positions, length);

void Compare(Func<AttentionPlan, Action> measured, int length, int rounds, string[] specs)
{
    using var vanilla = Plan("rope", length);
    foreach (var spec in specs)
    {
        using var plan = Plan(spec, length);
        var (ours, theirs) = (measured(plan), measured(vanilla));
        var pairs = Enumerable.Range(0, rounds + 1).Select(_ => (Ours: Seconds(ours), Theirs: Seconds(theirs))).Skip(1).ToArray();
        var ratios = pairs.Select(pair => pair.Ours / pair.Theirs).Order().ToArray();
        var fastest = (Ours: pairs.Min(pair => pair.Ours), Theirs: pairs.Min(pair => pair.Theirs));
        Console.WriteLine(
            $"{spec,-40} {fastest.Theirs * 1e3,8:0.0} ms vanilla   ratio {fastest.Ours / fastest.Theirs:0.000}   ({ratios[ratios.Length / 2]:0.000}; {ratios[0]:0.000} to {ratios[^1]:0.000})");
    }
}

AttentionPlan Plan(string spec, int length) =>
    AttentionPlan.Create(Method(spec, length), TokenPositions.Sequential(length), config, CPU);

Action Forward(AttentionPlan plan)
{
    var model = new Llama(config, (_, shape) => (randn(shape) * 0.02).to(dtype));
    var tokens = randint(config.VocabSize, [1, plan.Length], dtype: ScalarType.Int64);
    return () => model.Hidden(tokens, plan);
}

Action Attention(AttentionPlan plan)
{
    var (q, k, v) = (Heads(plan.Length), Heads(plan.Length), Heads(plan.Length));
    return () => plan.Attend(q, k, v);
}

Tensor Heads(int length) => randn([1, 4, length, 64]).to(dtype);

static double Seconds(Action action)
{
    using var scope = NewDisposeScope();
    var clock = Stopwatch.StartNew();
    action();
    return clock.Elapsed.TotalSeconds;
}

void Memory(string spec, int[] lengths)
{
    foreach (var length in lengths)
    {
        using var scope = NewDisposeScope();
        var (q, k, v, gradient) = (Heads(length), Heads(length), Heads(length), Heads(length));
        File.WriteAllText("/proc/self/clear_refs", "5"); // resets the peak
        var before = Status("VmRSS");
        using var plan = Plan(spec, length);
        var (output, logSumExp) = plan.Attend(q, k, v, keepLogSumExp: true);
        plan.Backward(q, k, v, output, logSumExp!, gradient);
        Console.WriteLine($"{spec,-24} {length,7} tokens   peak {(Status("VmHWM") - before) / 1024.0,8:0.0} MiB   {(Status("VmHWM") - before) * 1024.0 / length,8:0} bytes a token");
    }
}

static long Status(string name) =>
    long.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);
