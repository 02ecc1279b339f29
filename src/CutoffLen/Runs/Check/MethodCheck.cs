using System.Runtime.InteropServices;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Training;
using TorchSharp;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Runs.Check;

/// <summary>How far a position method's forward and backward pass on a device are from the formulas.</summary>
/// <param name="Method">Its name, with those of its modifiers.</param>
/// <param name="Attention">The attention path, sdpa or blocked.</param>
/// <param name="Packed">Whether the row held two documents.</param>
/// <param name="Logits">Norm of the logits' error over the norm of the logits; NaN where there are none.</param>
/// <param name="Gradients">The same of the parameter whose gradient is the furthest away.</param>
/// <param name="Parameter">That parameter.</param>
/// <param name="Bound">The largest error that rounding explains.</param>
public sealed record MethodError(string Method, string Attention, bool Packed, double Logits, double Gradients, string Parameter, double Bound)
{
    /// <summary>What the device said instead of computing; null where it computed.</summary>
    public string? Failure { get; init; }

    /// <summary>Whether an error is above the bound.</summary>
    public bool IsOff => !(Logits <= Bound && Gradients <= Bound);

    /// <summary>What is off, in a line.</summary>
    public string Describe() => $"{Method}, attention {Attention}{(Packed ? ", two packed documents" : "")}: " + (Failure ?? FormattableString.Invariant(
        $"the logits are {Logits:0.0e+0} and the gradient of {Parameter} {Gradients:0.0e+0} from those in float64, bound {Bound:0.0e+0}"));

    /// <summary>Compares a pass with what it should be.</summary>
    internal static MethodError Of(
        string method, AttentionPath path, bool packed, DensePass expected, Tensor logits, Func<string, Tensor> gradient, double bound)
    {
        var errors = expected.Gradients.Select(pair => (Name: pair.Key, Error: Distance(gradient(pair.Key), pair.Value))).ToList();
        var furthest = errors.Find(pair => double.IsNaN(pair.Error)) is { Name: not null } bad ? bad : errors.MaxBy(pair => pair.Error);
        return new MethodError(method, Word(path), packed, Distance(logits, expected.Logits), furthest.Error, furthest.Name, bound);
    }

    internal static string Word(AttentionPath path) => path.ToString().ToLowerInvariant();

    private static double Distance(Tensor actual, Tensor expected)
    {
        using var scope = NewDisposeScope();
        return ((actual.detach().to(CPU).to(ScalarType.Float64) - expected).norm() / expected.norm()).item<double>();
    }
}

/// <summary>
/// Runs position methods forward and backward on a device, and compares with <see cref="DenseReference"/>. The network is
/// small and has grouped query heads. Rows are longer than a tile of attention and no multiple of it. They are several
/// times the native length, so that every method has an effect. Adapters on weights in 4 bits are compared in the same way.
/// </summary>
internal sealed class MethodCheck : IDisposable
{
    /// <summary>The largest error in float32. These passes err by up to 3e-6.</summary>
    public const double Float32Bound = 1e-4;

    /// <summary>
    /// The largest error in bfloat16. These passes err by up to 4e-2. Vanilla RoPE in place of another method is further
    /// away: 7e-2 from p-rope, 0.3 and more from all others.
    /// </summary>
    public const double BFloat16Bound = 6e-2;

    /// <summary>What the check of adapters is called.</summary>
    public const string AdaptersName = "QLoRA (nf4)";

    private const int Batch = 2;
    private const int HeadDim = 64;

    private static readonly AdapterConfig Adapters = new(4, 16, 0, ModuleSelection.Of(["all-linear"]), [], false);

    private readonly DeviceAndDtype compute;
    private readonly DenseReference reference;
    private readonly TrainableModel model;
    private readonly LayerwiseBackprop backprop;
    private readonly Tensor tokens; // [B, T]
    private readonly Tensor targets;
    private readonly int length;

