// usage: bench-train SIZE CUTOFF STEPS [--tokens N] [--rope SPEC] [--recompute none|mlp|layers]
//                   [--attention sdpa|blocked] [--dtype fp32|bf16]
//        bench-train head chunked|dense VOCABULARY TOKENS fp32|bf16
// SIZE is 5M or 25M. Prints one JSON line: tokens per second over the steps after the first, peak memory, losses, and the
// share of the machine's product rate: the products a step cannot do without, over the time it takes, against a product
// of two square matrices.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using CutoffLen.Bench;
using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;
using static TorchSharp.torch;

CpuThreads.Use(0);
if (args[0] == "head")
{
    HeadBench.Run(args[1], long.Parse(args[2], CultureInfo.InvariantCulture), long.Parse(args[3], CultureInfo.InvariantCulture), Dtype(args[4]));
    return;
}

var (size, cutoff, steps) = (args[0], int.Parse(args[1], CultureInfo.InvariantCulture), int.Parse(args[2], CultureInfo.InvariantCulture));
string Option(string name, string standard) => Array.IndexOf(args, name) is var at and > 0 ? args[at + 1] : standard;

var config = size switch
{
    "5M" => Shape(256, 6, 4, 688, 1024),
    "25M" => Shape(512, 8, 8, 1376, 2048),
    _ => throw new ArgumentException($"SIZE is 5M or 25M, not {size}"),
};
var dtype = Dtype(Option("--dtype", "fp32"));
var recompute = Enum.Parse<Recompute>(Option("--recompute", "none"), ignoreCase: true);
var batch = Math.Max(1, int.Parse(Option("--tokens", "4096"), CultureInfo.InvariantCulture) / cutoff);
var method = new PositionSetup(PositionMethods.Parse(Option("--rope", "rope")), config.Positions, cutoff).Method;

var shapes = new List<ParameterShape>();
_ = new LlamaForCausalLM(config, (name, shape) =>
{
    shapes.Add(new ParameterShape(name, shape));
    return empty(0);
});
using var flat = new FlatParameters(ParameterGroup.ByShape(shapes), dtype, CPU);
using var model = new LlamaForCausalLM(config, (name, _) => flat.View(name));
random.manual_seed(0); // the peer's weights
foreach (var shape in shapes)
{
    using var scope = NewDisposeScope();
    flat.View(shape.Name).copy_(shape.Shape.Length == 1 ? ones(shape.Shape) : randn(shape.Shape) * 0.02);
}

flat.Attach(model.named_parameters().Select(p => (p.name, p.parameter)));
using var optimizer = new AdamW(flat, new AdamWSettings(WeightDecay: 0.1));
var path = Enum.Parse<AttentionPath>(Option("--attention", "sdpa"), ignoreCase: true);
using var plan = AttentionPlan.Create(method, TokenPositions.Sequential(cutoff), config, CPU, path, workspace: model.Workspace);
var backprop = new LayerwiseBackprop(model, recompute, flat.GradientView("model.embed_tokens.weight"), flat.GradientView("lm_head.weight"));
var losses = new List<double>();
var clock = new Stopwatch();
random.manual_seed(1); // the peer's tokens
for (var step = 0; step <= steps; step++)
{
    using var scope = NewDisposeScope();
    if (step == 1)
    {
        clock.Start();
    }

    var ids = randint(config.VocabSize, [batch, cutoff + 1], dtype: ScalarType.Int64);
    var count = (double)batch * cutoff;
    var loss = backprop.Run(ids.narrow(1, 0, cutoff), ids.narrow(1, 1, cutoff).contiguous(), plan, 1 / count);
    var norm = flat.GradientNorm(flat.Gradients);
    optimizer.Step(1e-3, Math.Min(1, 1 / norm));
    flat.Gradients.zero_();
    losses.Add(loss.item<double>() / count);
}

clock.Stop();

// Last: the heap that its products leave behind would make the steps faster.
var productRate = ProductRate();
Console.WriteLine(JsonSerializer.Serialize(new
{
    tokens_per_second = batch * cutoff * steps / clock.Elapsed.TotalSeconds,
    peak_mb = Process.GetCurrentProcess().PeakWorkingSet64 / 1048576.0,
    product_gflops = productRate / 1e9,
    product_share = FlopsOfStep() * steps / clock.Elapsed.TotalSeconds / productRate,
    losses,
    parameters = flat.Count,
}));

// Each weight but the embedding's takes part in three products of a token; a causal pair of a head in seven of attention:
// two forward, one again and four more backward.
double FlopsOfStep()
{
    var tokens = (double)batch * cutoff;
    var weights = flat.Count - ((double)config.VocabSize * config.HiddenSize);
    var pairs = tokens * (cutoff + 1) / 2 * config.NumHiddenLayers;
    return (6 * weights * tokens) + (7 * 2 * pairs * config.NumAttentionHeads * config.HeadDim);
}

static ScalarType Dtype(string name) => name == "bf16" ? ScalarType.BFloat16 : ScalarType.Float32;

double ProductRate()
{
    const int side = 2048;
    using var scope = NewDisposeScope();
    var (a, b) = (randn(side, side).to(dtype), randn(side, side).to(dtype));
    var seconds = Enumerable.Range(0, 7).Select(_ =>
    {
        using var product = NewDisposeScope();
        var watch = Stopwatch.StartNew();
        a.mm(b);
        return watch.Elapsed.TotalSeconds;
    }).Order().ToArray();
    return 2.0 * side * side * side / seconds[seconds.Length / 2];
}

static LlamaConfig Shape(int hidden, int layers, int heads, int inner, int vocabulary) => new()
{
    VocabSize = vocabulary,
    HiddenSize = hidden,
    IntermediateSize = inner,
    NumHiddenLayers = layers,
    NumAttentionHeads = heads,
    NumKeyValueHeads = heads,
    HeadDim = hidden / heads,
    MaxPositionEmbeddings = 2048,
};
