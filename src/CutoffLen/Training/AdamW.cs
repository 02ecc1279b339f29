using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>Settings of <see cref="AdamW"/>, under PyTorch's names and with its defaults.</summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the second moment's root.</param>
/// <param name="WeightDecay">Decoupled weight decay.</param>
public sealed record AdamWSettings(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8, double WeightDecay = 0.01);

/// <summary>
/// AdamW (Loshchilov and Hutter, arXiv 1711.05101, as in PyTorch) over flat buffers. Moments are float32, and so
/// are the weights it steps: where the model is bfloat16 it keeps a float32 master copy and writes the rounded
/// values into the model. All arithmetic is in place, over slices that fit a cache.
/// </summary>
public sealed class AdamW : IDisposable
{
    private readonly FlatParameters parameters;
    private readonly AdamWSettings settings;
    private readonly bool ownsMaster;

    /// <summary>Creates the optimizer with zero moments, stepping from the parameters' present values.</summary>
    public AdamW(FlatParameters parameters, AdamWSettings settings)
    {
        (this.parameters, this.settings) = (parameters, settings);
        using var scope = NewDisposeScope();
        ownsMaster = parameters.Values.dtype != ScalarType.Float32;
        Master = ownsMaster ? parameters.Values.to(ScalarType.Float32).DetachFromDisposeScope() : parameters.Values;
        FirstMoment = zeros_like(Master).DetachFromDisposeScope();
        SecondMoment = zeros_like(Master).DetachFromDisposeScope();
    }

    /// <summary>[count] float32 weights; the model's own buffer when that is float32.</summary>
    public Tensor Master { get; }

    /// <summary>[count] float32 first moment.</summary>
    public Tensor FirstMoment { get; }

    /// <summary>[count] float32 second moment.</summary>
    public Tensor SecondMoment { get; }

    /// <summary>Steps made.</summary>
    public long Steps { get; set; }

    /// <summary>One step, with gradients multiplied by <paramref name="gradientFactor"/> (the clipping).</summary>
    public void Step(double learningRate, double gradientFactor)
    {
        using var noGrad = no_grad();
        Steps++;
        var most = parameters.SliceLength;
        long offset = 0;
        foreach (var group in parameters.Groups)
        {
            var rate = learningRate * group.LearningRateFactor;
            var decay = group.WeightDecays ? 1 - rate * settings.WeightDecay : 1;
            for (long at = 0; at < group.Count; at += most)
            {
                StepSlice(offset + at, Math.Min(most, group.Count - at), rate, decay, gradientFactor);
            }

            offset += group.Count;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        FirstMoment.Dispose();
        SecondMoment.Dispose();
        if (ownsMaster)
        {
            Master.Dispose();
        }
    }

    private void StepSlice(long offset, long count, double rate, double decay, double gradientFactor)
    {
        using var scope = NewDisposeScope();
        var (weights, first, second) = (Slice(Master), Slice(FirstMoment), Slice(SecondMoment));
        var gradient = Slice(parameters.Gradients).to(ScalarType.Float32);
        gradient = gradientFactor == 1 ? gradient : gradient * gradientFactor;
        first.mul_(settings.Beta1).add_(gradient, 1 - settings.Beta1);
        second.mul_(settings.Beta2).addcmul_(gradient, gradient, 1 - settings.Beta2);

        var unbiasedRoot = second.sqrt().div_(Math.Sqrt(1 - Math.Pow(settings.Beta2, Steps))).add_(settings.Epsilon);
        weights.mul_(decay).addcdiv_(first, unbiasedRoot, -rate / (1 - Math.Pow(settings.Beta1, Steps)));
        if (ownsMaster)
        {
            Slice(parameters.Values).copy_(weights);
        }

        Tensor Slice(Tensor buffer) => buffer.narrow(0, offset, count);
    }
}
