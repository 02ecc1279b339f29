using CutoffLen.Hardware;
using static CutoffLen.Hardware.KeptScalars;
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

    /// <summary>Creates the optimizer with zero moments, at the parameters' present values.</summary>
    public AdamW(FlatParameters parameters, AdamWSettings settings, bool inHostMemory = false)
        : base(parameters, settings.WeightDecay, inHostMemory)
    {
        this.settings = settings;
        FirstMoment = NewState("exp_avg");
        SecondMoment = NewState("exp_avg_sq");
    }

    /// <summary>[shard] float32 first moment.</summary>
    public Tensor FirstMoment { get; }

    /// <summary>[shard] float32 second moment.</summary>
    public Tensor SecondMoment { get; }

    private protected override void Update(Tensor weights, Tensor gradient, double rate, double decay, Func<Tensor, Tensor> slice)
    {
        using var steps = tensor((float)Steps, device: weights.device);
        Kernels.AdamW(
            weights, gradient, slice(FirstMoment), slice(SecondMoment), steps, rate, (settings.Beta1, settings.Beta2), decay, settings.Epsilon);
    }
}

/// <summary>
/// Lion (Chen et al., arXiv 2302.06675, algorithm 2): it steps by the sign of an interpolation of momentum and gradient.
/// It has one moment, not two. Its learning rate is about a tenth of AdamW's.
/// </summary>
public sealed class Lion : FlatOptimizer
{
    private readonly double beta1;
    private readonly double beta2;
    private readonly Tensor momentum;

    /// <summary>Creates the optimizer with zero momentum, at the parameters' present values.</summary>
    public Lion(FlatParameters parameters, double beta1, double beta2, double weightDecay, bool inHostMemory = false)
        : base(parameters, weightDecay, inHostMemory)
    {
        (this.beta1, this.beta2) = (beta1, beta2);
        momentum = NewState("exp_avg");
    }

    private protected override void Update(Tensor weights, Tensor gradient, double rate, double decay, Func<Tensor, Tensor> slice)
    {
        var average = slice(momentum);
        var direction = (average * Kept(beta1)).add_(gradient, Kept(1 - beta1)).sign();
        weights.mul_(Kept(1 - (rate * decay))).add_(direction, Kept(-rate));
        average.mul_(Kept(beta2)).add_(gradient, Kept(1 - beta2));
    }
}

/// <summary>Plain gradient descent without momentum, with decoupled weight decay. It has no state.</summary>
public sealed class Sgd(FlatParameters parameters, double weightDecay, bool inHostMemory = false)
    : FlatOptimizer(parameters, weightDecay, inHostMemory)
{
    private protected override void Update(Tensor weights, Tensor gradient, double rate, double decay, Func<Tensor, Tensor> slice) =>
        weights.mul_(Kept(1 - (rate * decay))).add_(gradient, Kept(-rate));
}
