namespace CutoffLen.Positions.Methods;

/// <summary>
/// CLEX's equation for the logarithms of the inverse frequencies in the length scale t: the derivative of NTK-aware scaling at
/// alpha = 2t - 1, plus a learned one (arXiv 2310.16450). It is integrated by the fourth-order 3/8 rule,
/// torchdiffeq's rk4, in float64.
/// </summary>
/// <remarks>
/// As in DAMO-NLP-SG/CLEX, CLEX/clex_layer.py: the logarithms of NTK-aware frequencies are added to the learned part's input,
/// and these always have the base 10000, whatever rope_theta is.
/// </remarks>
/// <param name="headDim">D.</param>
/// <param name="weights">The learned part.</param>
/// <param name="isSilu">Whether its activation is SiLU, else tanh.</param>
/// <param name="step">Step of the integration.</param>
internal sealed class ClexEquation(int headDim, ClexWeights weights, bool isSilu, double step)
{
    private const double NtkBase = 10_000;

    private readonly int half = headDim / 2;
    private readonly int steps = Math.Max(1, (int)Math.Round(1 / step)); // from one scale to the next

    /// <summary>The logarithms at t = 1 .. <paramref name="scales"/>, from those at t = 1.</summary>
    public IReadOnlyList<double[]> Integrate(double[] logarithms, int scales)
    {
        var trajectory = Trajectory(logarithms, scales);
        return [.. Enumerable.Range(0, scales).Select(scale => trajectory[scale * steps])];
    }

    /// <summary>The gradient of the weights from those of the logarithms at t = 1 .. the last.</summary>
    /// <param name="logarithms">[D/2] at t = 1.</param>
    /// <param name="gradients">[D/2] for each t.</param>
    public ClexWeights Backward(double[] logarithms, IReadOnlyList<double[]> gradients)
    {
        var trajectory = Trajectory(logarithms, gradients.Count);
        var (up, down) = (new double[weights.Up.Length], new double[weights.Down.Length]);
        var gradient = new double[half];
        for (var n = trajectory.Count - 1; n >= 0; n--)
        {
            if (n % steps == 0)
            {
                gradient = Sum(gradient, (1, gradients[n / steps]));
            }

            if (n > 0)
            {
                gradient = StepBackward(TimeOf(n - 1), trajectory[n - 1], gradient, up, down);
            }
        }

        return new ClexWeights(Array.ConvertAll(up, value => (float)value), Array.ConvertAll(down, value => (float)value), weights.Width);
    }

    private double TimeOf(int n) => 1 + (n / (double)steps);

    /// <summary>The logarithms after each step.</summary>
    private List<double[]> Trajectory(double[] logarithms, int scales)
    {
        var trajectory = new List<double[]> { logarithms };
        for (var n = 0; n < (scales - 1) * steps; n++)
        {
            var h = 1.0 / steps;
            var (_, k) = Stages(TimeOf(n), trajectory[n], h);
            trajectory.Add(Sum(trajectory[n], (h / 8, k[0]), (3 * h / 8, k[1]), (3 * h / 8, k[2]), (h / 8, k[3])));
        }

        return trajectory;
    }

    /// <summary>Where a step evaluates the slope, and the slopes.</summary>
    private (double[][] At, double[][] Slopes) Stages(double time, double[] y, double h)
    {
        var k1 = Slope(time, y);
        var y2 = Sum(y, (h / 3, k1));
        var k2 = Slope(time + (h / 3), y2);
        var y3 = Sum(y, (h, k2), (-h / 3, k1));
        var k3 = Slope(time + (2 * h / 3), y3);
        var y4 = Sum(y, (h, k1), (-h, k2), (h, k3));
        return ([y, y2, y3, y4], [k1, k2, k3, Slope(time + h, y4)]);
    }

