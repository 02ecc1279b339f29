// usage: PositionsBench forward|attention LENGTH ROUNDS SPEC...   or   PositionsBench memory SPEC LENGTH...
// forward: a whole model's forward under each method, turn and turn about with vanilla RoPE's, which of the two goes first
// changing every round; attention: one attention alone. The ratio is the median of the rounds', with its 95 % interval.
// memory: the peak of resident memory above the start during one attention, forward and backward, for each length.
using System.Diagnostics;
using System.Globalization;
using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using static TorchSharp.torch;

CpuThreads.Use(0);
using var noGrad = no_grad();
var dtype = DeviceAndDtype.Choose("cpu").Dtype;
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
    var length = int.Parse(args[1], CultureInfo.InvariantCulture);
    Compare(args[0] == "forward" ? Forward(length) : Attention(length), length, int.Parse(args[2], CultureInfo.InvariantCulture), args[3..]);
}

PositionMethod Method(string spec, int length) => new PositionSetup(PositionMethods.Parse(spec), config.Positions, length).Method;

void Compare(Action<AttentionPlan> measured, int length, int rounds, string[] specs)
{
    using var vanilla = Plan("rope", length);
    foreach (var spec in specs)
    {
        using var plan = Plan(spec, length);
        var pairs = Enumerable.Range(0, rounds + 1).Select(round => Pair(measured, plan, vanilla, oursFirst: round % 2 == 0)).Skip(1).ToArray();
        var ratios = pairs.Select(pair => pair.Ours / pair.Theirs).Order().ToArray();
        var (lower, upper) = MedianInterval(rounds);
        var usual = pairs.Select(pair => pair.Theirs).Order().ElementAt(rounds / 2);
        Console.WriteLine($"{spec,-40} {usual * 1e3,8:0.0} ms vanilla   ratio {ratios[rounds / 2]:0.000} ({ratios[lower]:0.000} to {ratios[upper]:0.000})");
    }
}

(double Ours, double Theirs) Pair(Action<AttentionPlan> measured, AttentionPlan ours, AttentionPlan theirs, bool oursFirst)
{
    var first = Seconds(measured, oursFirst ? ours : theirs);
    var second = Seconds(measured, oursFirst ? theirs : ours);
    return oursFirst ? (first, second) : (second, first);
}

// The ranks, from 0, between which a median lies with 95 %: those of a binomial count around half of the rounds.
(int Lower, int Upper) MedianInterval(int count)
{
    var half = 0.98 * Math.Sqrt(count);
    return (Math.Max(0, (int)Math.Floor((count / 2.0) - half)), Math.Min(count - 1, (int)Math.Ceiling((count / 2.0) + half) - 1));
}

AttentionPlan Plan(string spec, int length) =>
    AttentionPlan.Create(Method(spec, length), TokenPositions.Sequential(length), config, CPU);

Action<AttentionPlan> Forward(int length)
{
    var model = new LlamaForCausalLM(config, (_, shape) => (randn(shape) * 0.02).to(dtype));
    var tokens = randint(config.VocabSize, [1, length], dtype: ScalarType.Int64);
    return plan => model.Hidden(tokens, plan);
}

Action<AttentionPlan> Attention(int length)
{
    var (q, k, v) = (Heads(length), Heads(length), Heads(length));
    return plan => plan.Attend(q, k, v);
}

Tensor Heads(int length) => randn([1, 4, length, 64]).to(dtype);

static double Seconds(Action<AttentionPlan> measured, AttentionPlan plan)
{
    using var scope = NewDisposeScope();
    var clock = Stopwatch.StartNew();
    measured(plan);
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
    long.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
