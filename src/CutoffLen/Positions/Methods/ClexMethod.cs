using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// CLEX (arXiv 2310.16450): the logarithms of the frequencies follow a learned differential equation in the length scale t,
/// from vanilla RoPE at t = 1. A document of length L has t = ceil(L / original), at most max_factor. Inference only: the
/// equation's weights come with a checkpoint that was trained with them.
/// </summary>
public sealed class ClexMethod : FrequencyMethod
{
    private readonly int original;
    private readonly Frequencies[] byScale;

    private ClexMethod(PositionModel model, ClexWeights weights, int original, int scales, double step, bool isSilu)
    {
        this.original = original;
        byScale = new Frequencies[scales];
        var logarithms = Array.ConvertAll(model.InverseFrequencies(), Math.Log);
        for (var scale = 0; scale < scales; scale++)
        {
            byScale[scale] = new Frequencies(scale == 0 ? model.InverseFrequencies() : Array.ConvertAll(logarithms, Math.Exp));
            logarithms = Integrate(new Equation(model, weights, isSilu), scale + 1, logarithms, step);
        }
    }

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "clex", "CLEX: frequencies follow a learned equation in the length; for checkpoints trained with it.", "2310.16450",
        [
            SpecKey.Tokens("max_factor", 1, 16, "largest length scale"),
            CommonKeys.Original,
            SpecKey.Number("time_dt", 0.001, 1, 0.01, "step of the integration"),
            SpecKey.Word("act", "the equation's activation", "silu", "tanh"),
        ],
        (part, model) => new ClexMethod(
            model, WeightsOf(model), part.Tokens("original"), part.Tokens("max_factor"), part.Number("time_dt"), part.Word("act") == "silu"))
    {
        DependsOnLength = true,
        Vanilla = _ => "clex",
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) =>
        byScale[Math.Clamp((length + original - 1) / original, 1, byScale.Length) - 1];

    private static ClexWeights WeightsOf(PositionModel model)
    {
        var weights = model.Clex ?? throw new UserException(
            "clex needs a checkpoint that was trained with it, with the tensors ode_up_proj and ode_down_proj; this one has none");
        var wanted = model.HeadDim / 2 * weights.Width;
        return weights.Up.Length == wanted && weights.Down.Length == wanted
            ? weights
            : throw new UserException($"clex: ode_up_proj and ode_down_proj must have {wanted} elements each for a head dimension of {model.HeadDim}, not {weights.Up.Length} and {weights.Down.Length}");
    }

    /// <summary>Integrates from t to t + 1 by the fourth-order 3/8 rule, torchdiffeq's rk4.</summary>
    private static double[] Integrate(Equation equation, double time, double[] from, double step)
    {
        var steps = (int)Math.Round(1 / step);
        var (state, h) = (from, 1.0 / steps);
        for (var n = 0; n < steps; n++, time += h)
        {
            var y = state;
            var k1 = equation.Slope(time, y);
            var k2 = equation.Slope(time + (h / 3), At(i => y[i] + (h * k1[i] / 3)));
            var k3 = equation.Slope(time + (2 * h / 3), At(i => y[i] + (h * (k2[i] - (k1[i] / 3)))));
            var k4 = equation.Slope(time + h, At(i => y[i] + (h * (k1[i] - k2[i] + k3[i]))));
            state = At(i => y[i] + (h * (k1[i] + (3 * (k2[i] + k3[i])) + k4[i]) / 8));
        }

        return state;

        double[] At(Func<int, double> element) => [.. Enumerable.Range(0, from.Length).Select(element)];
    }

    /// <summary>d log(frequency) / dt: the derivative of NTK-aware scaling at alpha = 2t - 1, plus a learned one.</summary>
    private sealed class Equation(PositionModel model, ClexWeights weights, bool isSilu)
    {
        public double[] Slope(double time, double[] logarithms)
        {
            var half = logarithms.Length;
            var alpha = (2 * time) - 1;
            var ntk = NtkMethod.BaseFor(model, alpha);
            // The logarithms of the NTK-aware frequencies are added to the input, as in the published layer.
            var input = logarithms.Select((value, n) => value - (2.0 * n / model.HeadDim * Math.Log(ntk))).ToArray();
            var slope = new double[half];
            for (var n = 0; n < half; n++)
            {
                slope[n] = -2.0 * (2 * n) / (model.HeadDim - 2) / alpha;
            }

            for (var unit = 0; unit < weights.Width; unit++)
            {
                var sum = 0.0;
                for (var n = 0; n < half; n++)
                {
                    sum += input[n] * weights.Up[(n * weights.Width) + unit];
                }

                var active = isSilu ? sum / (1 + Math.Exp(-sum)) : Math.Tanh(sum);
                for (var n = 0; n < half; n++)
                {
                    slope[n] += active * weights.Down[(unit * half) + n];
                }
            }

            return slope;
        }
    }
}