    /// <summary>Draws the network's weights, into the current scope.</summary>
    public MethodCheck(DeviceAndDtype compute)
    {
        this.compute = compute;
        length = BlockSize.For(compute.Device).MostRows + 45;
        tokens = Draw("tokens");
        targets = Draw("targets");
        var weights = Weights();
        reference = new DenseReference(Model, weights.Select(weight => (weight.Key, weight.Value)));
        model = TrainableModel.Full(Model, (name, _) => weights[name], compute.Dtype, compute.Device);
        backprop = model.Backprop(Recompute.None);

        Tensor Draw(string purpose)
        {
            var random = new KeyedRandom(1, purpose);
            return tensor([.. Enumerable.Range(0, Batch * length).Select(_ => random.Below(Model.VocabSize))]).view(Batch, length);
        }
    }

    /// <summary>Weights are larger than a new model's, so that attention is far from uniform.</summary>
    public static LlamaConfig Model { get; } = new()
    {
        VocabSize = 64,
        HiddenSize = 128,
        IntermediateSize = 176,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        HeadDim = HeadDim,
        MaxPositionEmbeddings = 64,
        InitializerRange = 0.1,
        Clex = new ClexWeights(Small("up"), Small("down"), HeadDim),
    };

    /// <summary>A spec of every method of the registry, YaRN with every modifier, and layers with different methods.</summary>
    public static IReadOnlyList<string> Specs { get; } =
    [
        .. PositionMethods.All.Select(entry => entry.Example(Model.Positions)),
        .. PositionMethods.Modifiers.Select(modifier => $"{YarnMethod.Entry.Name}+{modifier.Name}"),
        "rope@1::2=nope",
        "rerope@0=dynamic-ntk",
    ];

    /// <summary>The errors of a method, on every attention path that supports it, in a row of one document and of two.</summary>
    public IReadOnlyList<MethodError> Of(string spec)
    {
        var layers = LayersOf(spec);
        return Compare(NameOf(PositionMethods.Parse(spec)), layers, layers);
    }

    /// <summary>
    /// The error of adapters on projections in 4 bits (QLoRA), whose weights have no gradients. The formulas have the numbers that plain arithmetic
    /// quantizes and dequantizes the same weights to.
    /// </summary>
    public MethodError OfAdapters() => OfAdapters(weight =>
    {
        using var values = weight.to(ScalarType.Float32);
        return tensor(PlainNf4.Quantize(values.data<float>().ToArray(), Nf4Weight.BlockSize, nested: true).Dequantize(Nf4Weight.BlockSize)).view(weight.shape).to(weight.dtype);
    });

    /// <summary>The same against other numbers of the projections.</summary>
    internal MethodError OfAdapters(Func<Tensor, Tensor> numbers)
    {
        using var scope = NewDisposeScope();
        var weights = Weights();
        using var adapted = TrainableModel.Lora(
            Model with { Quantization = Quantization.Nf4 }, Nf4Weight.Source((name, _) => weights[name].to(compute.Device, copy: true)), compute.Dtype, compute.Device, Adapters, seed: 1);
        using (no_grad())
        {
            using var generator = new Generator(1);
            adapted.Parameters.Values.copy_(randn(adapted.Parameters.Values.shape, generator: generator).mul_(Kept(0.1))); // B of new adapters is zero
        }

        var (layers, positions) = (LayersOf(RopeMethod.Entry.Name), TokenPositions.Sequential(length));
        var plain = weights.Select(weight => (weight.Key, LlamaParameters.IsProjection(weight.Key, weight.Value.shape) ? numbers(weight.Value) : weight.Value));
        var pass = new AdaptedReference(adapted, plain).Run(layers, positions, tokens, targets);
        var trained = pass with { Gradients = pass.Gradients.Where(gradient => adapted.Parameters.Contains(gradient.Key)).ToDictionary() };
        return ErrorOn(AttentionPath.Blocked, AdaptersName, layers, positions, trained, adapted, adapted.Backprop(Recompute.None))!;
    }

