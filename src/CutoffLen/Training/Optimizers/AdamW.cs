using static TorchSharp.torch;

namespace CutoffLen.Training.Optimizers;

/// <summary>Settings of <see cref="AdamW"/>, under PyTorch's names and with its defaults.</summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the second moment's root.</param>
/// <param name="WeightDecay">Decoupled weight decay.</param>
public sealed record AdamWSettings(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8, double WeightDecay = 0.01);

/// <summary>AdamW (Loshchilov and Hutter, arXiv 1711.05101, as in PyTorch) over flat buffers, moments in float32.</summary>
public sealed class AdamW : FlatOptimizer
{
    private readonly AdamWSettings settings;

    /// <summary>Creates the optimizer with zero moments, stepping from the parameters' present values.</summary>
    public AdamW(FlatParameters parameters, AdamWSettings settings, bool inHostMemory = false)
        : base(parameters, settings.WeightDecay, inHostMemory)
    {
        this.settings = settings;
        FirstMoment = NewState("exp_avg");
        SecondMoment = NewState("exp_avg_sq");
    }

    /// <summary>[count] float32 first moment.</summary>
    public Tensor FirstMoment { get; }

    /// <summary>[count] float32 second moment.</summary>
    public Tensor SecondMoment { get; }

    private protected override void Update(Tensor weights, Tensor gradient, double rate, double decay, Func<Tensor, Tensor> slice)
    {
        var (first, second) = (slice(FirstMoment), slice(SecondMoment));
        first.mul_(settings.Beta1).add_(gradient, 1 - settings.Beta1);
        second.mul_(settings.Beta2).addcmul_(gradient, gradient, 1 - settings.Beta2);

        var unbiasedRoot = second.sqrt().div_(Math.Sqrt(1 - Math.Pow(settings.Beta2, Steps))).add_(settings.Epsilon);
        weights.mul_(decay).addcdiv_(first, unbiasedRoot, -rate / (1 - Math.Pow(settings.Beta1, Steps)));
    }
}
