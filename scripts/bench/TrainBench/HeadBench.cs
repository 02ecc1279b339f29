using System.Diagnostics;
using System.Text.Json;
using CutoffLen.Models.Llama;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Bench;

/// <summary>
/// The output head's loss with its gradients, chunk by chunk as the product forms it, or dense: the logits of all tokens
/// at once through torch's own cross-entropy and autograd.
/// </summary>
internal static class HeadBench
{
    private const int Hidden = 256;
    private const int Rounds = 3;

    /// <summary>
    /// Prints one JSON line: milliseconds (the least of a few rounds), peak memory above the inputs, and how far the head's
    /// gradient is from a dense one in float32, relative in norm.
    /// </summary>
    /// <param name="kind"><c>chunked</c> or <c>dense</c>.</param>
    /// <param name="vocabulary">Rows of the head.</param>
    /// <param name="tokens">Tokens of a step.</param>
    /// <param name="dtype">Of hidden states and head.</param>
    public static void Run(string kind, long vocabulary, long tokens, ScalarType dtype)
    {
        manual_seed(0);
        using var scope = NewDisposeScope();
        var hidden = randn(tokens, Hidden).to(dtype);
        var weight = (randn(vocabulary, Hidden) * 0.1).to(dtype);
        var targets = randint(vocabulary, [tokens], dtype: ScalarType.Int64);
        File.WriteAllText("/proc/self/clear_refs", "5"); // the peak of making the inputs is not the head's
        var inputs = Environment.WorkingSet;
        var (least, gradient) = (double.PositiveInfinity, empty(0));
        for (var round = 0; round < Rounds; round++)
        {
            gradient.Dispose();
            var watch = Stopwatch.StartNew();
            gradient = kind switch
            {
                "chunked" => Chunked(hidden, weight, targets),
                "dense" => Dense(hidden, weight, targets),
                _ => throw new ArgumentException($"chunked or dense, not {kind}"),
            };
            least = Math.Min(least, watch.Elapsed.TotalMilliseconds);
        }

        var peak = Process.GetCurrentProcess().PeakWorkingSet64;
        var exact = Dense(hidden.to(ScalarType.Float32), weight.to(ScalarType.Float32), targets);
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            milliseconds = least,
            peak_mb = (peak - inputs) / 1048576.0,
            gradient_error = (gradient.to(ScalarType.Float32) - exact).norm().item<float>() / exact.norm().item<float>(),
        }));
    }

    private static Tensor Chunked(Tensor hidden, Tensor weight, Tensor targets)
    {
        var gradient = zeros_like(weight);
        var config = new LlamaConfig
        {
            VocabSize = (int)weight.shape[0], HiddenSize = Hidden, IntermediateSize = 1, NumHiddenLayers = 0, NumAttentionHeads = 1,
            NumKeyValueHeads = 1, HeadDim = Hidden, MaxPositionEmbeddings = 1,
        };
        using var model = new LlamaForCausalLM(config, (name, shape) => name == "lm_head.weight" ? weight.alias() : empty(shape, weight.dtype));
        using var hiddenGradient = empty_like(hidden);
        using var sum = HeadLoss.ForwardBackward(model, hidden, targets, 1.0 / targets.shape[0], gradient, hiddenGradient);
        return gradient;
    }

    private static Tensor Dense(Tensor hidden, Tensor weight, Tensor targets)
    {
        using var scope = NewDisposeScope();
        var (inputs, head) = (hidden.detach().requires_grad_(), weight.detach().requires_grad_());
        nn.functional.cross_entropy(nn.functional.linear(inputs, head).to(ScalarType.Float32), targets).backward();
        return head.grad!.MoveToOuterDisposeScope();
    }
}