    /// <summary>The gradient before a step from that after it; adds to the weights'.</summary>
    private double[] StepBackward(double time, double[] y, double[] gradient, double[] up, double[] down)
    {
        var h = 1.0 / steps;
        var (at, _) = Stages(time, y, h);
        var d4 = SlopeBackward(time + h, at[3], Sum(new double[half], (h / 8, gradient)), up, down);
        var d3 = SlopeBackward(time + (2 * h / 3), at[2], Sum(new double[half], (3 * h / 8, gradient), (h, d4)), up, down);
        var d2 = SlopeBackward(time + (h / 3), at[1], Sum(new double[half], (3 * h / 8, gradient), (-h, d4), (h, d3)), up, down);
        var d1 = SlopeBackward(time, y, Sum(new double[half], (h / 8, gradient), (h, d4), (-h / 3, d3), (h / 3, d2)), up, down);
        return Sum(gradient, (1, d1), (1, d2), (1, d3), (1, d4));
    }

    private double[] Slope(double time, double[] logarithms)
    {
        var hidden = Hidden(time, logarithms);
        var slope = new double[half];
        for (var n = 0; n < half; n++)
        {
            slope[n] = -2.0 * (2 * n) / (headDim - 2) / ((2 * time) - 1);
        }

        for (var unit = 0; unit < weights.Width; unit++)
        {
            var (active, _) = Activation(hidden[unit]);
            for (var n = 0; n < half; n++)
            {
                slope[n] += active * weights.Down[(unit * half) + n];
            }
        }

        return slope;
    }

    /// <summary>The gradient of the logarithms from that of the slope; adds to the weights'.</summary>
    private double[] SlopeBackward(double time, double[] logarithms, double[] gradient, double[] up, double[] down)
    {
        var hidden = Hidden(time, logarithms);
        for (var unit = 0; unit < weights.Width; unit++)
        {
            var (active, derivative) = Activation(hidden[unit]);
            var sum = 0.0;
            for (int n = 0, at = unit * half; n < half; n++, at++)
            {
                sum += gradient[n] * weights.Down[at];
                down[at] += active * gradient[n];
            }

            hidden[unit] = sum * derivative; // from here on the gradient
        }

        var result = new double[half];
        for (var n = 0; n < half; n++)
        {
            var input = Input(time, logarithms, n);
            for (int unit = 0, at = n * weights.Width; unit < weights.Width; unit++, at++)
            {
                result[n] += hidden[unit] * weights.Up[at];
                up[at] += input * hidden[unit];
            }
        }

        return result;
    }

    /// <summary>[width] the units before their activation.</summary>
    private double[] Hidden(double time, double[] logarithms)
    {
        var hidden = new double[weights.Width];
        for (var n = 0; n < half; n++)
        {
            var input = Input(time, logarithms, n);
            for (int unit = 0, at = n * weights.Width; unit < weights.Width; unit++, at++)
            {
                hidden[unit] += input * weights.Up[at];
            }
        }

        return hidden;
    }

    private double Input(double time, double[] logarithms, int pair) =>
        logarithms[pair] - (2.0 * pair / headDim * (Math.Log(NtkBase) + (headDim / (headDim - 2.0) * Math.Log((2 * time) - 1))));

    /// <summary>The activation and its derivative.</summary>
    private (double Value, double Derivative) Activation(double x)
    {
        if (!isSilu)
        {
            var tanh = Math.Tanh(x);
            return (tanh, 1 - (tanh * tanh));
        }

        var sigmoid = 1 / (1 + Math.Exp(-x));
        return (x * sigmoid, sigmoid * (1 + (x * (1 - sigmoid))));
    }

    private static double[] Sum(double[] first, params ReadOnlySpan<(double Factor, double[] Vector)> others)
    {
        double[] sum = [.. first];
        foreach (var (factor, vector) in others)
        {
            for (var n = 0; n < sum.Length; n++)
            {
                sum[n] += factor * vector[n];
            }
        }

        return sum;
    }
}