    /// <summary>The errors of methods, by layer, against the formulas of what they should be.</summary>
    internal IReadOnlyList<MethodError> Compare(string name, LayerPlan layers, LayerPlan expected)
    {
        var errors = new List<MethodError>();
        foreach (var positions in new[] { TokenPositions.Sequential(length), Packed })
        {
            using var scope = NewDisposeScope();
            var pass = reference.Run(expected, positions, tokens, targets);
            foreach (var path in Enum.GetValues<AttentionPath>())
            {
                if (ErrorOn(path, name, layers, positions, pass, model, backprop) is { } error)
                {
                    errors.Add(error);
                }
            }
        }

        return errors;
    }

    /// <summary>The methods of a spec for rows of the check's length.</summary>
    internal LayerPlan LayersOf(string spec) => Model.SetupFor(PositionMethods.Parse(spec), length).Layers;

    private static string NameOf(PositionSpec spec) =>
        string.Join('+', spec.Modifiers.Prepend(spec.Method).Select(part => part.Name)) + string.Concat(spec.Layers.Select(layers => $"@{layers.Layers}={NameOf(layers.Spec)}"));

    /// <summary>Two documents, and three tokens of padding.</summary>
    private TokenPositions Packed => TokenPositions.Packed([length / 3, length - (length / 3) - 3]).Padded(length);

    /// <summary>The formulas' logits and gradients for a row of one document, in the current scope.</summary>
    internal DensePass Expected(LayerPlan layers) => reference.Run(layers, TokenPositions.Sequential(length), tokens, targets);

    /// <inheritdoc/>
    public void Dispose() => model.Dispose();

    /// <summary>New weights by name, rounded to the device's dtype, in the current scope.</summary>
    private Dictionary<string, Tensor> Weights() => InitialWeights.Draw(Model, 1).ToDictionary(weight => weight.Name, weight => weight.Tensor.to(compute.Dtype));

    /// <summary>Null where the path does not support the method.</summary>
    private MethodError? ErrorOn(
        AttentionPath path, string name, LayerPlan layers, TokenPositions positions, DensePass expected, TrainableModel model, LayerwiseBackprop backprop)
    {
        if (path == AttentionPath.Sdpa && !AttentionChoice.HasFusedKernels(compute.Device.type == DeviceType.CUDA, compute.Dtype))
        {
            return null;
        }

        using var scope = NewDisposeScope();
        var bound = compute.Dtype == ScalarType.Float32 ? Float32Bound : BFloat16Bound;
        var packed = positions.DocumentStarts.Length > 1;
        try
        {
            using var plans = AttentionPlans.Create(layers, positions, Model, compute.Device, path);
            if (plans.Path != path)
            {
                return null;
            }

            var (ids, next) = (tokens.to(compute.Device), targets.to(compute.Device));
            model.Parameters.Gradients.zero_();
            backprop.Run(ids, next, plans, 1.0 / tokens.numel());
            using var noGrad = no_grad();
            var logits = model.Network.Logits(model.Network.Hidden(ids, plans));
            return MethodError.Of(name, path, packed, expected, logits, model.Parameters.GradientView, bound);
        }
        catch (ExternalException failure)
        {
            var reason = failure.Message.Split('\n')[0].Trim();
            return new MethodError(name, MethodError.Word(path), packed, double.NaN, double.NaN, "", bound) { Failure = $"torch fails: {reason}" };
        }
    }

    /// <summary>Made weights of CLEX's equation, small as learned ones are.</summary>
    private static float[] Small(string purpose)
    {
        var random = new KeyedRandom(1, purpose);
        return [.. Enumerable.Range(0, HeadDim / 2 * HeadDim).Select(_ => (float)(0.1 * (random.NextUnit() - 0.5)))];
    }
}
