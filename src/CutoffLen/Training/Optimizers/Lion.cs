using static TorchSharp.torch;

namespace CutoffLen.Training.Optimizers;

/// <summary>
/// Lion (Chen et al., arXiv 2302.06675, algorithm 2): the sign of an interpolation of momentum and gradient is the
/// direction; one moment instead of two. Its learning rate is about a tenth of AdamW's.
/// </summary>
public sealed class Lion : FlatOptimizer
{
    private readonly double beta1;
    private readonly double beta2;
    private readonly Tensor momentum;

    /// <summary>Creates the optimizer with zero momentum, stepping from the parameters' present values.</summary>
    public Lion(FlatParameters parameters, double beta1, double beta2, double weightDecay, bool inHostMemory = false)
        : base(parameters, weightDecay, inHostMemory)
    {
        (this.beta1, this.beta2) = (beta1, beta2);
        momentum = NewState("exp_avg");
    }

    private protected override void Update(Tensor weights, Tensor gradient, double rate, double decay, Func<Tensor, Tensor> slice)
    {
        var average = slice(momentum);
        var direction = (average * beta1).add_(gradient, 1 - beta1).sign();
        weights.mul_(decay).add_(direction, -rate);
        average.mul_(beta2).add_(gradient, 1 - beta2);
    }
}
