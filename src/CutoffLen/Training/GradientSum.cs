using CutoffLen.Training.Optimizers;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// The gradient of an accumulated batch. The backward pass adds into the parameters' own buffer, which is exact enough in float32.
/// Bfloat16 would round after every micro-batch, so its gradients are added to a float32 buffer.
/// </summary>
internal sealed class GradientSum : IDisposable
{
    private readonly FlatParameters parameters;
    private readonly Tensor? float32; // [count] float32

    public GradientSum(FlatParameters parameters, int microBatches)
    {
        this.parameters = parameters;
        float32 = microBatches > 1 && parameters.Values.dtype != ScalarType.Float32
            ? zeros([parameters.Count], ScalarType.Float32, parameters.Values.device).DetachFromDisposeScope()
            : null;
    }

    /// <summary>[count] the sum so far.</summary>
    public Tensor Total => float32 ?? parameters.Gradients;

    /// <summary>Adds what the last micro-batch left in the parameters' gradients.</summary>
    public void Add()
    {
        if (float32 is null)
        {
            return;
        }

        using var noGrad = no_grad();
        float32.add_(parameters.Gradients);
        parameters.Gradients.zero_();
    }

    public void Clear()
    {
        using var noGrad = no_grad();
        Total.zero_();
    }

    /// <summary>The parameter with the largest gradient, where one that is not finite counts as larger than any that is.</summary>
    public (string Name, double Norm) Largest()
    {
        var largest = (Name: "", Norm: -1.0);
        foreach (var name in parameters.Names)
        {
            using var scope = NewDisposeScope();
            var gradient = parameters.ViewOf(Total, name).to(ScalarType.Float32).flatten();
            double norm = Math.Sqrt(gradient.dot(gradient).item<float>());
            // Gradients flow from the last layer to the first, so the last of several that are not finite is the source.
            if (!double.IsFinite(norm) || (double.IsFinite(largest.Norm) && norm > largest.Norm))
            {
                largest = (name, norm);
            }
        }

        return largest;
    }

    public void Dispose() => float32?.Dispose();
}
