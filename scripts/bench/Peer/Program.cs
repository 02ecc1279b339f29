// usage: peer train SIZE CUTOFF STEPS fp32|bf16 sdpa|eager      SIZE is 5M or 25M; steps of 4096 tokens
//        peer score LENGTH ROUNDS fp32|bf16 sdpa|eager          the 5M model, batches of 4096 tokens
// Prints one JSON line: tokens per second (of training: over the steps after the first), peak memory, losses.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Peer;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

set_num_threads(Environment.ProcessorCount);
var dtype = args[^2] == "bf16" ? ScalarType.BFloat16 : ScalarType.Float32;
var sdpa = args[^1] == "sdpa";
var (tokensPerSecond, losses) = args[0] == "train"
    ? Train(args[1] == "5M" ? new Shape(256, 6, 4, 688, 1024) : new Shape(512, 8, 8, 1376, 2048), Number(args[2]), Number(args[3]))
    : Score(new Shape(256, 6, 4, 688, 1024), Number(args[1]), Number(args[2]));
Console.WriteLine(JsonSerializer.Serialize(new
{
    tokens_per_second = tokensPerSecond,
    peak_mb = Process.GetCurrentProcess().PeakWorkingSet64 / 1048576.0,
    losses,
}));

(double, List<double>) Train(Shape shape, int cutoff, int steps)
{
    var model = new Llama(shape, sdpa).to(dtype);
    var optimizer = optim.AdamW(model.parameters(), 1e-3, weight_decay: 0.1);
    var batch = Math.Max(1, 4096 / cutoff);
    var losses = new List<double>();
    var clock = new Stopwatch();
    random.manual_seed(1);
    for (var step = 0; step <= steps; step++)
    {
        using var scope = NewDisposeScope();
        if (step == 1)
        {
            clock.Start();
        }

        var ids = randint(shape.Vocabulary, [batch, cutoff + 1], int64);
        var logits = model.forward(ids.narrow(1, 0, cutoff)).to(float32);
        var loss = F.cross_entropy(logits.flatten(0, 1), ids.narrow(1, 1, cutoff).flatten());
        optimizer.zero_grad();
        loss.backward();
        nn.utils.clip_grad_norm_(model.parameters(), 1.0);
        optimizer.step();
        losses.Add(loss.item<float>());
    }

    return (batch * cutoff * steps / clock.Elapsed.TotalSeconds, losses);
}

(double, List<double>) Score(Shape shape, int length, int rounds)
{
    using var noGrad = no_grad();
    var model = new Llama(shape, sdpa).to(dtype);
    var batch = Math.Max(1, 4096 / length);
    var losses = new List<double>();
    var clock = new Stopwatch();
    for (var round = 0; round <= rounds; round++)
    {
        using var scope = NewDisposeScope();
        if (round == 1)
        {
            clock.Start();
        }

        random.manual_seed(1);
        var ids = randint(shape.Vocabulary, [batch, length + 1], int64);
        var logits = model.forward(ids.narrow(1, 0, length)).to(float32);
        losses.Add(F.cross_entropy(logits.flatten(0, 1), ids.narrow(1, 1, length).flatten()).item<float>());
    }

    return (batch * length * rounds / clock.Elapsed.TotalSeconds, losses);
}

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
