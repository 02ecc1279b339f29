using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// CLEX (arXiv 2310.16450): the logarithms of the frequencies follow a learned differential equation in the length scale t
/// (<see cref="ClexEquation"/>), from vanilla RoPE at t = 1. A document of length L has t = ceil(L / original), at most max_factor.
/// A checkpoint without the equation's weights gets new ones, under which the frequencies are those of NTK-aware scaling until
/// they are trained.
/// </summary>
public sealed class ClexMethod : FrequencyMethod
{
    private readonly PositionModel model;
    private readonly int original;
    private readonly ClexEquation equation;
    private readonly Func<ClexWeights, ClexMethod> with;
    private readonly Frequencies[] byScale;

    private ClexMethod(PositionModel model, ClexWeights weights, int original, int scales, double step, bool isSilu)
    {
        (this.model, this.original, Weights) = (model, original, weights);
        with = other => new ClexMethod(model, other, original, scales, step, isSilu);
        equation = new ClexEquation(model.HeadDim, weights, isSilu, step);
        byScale = [.. equation.Integrate(AtScaleOne, scales).Select(logarithms => new Frequencies(Array.ConvertAll(logarithms, Math.Exp)))];
        byScale[0] = new Frequencies(model.InverseFrequencies());
    }

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "clex", "CLEX: frequencies follow a learned equation in the length; full fine-tuning trains it.", "2310.16450",
        [
            SpecKey.Tokens("max_factor", 1, 16, "largest length scale"),
            CommonKeys.Original,
            SpecKey.Number("time_dt", 0.001, 1, 0.01, "step of the integration"),
            SpecKey.Word("act", "the equation's activation", "silu", "tanh"),
            SpecKey.Tokens("param_factor", 1, null, "hidden units of the equation over the head dimension")
                .DefaultsTo("the checkpoint's, else 1", (_, model, _) => (model.Clex?.Width ?? model.HeadDim) / model.HeadDim),
        ],
        (part, model) => new ClexMethod(
            model, WeightsOf(model, part.Tokens("param_factor")), part.Tokens("original"), part.Tokens("max_factor"), part.Number("time_dt"),
            part.Word("act") == "silu"))
    {
        DependsOnLength = true,
        Vanilla = _ => "clex",
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <summary>The equation's weights.</summary>
    public ClexWeights Weights { get; }

    private double[] AtScaleOne => Array.ConvertAll(model.InverseFrequencies(), Math.Log);

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => byScale[ScaleOf(length) - 1];

    /// <summary>The same method with other weights.</summary>
    public ClexMethod With(ClexWeights weights) => with(weights);

    /// <summary>The gradient of the weights from those of the rotation angles of tokens.</summary>
    /// <param name="angles">[n, D/2] row-major, the angles' gradients.</param>
    /// <param name="positions">[n] the tokens' position ids.</param>
    /// <param name="lengths">[n] the lengths of their documents.</param>
    public ClexWeights Backward(ReadOnlySpan<float> angles, ReadOnlySpan<int> positions, ReadOnlySpan<int> lengths)
    {
        // An angle is position times frequency, and a frequency's derivative by its logarithm is the frequency.
        var gradients = Array.ConvertAll(byScale, frequencies => new double[frequencies.InverseFrequencies.Length]);
        for (int token = 0, at = 0; token < positions.Length; token++)
        {
            var scale = ScaleOf(lengths[token]) - 1;
            for (var n = 0; n < gradients[scale].Length; n++, at++)
            {
                gradients[scale][n] += angles[at] * positions[token] * byScale[scale].InverseFrequencies[n];
            }
        }

        var last = Array.FindLastIndex(gradients, gradient => gradient.Any(value => value != 0));
        return equation.Backward(AtScaleOne, gradients[..Math.Max(1, last + 1)]);
    }

    private int ScaleOf(int length) => Math.Clamp((length + original - 1) / original, 1, byScale.Length);

    private static ClexWeights WeightsOf(PositionModel model, int factor)
    {
        var width = factor * model.HeadDim;
        if (model.Clex is not { } weights)
        {
            return ClexWeights.New(model.HeadDim, width);
        }

        var wanted = model.HeadDim / 2 * width;
        return weights.Width == width && weights.Up.Length == wanted && weights.Down.Length == wanted
            ? weights
            : throw new UserException($"clex: ode_up_proj and ode_down_proj must have {model.HeadDim / 2} x {width} elements for a head dimension of {model.HeadDim} and param_factor={factor}, not {weights.Up.Length} and {weights.Down.Length} with a width of {weights.Width}");
    }
}
